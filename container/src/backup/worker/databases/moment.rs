//! Takes databases as they are while the bot stands still: small ones as copies of their files, large ones by beginning to read
//! them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::{Copy, Databases, Located, Way, aside, is_hollow, not, way, with_suffix};
use crate::backup::worker::confined::{DatabaseAnswer, DatabaseTask, NotCopied, Pending, Work};
use crate::backup::worker::place::look;
use crate::beneath;

/// What is read in a database stays what it was when this began, whoever writes meanwhile, until it is copied.
pub(crate) struct HeldMoment {
    pending: Pending,
    /// The copy's.
    name: OsString,
}

impl Databases {
    /// Copies the files of a database of which nobody writes now to files of ours, by `copy`; `name` is theirs.
    ///
    /// # Errors
    /// When that does not work.
    pub(crate) fn capture(
        &self,
        database: &Located<'_>,
        name: &OsStr,
        copy: &dyn Fn(&File, &File) -> io::Result<()>,
    ) -> io::Result<()> {
        aside::capture(self, database, name, copy)
    }

    /// Makes one file of what was captured, and checks it.
    ///
    /// # Errors
    /// See [`NotCopied`].
    pub(crate) fn captured(&self, name: &OsStr) -> Result<Copy, NotCopied> {
        let log = with_suffix(name, "-wal");
        let log = look(&self.scratch, log).and_then(|log| log.metadata());
        let copied = self.counted(|| {
            let (file, bytes) = self.opened(name)?;
            let log = log.map_or(0, |log| log.len());
            self.checked(name, file, bytes.saturating_add(log))
        });
        self.discard(name);
        copied
    }

    /// Begins to read a database in its place; nothing where that takes more than locks, where somebody holds it, or where it
    /// has no write-ahead log and a reader would be in its writers' way.
    pub(crate) fn hold(&self, database: &Located<'_>, name: OsString) -> Option<HeldMoment> {
        let (way, stat) = way(database).ok()?;
        if way != Way::InPlace || is_hollow(&stat) {
            return None;
        }
        self.make(&name, "").ok()?;
        let bytes = stat.len().saturating_add(database.bytes("-wal"));
        self.budget.explain(bytes);
        let pending = self.keeper.hold(&DatabaseTask {
            work: Work::Hold(self.scratch_path.join(&name)),
            directory: database.directory,
            name: database.name,
            bytes,
            patience: Duration::ZERO,
        });
        if pending.is_none() {
            self.discard(&name);
        }
        Some(HeldMoment {
            pending: pending?,
            name,
        })
    }

    /// What was in a database when it was begun to be read, checked.
    ///
    /// # Errors
    /// See [`NotCopied`].
    pub(crate) fn held(&self, held: HeldMoment) -> Result<Copy, NotCopied> {
        let copied = match held.pending.wait() {
            DatabaseAnswer::Copied => self.counted(|| {
                let (file, bytes) = self.opened(&held.name)?;
                self.checked(&held.name, file, bytes)
            }),
            other => Err(not(other)),
        };
        self.discard(&held.name);
        copied
    }

    fn opened(&self, name: &OsStr) -> Result<(File, u64), NotCopied> {
        let failed = |error: io::Error| NotCopied::Failed(error.to_string());
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
        let file: File = beneath::open(&self.scratch, name, flags, Mode::empty())
            .map_err(|error| failed(error.into()))?
            .into();
        let bytes = file.metadata().map_err(failed)?.len();
        Ok((file, bytes))
    }

    fn checked(&self, name: &OsStr, file: File, bytes: u64) -> Result<Copy, NotCopied> {
        let work = if self.budget.is_spent() {
            Work::Merge
        } else {
            Work::Check
        };
        let found = self.finish(name, work, bytes)?;
        let bytes = file
            .metadata()
            .map_err(|error| NotCopied::Failed(error.to_string()))?;
        Ok(Copy {
            file,
            bytes: bytes.len(),
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;
    use crate::backup::worker::confined::Keeper;

    fn holds(path: &Path, scratch: &Path) -> bool {
        let directory: OwnedFd = File::open(path.parent().unwrap()).unwrap().into();
        let located = Located {
            directory: &directory,
            name: path.file_name().unwrap(),
            path,
        };
        let databases = Databases::new(Keeper::counting(), scratch, Duration::ZERO).unwrap();
        databases.hold(&located, "held".into()).is_some()
    }

    #[test]
    fn a_database_without_a_log_is_not_held_and_starts_no_process() {
        let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (mode, is_held) in [("DELETE", false), ("WAL", true)] {
            let path = home.path().join(mode);
            let connection = Connection::open(&path).unwrap();
            connection.pragma_update(None, "journal_mode", mode).unwrap();
            connection.execute_batch("CREATE TABLE a(n);").unwrap();
            let before = Keeper::counted();
            assert_eq!(holds(&path, scratch.path()), is_held, "{mode}");
            assert_eq!(Keeper::counted() - before, u32::from(is_held), "{mode}");
        }
    }
}
