//! What changes in a home while it is read, by inotify: each directory is watched before its names are read, so that nothing
//! that changes afterwards goes unnoticed.
//!
//! Where more changes than the kernel remembers, or there are more directories than can be watched, everything may have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::exclusions::{LOGS, is_excluded};
use super::place::short_path;

/// Directories that are watched. Each costs the kernel a kilobyte.
const MAX_WATCHES: usize = 16_384;
/// Names that are remembered as changed. With more, all of them are looked at as fast.
const MAX_CHANGED: usize = 20_000;
/// Room for some hundred events at a time.
const BUFFER: usize = 32 * 1024;
/// So many events are read in one go: four times what the kernel remembers. With more, somebody makes them as fast as they are
/// read, and everything may have changed.
const MAX_EVENTS: usize = 65_536;
/// What the kernel remembers is read this often.
const READ_AGAIN: Duration = Duration::from_millis(10);
/// The memory that readers of a database share: it says nothing about what is in it.
const SHARED_MEMORY: &[u8] = b"-shm";
/// How the name of a write-ahead log ends; whoever writes to it is told of besides.
const LOG: &[u8] = b"-wal";

/// How something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// It was written, or what is said about it.
    Written,
    /// It is new at its name, or gone from it.
    Replaced,
}

/// What has changed since a walk began.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// By directory, below the home, and name.
    names: BTreeMap<PathBuf, BTreeMap<OsString, How>>,
    /// Directories in which, or somewhere below which, something has.
    above: BTreeSet<PathBuf>,
    count: usize,
    /// Whether anything may have: not all of it was seen.
    is_anything: bool,
}

impl Changed {
    /// Everything may have changed.
    pub(crate) fn anything() -> Self {
        Self {
            is_anything: true,
            ..Self::default()
        }
    }

    /// Whether anything may have.
    pub(crate) fn is_anything(&self) -> bool {
        self.is_anything
    }

    /// Whether anything has in this directory or below it.
    pub(crate) fn is_within(&self, directory: &Path) -> bool {
        self.is_anything || self.above.contains(directory)
    }

    /// How what is at this name has changed; its logs are part of a database.
    pub(crate) fn how(&self, directory: &Path, name: &OsStr) -> Option<How> {
        let names = self.names.get(directory)?;
        let own = names.get(name).copied();
        own.or_else(|| {
            let is_written = |suffix: &&str| {
                let mut log = name.to_owned();
                log.push(suffix);
                names.contains_key(&log)
            };
            LOGS.iter().any(is_written).then_some(How::Written)
        })
    }

    /// Something has changed.
    pub(crate) fn add(&mut self, directory: &Path, name: &OsStr, how: How) {
        if self.is_anything {
            return;
        }
        if self.count >= MAX_CHANGED {
            *self = Self::anything();
            return;
        }
        if !self.names.contains_key(directory) {
            self.above.extend(directory.ancestors().map(Path::to_owned));
            self.names.insert(directory.to_owned(), BTreeMap::new());
        }
        if let Some(names) = self.names.get_mut(directory) {
            match names.get_mut(name) {
                Some(known) => *known = how.max(*known),
                None => {
                    names.insert(name.to_owned(), how);
                    self.count = self.count.saturating_add(1);
                }
            }
        }
    }
}

#[derive(Default)]
struct Watched {
    /// The path below the home of each watched directory.
    directories: HashMap<i32, PathBuf>,
    changed: Changed,
}

struct Watching {
    inotify: OwnedFd,
    watched: Mutex<Watched>,
    is_over: AtomicBool,
}

/// Watches what a walk has come to, until it is dropped.
pub(crate) struct Changes(Option<Arc<Watching>>);

impl Changes {
    /// Begins with nothing.
    pub(crate) fn begin() -> Self {
        let Ok(inotify) = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) else {
            return Self(None);
        };
        let watching = Arc::new(Watching {
            inotify,
            watched: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let reads = Arc::clone(&watching);
        std::thread::spawn(move || {
            while !reads.is_over.load(Ordering::Relaxed) {
                reads.read(&mut reads.watched());
                std::thread::park_timeout(READ_AGAIN);
            }
        });
        Self(Some(watching))
    }

    /// Watches a directory whose names are about to be read.
    pub(crate) fn watch(&self, directory: &OwnedFd, path: &Path) {
        let Some(watching) = &self.0 else { return };
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        let mut watched = watching.watched();
        if watched.directories.len() >= MAX_WATCHES {
            watched.changed = Changed::anything();
            return;
        }
        match inotify::add_watch(&watching.inotify, short_path(directory, OsStr::new(".")), flags) {
            Ok(number) => {
                watched.directories.insert(number, path.to_owned());
            }
            // Nothing of it can be read either.
            Err(Errno::ACCESS) => {}
            Err(_) => watched.changed = Changed::anything(),
        }
    }

    /// How many names have changed so far; nothing where they were too many to be known.
    pub(crate) fn count(&self) -> Option<usize> {
        let watching = self.0.as_ref()?;
        let mut watched = watching.watched();
        watching.read(&mut watched);
        (!watched.changed.is_anything).then_some(watched.changed.count)
    }

    /// What has changed so far.
    pub(crate) fn take(&self) -> Changed {
        let Some(watching) = &self.0 else {
            return Changed::anything();
        };
        let mut watched = watching.watched();
        watching.read(&mut watched);
        std::mem::take(&mut watched.changed)
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if let Some(watching) = &self.0 {
            watching.is_over.store(true, Ordering::Relaxed);
        }
    }
}

impl Watching {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all the kernel remembers.
    fn read(&self, watched: &mut Watched) {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        for read in 0_usize.. {
            // What is in the buffer already would be lost, and with it that a directory is gone.
            if read >= MAX_EVENTS && events.is_buffer_empty() {
                watched.changed = Changed::anything();
                return;
            }
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                watched.changed = Changed::anything();
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                watched.directories.remove(&event.wd());
                continue;
            }
            let Some(directory) = watched.directories.get(&event.wd()) else {
                continue;
            };
            // Of the directory itself what holds it is told as well; the home has nobody above.
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let name = name.unwrap_or_default();
            // SQLite opens a database's log to write even where it only reads, as our own copies do.
            let is_closed = flags.difference(ReadFlags::ISDIR) == ReadFlags::CLOSE_WRITE;
            if is_closed && name.as_bytes().ends_with(LOG) {
                continue;
            }
            if name.as_bytes().ends_with(SHARED_MEMORY) || is_excluded(&directory.join(name)) {
                continue;
            }
            let replaces =
                ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
            let how = if flags.intersects(replaces) {
                How::Replaced
            } else {
                How::Written
            };
            watched.changed.add(directory, name, how);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::worker::descent::Descent;

    #[test]
    fn what_changes_in_a_watched_directory_is_known_by_name() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("a/b")).unwrap();
        for name in ["a/b/old", "a/b/x.sqlite", "kept"] {
            std::fs::write(home.path().join(name), "1").unwrap();
        }
        let changes = Changes::begin();
        let mut descent = Descent::begin(home.path()).unwrap();
        changes.watch(&descent.here(), Path::new(""));
        for name in ["a", "b"] {
            descent.enter(OsStr::new(name)).unwrap();
            changes.watch(&descent.here(), &descent.path());
        }
        assert_eq!(changes.count(), Some(0));
        std::fs::write(home.path().join("a/b/old"), "2").unwrap();
        std::fs::write(home.path().join("a/b/x.sqlite-wal"), "2").unwrap();
        std::fs::write(home.path().join("a/b/x.sqlite-shm"), "2").unwrap();
        std::fs::rename(home.path().join("a/b"), home.path().join("c")).unwrap();
        let changed = changes.take();
        let how = |directory: &str, name: &str| changed.how(Path::new(directory), OsStr::new(name));
        assert_eq!(how("a/b", "old"), Some(How::Written));
        assert_eq!(how("a/b", "x.sqlite"), Some(How::Written));
        assert_eq!(how("a", "b"), Some(How::Replaced));
        assert_eq!(how("", "c"), Some(How::Replaced));
        assert_eq!(how("", "kept"), None);
        assert!(changed.is_within(Path::new("")) && changed.is_within(Path::new("a")));
        assert!(!changed.is_within(Path::new("c")));
        assert_eq!(changes.count(), Some(0));
    }

    #[test]
    fn more_changes_than_are_remembered_are_taken_for_all() {
        let mut changed = Changed::default();
        for number in 0..=MAX_CHANGED {
            changed.add(Path::new("a"), OsStr::new(&number.to_string()), How::Written);
        }
        assert!(changed.is_anything() && changed.is_within(Path::new("b")));
    }
}
