//! Databases that are as they were when they were copied last in this run: such a copy costs a process, and twice the bytes of
//! the database, to find that there is nothing new. The snapshot before has it.
//!
//! Whoever writes to a file changes the time of its last change, which nobody can set back. So a database is the same when
//! nothing about it and its logs is another, and when that time was over before it was looked at: within the grain of the
//! clock two writes have the same. Whatever is in doubt is copied.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{Copy, Located};
use crate::backup::worker::mapped::Mapped;
use crate::backup::worker::now_ms;
use crate::backup::worker::place::{look, open};

/// A change that is no older than this is followed by another one without a trace where a file system counts in seconds.
const GRAIN_MS: i64 = 2_000;
/// Where SQLite counts the changes of a database without a write-ahead log.
const CHANGE_COUNTER: u64 = 24;
/// What is longer is not kept: some 50,000 databases.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What can be seen of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    fn of(stat: &Metadata) -> Self {
        Self {
            device: stat.dev(),
            inode: stat.ino(),
            bytes: stat.len(),
            written: (stat.mtime(), stat.mtime_nsec()),
            changed: (stat.ctime(), stat.ctime_nsec()),
        }
    }

    fn is_settled(&self, now_ms: i64) -> bool {
        self.changed.0.saturating_add(1).saturating_mul(1_000) <= now_ms.saturating_sub(GRAIN_MS)
    }
}

/// What can be seen of a database before it is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatabaseState {
    database: FileState,
    log: Option<FileState>,
    changes: u32,
}

impl DatabaseState {
    /// Nothing where it may change, or have changed, without a trace.
    pub(crate) fn of(located: &Located<'_>, mapped: &Mapped) -> Option<Self> {
        if mapped.is_more() || located.has("-journal") {
            return None;
        }
        let now = now_ms();
        let file = open(located.directory, located.name).ok()?;
        let mut changes = [0; 4];
        file.read_exact_at(&mut changes, CHANGE_COUNTER).ok()?;
        let log = look(located.directory, located.beside("-wal")).and_then(|log| log.metadata());
        let log = match log {
            Ok(stat) => Some(FileState::of(&stat)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => return None,
        };
        let state = Self {
            database: FileState::of(&file.metadata().ok()?),
            log,
            changes: u32::from_be_bytes(changes),
        };
        let is_sure = |file: &FileState| file.is_settled(now) && !mapped.has(file.inode);
        (is_sure(&state.database) && state.log.as_ref().is_none_or(is_sure)).then_some(state)
    }
}

/// A sound copy that is in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copied {
    /// What it was the copy of.
    state: DatabaseState,
    /// Bytes in it.
    pub(crate) bytes: u64,
    /// Blocks it took on the disk.
    pub(crate) blocks: u64,
}

/// Which copies a snapshot has, by their path.
pub(crate) type Copies = BTreeMap<String, Copied>;

/// What is known in one walk.
#[derive(Default)]
pub(crate) struct Unchanged {
    /// What the snapshot has that the walk is compared with.
    before: Copies,
    /// What the one has that it makes.
    now: Mutex<Copies>,
}

impl Unchanged {
    /// In a walk that is compared with a snapshot that has these.
    pub(crate) fn since(before: Copies) -> Self {
        Self {
            before,
            now: Mutex::default(),
        }
    }

    /// The copy that is still the same.
    pub(crate) fn find(&self, path: &Path, state: &DatabaseState) -> Option<Copied> {
        let path = path.to_str()?;
        let known = self.before.get(path).filter(|known| known.state == *state)?;
        self.now().insert(path.to_owned(), known.clone());
        Some(known.clone())
    }

    /// Remembers a sound copy; the state is from before it was made.
    pub(crate) fn remember(&self, path: &Path, state: Option<DatabaseState>, copy: &Copy) {
        if let (Some(path), Some(state), Ok(stat)) = (path.to_str(), state, copy.file.metadata()) {
            let copied = Copied {
                state,
                bytes: copy.bytes,
                blocks: stat.blocks(),
            };
            self.now().insert(path.to_owned(), copied);
        }
    }

    /// A second walk has looked at it again.
    pub(crate) fn forget(&self, path: &Path) {
        if let Some(path) = path.to_str() {
            self.now().remove(path);
        }
    }

    /// What the snapshot has of which this walk is the last.
    pub(crate) fn take(&self) -> Copies {
        std::mem::take(&mut *self.now())
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Copies> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is written down of it between two snapshots of a run.
#[derive(Serialize, Deserialize)]
struct Written {
    run: u64,
    snapshot: String,
    copies: Copies,
}

/// Where that is: a file that root alone may open, which is done before this process takes the rights of the home's owner.
pub(crate) struct KnownCopies(Option<File>);

impl KnownCopies {
    /// Without it each database is copied.
    pub(crate) fn open(path: &Path) -> Self {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(path);
        Self(file.ok())
    }

    /// What this snapshot has, if it is of the same run. It is forgotten: a snapshot that fails copies everything the next time.
    pub(crate) fn take(&self, run: u64, snapshot: &str) -> Copies {
        let Some(mut file) = self.0.as_ref() else {
            return Copies::new();
        };
        let mut text = Vec::new();
        let read = file.take(MAX_BYTES).read_to_end(&mut text);
        if file.set_len(0).is_err() || file.rewind().is_err() || read.is_err() {
            return Copies::new();
        }
        let written: Option<Written> = serde_json::from_slice(&text).ok();
        let written = written.filter(|written| written.run == run && written.snapshot == snapshot);
        written.map(|written| written.copies).unwrap_or_default()
    }

    /// Writes it down for the next one.
    pub(crate) fn put(&self, run: u64, snapshot: &str, copies: Copies) {
        let written = Written {
            run,
            snapshot: snapshot.to_owned(),
            copies,
        };
        if let (Some(file), Ok(text)) = (&self.0, serde_json::to_vec(&written))
            && u64::try_from(text.len()).is_ok_and(|length| length < MAX_BYTES)
        {
            // What is written by half cannot be read.
            let _ = file.write_all_at(&text, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    fn copies() -> Copies {
        let file = tempfile::tempfile().unwrap();
        let state = DatabaseState {
            database: FileState::of(&file.metadata().unwrap()),
            log: None,
            changes: 7,
        };
        let copied = Copied {
            state,
            bytes: 4096,
            blocks: 8,
        };
        Copies::from([("memory.sqlite".to_owned(), copied)])
    }

    #[test]
    fn copies_are_known_once_and_of_one_snapshot_of_one_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("databases");
        for (run, snapshot, is_known) in [(1, "a", true), (2, "a", false), (1, "b", false)] {
            KnownCopies::open(&path).put(1, "a", copies());
            let taken = KnownCopies::open(&path).take(run, snapshot);
            assert_eq!(!taken.is_empty(), is_known, "{run} {snapshot}");
            assert!(KnownCopies::open(&path).take(1, "a").is_empty());
        }
    }

    #[test]
    fn a_database_that_was_just_changed_is_in_doubt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sqlite");
        std::fs::write(&path, [0; 200]).unwrap();
        let holder: OwnedFd = File::open(directory.path()).unwrap().into();
        let located = Located {
            directory: &holder,
            name: path.file_name().unwrap(),
            path: &path,
        };
        assert_eq!(DatabaseState::of(&located, &Mapped::default()), None);
        let state = FileState::of(&path.metadata().unwrap());
        let second = state.changed.0 * 1_000;
        assert!(!state.is_settled(second + 2_999));
        assert!(state.is_settled(second + 3_000));
    }
}
