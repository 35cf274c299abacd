//! The gateway's locks in its state directory: `tmp/openclaw-<user>/*.lock`, JSON with the process that holds it.
//!
//! A gateway that was killed leaves them behind, and so does a home that was restored on another machine. The
//! next one takes over a lock whose process is gone; one whose number is taken by another process meanwhile it
//! may respect for ever.

use serde::Deserialize;

use crate::supervisor::home::{HomeError, StateDirectory};
use crate::supervisor::processes;

const DIRECTORY: &str = "tmp";
const OF_ONE_USER: &str = "openclaw-";
const ENDING: &str = ".lock";
/// Who holds the state as a whole.
const STATE_LOCK: &str = "gateway.state.lock";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    pid: u32,
    #[serde(default)]
    owner_id: String,
}

/// Removes the locks of processes that are gone. Says how many there were.
///
/// # Errors
/// When the state directory cannot be read.
pub(crate) fn remove_stale(state: &StateDirectory) -> Result<usize, HomeError> {
    let mut removed = 0;
    for directory in of_users(state)? {
        for name in directory.names()? {
            // Whatever else lies there is not ours to judge.
            let stale =
                name.ends_with(ENDING) && matches!(directory.read(&name), Ok(Some(text)) if !is_held(&text));
            if stale {
                directory.remove(&name)?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// How the gateway `pid` calls itself as the holder of its state.
pub(crate) fn owner(state: &StateDirectory, pid: u32) -> Option<String> {
    let texts = of_users(state).ok()?.into_iter();
    let mut locks = texts.filter_map(|directory| parsed(&directory.read(STATE_LOCK).ok()??));
    locks.find(|lock| lock.pid == pid).map(|lock| lock.owner_id)
}

fn of_users(state: &StateDirectory) -> Result<Vec<StateDirectory>, HomeError> {
    let Some(all) = state.within(DIRECTORY)? else {
        return Ok(Vec::new());
    };
    let names = all
        .names()?
        .into_iter()
        .filter(|name| name.starts_with(OF_ONE_USER));
    let opened = names.map(|name| all.within(&name));
    opened.filter_map(Result::transpose).collect()
}

fn is_held(text: &str) -> bool {
    // A lock that names no process was cut off while it was written.
    parsed(text).is_some_and(|lock| processes::exists(lock.pid) && lock.pid != std::process::id())
}

fn parsed(text: &str) -> Option<Lock> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn state() -> (tempfile::TempDir, StateDirectory, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(temp.path(), None).unwrap();
        let locks = temp.path().join(".openclaw/tmp/openclaw-1500");
        fs::create_dir_all(&locks).unwrap();
        (temp, state, locks)
    }

    #[test]
    fn only_locks_of_exited_processes_are_removed() {
        let (_temp, state, locks) = state();
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        for (name, text) in [
            (
                "gateway.state.lock",
                r#"{"pid":4294967295,"ownerId":"x"}    "#.to_owned(),
            ),
            ("gateway.1a2b.lock", "{\"pid\":42949".to_owned()),
            ("ours.lock", format!("{{\"pid\":{}}}", std::process::id())),
            ("held.lock", format!("{{\"pid\":{}}}", other.id())),
            ("notes.txt", "{}".to_owned()),
        ] {
            fs::write(locks.join(name), text).unwrap();
        }
        let elsewhere = locks.join("../../../elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        fs::write(elsewhere.join("a.lock"), r#"{"pid":4294967295}"#).unwrap();
        std::os::unix::fs::symlink(&elsewhere, locks.join("../openclaw-link")).unwrap();
        let removed = remove_stale(&state);
        other.kill().unwrap();
        other.wait().unwrap();
        // A link is no directory of locks: nothing behind it is touched.
        assert_eq!(removed.unwrap(), 3);
        assert!(elsewhere.join("a.lock").exists());
        let mut left: Vec<_> = fs::read_dir(&locks)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["held.lock", "notes.txt"]);
        fs::remove_dir_all(locks.parent().unwrap()).unwrap();
        assert_eq!(remove_stale(&state).unwrap(), 0);
    }

    #[test]
    fn the_lock_owner_is_the_running_gateway() {
        let (_temp, state, locks) = state();
        fs::write(
            locks.join(STATE_LOCK),
            r#"{"pid":77,"ownerId":"o-1","port":1}   "#,
        )
        .unwrap();
        assert_eq!(owner(&state, 77).as_deref(), Some("o-1"));
        assert_eq!(owner(&state, 78), None);
    }
}
