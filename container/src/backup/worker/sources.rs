//! A home as a source of a snapshot, and how the bytes of its files are read. What rustic cannot read is noted (`findings.rs`).

use std::collections::BTreeSet;
use std::io::{self, ErrorKind as IoKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustic_core::{ReadSourceOpen, RusticResult};

use super::changes::Changes;
use super::content::{ContentBytes, state};
use super::databases::{Databases, Unchanged};
use super::findings::{Findings, WRITTEN};
use super::mapped::Mapped;
use super::patterns::Patterns;
use super::record::Record;

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
    /// Which databases are as they were.
    pub(crate) unchanged: Arc<Unchanged>,
    /// What may change without a trace.
    pub(crate) mapped: Arc<Mapped>,
}

/// How the bytes of a file are come by.
pub(crate) struct Source(SourceReader);

/// Reads as many bytes as were promised, and notes when that fails.
pub(crate) struct SourceReader {
    bytes: ContentBytes,
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
    pub(super) fn new(bytes: ContentBytes, path: PathBuf, findings: &Arc<Mutex<Findings>>) -> Self {
        Self(SourceReader {
            bytes,
            path,
            findings: Arc::clone(findings),
            is_cut: false,
        })
    }
}

impl ReadSourceOpen for Source {
    type Reader = SourceReader;

    fn open(self) -> RusticResult<SourceReader> {
        Ok(self.0)
    }
}

impl SourceReader {
    fn note(&self, change: impl FnOnce(&mut Findings, &Path)) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut findings, &self.path);
    }
}

impl Read for SourceReader {
    /// What a file has grown by meanwhile is for the next snapshot. What it lost is zeros in this one: the length that is
    /// stored beside the content was read before, and must be right.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (file, left, before) = match &mut self.bytes {
            ContentBytes::Memory(bytes) => return bytes.read(buffer),
            ContentBytes::Unread => {
                self.note(|findings, path| {
                    findings.amount.files = findings.amount.files.saturating_sub(1);
                    findings.lacks(path, "it could not be read");
                });
                return Err(IoKind::NotFound.into());
            }
            ContentBytes::Before(_) => {
                self.note(|findings, path| {
                    findings.amount.files = findings.amount.files.saturating_sub(1);
                    findings.missed.insert(path.to_string_lossy().into_owned());
                    findings.lacks(path, "the snapshot before has no copy of it");
                });
                return Err(IoKind::NotFound.into());
            }
            ContentBytes::File(file, left) => (file, left, None),
            ContentBytes::Later(file, left, before) => (file, left, Some(*before)),
            ContentBytes::Spooled(file, at, left) => {
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

#[cfg(test)]
mod tests;
