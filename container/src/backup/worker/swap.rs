//! The home's place: what lies where a snapshot is written makes way, and what was written there takes the home's.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::repository::RepositoryError;
use super::say::{note, say};
use super::wire::Line;

/// So many homes that could not be removed lie beside the home at most. Each keeps its space: with more of them there is
/// hardly any left for another.
const MAX_LEFT: u32 = 4;

/// What the file system refused, in words.
pub(super) fn failed(path: &Path, doing: &str, error: &io::Error) -> RepositoryError {
    RepositoryError(format!("{doing} {}: {error}", path.display()))
}

/// Removes a directory with all that is in it, if it is there.
///
/// # Errors
/// When the file system refuses.
pub(crate) fn remove(directory: &Path) -> Result<(), RepositoryError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(directory, "removing", &error)),
        _ => Ok(()),
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

/// Puts `fresh` in the home's place. Where the file system can, both change places in one step and there is
/// always a whole home. A directory of the image cannot be moved on an overlay: then it is emptied and removed
/// first, which happens only where a run begins, and no gateway starts before the end of it.
pub(super) fn replace(home: &Path, fresh: &Path) -> Result<(), RepositoryError> {
    // Should this process be ended in between, nobody knows which home there is.
    say(&Line::Replacing);
    match renameat_with(CWD, fresh, CWD, home, RenameFlags::EXCHANGE) {
        Ok(()) => {
            if let Err(failure) = remove(fresh) {
                note(&format!(
                    "the home before this one is left for the next restore: {failure}"
                ));
            }
            Ok(())
        }
        Err(Errno::NOENT | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => {
            remove(home)?;
            std::fs::rename(fresh, home).map_err(|error| failed(home, "moving the restored home to", &error))
        }
        Err(error) => {
            say(&Line::NotReplaced);
            Err(failed(home, "moving the restored home to", &error.into()))
        }
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
