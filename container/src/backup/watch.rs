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
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backup::worker::is_excluded;
use crate::beneath;

/// Directories that are watched. More would be a tree of packages, and each costs the kernel a kilobyte.
const MAX_WATCHES: usize = 16_384;
/// What is not watched as a whole is taken for changed this often.
const UNWATCHED_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Room for some hundred events at a time.
const BUFFER: usize = 16 * 1024;
/// Events are looked at this often at most: a program that writes all the time does not keep PID 1 busy.
const MIN_SCAN_INTERVAL: Duration = Duration::from_millis(250);

/// The watch over a home, until it is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Watched>>,
    changes: mpsc::Sender<()>,
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
        Self {
            task: tokio::spawn(watch(Arc::clone(&seen), changes.clone())),
            seen,
            changes,
        }
    }

    /// Whether there is more than it sees.
    pub(crate) fn is_partial(&self) -> bool {
        self.seen.try_lock().is_ok_and(|seen| seen.is_partial)
    }

    /// What it has seen by now, up to the last deletion there was.
    pub(crate) fn totals(&self) -> Totals {
        // Held for long by the first walk alone, and nobody knows then what is deleted.
        let Ok(mut seen) = self.seen.try_lock() else {
            return Totals::UNKNOWN;
        };
        if seen.read() {
            // Full, it says so already.
            let _ = self.changes.try_send(());
        }
        seen.totals
    }
}

async fn watch(seen: Arc<Mutex<Watched>>, changes: mpsc::Sender<()>) {
    let watched = Arc::clone(&seen);
    let begun = tokio::task::spawn_blocking(move || locked(&watched).begin()).await;
    let blind = match begun {
        Ok(Ok(inotify)) => follow(inotify, &seen, &changes).await,
        // Without inotify at all.
        Ok(Err(_)) | Err(_) => true,
    };
    locked(&seen).is_partial = blind;
    while blind && changes.send(()).await.is_ok() {
        tokio::time::sleep(UNWATCHED_INTERVAL).await;
    }
}

/// Says when something changes; whether it stopped because it sees only a part.
async fn follow(inotify: OwnedFd, seen: &Mutex<Watched>, changes: &mpsc::Sender<()>) -> bool {
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
        let Ok(mut ready) = inotify.readable().await else {
            locked(seen).totals.is_blind = true;
            return true;
        };
        let changed = locked(seen).read();
        ready.clear_ready();
        drop(ready);
        if changed && changes.send(()).await.is_err() {
            return false;
        }
        tokio::time::sleep(MIN_SCAN_INTERVAL).await;
    }
}

fn locked(seen: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watched {
    home: PathBuf,
    /// The home, once it is watched, and what tells of changes.
    begun: Option<(OwnedFd, OwnedFd)>,
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
            directories: HashMap::new(),
            totals: Totals::UNKNOWN,
            is_partial: false,
        }
    }

    /// Begins to watch; the descriptor that says when there is something to read.
    fn begin(&mut self) -> Result<OwnedFd, Errno> {
        let home = beneath::root(&self.home)?;
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let ready = inotify.try_clone().map_err(|_| Errno::MFILE)?;
        self.begun = Some((home, inotify));
        self.totals.is_blind = false;
        self.add(PathBuf::new());
        // What went before it was watched.
        self.totals.gaps = self.totals.gaps.saturating_add(1);
        Ok(ready)
    }

    /// Watches a directory and those in it. What is gone, or no directory, needs no watch.
    fn add(&mut self, path: PathBuf) {
        let flags = WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        let Some((home, inotify)) = &self.begun else {
            return;
        };
        let mut left = vec![path];
        while let Some(path) = left.pop() {
            if is_excluded(&path) {
                continue;
            }
            if self.directories.len() >= MAX_WATCHES {
                self.totals.is_blind = true;
                return;
            }
            let Ok(directory) = beneath::directory(home, &path) else {
                continue;
            };
            // The kernel takes nothing but a path here: the one of what is open.
            let here = format!("/proc/self/fd/{}", directory.as_raw_fd());
            match inotify::add_watch(inotify, here, flags) {
                Ok(number) => {
                    self.directories.insert(number, path.clone());
                }
                Err(Errno::NOSPC | Errno::NOMEM) => {
                    self.totals.is_blind = true;
                    return;
                }
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
    }

    /// Reads what there is; whether any of it counts.
    fn read(&mut self) -> bool {
        let (mut changed, mut new) = (false, Vec::new());
        // What was moved away, by the number that tells where to.
        let mut moved = HashMap::new();
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let Some((_, inotify)) = &self.begun else {
            return false;
        };
        let mut events = inotify::Reader::new(inotify, &mut buffer);
        while let Ok(event) = events.next() {
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.totals.gaps = self.totals.gaps.saturating_add(1);
                changed = true;
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
            changed = true;
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
                new.push(path);
            }
        }
        for is_directory in moved.into_values() {
            self.totals.entries = self.totals.entries.saturating_add(1);
            let out = &mut self.totals.directories_moved_out;
            *out = out.saturating_add(is_directory.into());
        }
        for path in new {
            self.add(path);
        }
        changed
    }
}

/// Whether a change there changes a snapshot. Reading a database touches its shared memory.
fn counts(path: &Path) -> bool {
    !is_excluded(path) && !path.as_os_str().as_bytes().ends_with(b"-shm")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn changes(changes: &mut mpsc::Receiver<()>) -> bool {
        tokio::time::timeout(Duration::from_secs(2), changes.recv())
            .await
            .is_ok()
    }

    #[test]
    fn changes_are_detected_at_any_depth_and_excluded_paths_are_not() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let home = directory.path().to_owned();
            std::fs::create_dir_all(home.join(".openclaw/cache")).unwrap();
            let (sender, mut seen) = mpsc::channel(1);
            let _watch = begun(&home, sender, &mut seen).await;
            std::fs::write(home.join(".openclaw/cache/x"), "1").unwrap();
            std::fs::write(home.join("db-shm"), "1").unwrap();
            assert!(!changes(&mut seen).await);
            std::fs::create_dir_all(home.join("new/deep")).unwrap();
            assert!(changes(&mut seen).await);
            std::fs::write(home.join("new/deep/file"), "1").unwrap();
            assert!(changes(&mut seen).await);
        });
    }

    #[test]
    fn deletions_are_counted_from_one_look_to_another() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let elsewhere = tempfile::tempdir().unwrap();
            let home = directory.path().to_owned();
            let (sender, mut seen) = mpsc::channel(1);
            let watch = begun(&home, sender, &mut seen).await;
            assert!(
                !watch.totals().since(&Totals::default()).is_complete,
                "what was before, nobody saw"
            );
            let before = watch.totals();
            let deletions = || watch.totals().since(&before);
            let none = Deletions {
                is_complete: true,
                entries: 0,
                directory_moved_out: false,
            };
            for name in ["one", "two"] {
                std::fs::create_dir(home.join(name)).unwrap();
                assert!(changes(&mut seen).await);
                std::fs::write(home.join(name).join("file"), "1").unwrap();
            }
            // Within the home nothing is lost by a move.
            std::fs::rename(home.join("one/file"), home.join("two/moved")).unwrap();
            std::fs::rename(home.join("one"), home.join("three")).unwrap();
            assert_eq!(deletions(), none);
            std::fs::remove_dir_all(home.join("three")).unwrap();
            std::fs::remove_file(home.join("two/file")).unwrap();
            assert_eq!(
                deletions(),
                Deletions {
                    entries: 2,
                    ..none.clone()
                }
            );
            std::fs::rename(home.join("two"), elsewhere.path().join("two")).unwrap();
            let moved = Deletions {
                entries: 3,
                directory_moved_out: true,
                ..none
            };
            assert_eq!(deletions(), moved);
        });
    }

    /// A watch that has begun.
    async fn begun(home: &Path, sender: mpsc::Sender<()>, seen: &mut mpsc::Receiver<()>) -> Watch {
        let watch = Watch::begin(home.to_owned(), sender);
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        // The first change that is noticed says that it watches.
        loop {
            std::fs::write(home.join("a"), "1").unwrap();
            if tokio::time::timeout(MIN_SCAN_INTERVAL, seen.recv()).await.is_ok() {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "nothing is noticed");
        }
        while changes(seen).await {}
        watch
    }
}
