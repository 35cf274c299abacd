//! Opens the bot's home, reads and replaces files in its state.
//!
//! The supervisor is root and the home belongs to code it does not trust. So no path below the home is
//! ever followed by name: each step opens one directory entry, and owners are set on what was opened, not on what a
//! name points to by then. A link that people make for their config or its directory is followed once, to what lies
//! beneath the home and behind no further link; the kernel sees to that.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fchmod, fchown, fstat, mkdirat, readlinkat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::beneath;
use crate::settings::Owner;

/// The gateway's state, below the home.
pub(crate) const STATE_DIRECTORY: &str = ".openclaw";
/// A larger file is refused: it would grow PID 1.
pub(crate) const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
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

/// What is put aside, because it leads to nothing that a bot may have there, gets this ending.
const ASIDE: &str = ".link";

/// A bot's home.
struct Home {
    path: PathBuf,
    directory: OwnedFd,
}

impl Home {
    /// Opens it; makes it where it is missing.
    fn open(path: &Path, owner: Option<Owner>) -> Result<Self, HomeError> {
        match rustix::fs::mkdir(path, PRIVATE_DIRECTORY) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(path, e)),
        }
        let directory = opened(beneath::root(path), path, owner)?;
        Ok(Self {
            path: path.to_owned(),
            directory,
        })
    }

    /// Opens what a link at `from`, a directory beneath the home, points to: an entry beneath the home, by a way without
    /// a further link.
    fn follow(&self, link: impl AsFd, name: &str, from: &Path, flags: OFlags) -> Option<(OwnedFd, PathBuf)> {
        let target = readlinkat(link, name, Vec::new()).ok()?.into_bytes();
        let target = PathBuf::from(OsString::from_vec(target));
        let path = if target.is_absolute() {
            target.strip_prefix(&self.path).ok()?.to_owned()
        } else {
            from.join(target)
        };
        let opened = beneath::open(&self.directory, &path, flags, Mode::empty()).ok()?;
        Some((opened, path))
    }
}

/// Where a state directory lies.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HomeWay {
    /// What the home is called, which absolute links and includes begin with.
    home: PathBuf,
    /// The way from there.
    state: PathBuf,
}

/// The opened state directory of a bot, or one within.
pub(crate) struct StateDirectory {
    home: Arc<Home>,
    /// Where it is, beneath the home.
    beneath: PathBuf,
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
        let home = Home::open(home, owner)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let linked = home.follow(&home.directory, STATE_DIRECTORY, Path::new(""), flags);
        let (state_directory, beneath) = match linked {
            Some(linked) => linked,
            None => {
                let name = Path::new(STATE_DIRECTORY);
                (directory(&home.directory, name, &path, owner)?, name.to_owned())
            }
        };
        give(&state_directory, owner).map_err(|e| failed(&path, e))?;
        // The gateway refuses a state directory that others may read.
        fchmod(&state_directory, PRIVATE_DIRECTORY).map_err(|e| failed(&path, e))?;
        Ok(Self {
            home: Arc::new(home),
            beneath,
            path,
            directory: state_directory,
            owner,
        })
    }

    /// Opens the state directory to read in it, by what [`StateDirectory::way`] says of one that is open.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn open_again(home: OwnedFd, way: &HomeWay) -> Result<Self, HomeError> {
        let path = way.home.join(STATE_DIRECTORY);
        let directory = beneath::directory(&home, &way.state).map_err(|e| failed(&path, e))?;
        Ok(Self {
            home: Arc::new(Home {
                path: way.home.clone(),
                directory: home,
            }),
            beneath: way.state.clone(),
            path,
            directory,
            owner: None,
        })
    }

    /// How another process gets here: the home, and the way from it.
    ///
    /// # Errors
    /// When there are too many descriptors.
    pub(crate) fn way(&self) -> io::Result<(OwnedFd, HomeWay)> {
        let way = HomeWay {
            home: self.home.path.clone(),
            state: self.beneath.clone(),
        };
        Ok((self.home.directory.try_clone()?, way))
    }

    /// As [`StateDirectory::open`], for a gateway that is to start whatever `file` and the directory are: a link that
    /// leads to no such thing beneath the home is put aside, and one to a file is replaced by that. Says what was done.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn open_without_links(
        home: &Path,
        owner: Option<Owner>,
        file: &str,
    ) -> Result<(Self, Vec<String>), HomeError> {
        let mut done = Vec::new();
        let state = match Self::open(home, owner) {
            Ok(state) => state,
            Err(error) => {
                let opened = Home::open(home, owner)?;
                let name = Path::new(STATE_DIRECTORY);
                if !is_link(&opened.directory, name) {
                    return Err(error);
                }
                done.push(put_aside(&opened.directory, name, &home.join(name))?);
                Self::open(home, owner)?
            }
        };
        if is_link(&state.directory, Path::new(file)) {
            match state.read(file) {
                Ok(Some(text)) => {
                    state.replace(file, &text)?;
                    done.push(format!(
                        "{}: was a link, and is now the file",
                        state.path.join(file).display()
                    ));
                }
                Ok(None) | Err(_) => {
                    done.push(put_aside(
                        &state.directory,
                        Path::new(file),
                        &state.path.join(file),
                    )?);
                }
            }
        }
        Ok((state, done))
    }

    /// Opens a directory that is there. A link in its place is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn within(&self, name: &str) -> Result<Option<Self>, HomeError> {
        let path = self.path.join(name);
        match beneath::directory(&self.directory, name) {
            Ok(directory) => Ok(Some(Self {
                home: Arc::clone(&self.home),
                beneath: self.beneath.join(name),
                path,
                directory,
                owner: self.owner,
            })),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(failed(&path, e)),
        }
    }

    /// The names of what is in it, of at most `room` entries. Those are taken off it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn names(&self, room: &mut usize) -> Result<Vec<String>, HomeError> {
        let mut entries = Dir::read_from(&self.directory).map_err(|e| failed(&self.path, e))?;
        let mut names = Vec::new();
        while *room > 0
            && let Some(entry) = entries.next()
        {
            let entry = entry.map_err(|e| failed(&self.path, e))?;
            if entry.file_name() == c"." || entry.file_name() == c".." {
                continue;
            }
            *room = room.saturating_sub(1);
            names.extend(entry.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// Removes a file. False where there is none, or a directory.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, HomeError> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::ISDIR) => Ok(false),
            Err(error) => Err(failed(&self.path.join(name), error)),
        }
    }

    /// Which version of a file there is, if there is one.
    pub(crate) fn fingerprint(&self, name: &str) -> Option<Fingerprint> {
        let stat = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let (seconds, nanoseconds) = (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).ok()?);
        Some(Fingerprint(stat.st_ino, stat.st_size, seconds, nanoseconds))
    }

    /// The text of a file, if there is one. A link is followed once, within the home.
    ///
    /// # Errors
    /// When it is no regular file, too large, or not UTF-8.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, HomeError> {
        let path = self.path.join(name);
        // Without NONBLOCK a named pipe in its place would stop PID 1.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match beneath::open(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK;
                let followed = self.home.follow(&self.directory, name, &self.beneath, flags);
                followed
                    .map(|(file, _)| file)
                    .ok_or_else(|| wrong(&path, "is a link that leads to no file in the home"))?
            }
            Err(e) => return Err(failed(&path, e)),
        };
        text_of(file, &path).map(Some)
    }

    /// The text of a file that one in this directory names, by a path from here or from the root. It may lead through
    /// links, and ends beneath the home.
    pub(crate) fn read_named(&self, name: &str) -> Option<String> {
        let path = Path::new(name);
        let path_in_home = if path.is_absolute() {
            path.strip_prefix(&self.home.path).ok()?.to_owned()
        } else {
            self.beneath.join(path)
        };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = beneath::open_through_links(&self.home.directory, &path_in_home, flags).ok()?;
        text_of(file, path).ok()
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
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mut file = File::from(beneath::open(&self.directory, name, flags, PRIVATE_FILE)?);
        give(&file, self.owner)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

fn text_of(file: OwnedFd, path: &Path) -> Result<String, HomeError> {
    let stat = fstat(&file).map_err(|e| failed(path, e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(wrong(path, "is not a file"));
    }
    let mut text = String::new();
    let read = File::from(file)
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| failed(path, e))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(wrong(path, "is larger than 4 MiB"));
    }
    Ok(text)
}

fn is_link(parent: impl AsFd, name: &Path) -> bool {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// Renames a link, and says so.
fn put_aside(parent: impl AsFd, name: &Path, path: &Path) -> Result<String, HomeError> {
    let mut aside = name.as_os_str().to_owned();
    aside.push(ASIDE);
    renameat(&parent, name, &parent, &aside).map_err(|e| failed(path, e))?;
    let path = path.display();
    Ok(format!(
        "{path}: is a link to nothing in the home, and was renamed to end with {ASIDE}"
    ))
}

/// Opens the directory `name` in `parent`, after making it when it is missing.
fn directory(
    parent: impl AsFd,
    name: &Path,
    path: &Path,
    owner: Option<Owner>,
) -> Result<OwnedFd, HomeError> {
    match mkdirat(&parent, name, PRIVATE_DIRECTORY) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(failed(path, e)),
    }
    opened(beneath::directory(&parent, name), path, owner)
}

fn opened(
    directory: Result<OwnedFd, Errno>,
    path: &Path,
    owner: Option<Owner>,
) -> Result<OwnedFd, HomeError> {
    let opened = directory.map_err(|e| match e {
        Errno::LOOP | Errno::NOTDIR => wrong(path, "is not a directory"),
        e => failed(path, e),
    })?;
    give(&opened, owner).map_err(|e| failed(path, e))?;
    Ok(opened)
}

fn give(what: impl AsFd, owner: Option<Owner>) -> io::Result<()> {
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
mod tests;
