//! A home as a source of a snapshot: what was found in it, and how the bytes of its files are come by.
//!
//! Whatever rustic cannot read it leaves out, saying so only in its log. So everything that is missing is noted here: what
//! is wrong with one entry is named in the snapshot, and what is wrong with this machine, or with a database that may be
//! copied the next time, fails it (`snapshot.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor, ErrorKind as IoKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use moltworker_core::wire::control::{Amount, LeftOut, Named};
use rustic_core::{ReadSourceOpen, RusticResult};
use rustix::io::Errno;

use super::confined::Found;
use super::databases::Databases;
use super::patterns::Patterns;

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
}

/// So many lines are worth saying about a snapshot.
const MAX_NOTES: usize = 50;
/// So many databases may fail a snapshot. With more of them the others are stored as the files they are at once: nobody
/// holds so many by chance.
const MAX_UNCOPIED: usize = 100;

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
}

/// How the bytes of a file are come by.
pub(crate) struct Source(Reader);

/// Where they are.
pub(super) enum Bytes {
    /// Read already.
    Memory(Cursor<Vec<u8>>),
    /// In an open file, and so many of them.
    File(File, u64),
}

/// Reads as many bytes as were promised, and notes when that fails.
pub(crate) struct Reader {
    bytes: Bytes,
    path: PathBuf,
    findings: Arc<Mutex<Findings>>,
    is_cut: bool,
}

impl Home {
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
        let (file, left) = match &mut self.bytes {
            Bytes::Memory(bytes) => return bytes.read(buffer),
            Bytes::File(file, left) => (file, left),
        };
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match file.read(buffer) {
            Ok(0) => {
                buffer.fill(0);
                let is_known = std::mem::replace(&mut self.is_cut, true);
                *left = left.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
                if !is_known {
                    self.note(|findings, path| {
                        findings.say(format!("{} was cut while it was read", path.display()));
                    });
                }
                return Ok(most);
            }
            Ok(count) => {
                *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
                return Ok(count);
            }
            Err(error) => error,
        };
        if read.kind() != IoKind::Interrupted {
            self.note(|findings, path| {
                findings.amount.files = findings.amount.files.saturating_sub(1);
                findings.unreadable(path, &read);
            });
        }
        Err(read)
    }
}

impl Findings {
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

    /// A database could not be copied; whether it is stored as the files it is, because that `is_known` or there are too
    /// many of them.
    pub(super) fn refused(&mut self, name: &str, reason: &str, is_known: bool) -> bool {
        let is_one_too_many = self.uncopied.len() >= MAX_UNCOPIED;
        if !is_one_too_many {
            self.uncopied.insert(name.to_owned());
        }
        if is_known || is_one_too_many {
            self.say(format!(
                "{name} cannot be copied, stored as the files it is: {reason}"
            ));
            self.raw.insert(name.to_owned(), reason.to_owned());
            return true;
        }
        self.failures.push(format!("{name}: {reason}"));
        false
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
