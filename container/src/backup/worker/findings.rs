//! What was found in a home.
//!
//! Whatever rustic cannot read it leaves out, saying so only in its log. So everything that is missing is noted here: what
//! is wrong with one entry is named in the snapshot, and what is wrong with this machine, or with a database that may be
//! copied the next time, fails it (`snapshot.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use moltworker_core::wire::control::{Amount, LeftOut, Named};
use rustix::io::Errno;

use super::confined::CopyCheck;

/// Why a file may be of another moment.
pub(super) const WRITTEN: &str = "it was written while it was read";

/// So many lines are worth saying about a snapshot.
const MAX_NOTES: usize = 50;

/// What a walk has found, and what it could not read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What was found so far.
    pub(crate) amount: Amount,
    /// Bytes that takes on the disk.
    pub(crate) disk_bytes: u64,
    /// Databases that were copied and are sound, by their path below the home.
    pub(crate) databases: BTreeSet<String>,
    /// Databases that are stored without being known to be sound, and why: as the files they are, or as copies that
    /// cannot be checked.
    pub(crate) raw: BTreeMap<String, String>,
    /// Databases that could not be copied, stored as they are or not.
    pub(crate) uncopied: BTreeSet<String>,
    /// Databases that were thought to be in the snapshot before, and are not.
    pub(crate) missed: BTreeSet<String>,
    /// What is there and is not in the snapshot, because it cannot be read.
    pub(crate) lacks: Named,
    /// What is not in it because a rule says so.
    pub(crate) left_out: LeftOut,
    /// Why there must be no snapshot.
    pub(crate) failures: Vec<String>,
    /// What is worth saying, and no failure: the first of it.
    pub(crate) notes: Vec<String>,
    /// How much more of it there is.
    pub(crate) unsaid: u64,
    /// What may be of another moment than the rest.
    pub(crate) moments: Named,
}

impl Findings {
    /// Whether there is more to say than how much was found.
    pub(super) fn is_more(&self) -> bool {
        let Self {
            amount: _,
            disk_bytes: _,
            databases,
            raw,
            uncopied,
            missed,
            lacks,
            left_out,
            failures,
            notes,
            unsaid: _,
            moments,
        } = self;
        !(databases.is_empty()
            && raw.is_empty()
            && uncopied.is_empty()
            && missed.is_empty()
            && lacks.is_empty()
            && left_out.is_empty()
            && failures.is_empty()
            && notes.is_empty()
            && moments.is_empty())
    }

    /// What else was found at one place, how much apart.
    pub(super) fn add(&mut self, more: &Self) {
        self.databases.extend(more.databases.iter().cloned());
        let raw = more
            .raw
            .iter()
            .map(|(name, reason)| (name.clone(), reason.clone()));
        self.raw.extend(raw);
        self.uncopied.extend(more.uncopied.iter().cloned());
        self.missed.extend(more.missed.iter().cloned());
        for (all, some) in [(&mut self.lacks, &more.lacks), (&mut self.moments, &more.moments)] {
            some.first.iter().for_each(|said| all.push(said));
        }
        self.failures.extend(more.failures.iter().cloned());
        more.notes.iter().for_each(|said| self.say(said.clone()));
        self.unsaid = self.unsaid.saturating_add(more.unsaid);
    }

    /// One more that may be of another moment than the rest.
    pub(super) fn of_another_moment(&mut self, path: &Path, reason: &str) {
        self.moments.push(&short(&path.to_string_lossy(), reason));
    }

    /// One more that is there and cannot be read: what is wrong with it alone is named, what is wrong with this machine
    /// fails the snapshot, because it would be missing everything.
    pub(super) fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let of_the_machine = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
        if Errno::from_io_error(error).is_some_and(|error| of_the_machine.contains(&error)) {
            self.failures.push(format!("{}: {error}", path.display()));
        } else {
            self.lacks(path, &error.to_string());
        }
    }

    /// One more that is there and is not in the snapshot.
    pub(super) fn lacks(&mut self, path: &Path, reason: &str) {
        let path = path.to_string_lossy();
        self.lacks.push(&short(&path, reason));
    }

    /// Something worth saying.
    pub(super) fn say(&mut self, text: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(text);
        } else {
            self.unsaid = self.unsaid.saturating_add(1);
        }
    }

    /// A database was copied.
    pub(super) fn copied(&mut self, name: &str, found: &CopyCheck) {
        match found {
            CopyCheck::Sound => {
                self.databases.insert(name.to_owned());
            }
            CopyCheck::Damaged(reason) => {
                self.say(format!(
                    "{name} is a damaged database, stored as it was copied: {reason}"
                ));
            }
            CopyCheck::Unchecked(reason) => {
                self.say(format!("{name} is stored without being checked: {reason}"));
                self.raw.insert(name.to_owned(), reason.clone());
            }
        }
    }

    /// A database takes more than it may.
    pub(super) fn exceeded(&mut self, name: &str, reason: &str) {
        self.say(format!("{name} is stored as the files it is: {reason}"));
        self.raw.insert(name.to_owned(), reason.to_owned());
    }

    /// A database could not be copied.
    pub(super) fn refused(&mut self, name: &str, reason: &str, is_stored: bool) {
        if is_stored {
            self.say(format!(
                "{name} cannot be copied, stored as the files it is: {reason}"
            ));
            self.raw.insert(name.to_owned(), reason.to_owned());
        } else {
            self.failures.push(format!("{name}: {reason}"));
        }
        self.uncopied.insert(name.to_owned());
    }
}

/// A path with a reason, and of a long path its beginning only.
pub(super) fn short(path: &str, reason: &str) -> String {
    /// Bytes; with the usual reason that is no more than is named.
    const MAX: usize = 120;
    match path.char_indices().find(|(at, _)| *at >= MAX) {
        Some((end, _)) => format!("{}…: {reason}", path.get(..end).unwrap_or_default()),
        None => format!("{path}: {reason}"),
    }
}
