//! Databases on the way: copied, or taken while the bot stands still, or stored as the files they are.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata as Stat};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustic_core::repofile::Metadata;

use super::Walk;
use super::again::Step;
use crate::backup::worker::attributes::{copy_differs, metadata};
use crate::backup::worker::confined::{CopyCheck, NotCopied};
use crate::backup::worker::databases::{self, DatabaseState, HEADER, Located};
use crate::backup::worker::exclusions::{LOGS, SIDECARS};
use crate::backup::worker::place::look;

/// So many databases may fail a snapshot.
const MAX_UNCOPIED: usize = 100;

/// What becomes of a database.
pub(super) enum StoredDatabase {
    Copied(databases::Copy),
    /// The snapshot before has it as it is, in so many blocks.
    AsBefore(u64),
    /// Its files were taken.
    Taken(Box<Step>),
    AsItIs,
    /// It is gone, or the snapshot fails for it.
    Not,
}

impl Walk {
    /// What belongs to a database is no file of its own.
    pub(super) fn passes_over_logs(&mut self, name: &OsStr) {
        if let Some(level) = self.levels.last_mut() {
            let belongs = SIDECARS.map(|suffix| with_suffix(name.to_owned(), suffix));
            level.sidecars.extend(belongs);
        }
    }

    /// Copies a database. Its time is that of whatever of it was written last: while it is in use that is its
    /// write-ahead log, and by the time rustic sees what has changed.
    pub(super) fn database(
        &mut self,
        here: &OwnedFd,
        name: &OsStr,
        path: &Path,
        meta: &mut Metadata,
    ) -> StoredDatabase {
        let mut of_copy = meta.clone();
        for suffix in LOGS {
            let log = with_suffix(name.to_owned(), suffix);
            if let Ok(stat) = look(here, &log).and_then(|log| log.metadata())
                && stat.len() > 0
            {
                let log = metadata(&stat);
                of_copy.mtime = of_copy.mtime.max(log.mtime);
                of_copy.ctime = of_copy.ctime.max(log.ctime);
            }
        }
        let whole = self.home.path.join(path);
        let located = Located {
            directory: here,
            name,
            path: &whole,
        };
        if self.since.is_some() {
            self.home.unchanged.forget(path);
        }
        if self.is_still() {
            if !self.was_as_it_is(name)
                && let Some(step) = self.take_database(&located, path, of_copy)
            {
                return StoredDatabase::Taken(Box::new(step));
            }
            if self.before(name).is_none() {
                let said = path.to_string_lossy().into_owned();
                self.noted
                    .exceeded(&said, "it is too large to be copied in a moment");
            }
        } else {
            let said = path.to_string_lossy().into_owned();
            let state = DatabaseState::of(&located, &self.home.mapped);
            // A second walk looks at what has changed.
            let is_first = self.since.is_none();
            if is_first
                && let Some(state) = &state
                && let Some(known) = self.home.unchanged.find(path, state)
            {
                of_copy.size = known.bytes;
                *meta = of_copy;
                self.noted.copied(&said, &CopyCheck::Sound);
                return StoredDatabase::AsBefore(known.blocks);
            }
            match self.home.databases.copy(&located) {
                Ok(copy) => {
                    of_copy.size = copy.bytes;
                    *meta = of_copy;
                    self.noted.copied(&said, &copy.found);
                    if is_first && copy.found == CopyCheck::Sound {
                        self.home.unchanged.remember(path, state, &copy);
                    }
                    return StoredDatabase::Copied(copy);
                }
                Err(_) if look(here, name).is_err() => return StoredDatabase::Not,
                Err(NotCopied::Damaged(reason)) => {
                    let said = format!("{said} is a damaged database, stored as it is: {reason}");
                    self.noted.say(said);
                }
                Err(NotCopied::Exceeded(reason)) => self.noted.exceeded(&said, &reason),
                Err(NotCopied::Refused(reason)) => {
                    let is_stored = self.home.raw.contains(&said) || self.has_too_many_uncopied();
                    self.noted.refused(&said, &reason, is_stored);
                    if !is_stored {
                        return StoredDatabase::Not;
                    }
                }
                Err(NotCopied::Failed(reason)) => {
                    self.noted.failures.push(format!("{said}: {reason}"));
                    return StoredDatabase::Not;
                }
            }
        }
        // As the file it is, and then with its logs, which come later by their names.
        copy_differs(meta);
        if let Some(level) = self.levels.last_mut() {
            for suffix in LOGS {
                level.sidecars.remove(&with_suffix(name.to_owned(), suffix));
            }
        }
        StoredDatabase::AsItIs
    }
}

impl Walk {
    /// With more of them the others are stored as the files they are at once: nobody holds so many by chance.
    fn has_too_many_uncopied(&self) -> bool {
        let mut is = false;
        self.home
            .note(|findings| is = findings.uncopied.len() >= MAX_UNCOPIED);
        is
    }
}

/// By its header. An empty file is a database only to SQLite.
pub(super) fn is_database(file: &File, stat: &Stat) -> bool {
    let mut header = [0; HEADER.len()];
    stat.len() >= HEADER.len() as u64 && file.read_exact_at(&mut header, 0).is_ok() && header == *HEADER
}

fn with_suffix(mut name: OsString, suffix: &str) -> OsString {
    name.push(suffix);
    name
}
