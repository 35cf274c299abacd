//! A home as a source of a snapshot: what was found in it, and how the bytes of its files are come by.
//!
//! Whatever rustic cannot read it leaves out, saying so only in its log. So everything that is missing is noted here: what
//! is wrong with one entry is named in the snapshot, and what is wrong with this machine, or with a database that may be
//! copied the next time, fails it (`snapshot.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor, ErrorKind as IoKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moltworker_core::wire::control::{Amount, LeftOut, Named};
use rustic_core::{ReadSourceOpen, RusticResult};
use rustix::io::Errno;

use super::capture::{State, state};
use super::changes::Changes;
use super::confined::Found;
use super::databases::Databases;
use super::patterns::Patterns;
use super::record::Record;

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

/// A home as a source of a snapshot.
#[derive(Clone)]
pub(crate) struct Home {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Who copies databases.
    pub(crate) databases: Arc<Databases>,
    /// Databases that are stored as the files they are when they cannot be copied.
    pub(crate) raw: Arc<BTreeSet<String>>,
    /// What its owner leaves out.
    pub(crate) patterns: Arc<Patterns>,
    /// What has changed before is as the snapshot before has it, in seconds since 1970. `None` without one.
    pub(crate) since: Option<i64>,
    /// What was found.
    pub(crate) findings: Arc<Mutex<Findings>>,
    /// Where it was found, in the order of the walk.
    pub(crate) record: Arc<Mutex<Record>>,
    /// What changes meanwhile.
    pub(crate) changes: Arc<Changes>,
}

/// How the bytes of a file are come by.
pub(crate) struct Source(Reader);

/// Where they are.
pub(super) enum Bytes {
    /// Read already.
    Memory(Cursor<Vec<u8>>),
    /// In an open file, and so many of them.
    File(File, u64),
    /// In an open file that was left where it is; it must not have changed by the end.
    Later(File, u64, State),
    /// Nowhere: what an earlier walk could not read either.
    Unread,
    /// From a place in a file of ours.
    Spooled(Arc<File>, u64, u64),
}

/// Reads as many bytes as were promised, and notes when that fails.
pub(crate) struct Reader {
    bytes: Bytes,
    path: PathBuf,
    findings: Arc<Mutex<Findings>>,
    is_cut: bool,
}

impl Home {
    /// Where everything was found.
    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Findings)) {
        change(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Source {
    pub(super) fn new(bytes: Bytes, path: PathBuf, findings: &Arc<Mutex<Findings>>) -> Self {
        Self(Reader {
            bytes,
            path,
            findings: Arc::clone(findings),
            is_cut: false,
        })
    }
}

impl ReadSourceOpen for Source {
    type Reader = Reader;

    fn open(self) -> RusticResult<Reader> {
        Ok(self.0)
    }
}

impl Reader {
    fn note(&self, change: impl FnOnce(&mut Findings, &Path)) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut findings, &self.path);
    }
}

impl Read for Reader {
    /// What a file has grown by meanwhile is for the next snapshot. What it lost is zeros in this one: the length that is
    /// stored beside the content was read before, and must be right.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (file, left, before) = match &mut self.bytes {
            Bytes::Memory(bytes) => return bytes.read(buffer),
            Bytes::Unread => {
                self.note(|findings, path| {
                    findings.amount.files = findings.amount.files.saturating_sub(1);
                    findings.lacks(path, "it could not be read");
                });
                return Err(IoKind::NotFound.into());
            }
            Bytes::File(file, left) => (file, left, None),
            Bytes::Later(file, left, before) => (file, left, Some(*before)),
            Bytes::Spooled(file, at, left) => {
                let read = file.read_at(first(buffer, *left), *at)?;
                let count = u64::try_from(read).unwrap_or(u64::MAX);
                (*at, *left) = (at.saturating_add(count), left.saturating_sub(count));
                return Ok(read);
            }
        };
        let buffer = first(buffer, *left);
        if buffer.is_empty() {
            return Ok(0);
        }
        let error = match file.read(buffer) {
            Ok(0) => {
                buffer.fill(0);
                let is_known = std::mem::replace(&mut self.is_cut, true);
                let most = buffer.len();
                *left = left.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
                if !is_known {
                    self.note(|findings, path| {
                        findings.say(format!("{} was cut while it was read", path.display()));
                        if before.is_some() {
                            findings.of_another_moment(path, WRITTEN);
                        }
                    });
                }
                return Ok(most);
            }
            Ok(count) => {
                *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                let is_another = |before| file.metadata().map_or(true, |now| state(&now) != before);
                if *left == 0 && before.is_some_and(is_another) {
                    self.note(|findings, path| findings.of_another_moment(path, WRITTEN));
                }
                return Ok(count);
            }
            Err(error) => error,
        };
        if error.kind() != IoKind::Interrupted {
            self.note(|findings, path| {
                findings.amount.files = findings.amount.files.saturating_sub(1);
                findings.unreadable(path, &error);
            });
        }
        Err(error)
    }
}

/// No more of a buffer than there is to be read.
fn first(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    buffer.get_mut(..most).unwrap_or_default()
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
    pub(super) fn copied(&mut self, name: &str, found: &Found) {
        match found {
            Found::Sound => {
                self.databases.insert(name.to_owned());
            }
            Found::Damaged(reason) => {
                self.say(format!(
                    "{name} is a damaged database, stored as it was copied: {reason}"
                ));
            }
            Found::Unchecked(reason) => {
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
fn short(path: &str, reason: &str) -> String {
    /// Bytes; with the usual reason that is no more than is named.
    const MAX: usize = 120;
    match path.char_indices().find(|(at, _)| *at >= MAX) {
        Some((end, _)) => format!("{}…: {reason}", path.get(..end).unwrap_or_default()),
        None => format!("{path}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
