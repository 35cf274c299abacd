//! Notices that something in the home has changed, by inotify.
//!
//! Not what: a snapshot looks at everything anyway. So an event that was missed while another came does no harm,
//! and where the kernel's limits are reached the home is taken for changed from time to time instead.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

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

/// Says `()` whenever something in `home` has changed, until nobody listens.
pub(crate) async fn watch(home: PathBuf, changes: mpsc::Sender<()>) {
    let seen = tokio::task::spawn_blocking(move || Watched::begin(&home)).await;
    let blind = match seen {
        Ok(Ok(watched)) => watched.follow(&changes).await,
        // Without inotify at all.
        Ok(Err(_)) | Err(_) => true,
    };
    while blind && changes.send(()).await.is_ok() {
        tokio::time::sleep(UNWATCHED_INTERVAL).await;
    }
}

struct Watched {
    home: OwnedFd,
    inotify: OwnedFd,
    /// The path below the home of each watched directory.
    directories: HashMap<i32, PathBuf>,
    /// Whether there is more than can be watched.
    blind: bool,
}

impl Watched {
    fn begin(home: &Path) -> Result<Self, Errno> {
        let home = beneath::root(home)?;
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut watched = Self {
            home,
            inotify,
            directories: HashMap::new(),
            blind: false,
        };
        watched.add(PathBuf::new());
        Ok(watched)
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
        let mut left = vec![path];
        while let Some(path) = left.pop() {
            if is_excluded(&path) {
                continue;
            }
            if self.directories.len() >= MAX_WATCHES {
                self.blind = true;
                return;
            }
            let Ok(directory) = beneath::directory(&self.home, &path) else {
                continue;
            };
            // The kernel takes nothing but a path here: the one of what is open.
            let here = format!("/proc/self/fd/{}", directory.as_raw_fd());
            match inotify::add_watch(&self.inotify, here, flags) {
                Ok(number) => {
                    self.directories.insert(number, path.clone());
                }
                Err(Errno::NOSPC | Errno::NOMEM) => {
                    self.blind = true;
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

    /// Says when something changes; whether it stopped because it sees only a part.
    async fn follow(mut self, changes: &mpsc::Sender<()>) -> bool {
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; an owned descriptor stays the one it is"
        )]
        let Ok(inotify) = self.inotify.try_clone().and_then(AsyncFd::new) else {
            return true;
        };
        loop {
            if self.blind {
                return true;
            }
            let Ok(mut ready) = inotify.readable().await else {
                return true;
            };
            let changed = self.read();
            ready.clear_ready();
            drop(ready);
            if changed && changes.send(()).await.is_err() {
                return false;
            }
            tokio::time::sleep(MIN_SCAN_INTERVAL).await;
        }
    }

    /// Reads what there is; whether any of it counts.
    fn read(&mut self) -> bool {
        let (mut changed, mut new) = (false, Vec::new());
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changed = true;
                continue;
            }
            if event.events().contains(ReadFlags::IGNORED) {
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
            let arrives = ReadFlags::CREATE | ReadFlags::MOVED_TO;
            if event.events().contains(ReadFlags::ISDIR) && event.events().intersects(arrives) {
                new.push(path);
            }
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
            let task = tokio::spawn(watch(home.clone(), sender));
            // The first change that is noticed says that it watches.
            let until = tokio::time::Instant::now() + Duration::from_secs(10);
            loop {
                std::fs::write(home.join("a"), "1").unwrap();
                if tokio::time::timeout(MIN_SCAN_INTERVAL, seen.recv()).await.is_ok() {
                    break;
                }
                assert!(tokio::time::Instant::now() < until, "nothing is noticed");
            }
            while changes(&mut seen).await {}
            std::fs::write(home.join(".openclaw/cache/x"), "1").unwrap();
            std::fs::write(home.join("db-shm"), "1").unwrap();
            assert!(!changes(&mut seen).await);
            std::fs::create_dir_all(home.join("new/deep")).unwrap();
            assert!(changes(&mut seen).await);
            std::fs::write(home.join("new/deep/file"), "1").unwrap();
            assert!(changes(&mut seen).await);
            task.abort();
        });
    }
}
