//! The gateway's locks in its state directory: `tmp/openclaw-<user>/*.lock`, JSON with the process that holds it.
//!
//! A gateway that was killed leaves them behind, and so does a home that was restored on another machine. The
//! next one takes over a lock whose process is gone; one whose number is taken by another process meanwhile it
//! may respect for ever. So all of them are removed before one starts, and none is read for that: nothing that the bot had
//! started lives then.
//!
//! What a gateway calls itself is read when it is to end, by a process that has nothing to lose
//! (`container/src/confinement/mod.rs`).

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::confinement::{self, NotConfined};
use crate::settings::Settings;
use crate::supervisor::confined_process;
use crate::supervisor::home::{HomeError, HomeWay, StateDirectory};

/// The argument that makes the supervisor's binary the process that reads who holds the state.
pub(crate) const SUBCOMMAND: &str = "read-lock";
const DIRECTORY: &str = "tmp";
const OF_ONE_USER: &str = "openclaw-";
const ENDING: &str = ".lock";
/// Who holds the state as a whole.
const STATE_LOCK: &str = "gateway.state.lock";
/// Entries that are read of all directories of locks together. A gateway makes one directory, and in it two locks; names without
/// end would hold up every start.
const MAX_ENTRIES: usize = 10_000;
/// Bytes of how a gateway calls itself. It is a UUID.
const MAX_OWNER: usize = 64;
/// Processor time for locks of some hundred bytes.
const CPU: Duration = Duration::from_secs(1);
/// So long is waited for it, of the time in which the gateway is to end.
const MAX_WAIT: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    pid: u32,
    #[serde(default)]
    owner_id: String,
}

/// What such a process is started with; nothing of it is secret.
#[derive(Serialize, Deserialize)]
struct Request {
    way: HomeWay,
    owner: Option<(u32, u32)>,
    pid: u32,
}

/// What became of the locks.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// So many were removed.
    pub(crate) count: usize,
    /// So many could not be.
    pub(crate) left: usize,
    /// Why the first of them could not.
    pub(crate) reason: Option<HomeError>,
    /// There are more entries than are read, and so there may be more locks.
    pub(crate) is_partial: bool,
}

/// Removes the locks, whatever they say. One that cannot be removed keeps no gateway from being started: it finds out by itself
/// whether that lock is held.
///
/// # Errors
/// When the state directory cannot be read.
pub(crate) fn remove_all(state: &StateDirectory) -> Result<Removed, HomeError> {
    let mut removed = Removed::default();
    let mut room = MAX_ENTRIES;
    let Some(all) = state.within(DIRECTORY)? else {
        return Ok(removed);
    };
    for user in of_users(&all, &mut room)? {
        let Some(directory) = all.within(&user)? else {
            continue;
        };
        let names = directory.names(&mut room)?;
        // Whatever else lies there is not ours to judge.
        for name in names.iter().filter(|name| name.ends_with(ENDING)) {
            match directory.remove(name) {
                Ok(is_file) => removed.count = removed.count.saturating_add(usize::from(is_file)),
                Err(error) => {
                    removed.left = removed.left.saturating_add(1);
                    removed.reason.get_or_insert(error);
                }
            }
        }
    }
    removed.is_partial = room == 0;
    Ok(removed)
}

/// How the gateway `pid` calls itself as the holder of its state, if that can be read.
pub(crate) async fn owner(settings: &Settings, pid: u32) -> Option<String> {
    let state = StateDirectory::open(&settings.home, settings.owner).ok()?;
    let (home, way) = state.way().ok()?;
    let owner = settings
        .owner
        .map(|owner| (owner.uid.as_raw(), owner.gid.as_raw()));
    let request = Request { way, owner, pid };
    let most = u64::try_from(MAX_OWNER).unwrap_or(u64::MAX);
    let said = confined_process::said(SUBCOMMAND, &request, home, most, MAX_WAIT).await;
    named(&said.ok()??)
}

/// What is said, if it is a name.
fn named(said: &[u8]) -> Option<String> {
    let is_name = !said.is_empty()
        && said
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_name.then(|| said.iter().copied().map(char::from).collect())
}

/// The process: says how the gateway calls itself, or nothing.
pub(crate) fn main() -> ExitCode {
    let Some(request) = confined_process::request::<Request>() else {
        return ExitCode::FAILURE;
    };
    let limits = confinement::Limits {
        cpu: CPU,
        file_bytes: 0,
    };
    // Of what it goes on without, the process that reads the config has told.
    let confined = confinement::confine(request.owner, &limits, || Ok::<(), NotConfined>(()));
    let name = confined.ok().and_then(|_| {
        let home = io::stdin().as_fd().try_clone_to_owned().ok()?;
        held_by(&StateDirectory::open_again(home, &request.way).ok()?, request.pid)
    });
    match io::stdout().lock().write_all(name.unwrap_or_default().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn held_by(state: &StateDirectory, pid: u32) -> Option<String> {
    let mut room = MAX_ENTRIES;
    let all = state.within(DIRECTORY).ok()??;
    let users = of_users(&all, &mut room).ok()?;
    let mut locks = users.iter().filter_map(|user| {
        let text = all.within(user).ok()??.read(STATE_LOCK).ok()??;
        serde_json::from_str::<Lock>(&text).ok()
    });
    locks.find(|lock| lock.pid == pid).map(|lock| lock.owner_id)
}

/// The directories of locks, by name: open is one at a time, because there may be more than descriptors.
fn of_users(all: &StateDirectory, room: &mut usize) -> Result<Vec<String>, HomeError> {
    let mut names = all.names(room)?;
    names.retain(|name| name.starts_with(OF_ONE_USER));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use rustix::thread::{CapabilitySet, CapabilitySets};

    fn state() -> (tempfile::TempDir, StateDirectory, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(temp.path(), None).unwrap();
        let locks = temp.path().join(".openclaw/tmp/openclaw-1500");
        fs::create_dir_all(&locks).unwrap();
        (temp, state, locks)
    }

    #[test]
    fn every_lock_is_removed_and_none_is_read() {
        let (_temp, state, locks) = state();
        for (name, text) in [
            (
                "gateway.state.lock",
                &br#"{"pid":4294967295,"ownerId":"x"}    "#[..],
            ),
            ("gateway.1a2b.lock", b"{\"pid\":42949"),
            ("bytes.lock", b"\xff\x00"),
            ("notes.txt", b"{}"),
        ] {
            fs::write(locks.join(name), text).unwrap();
        }
        // A pipe is as good a lock: whoever opened it would wait.
        rustix::fs::mknodat(
            rustix::fs::CWD,
            locks.join("pipe.lock"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        fs::create_dir(locks.join("directory.lock")).unwrap();
        let elsewhere = locks.join("../../../elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        fs::write(elsewhere.join("a.lock"), r#"{"pid":4294967295}"#).unwrap();
        std::os::unix::fs::symlink(&elsewhere, locks.join("../openclaw-link")).unwrap();
        // A link is no directory of locks: nothing behind it is touched.
        let removed = remove_all(&state).unwrap();
        assert_eq!((removed.count, removed.left), (4, 0), "{removed:?}");
        assert!(elsewhere.join("a.lock").exists());
        let mut left: Vec<_> = fs::read_dir(&locks)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["directory.lock", "notes.txt"]);
        fs::remove_dir_all(locks.parent().unwrap()).unwrap();
        assert_eq!(remove_all(&state).unwrap().count, 0);
    }

    #[test]
    fn locks_that_cannot_be_removed_are_told_and_cost_the_others_nothing() {
        let (_temp, state, locks) = state();
        let kept = locks.with_file_name("openclaw-kept");
        fs::create_dir(&kept).unwrap();
        for lock in [kept.join("a.lock"), kept.join("b.lock"), locks.join("c.lock")] {
            fs::write(lock, "{}").unwrap();
        }
        fs::set_permissions(&kept, PermissionsExt::from_mode(0o555)).unwrap();
        // Root writes everywhere by a capability, which a thread may give up for itself.
        let removed = std::thread::spawn(move || {
            let none = CapabilitySets {
                effective: CapabilitySet::empty(),
                permitted: CapabilitySet::empty(),
                inheritable: CapabilitySet::empty(),
            };
            rustix::thread::set_capabilities(None, none).unwrap();
            remove_all(&state).unwrap()
        });
        let removed = removed.join().unwrap();
        assert_eq!((removed.count, removed.left), (1, 2), "{removed:?}");
        let reason = removed.reason.unwrap().to_string();
        assert!(reason.contains(".lock") && reason.contains("denied"), "{reason}");
    }

    #[test]
    fn more_directories_of_locks_than_descriptors_hold_up_no_start() {
        let (_temp, state, locks) = state();
        for number in 0..2_000 {
            let directory = locks.with_file_name(format!("openclaw-{number}"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(STATE_LOCK), "{}").unwrap();
        }
        let removed = remove_all(&state).unwrap();
        assert_eq!((removed.count, removed.is_partial), (2_000, false));
        for number in 0..MAX_ENTRIES {
            fs::create_dir(locks.join(number.to_string())).unwrap();
        }
        assert!(remove_all(&state).unwrap().is_partial);
        assert_eq!(held_by(&state, 78), None);
    }

    #[test]
    fn the_lock_owner_is_the_running_gateway() {
        let (_temp, state, locks) = state();
        fs::write(
            locks.join(STATE_LOCK),
            r#"{"pid":77,"ownerId":"o-1","port":1}   "#,
        )
        .unwrap();
        assert_eq!(held_by(&state, 77).as_deref(), Some("o-1"));
        assert_eq!(held_by(&state, 78), None);
    }

    #[test]
    fn only_a_name_is_taken_from_whoever_reads_a_lock() {
        assert_eq!(named(b"5e4f-1A").as_deref(), Some("5e4f-1A"));
        for odd in [&b""[..], b"a b", b"a\n", b"\xff", b"\"}"] {
            assert_eq!(named(odd), None, "{odd:?}");
        }
    }
}
