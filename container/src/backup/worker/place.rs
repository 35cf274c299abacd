//! A directory whose content is reached from its descriptor: what lies in it may have a longer path than the kernel takes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, mkdirat};

use crate::beneath;

/// So much of a path is given to the kernel at a time: less than the 4,096 bytes it takes.
const MAX_STEP: usize = 3_800;
/// For the fresh content of a directory, and for a directory that is not finished: nobody else's.
pub(crate) const PRIVATE: Mode = Mode::RWXU;

/// Gone between two looks is no failure: the owner's programs go on while we read.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// What is at a name, without opening it: a link is not followed.
pub(crate) fn look(directory: &OwnedFd, name: impl AsRef<Path>) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    Ok(beneath::open(directory, name, flags, Mode::empty())?.into())
}

/// Opens what is at a name to read it. A link is refused, a named pipe does not block.
pub(crate) fn open(directory: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(beneath::open(directory, name, flags, Mode::empty())?.into())
}

/// A short path of something in an open directory, for calls that take only paths.
pub(crate) fn short_path(directory: &OwnedFd, name: &OsStr) -> PathBuf {
    Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name)
}

/// See the top of this file.
pub(crate) struct Place {
    /// What holds the directory.
    outside: Arc<OwnedFd>,
    /// Its name there.
    name: std::ffi::OsString,
    root: Arc<OwnedFd>,
}

impl Place {
    /// Makes a directory that is not there yet.
    ///
    /// # Errors
    /// When the file system refuses, or it is there.
    pub(crate) fn make(directory: &Path) -> io::Result<Self> {
        mkdirat(CWD, directory, PRIVATE)?;
        Self::open(directory)
    }

    /// One that is there.
    fn open(directory: &Path) -> io::Result<Self> {
        let parent = directory.parent().unwrap_or(Path::new("/"));
        let name = directory.file_name().unwrap_or_default();
        let outside = beneath::root(parent)?;
        let root = beneath::directory(&outside, name)?;
        Ok(Self {
            outside: Arc::new(outside),
            name: name.to_owned(),
            root: Arc::new(root),
        })
    }

    /// The directory that holds what lies at `path`, and its name there; an empty path is the place itself.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn holder<'a>(&'a self, path: &'a Path) -> io::Result<(Arc<OwnedFd>, &'a OsStr)> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok((self.directory(parent)?, name)),
            _ => Ok((Arc::clone(&self.outside), &self.name)),
        }
    }

    /// The directory at `path`.
    ///
    /// # Errors
    /// When there is none, or the file system refuses.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<Arc<OwnedFd>> {
        let mut at = Arc::clone(&self.root);
        let mut step = PathBuf::new();
        for part in path {
            if step.as_os_str().len().saturating_add(part.len()) > MAX_STEP {
                at = Arc::new(beneath::directory(&*at, &step)?);
                step = PathBuf::new();
            }
            step.push(part);
        }
        if step.as_os_str().is_empty() {
            return Ok(at);
        }
        Ok(Arc::new(beneath::directory(&*at, &step)?))
    }
}

/// The names in a directory, without those of itself and of what holds it.
///
/// # Errors
/// When it cannot be read to its end.
pub(crate) fn names(directory: &OwnedFd) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    // Not opened again: to open what it holds by a name, its own among them, takes another right than to list it.
    let mut entries = rustix::fs::Dir::new(rustix::io::dup(directory)?)?;
    entries.rewind();
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_length_leads_to_what_lies_there() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(&directory.path().join("place")).unwrap();
        let mut path = PathBuf::new();
        for _ in 0..50 {
            path.push("d".repeat(200));
            let (holder, name) = place.holder(&path).unwrap();
            mkdirat(&*holder, name, PRIVATE).unwrap();
        }
        let deepest = place.directory(&path).unwrap();
        mkdirat(&*deepest, "end", PRIVATE).unwrap();
        assert_eq!(names(&place.directory(&path).unwrap()).unwrap(), ["end"]);
        let (holder, name) = place.holder(Path::new("")).unwrap();
        assert_eq!(
            (names(&holder).unwrap(), name),
            (vec!["place".into()], OsStr::new("place"))
        );
    }
}
