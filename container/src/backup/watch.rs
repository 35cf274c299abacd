//! Notices that something in the home has changed, by inotify.
//!
//! Not what: a snapshot looks at everything anyway. So an event that was missed while another came does no harm,
//! and where the kernel's limits are reached the home is taken for changed from time to time instead. How much was
//! deleted is counted, and whether all of it was seen: what is gone without that is not its owner's doing.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moltworker_core::backup::suspicion::Deletions;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::backup::worker::is_excluded;
use crate::beneath;

/// Directories that are watched. More would be a tree of packages, and each costs the kernel a kilobyte.
const MAX_WATCHES: usize = 16_384;
/// What is not watched as a whole is taken for changed this often.
const UNWATCHED_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Room for some hundred events at a time.
const BUFFER: usize = 16 * 1024;
/// So many events are looked at in one go, which takes PID 1 some milliseconds: whoever makes them without end does not keep it
/// from anything else.
const MAX_EVENTS: usize = 4_096;
/// Events are looked at this often at most: a program that writes all the time does not keep PID 1 busy.
const MIN_SCAN_INTERVAL: Duration = Duration::from_millis(250);

/// The watch over a home, until it is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Watched>>,
    changes: mpsc::Sender<()>,
    found: Arc<Notify>,
    task: JoinHandle<()>,
}

/// What a watch has seen of deletions so far: what lies between two of these is what was seen in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Files and directories that were deleted or moved away.
    entries: u64,
    /// Directories that were moved out of the home.
    directories_moved_out: u64,
    /// Times at which something may have been missed.
    gaps: u64,
    /// Whether there is more than is watched.
    is_blind: bool,
}

impl Totals {
    /// Where nobody watches.
    pub(crate) const UNKNOWN: Self = Self {
        entries: 0,
        directories_moved_out: 0,
        gaps: 0,
        is_blind: true,
    };

    /// What was seen since `before`.
    pub(crate) fn since(&self, before: &Self) -> Deletions {
        Deletions {
            is_complete: !self.is_blind && self.gaps == before.gaps,
            entries: self.entries.saturating_sub(before.entries),
            directory_moved_out: self.directories_moved_out > before.directories_moved_out,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Says `()` whenever something in `home` has changed, as long as somebody listens.
    pub(crate) fn begin(home: PathBuf, changes: mpsc::Sender<()>) -> Self {
        let seen = Arc::new(Mutex::new(Watched::new(home)));
        let found = Arc::new(Notify::new());
        let task = watch(Arc::clone(&seen), changes.clone(), Arc::clone(&found));
        Self {
            task: tokio::spawn(task),
            seen,
            changes,
            found,
        }
    }

    /// Whether there is more than it sees.
    pub(crate) fn is_partial(&self) -> bool {
        locked(&self.seen).is_partial
    }

    /// What it has seen by now, up to the last deletion there was.
    pub(crate) fn totals(&self) -> Totals {
        let mut seen = locked(&self.seen);
        let read = seen.read();
        if read.changed {
            // Full, it says so already.
            let _ = self.changes.try_send(());
        }
        if !seen.new.is_empty() || !read.is_all {
            self.found.notify_one();
        }
        seen.totals
    }
}

async fn watch(seen: Arc<Mutex<Watched>>, changes: mpsc::Sender<()>, found: Arc<Notify>) {
    let watched = Arc::clone(&seen);
    let begun = tokio::task::spawn_blocking(move || begin(&watched)).await;
    let blind = match begun {
        Ok(Ok(inotify)) => follow(inotify, &seen, &changes, &found).await,
        // Without inotify at all.
        Ok(Err(_)) | Err(_) => true,
    };
    locked(&seen).is_partial = blind;
    while blind && changes.send(()).await.is_ok() {
        tokio::time::sleep(UNWATCHED_INTERVAL).await;
    }
}

/// Says when something changes; whether it stopped because it sees only a part.
async fn follow(
    inotify: OwnedFd,
    seen: &Arc<Mutex<Watched>>,
    changes: &mpsc::Sender<()>,
    found: &Notify,
) -> bool {
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; an owned descriptor stays the one it is"
    )]
    let Ok(inotify) = AsyncFd::new(inotify) else {
        locked(seen).totals.is_blind = true;
        return true;
    };
    loop {
        if locked(seen).totals.is_blind {
            return true;
        }
        let ready = tokio::select! {
            ready = inotify.readable() => Some(ready),
            // Somebody else has looked, and left something to be done.
            () = found.notified() => None,
        };
        let Ok(ready) = ready.transpose() else {
            locked(seen).totals.is_blind = true;
            return true;
        };
        let (read, new) = {
            let mut seen = locked(seen);
            (seen.read(), std::mem::take(&mut seen.new))
        };
        if let (Some(mut ready), true) = (ready, read.is_all) {
            ready.clear_ready();
        }
        if !new.is_empty() {
            // What was moved in may be a tree of any size: PID 1 does not wait for it.
            let watched = Arc::clone(seen);
            // Without room for all of them it is blind from then on.
            let walk = move || new.into_iter().all(|path| add(&watched, path));
            if tokio::task::spawn_blocking(walk).await.is_err() {
                locked(seen).totals.is_blind = true;
            }
        }
        if read.changed && changes.send(()).await.is_err() {
            return false;
        }
        tokio::time::sleep(MIN_SCAN_INTERVAL).await;
    }
}

fn locked(seen: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a look at the events has come to.
struct Read {
    /// Whether any of them counts.
    changed: bool,
    /// Whether that was all there is.
    is_all: bool,
}

/// Begins to watch; the descriptor that says when there is something to read.
fn begin(seen: &Mutex<Watched>) -> Result<OwnedFd, Errno> {
    let home = beneath::root(&locked(seen).home)?;
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let ready = inotify.try_clone().map_err(|_| Errno::MFILE)?;
    locked(seen).begun = Some(Arc::new((home, inotify)));
    let is_whole = add(seen, PathBuf::new());
    let mut seen = locked(seen);
    seen.totals.is_blind = !is_whole;
    // What went before it was watched.
    seen.totals.gaps = seen.totals.gaps.saturating_add(1);
    drop(seen);
    Ok(ready)
}

/// Watches a directory and those in it; whether there was room for all. What is gone, or no directory, needs no watch. Others look
/// at what is seen meanwhile: it is held for one directory at a time.
fn add(seen: &Mutex<Watched>, path: PathBuf) -> bool {
    let Some(begun) = locked(seen).begun.clone() else {
        return true;
    };
    let (home, inotify) = &*begun;
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        if is_excluded(&path) {
            continue;
        }
        let Ok(directory) = beneath::directory(home, &path) else {
            continue;
        };
        match locked(seen).watch(inotify, &directory, &path) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(_) => continue,
        }
        let entries = Dir::new(directory).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_bytes();
            // Where a file system does not say what it is, opening it does.
            let may_be_one = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if may_be_one && name != b"." && name != b".." {
                left.push(path.join(OsStr::from_bytes(name)));
            }
        }
    }
    true
}

struct Watched {
    home: PathBuf,
    /// The home, once it is watched, and what tells of changes.
    begun: Option<Arc<(OwnedFd, OwnedFd)>>,
    /// Directories that have come and are not watched yet.
    new: Vec<PathBuf>,
    /// The path below the home of each watched directory.
    directories: HashMap<i32, PathBuf>,
    totals: Totals,
    /// Whether there is more, once that is known.
    is_partial: bool,
}

impl Watched {
    fn new(home: PathBuf) -> Self {
        Self {
            home,
            begun: None,
            new: Vec::new(),
            directories: HashMap::new(),
            totals: Totals::UNKNOWN,
            is_partial: false,
        }
    }

    /// Watches one directory; false where there are more than can be watched.
    fn watch(&mut self, inotify: &OwnedFd, directory: &OwnedFd, path: &Path) -> Result<bool, Errno> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        if self.directories.len() >= MAX_WATCHES {
            self.totals.is_blind = true;
            return Ok(false);
        }
        // The kernel takes nothing but a path here: the one of what is open.
        let here = format!("/proc/self/fd/{}", directory.as_raw_fd());
        match inotify::add_watch(inotify, here, flags) {
            Ok(number) => {
                self.directories.insert(number, path.to_owned());
                Ok(true)
            }
            Err(Errno::NOSPC | Errno::NOMEM) => {
                self.totals.is_blind = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what there is, or much of it.
    fn read(&mut self) -> Read {
        let mut read = Read {
            changed: false,
            is_all: true,
        };
        // What was moved away, by the number that tells where to.
        let mut moved = HashMap::new();
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let Some(begun) = self.begun.clone() else {
            return read;
        };
        let mut events = inotify::Reader::new(&begun.1, &mut buffer);
        let mut left = MAX_EVENTS;
        loop {
            // What is in the buffer already would be lost.
            if left == 0 && events.is_buffer_empty() {
                read.is_all = false;
                read.changed = true;
                // What is deleted in the others nobody knows now.
                self.totals.gaps = self.totals.gaps.saturating_add(1);
                break;
            }
            left = left.saturating_sub(1);
            let Ok(event) = events.next() else { break };
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.totals.gaps = self.totals.gaps.saturating_add(1);
                read.changed = true;
                continue;
            }
            if what.contains(ReadFlags::IGNORED) {
                self.directories.remove(&event.wd());
                continue;
            }
            let Some(directory) = self.directories.get(&event.wd()) else {
                continue;
            };
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let path = name.map_or_else(|| directory.clone(), |name| directory.join(name));
            if !counts(&path) {
                continue;
            }
            read.changed = true;
            let is_directory = what.contains(ReadFlags::ISDIR);
            if what.contains(ReadFlags::DELETE) {
                self.totals.entries = self.totals.entries.saturating_add(1);
            }
            if what.contains(ReadFlags::MOVED_FROM) {
                moved.insert(event.cookie(), is_directory);
            }
            if what.contains(ReadFlags::MOVED_TO) {
                moved.remove(&event.cookie());
            }
            let arrives = ReadFlags::CREATE | ReadFlags::MOVED_TO;
            if is_directory && what.intersects(arrives) {
                self.new.push(path);
            }
        }
        for is_directory in moved.into_values() {
            self.totals.entries = self.totals.entries.saturating_add(1);
            let out = &mut self.totals.directories_moved_out;
            *out = out.saturating_add(is_directory.into());
        }
        if self.new.len() > MAX_WATCHES {
            self.totals.is_blind = true;
            self.new.clear();
        }
        read
    }
}

/// Whether a change there changes a snapshot. Reading a database touches its shared memory.
fn counts(path: &Path) -> bool {
    !is_excluded(path) && !path.as_os_str().as_bytes().ends_with(b"-shm")
}

#[cfg(test)]
mod tests;
