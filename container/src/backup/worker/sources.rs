//! What goes into a snapshot: the walk through a home, in the order rustic wants it.
//!
//! Whatever rustic cannot read it leaves out, saying so only in its log. So every failure is noted here, and
//! `snapshot.rs` writes no snapshot when something is missing that should be in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind as IoKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltworker_core::wire::control::Amount;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};

use super::attributes::{copy_differs, metadata};
use super::databases::{self, Copy, Found, NotCopied};
use super::exclusions::{CACHE_TAG, CACHE_TAG_BEGINS, LOGS, SIDECARS, is_excluded};
use super::repository::HOME_IN_SNAPSHOT;

/// What a walk has found, and what it could not read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What was found so far.
    pub(crate) amount: Amount,
    /// Databases that were copied and are sound, by their path below the home.
    pub(crate) databases: BTreeSet<String>,
    /// Databases that are stored without being known to be sound, and why: as the files they are, or as copies that
    /// cannot be checked.
    pub(crate) raw: BTreeMap<String, String>,
    /// Databases that could not be copied, stored as they are or not.
    pub(crate) uncopied: BTreeSet<String>,
    /// What could not be read although it is there.
    pub(crate) failures: Vec<String>,
    /// What is worth saying, and no failure.
    pub(crate) notes: Vec<String>,
}

/// A home as a source of a snapshot.
pub(crate) struct Home {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// A directory of our own for copies of databases.
    pub(crate) scratch: PathBuf,
    /// Databases that are stored as the files they are when they cannot be copied.
    pub(crate) raw: Arc<BTreeSet<String>>,
    /// How long is waited for whoever holds a database.
    pub(crate) patience: Duration,
    /// What was found.
    pub(crate) findings: Arc<Mutex<Findings>>,
}

/// How the bytes of a file are come by.
pub(crate) struct Source {
    bytes: Bytes,
    path: PathBuf,
    findings: Arc<Mutex<Findings>>,
}

enum Bytes {
    File,
    Copy(Copy),
}

/// Reads a file and notes when that fails.
pub(crate) struct Noting {
    file: File,
    path: PathBuf,
    findings: Arc<Mutex<Findings>>,
}

fn note(findings: &Mutex<Findings>, change: impl FnOnce(&mut Findings)) {
    change(&mut findings.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Gone between two looks is no failure: the owner's programs go on while we read.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), IoKind::NotFound)
}

impl Read for Noting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != IoKind::Interrupted {
                let said = format!("{}: {error}", self.path.display());
                note(&self.findings, |findings| findings.failures.push(said));
            }
        })
    }
}

impl ReadSourceOpen for Source {
    type Reader = Noting;

    fn open(self) -> RusticResult<Noting> {
        let Self {
            bytes,
            path,
            findings,
        } = self;
        let opened = match bytes {
            Bytes::Copy(copy) => Ok(copy.file),
            Bytes::File => File::options()
                .read(true)
                .custom_flags(databases::read_flags())
                .open(&path),
        };
        match opened {
            Ok(file) => Ok(Noting { file, path, findings }),
            Err(error) => {
                let said = format!("{}: {error}", path.display());
                note(&findings, |findings| {
                    findings.amount.files = findings.amount.files.saturating_sub(1);
                    if !is_gone(&error) {
                        unreadable(findings, &error, said.clone());
                    }
                });
                Err(RusticError::new(ErrorKind::InputOutput, said))
            }
        }
    }
}

/// What its owner has closed to themselves is left out and said; everything else that fails is a failure.
fn unreadable(findings: &mut Findings, error: &io::Error, said: String) {
    if error.kind() == IoKind::PermissionDenied {
        findings.notes.push(said);
    } else {
        findings.failures.push(said);
    }
}

impl ReadSource for Home {
    type Open = Source;
    type Iter = Walk;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Walk {
        Walk {
            home: self.path.clone(),
            scratch: self.scratch.clone(),
            raw: Arc::clone(&self.raw),
            patience: self.patience,
            findings: Arc::clone(&self.findings),
            begun: false,
            levels: Vec::new(),
        }
    }
}

/// A walk through a home: each directory, then what is in it, by name.
pub(crate) struct Walk {
    home: PathBuf,
    scratch: PathBuf,
    raw: Arc<BTreeSet<String>>,
    patience: Duration,
    findings: Arc<Mutex<Findings>>,
    begun: bool,
    levels: Vec<Level>,
}

/// A directory on the way.
struct Level {
    /// Its path below the home.
    path: PathBuf,
    names: std::vec::IntoIter<OsString>,
    databases: BTreeSet<OsString>,
    /// What is passed over, because it belongs to a database.
    sidecars: BTreeSet<OsString>,
}

impl Iterator for Walk {
    type Item = RusticResult<ReadSourceEntry<Source>>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            let home = self.entry(Path::new(""), false);
            if home.is_none() {
                // Whatever the reason: without it there is nothing, and nothing is no snapshot.
                let said = format!("the home {} cannot be read", self.home.display());
                note(&self.findings, |findings| findings.failures.push(said));
            }
            return home.map(Ok);
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            if level.sidecars.contains(&name) {
                continue;
            }
            let is_database = level.databases.contains(&name);
            let path = level.path.join(name);
            if let Some(entry) = self.entry(&path, is_database) {
                return Some(Ok(entry));
            }
        }
    }
}

impl Walk {
    /// What is at a path below the home; nothing where it is in no snapshot. A directory's content comes next.
    fn entry(&mut self, path: &Path, is_database: bool) -> Option<ReadSourceEntry<Source>> {
        if is_excluded(path) {
            return None;
        }
        let here = self.home.join(path);
        let stat = match std::fs::symlink_metadata(&here) {
            Ok(stat) => stat,
            Err(error) => {
                self.missed(&here, &error);
                return None;
            }
        };
        let mut meta = metadata(&stat);
        let kind = stat.file_type();
        let mut bytes = None;
        let node_type = if kind.is_dir() {
            if !self.enter(path.to_owned(), &here) {
                return None;
            }
            NodeType::Dir
        } else if kind.is_symlink() {
            match std::fs::read_link(&here) {
                Ok(target) => NodeType::from_link(&target),
                Err(error) => {
                    self.missed(&here, &error);
                    return None;
                }
            }
        } else if kind.is_file() {
            bytes = Some(if is_database {
                self.database(path, &here, &mut meta)?
            } else {
                Bytes::File
            });
            note(&self.findings, |findings| {
                findings.amount.files = findings.amount.files.saturating_add(1);
                findings.amount.bytes = findings.amount.bytes.saturating_add(meta.size);
            });
            NodeType::File
        } else {
            return None;
        };
        let in_snapshot = Path::new(HOME_IN_SNAPSHOT).join(path);
        // `join` with an empty path adds a slash.
        let in_snapshot: PathBuf = in_snapshot.components().collect();
        let name = in_snapshot.file_name()?;
        Some(ReadSourceEntry {
            node: Node::new_node(name, node_type, meta),
            path: in_snapshot.clone(),
            open: bytes.map(|bytes| Source {
                bytes,
                path: here,
                findings: Arc::clone(&self.findings),
            }),
        })
    }

    fn missed(&self, path: &Path, error: &io::Error) {
        if !is_gone(error) {
            let said = format!("{}: {error}", path.display());
            note(&self.findings, |findings| unreadable(findings, error, said));
        }
    }

    /// Reads a directory; false when it is in no snapshot, or gone.
    fn enter(&mut self, path: PathBuf, here: &Path) -> bool {
        // Whoever puts a tag into the home itself means what they put beside it, and the home is all there is.
        if !path.as_os_str().is_empty() && is_tagged_cache(here) {
            return false;
        }
        let listed = std::fs::read_dir(here).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<io::Result<Vec<_>>>()
        });
        let mut names = match listed {
            Ok(names) => names,
            Err(error) => {
                self.missed(here, &error);
                return false;
            }
        };
        names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        let databases: BTreeSet<OsString> = names
            .iter()
            .filter(|name| !is_excluded(&path.join(name)) && databases::is_database(&here.join(name)))
            .cloned()
            .collect();
        let sidecars = databases
            .iter()
            .flat_map(|name| SIDECARS.map(|suffix| with_suffix(name.clone(), suffix)))
            .collect();
        self.levels.push(Level {
            path,
            names: names.into_iter(),
            databases,
            sidecars,
        });
        true
    }

    /// Copies a database. Its time is that of whatever of it was written last: while it is in use that is its
    /// write-ahead log, and by the time rustic sees what has changed.
    fn database(&mut self, path: &Path, here: &Path, meta: &mut Metadata) -> Option<Bytes> {
        let mut of_copy = meta.clone();
        for suffix in LOGS {
            let log = PathBuf::from(with_suffix(here.as_os_str().to_owned(), suffix));
            if let Ok(stat) = std::fs::symlink_metadata(log)
                && stat.len() > 0
            {
                let log = metadata(&stat);
                of_copy.mtime = of_copy.mtime.max(log.mtime);
                of_copy.ctime = of_copy.ctime.max(log.ctime);
            }
        }
        let name = path.to_string_lossy().into_owned();
        let note = |change: &mut dyn FnMut(&mut Findings)| note(&self.findings, change);
        match databases::copy(here, &self.scratch, self.patience) {
            Ok(copy) => {
                of_copy.size = copy.bytes;
                *meta = of_copy;
                note(&mut |findings| findings.copied(&name, &copy.found));
                return Some(Bytes::Copy(copy));
            }
            Err(_) if !here.exists() => return None,
            Err(NotCopied::Damaged(reason)) => note(&mut |findings| {
                let said = format!("{name} is a damaged database, stored as it is: {reason}");
                findings.notes.push(said);
            }),
            Err(NotCopied::Refused(reason)) => {
                let stored = self.raw.contains(&name);
                note(&mut |findings| findings.refused(&name, &reason, stored));
                if !stored {
                    return None;
                }
            }
            Err(NotCopied::Failed(reason)) => {
                note(&mut |findings| findings.failures.push(format!("{name}: {reason}")));
                return None;
            }
        }
        // As the file it is, and then with its logs, which come later by their names.
        copy_differs(meta);
        if let (Some(level), Some(name)) = (self.levels.last_mut(), path.file_name()) {
            for suffix in LOGS {
                level.sidecars.remove(&with_suffix(name.to_owned(), suffix));
            }
        }
        Some(Bytes::File)
    }
}

impl Findings {
    fn copied(&mut self, name: &str, found: &Found) {
        match found {
            Found::Sound => {
                self.databases.insert(name.to_owned());
            }
            Found::Damaged(reason) => {
                let said = format!("{name} is a damaged database, stored as it was copied: {reason}");
                self.notes.push(said);
            }
            Found::Unchecked(reason) => {
                self.notes
                    .push(format!("{name} is stored without being checked: {reason}"));
                self.raw.insert(name.to_owned(), reason.clone());
            }
        }
    }

    fn refused(&mut self, name: &str, reason: &str, stored: bool) {
        self.uncopied.insert(name.to_owned());
        if stored {
            let said = format!("{name} cannot be copied, stored as the files it is: {reason}");
            self.notes.push(said);
            self.raw.insert(name.to_owned(), reason.to_owned());
        } else {
            self.failures.push(format!("{name}: {reason}"));
        }
    }
}

fn with_suffix(mut name: OsString, suffix: &str) -> OsString {
    name.push(suffix);
    name
}

fn is_tagged_cache(directory: &Path) -> bool {
    let mut begin = [0; CACHE_TAG_BEGINS.len()];
    let tag = File::options()
        .read(true)
        .custom_flags(databases::read_flags())
        .open(directory.join(CACHE_TAG));
    tag.and_then(|mut tag| tag.read_exact(&mut begin)).is_ok() && begin == *CACHE_TAG_BEGINS
}

#[cfg(test)]
mod tests;
