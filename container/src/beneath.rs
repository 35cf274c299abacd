//! Opens what lies beneath a directory that belongs to code nobody trusts: the bot's home, and what is restored from it.
//!
//! The supervisor is root, and whoever owns the home may swap a directory of it for a link at any moment. So nothing in
//! it is reached by a path from the root: every way begins at a descriptor, leads through no link, onto no other file
//! system and never above where it began. The kernel sees to that with `openat2`; where there is none (before Linux
//! 5.6), or a filter of system calls refuses it, each step is taken by itself.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// As many links as the kernel follows on one way.
const MAX_LINKS: usize = 40;
/// How a directory is opened, to be gone on from.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What becomes of links on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Refused,
    /// Followed, to what lies beneath as well.
    Within,
}

/// Whether this kernel is known to have no `openat2`.
static IS_MISSING: AtomicBool = AtomicBool::new(false);

/// Opens a directory by its path, as where ways begin. What leads there is the supervisor's own: the last name only may be
/// somebody else's, and is no link.
///
/// # Errors
/// When it is no directory, or the file system refuses.
pub(crate) fn root(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, DIRECTORY, Mode::empty())
}

/// Opens what lies at `path` beneath a directory, through no link. With `PATH` and `NOFOLLOW` a link at its end is opened
/// itself.
///
/// # Errors
/// `LOOP` for a link, `XDEV` for what lies elsewhere, and whatever the file system says.
pub(crate) fn open(
    directory: impl AsFd,
    path: impl AsRef<Path>,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    resolve(directory.as_fd(), path.as_ref(), flags, mode, Links::Refused)
}

/// Opens a directory that lies at `path` beneath another one.
///
/// # Errors
/// As for [`open`].
pub(crate) fn directory(above: impl AsFd, path: impl AsRef<Path>) -> Result<OwnedFd, Errno> {
    open(above, path, DIRECTORY, Mode::empty())
}

/// As [`open`], but through links that end beneath the directory as well.
///
/// # Errors
/// As for [`open`].
pub(crate) fn open_through_links(directory: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(directory.as_fd(), path, flags, Mode::empty(), Links::Within)
}

fn resolve(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
) -> Result<OwnedFd, Errno> {
    if IS_MISSING.load(Ordering::Relaxed) {
        return by_steps(directory, path, flags, mode, links);
    }
    match by_kernel(directory, path, flags, mode, links) {
        Err(Errno::NOSYS) => {
            IS_MISSING.store(true, Ordering::Relaxed);
            by_steps(directory, path, flags, mode, links)
        }
        // A filter's word, or one about the file; or somebody renames all the time, so that the kernel cannot tell where
        // `..` leads.
        Err(Errno::PERM | Errno::AGAIN) => by_steps(directory, path, flags, mode, links),
        opened => opened,
    }
}

fn by_kernel(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let mut how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    if links == Links::Refused {
        how |= ResolveFlags::NO_SYMLINKS;
    }
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    openat2(directory, path, flags | OFlags::CLOEXEC, mode, how)
}

fn by_steps(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let device = fstat(directory)?.st_dev;
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut left = steps(path)?;
    let mut followed = 0_usize;
    loop {
        let here = way.last().map_or(directory, AsFd::as_fd);
        let name = left.pop();
        if name.as_deref() == Some(OsStr::new("..")) {
            // Up by the way that was taken, wherever that directory lies by now.
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let is_last = left.is_empty();
        let step = match &name {
            Some(name) if is_last => openat(here, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode),
            Some(name) => openat(here, name, DIRECTORY, Mode::empty()),
            None => openat(here, ".", flags | OFlags::CLOEXEC, mode),
        };
        match (step, name) {
            (Ok(opened), _) => {
                // Only a directory's number is that of its file system on every kind of one.
                let stat = fstat(&opened)?;
                let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if is_directory && stat.st_dev != device {
                    return Err(Errno::XDEV);
                }
                if is_last {
                    return Ok(opened);
                }
                way.push(opened);
            }
            (Err(refused @ (Errno::LOOP | Errno::NOTDIR)), Some(name)) => {
                let target = readlinkat(here, &name, Vec::new()).map_err(|_| refused)?;
                followed = followed.saturating_add(1);
                if links == Links::Refused || followed > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                left.extend(steps(&PathBuf::from(OsString::from_vec(target.into_bytes())))?);
            }
            (Err(error), _) => return Err(error),
        }
    }
}

/// The names of a path, the last one first.
fn steps(path: &Path) -> Result<Vec<OsString>, Errno> {
    let mut steps = Vec::new();
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => steps.push(name.to_owned()),
            Component::ParentDir => steps.push("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::AtomicBool;

    type Way = fn(BorrowedFd<'_>, &Path, OFlags, Mode, Links) -> Result<OwnedFd, Errno>;
    const WAYS: [(&str, Way); 2] = [("kernel", by_kernel_at_last), ("steps", by_steps)];

    /// While anything is renamed anywhere, as by the tests beside this one, the kernel cannot tell where `..` leads.
    fn by_kernel_at_last(
        directory: BorrowedFd<'_>,
        path: &Path,
        flags: OFlags,
        mode: Mode,
        links: Links,
    ) -> Result<OwnedFd, Errno> {
        loop {
            match by_kernel(directory, path, flags, mode, links) {
                Err(Errno::AGAIN) => std::thread::yield_now(),
                opened => return opened,
            }
        }
    }

    fn text(opened: Result<OwnedFd, Errno>) -> Result<String, Errno> {
        let mut text = String::new();
        File::from(opened?).read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn only_what_lies_beneath_is_opened() {
        let outside = tempfile::tempdir().unwrap();
        let home = outside.path().join("home");
        std::fs::create_dir_all(home.join("a/b")).unwrap();
        std::fs::write(home.join("a/b/file"), "mine").unwrap();
        std::fs::write(outside.path().join("secret"), "not mine").unwrap();
        for (link, target) in [
            ("out", "../secret"),
            ("up", ".."),
            ("absolute", "/proc/self/maps"),
            ("in", "a/b/file"),
            ("a/back", "../a/b"),
            ("loop", "loop"),
        ] {
            symlink(target, home.join(link)).unwrap();
        }
        let home = root(&home).unwrap();
        for (path, refused, within) in [
            ("a/b/file", Ok("mine"), Ok("mine")),
            ("./a/../a/b/file", Ok("mine"), Ok("mine")),
            ("in", Err(Errno::LOOP), Ok("mine")),
            ("a/back/file", Err(Errno::LOOP), Ok("mine")),
            ("out", Err(Errno::LOOP), Err(Errno::XDEV)),
            ("up/secret", Err(Errno::LOOP), Err(Errno::XDEV)),
            ("absolute", Err(Errno::LOOP), Err(Errno::XDEV)),
            ("loop", Err(Errno::LOOP), Err(Errno::LOOP)),
            ("../secret", Err(Errno::XDEV), Err(Errno::XDEV)),
            ("a/../../secret", Err(Errno::XDEV), Err(Errno::XDEV)),
            ("/proc/self/maps", Err(Errno::XDEV), Err(Errno::XDEV)),
            ("a/none", Err(Errno::NOENT), Err(Errno::NOENT)),
            ("a/b/file/x", Err(Errno::NOTDIR), Err(Errno::NOTDIR)),
        ] {
            for (name, way) in WAYS {
                for (links, expected) in [(Links::Refused, refused), (Links::Within, within)] {
                    let opened = way(
                        home.as_fd(),
                        Path::new(path),
                        OFlags::RDONLY,
                        Mode::empty(),
                        links,
                    );
                    let expected = expected.map(str::to_owned);
                    assert_eq!(text(opened), expected, "{path} {links:?} by {name}");
                }
            }
        }
    }

    #[test]
    fn a_link_itself_and_the_beginning_can_be_opened() {
        let home = tempfile::tempdir().unwrap();
        symlink("/proc/self", home.path().join("link")).unwrap();
        let home = root(home.path()).unwrap();
        for (name, way) in WAYS {
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            let link = way(
                home.as_fd(),
                Path::new("link"),
                flags,
                Mode::empty(),
                Links::Refused,
            );
            let link = File::from(link.unwrap()).metadata().unwrap();
            assert!(link.is_symlink(), "by {name}");
            for path in ["", "."] {
                let same = way(
                    home.as_fd(),
                    Path::new(path),
                    DIRECTORY,
                    Mode::empty(),
                    Links::Refused,
                );
                let same = File::from(same.unwrap()).metadata().unwrap();
                assert_eq!(same.ino(), fstat(&home).unwrap().st_ino, "{path:?} by {name}");
            }
        }
    }

    #[test]
    fn no_way_leads_onto_another_file_system() {
        let above = root(Path::new("/")).unwrap();
        for (name, way) in WAYS {
            let maps = way(
                above.as_fd(),
                Path::new("proc/self/maps"),
                OFlags::RDONLY,
                Mode::empty(),
                Links::Refused,
            );
            assert_eq!(text(maps), Err(Errno::XDEV), "by {name}");
        }
    }

    /// Whoever owns a directory swaps it for a link as fast as it can.
    #[test]
    fn a_directory_swapped_for_a_link_leads_nowhere_else() {
        /// So often is it opened each way; some hundred swaps happen meanwhile.
        const LOOKS: u32 = 20_000;
        let outside = tempfile::tempdir().unwrap();
        let home = outside.path().join("home");
        std::fs::create_dir_all(home.join("d")).unwrap();
        std::fs::create_dir_all(outside.path().join("e")).unwrap();
        std::fs::write(home.join("d/file"), "mine").unwrap();
        std::fs::write(outside.path().join("e/file"), "not mine").unwrap();
        symlink("../e", home.join("link")).unwrap();
        let is_over = AtomicBool::new(false);
        let directory = root(&home).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let swap = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(&directory, "d", &directory, "link", swap).unwrap();
                }
            });
            let mut found = [0_u32; 2];
            for _ in 0..LOOKS {
                for (_, way) in WAYS {
                    for links in [Links::Refused, Links::Within] {
                        let path = Path::new("d/file");
                        match text(way(directory.as_fd(), path, OFlags::RDONLY, Mode::empty(), links)) {
                            Ok(text) => {
                                assert_eq!(text, "mine");
                                found[0] += 1;
                            }
                            Err(_) => found[1] += 1,
                        }
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(
                found.iter().all(|count| *count > 0),
                "it was never swapped: {found:?}"
            );
        });
    }
}
