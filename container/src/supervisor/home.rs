//! Opens the bot's home, reads and replaces files in its state.
//!
//! The supervisor is root and the home belongs to code it does not trust. So no path below the home is
//! ever followed by name: each step opens one directory entry and refuses a link, and owners are set on
//! what was opened, not on what a name points to by then.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, fchown, fstat, mkdirat, openat, renameat, statat,
    unlinkat,
};

use crate::settings::Owner;

/// The gateway's state, below the home.
pub(crate) const STATE_DIRECTORY: &str = ".openclaw";
/// A larger file is refused: it would grow PID 1.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Something about the bot's home that keeps the gateway from being started.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct HomeError {
    /// What it is about.
    path: PathBuf,
    /// What is wrong.
    reason: String,
}

/// What tells one version of a file from another without reading it: its number, its size and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64, i64, i64, i64);

/// The opened state directory of a bot, or one within.
pub(crate) struct StateDirectory {
    path: PathBuf,
    directory: OwnedFd,
    owner: Option<Owner>,
}

impl StateDirectory {
    /// Opens the state directory below `home`; makes both where they are missing.
    ///
    /// # Errors
    /// When one of them is no directory, or the file system refuses.
    pub(crate) fn open(home: &Path, owner: Option<Owner>) -> Result<Self, HomeError> {
        let path = home.join(STATE_DIRECTORY);
        let home_directory = directory(CWD, home, home, owner)?;
        let state_directory = directory(&home_directory, Path::new(STATE_DIRECTORY), &path, owner)?;
        // The gateway refuses a state directory that others may read.
        fchmod(&state_directory, PRIVATE_DIRECTORY).map_err(|e| failed(&path, e))?;
        Ok(Self {
            path,
            directory: state_directory,
            owner,
        })
    }

    /// Opens a directory that is there. A link in its place is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn within(&self, name: &str) -> Result<Option<Self>, HomeError> {
        use rustix::io::Errno;
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(Self {
                path,
                directory,
                owner: self.owner,
            })),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(failed(&path, e)),
        }
    }

    /// The names of what is in it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn names(&self) -> Result<Vec<String>, HomeError> {
        let entries = Dir::read_from(&self.directory).map_err(|e| failed(&self.path, e))?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()));
        Ok(names.filter(|name| name != "." && name != "..").collect())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn remove(&self, name: &str) -> Result<(), HomeError> {
        unlinkat(&self.directory, name, AtFlags::empty()).map_err(|e| failed(&self.path.join(name), e))
    }

    /// Which version of a file there is, if there is one.
    pub(crate) fn fingerprint(&self, name: &str) -> Option<Fingerprint> {
        let stat = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let (seconds, nanoseconds) = (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).ok()?);
        Some(Fingerprint(stat.st_ino, stat.st_size, seconds, nanoseconds))
    }

    /// The text of a file, if there is one.
    ///
    /// # Errors
    /// When it is no regular file, too large, or not UTF-8.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, HomeError> {
        let path = self.path.join(name);
        // Without NONBLOCK a named pipe in its place would stop PID 1.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP) => return Err(wrong(&path, "is a link; it must be a file")),
            Err(e) => return Err(failed(&path, e)),
        };
        let stat = fstat(&file).map_err(|e| failed(&path, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(wrong(&path, "is not a file"));
        }
        let mut text = String::new();
        let read = File::from(file)
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|e| failed(&path, e))?;
        if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
            return Err(wrong(&path, "is larger than 4 MiB"));
        }
        Ok(Some(text))
    }

    /// Replaces a file as a whole: whoever reads it sees the old text or the new one, also after a crash.
    ///
    /// # Errors
    /// When the file system refuses; the old file is untouched then.
    pub(crate) fn replace(&self, name: &str, text: &str) -> Result<(), HomeError> {
        let path = self.path.join(name);
        let new_name = format!("{name}.new");
        let written = self.write_new(&new_name, text);
        let renamed = written.and_then(|()| {
            renameat(&self.directory, &new_name, &self.directory, name).map_err(io::Error::from)
        });
        renamed.map_err(|e| {
            // Already an error: a left-over that cannot be removed either is replaced next time.
            let _ = unlinkat(&self.directory, &new_name, AtFlags::empty());
            failed(&path, e)
        })?;
        rustix::fs::fsync(&self.directory).map_err(|e| failed(&path, e))
    }

    fn write_new(&self, name: &str, text: &str) -> io::Result<()> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.directory, name, flags, PRIVATE_FILE)?);
        give(&file, self.owner)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// Opens the directory `name` in `parent`, after making it when it is missing.
fn directory(
    parent: impl std::os::fd::AsFd,
    name: &Path,
    path: &Path,
    owner: Option<Owner>,
) -> Result<OwnedFd, HomeError> {
    match mkdirat(&parent, name, PRIVATE_DIRECTORY) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(failed(path, e)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(&parent, name, flags, Mode::empty()).map_err(|e| match e {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => wrong(path, "is not a directory"),
        e => failed(path, e),
    })?;
    give(&opened, owner).map_err(|e| failed(path, e))?;
    Ok(opened)
}

fn give(what: impl std::os::fd::AsFd, owner: Option<Owner>) -> io::Result<()> {
    match owner {
        Some(owner) => Ok(fchown(what, Some(owner.uid), Some(owner.gid))?),
        None => Ok(()),
    }
}

fn wrong(path: &Path, reason: &str) -> HomeError {
    HomeError {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn failed(path: &Path, error: impl std::fmt::Display) -> HomeError {
    wrong(path, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn state() -> (tempfile::TempDir, StateDirectory) {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(&temp.path().join("home"), None).unwrap();
        (temp, state)
    }

    #[test]
    fn missing_directories_are_created_with_owner_only_access() {
        let (temp, state) = state();
        assert_eq!(state.read("a.json").unwrap(), None);
        state.replace("a.json", "{}").unwrap();
        state.replace("a.json", "{\"b\":1}").unwrap();
        assert_eq!(state.read("a.json").unwrap().unwrap(), "{\"b\":1}");
        let path = temp.path().join("home/.openclaw");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("a.json"))), (0o700, 0o600));
        assert_eq!(
            std::fs::read_dir(path).unwrap().count(),
            1,
            "nothing else is left"
        );
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let (temp, state) = state();
        let outside = temp.path().join("outside");
        std::fs::write(&outside, "root's").unwrap();
        let inside = temp.path().join("home/.openclaw");
        symlink(&outside, inside.join("a.json")).unwrap();
        symlink(&outside, inside.join("a.json.new")).unwrap();
        assert!(
            state
                .read("a.json")
                .unwrap_err()
                .to_string()
                .contains("is a link")
        );
        state.replace("a.json", "ours").unwrap();
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "root's");
        assert_eq!(state.read("a.json").unwrap().unwrap(), "ours");

        let elsewhere = temp.path().join("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::fs::create_dir(temp.path().join("other")).unwrap();
        symlink(&elsewhere, temp.path().join("other/.openclaw")).unwrap();
        let error = StateDirectory::open(&temp.path().join("other"), None)
            .err()
            .unwrap();
        assert!(error.to_string().contains("is not a directory"), "{error}");
    }

    #[test]
    fn a_file_change_is_detected_without_reading_the_file() {
        let (temp, state) = state();
        assert_eq!(state.fingerprint("a.json"), None);
        state.replace("a.json", "1").unwrap();
        let first = state.fingerprint("a.json");
        assert!(first.is_some());
        assert_eq!(state.fingerprint("a.json"), first);
        std::fs::write(temp.path().join("home/.openclaw/a.json"), "12").unwrap();
        let second = state.fingerprint("a.json");
        assert_ne!(second, first);
        state.replace("a.json", "12").unwrap();
        assert_ne!(state.fingerprint("a.json"), second);
    }

    #[test]
    fn a_file_above_the_size_limit_is_not_read() {
        let (temp, state) = state();
        let inside = temp.path().join("home/.openclaw");
        std::fs::create_dir(inside.join("directory")).unwrap();
        assert!(
            state
                .read("directory")
                .unwrap_err()
                .to_string()
                .contains("is not a file")
        );
        let large = File::create(inside.join("large")).unwrap();
        large.set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(state.read("large").unwrap_err().to_string().contains("larger"));
    }
}
