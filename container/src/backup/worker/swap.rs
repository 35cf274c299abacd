//! The home's place: what lies where a snapshot is written makes way, and what was written there takes the home's.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, RenameFlags, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::place::names;
use super::repository::RepositoryError;
use super::say::{note, say};
use super::wire::Line;
use crate::beneath;

/// So many homes that could not be removed lie beside the home at most. Each keeps its space: with more of them there is
/// hardly any left for another.
const MAX_LEFT: u32 = 4;

/// What the file system refused, in words.
pub(super) fn failed(path: &Path, doing: &str, error: &io::Error) -> RepositoryError {
    RepositoryError(format!("{doing} {}: {error}", path.display()))
}

/// Removes a directory with all that is in it, if it is there. However deep it is, no more than two directories are open:
/// what lies in one is moved up before it is looked at.
///
/// # Errors
/// When the file system refuses. What it does not refuse is removed all the same.
pub(crate) fn remove(directory: &Path) -> Result<(), RepositoryError> {
    let refused = |error: Errno| failed(directory, "removing", &error.into());
    let top = match beneath::root(directory) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return unlinkat(CWD, directory, AtFlags::empty()).map_err(refused);
        }
        Err(error) => return Err(refused(error)),
    };
    let mut failure = None;
    let mut moved = 0_u64;
    let mut left: Vec<OsString> = names(&top).map_err(|error| failed(directory, "removing", &error))?;
    while let Some(name) = left.pop() {
        if let Err(error) = empty(&top, &name, &mut moved, &mut left).and_then(|is_directory| {
            let flags = if is_directory {
                AtFlags::REMOVEDIR
            } else {
                AtFlags::empty()
            };
            unlinkat(&top, &name, flags)
        }) && error != Errno::NOENT
        {
            failure.get_or_insert(error);
        }
    }
    match failure {
        Some(error) => Err(refused(error)),
        None => unlinkat(CWD, directory, AtFlags::REMOVEDIR).map_err(refused),
    }
}

/// Removes the files of a directory and moves its directories up; false when it is none.
fn empty(top: &OwnedFd, name: &OsStr, moved: &mut u64, left: &mut Vec<OsString>) -> Result<bool, Errno> {
    let directory = match beneath::directory(top, name) {
        Ok(directory) => directory,
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(error) => return Err(error),
    };
    let inside = names(&directory).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let mut failure = None;
    for name in inside {
        match unlinkat(&directory, &name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::PERM) => match move_up(&directory, &name, top, moved) {
                Ok(up) => left.push(up),
                Err(error) => _ = failure.get_or_insert(error),
            },
            Err(error) => _ = failure.get_or_insert(error),
        }
    }
    failure.map_or(Ok(true), Err)
}

/// Moves a directory up under a name that nothing else there has.
fn move_up(from: &OwnedFd, name: &OsStr, top: &OwnedFd, moved: &mut u64) -> Result<OsString, Errno> {
    loop {
        *moved = moved.saturating_add(1);
        let up = OsString::from(format!(".moved-up-{moved}"));
        match renameat(from, name, top, &up) {
            Ok(()) => return Ok(up),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes what lies where a snapshot is to be written. What cannot be removed, a home that was replaced for example, is
/// moved aside: it is in nobody's way there, and each restore tries again to remove it.
pub(super) fn make_way(fresh: &Path) -> Result<(), RepositoryError> {
    let aside = |number: u32| fresh.with_extension(format!("left-{number}"));
    for number in 0..MAX_LEFT {
        // In vain before, and perhaps again.
        let _ = remove(&aside(number));
    }
    remove(fresh).or_else(|failure| {
        note(&format!("moved aside: {failure}"));
        let moved = (0..MAX_LEFT).any(|number| std::fs::rename(fresh, aside(number)).is_ok());
        if moved { Ok(()) } else { Err(failure) }
    })
}

/// Puts `fresh` in the home's place, and says so.
pub(super) fn replace(home: &Path, fresh: &Path) -> Result<(), RepositoryError> {
    // Should this process be ended in between, nobody knows which home there is.
    say(&Line::Replacing);
    match exchange(home, fresh) {
        Ok(true) => {
            if let Err(failure) = remove(fresh) {
                note(&format!(
                    "the home before this one is left for the next restore: {failure}"
                ));
            }
            Ok(())
        }
        Ok(false) => {
            remove(home)?;
            std::fs::rename(fresh, home).map_err(|error| failed(home, "moving the restored home to", &error))
        }
        Err(error) => {
            say(&Line::NotReplaced);
            Err(failed(home, "moving the restored home to", &error.into()))
        }
    }
}

/// Two directories change places in one step, so that there is always a whole home; false where the file system cannot. A
/// directory of the image cannot be moved on an overlay: then the home is emptied and removed first, which happens only
/// where a run begins, and no gateway starts before the end of it.
pub(super) fn exchange(home: &Path, fresh: &Path) -> Result<bool, Errno> {
    match renameat_with(CWD, fresh, CWD, home, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;

    /// Where a home is, and where it lies once it was replaced.
    const HOMES: [&str; 3] = ["home", ".home.restoring", ".home.left-0"];
    const STUBBORN: &str = "stubborn";

    /// Something in a home that cannot be removed: root is kept from it by what is mounted there, others by its mode.
    struct Stubborn(PathBuf);

    impl Stubborn {
        /// None where neither can be had: said aloud, and in CI a failure.
        fn make(home: &Path) -> Option<Self> {
            let path = home.join(STUBBORN);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("file"), "x").unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "tmpfs"])
                .arg(&path)
                .output();
            let mounted = mounted.is_ok_and(|output| output.status.success());
            if rustix::process::geteuid().is_root() && !mounted {
                let said =
                    "NOT TESTED, what happens to a home that cannot be removed: nothing may be mounted\n";
                assert!(std::env::var_os("CI").is_none(), "{said}");
                // Not by `eprintln!`: what a test that passes says in that way is shown to nobody.
                std::io::stderr().write_all(said.as_bytes()).unwrap();
                return None;
            }
            Some(Self(home.parent().unwrap().to_owned()))
        }

        fn give_in(&self) {
            for home in HOMES {
                let path = self.0.join(home).join(STUBBORN);
                let _ = Command::new("umount")
                    .args(["--lazy", "--quiet"])
                    .arg(&path)
                    .output();
                let _ = std::fs::set_permissions(&path, Permissions::from_mode(0o700));
            }
        }
    }

    impl Drop for Stubborn {
        fn drop(&mut self) {
            self.give_in();
        }
    }

    #[test]
    fn a_directory_of_any_depth_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let mut at = beneath::root(&home).unwrap();
        for level in 0..3_000 {
            for name in ["d", "e", ".moved-up-1"] {
                rustix::fs::mkdirat(&at, name, rustix::fs::Mode::RWXU).unwrap();
            }
            rustix::fs::symlinkat("d", &at, format!("link-{level}")).unwrap();
            at = beneath::directory(&at, "d").unwrap();
        }
        remove(&home).unwrap();
        assert!(!home.exists());
        remove(&home).unwrap();
        std::os::unix::fs::symlink(directory.path(), &home).unwrap();
        remove(&home).unwrap();
        assert!(home.symlink_metadata().is_err() && directory.path().exists());
    }

    #[test]
    fn a_previous_home_that_cannot_be_removed_does_not_fail_the_swap() {
        let directory = tempfile::tempdir().unwrap();
        let [home, fresh, left] = HOMES.map(|name| directory.path().join(name));
        let Some(stubborn) = Stubborn::make(&home) else {
            return;
        };
        let restore = |number: &str| {
            make_way(&fresh).unwrap();
            std::fs::create_dir(&fresh).unwrap();
            std::fs::write(fresh.join("number"), number).unwrap();
            replace(&home, &fresh).unwrap();
            assert_eq!(std::fs::read_to_string(home.join("number")).unwrap(), number);
        };
        restore("1");
        assert!(fresh.join(STUBBORN).exists());
        restore("2");
        assert!(!fresh.exists());
        assert!(left.join(STUBBORN).exists());
        restore("3");
        stubborn.give_in();
        restore("4");
        assert!(!left.exists());
    }
}
