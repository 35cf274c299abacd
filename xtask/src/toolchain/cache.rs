//! The one directory all tools are installed into. An entry exists only when it is complete: it is filled
//! under a temporary name and renamed.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    pub(crate) fn open() -> Result<Self> {
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .context("neither XDG_CACHE_HOME nor HOME is set: set one, the tools are kept there")?;
        let dir = base.join("moltworker");
        fs::create_dir_all(&dir).with_context(|| {
            format!(
                "{} cannot be created: set XDG_CACHE_HOME to a writable directory",
                dir.display()
            )
        })?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self, entry: &str) -> PathBuf {
        self.dir.join(entry)
    }

    /// The complete entry, filled now if it is missing. `megabytes` is what filling it needs.
    pub(crate) fn entry(
        &self,
        entry: &str,
        megabytes: u64,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.path(entry);
        if place.exists() {
            return Ok(place);
        }
        require_space(&self.dir, megabytes)?;
        let scratch = self.scratch()?;
        let filled = scratch.path().join("entry");
        fs::create_dir_all(&filled)?;
        fill(&filled)?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&filled, &place)
            .with_context(|| format!("cannot move the installed tool to {}", place.display()))?;
        Ok(place)
    }

    /// A directory that goes away with the value; what a killed run left there is removed here.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let parent = self.path("tmp");
        fs::create_dir_all(&parent)?;
        for old in fs::read_dir(&parent)?.flatten() {
            let alive = old
                .file_name()
                .to_str()
                .and_then(|name| name.split('-').next())
                .is_some_and(|pid| Path::new("/proc").join(pid).exists());
            if !alive {
                remove_tree(&old.path());
            }
        }
        let pid = std::process::id();
        for number in 0_u32.. {
            let dir = parent.join(format!("{pid}-{number}"));
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Scratch { dir }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("no free scratch directory below {}", parent.display())
    }

    /// Held while tools are installed, so that two set-ups do not build the same thing side by side.
    pub(crate) fn lock(&self) -> Result<File> {
        lock(&self.path("setup.lock"), "another set-up on this machine")
    }

    pub(crate) fn lock_file(&self, name: &str) -> Result<File> {
        lock_file(&self.path(name))
    }
}

/// Every file below a path that may be a file, a directory or missing.
pub(super) fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// Holds what this file stands for until the value goes away, or its process ends. Says on whom it waits: `holder`.
pub(super) fn lock(path: &Path, holder: &str) -> Result<File> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("  waiting for {holder} to finish"),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock()?;
    Ok(file)
}

fn lock_file(path: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_tree(&self.dir);
    }
}

fn remove_tree(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        eprintln!("warning: {} could not be removed: {error}", path.display());
    }
}

/// Fails with what to do while it is still cheap, not in the middle of an installation.
pub(crate) fn require_space(dir: &Path, megabytes: u64) -> Result<()> {
    let stat = rustix::fs::statvfs(dir)
        .with_context(|| format!("cannot read the free space of {}", dir.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize) / (1024 * 1024);
    if free < megabytes {
        bail!(
            "{megabytes} MB are needed in {}, {free} MB are free: make room and run again",
            dir.display()
        );
    }
    Ok(())
}

/// FNV-1a: names cache entries after their contents; nothing here defends against an attacker.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn only_one_holds_a_lock_at_a_time() {
        const ROUNDS: u32 = 200;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (inside, together) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let held = lock(&path, "another thread").unwrap();
                        together.fetch_max(inside.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(together.into_inner(), 0);
    }
}
