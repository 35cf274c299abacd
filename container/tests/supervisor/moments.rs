//! A snapshot is of one moment, whatever the bot's programs do meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use moltworker_core::wire::control::Snapshot;
use rusqlite::{Connection, OpenFlags};

use crate::fixture::Fixture;
use crate::kept::{settled, snapshot};
use crate::repository::Repository;

/// Snapshots of each kind of change.
const SNAPSHOTS: usize = 3;
/// Files that are there all the time, under changing names.
const FILES: usize = 6_000;
/// The blocks of the file that is written in place, each with the number of its round at its beginning.
const BLOCK: usize = 64 * 1024;

fn churn(fixture: &Fixture, kind: &str) {
    let answer = fixture.get(&format!("/churn/{kind}"));
    assert_eq!(answer.status, 200, "{}", fixture.output());
}

/// Takes snapshots while the home is changed in this way, and has each judged as stock restic restores it.
fn judged(kind: &str, snapshots: usize, judge: impl Fn(&Path) -> Result<(), String>) -> Vec<Snapshot> {
    let repository = Repository::start();
    let fixture = settled(&repository);
    churn(&fixture, kind);
    let mut all = Vec::new();
    for number in 0..snapshots {
        let taken = snapshot(&fixture);
        let target = tempfile::tempdir().unwrap();
        let to = target.path().to_str().unwrap();
        repository.restic(&["restore", taken.id.as_str(), "--verify", "--target", to]);
        if let Err(wrong) = judge(&target.path().join("data/moltbot").join(kind)) {
            panic!("snapshot {number} of {kind}: {wrong}\n{}", fixture.output());
        }
        all.push(taken);
    }
    assert!(!fixture.output().contains("churn: "), "{}", fixture.output());
    all
}

fn each_file_once(folder: &Path) -> Result<(), String> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for directory in ["a", "b"] {
        for entry in std::fs::read_dir(folder.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let said = std::fs::read_to_string(&path).unwrap();
            let number = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if said != number {
                return Err(format!("{} says {said:?}", path.display()));
            }
            *found.entry(number).or_default() += 1;
        }
    }
    let twice = found.values().filter(|times| **times > 1).count();
    if (found.len(), twice) == (FILES, 0) {
        Ok(())
    } else {
        Err(format!("{} of {FILES} files, {twice} of them twice", found.len()))
    }
}

/// Blocks are written one after the other, round after round: the later ones are of the same round or of the one before.
fn one_round(folder: &Path) -> Result<(), String> {
    let bytes = std::fs::read(folder.join("large")).unwrap();
    let rounds: Vec<u64> = bytes
        .chunks(BLOCK)
        .map(|block| u64::from_be_bytes(block[..8].try_into().unwrap()))
        .collect();
    let (first, last) = (rounds[0], rounds[rounds.len() - 1]);
    let falls = rounds.windows(2).all(|pair| pair[0] >= pair[1]);
    (falls && first - last <= 1)
        .then_some(())
        .ok_or_else(|| format!("it begins in round {first} and ends in {last}, falling: {falls}"))
}

/// A line is written to the first file, then to the second; both are begun anew at the same line.
fn one_line_apart(folder: &Path) -> Result<(), String> {
    let lines = |name: &str| -> Vec<u64> {
        let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap_or(u64::MAX)).collect()
    };
    let (first, second) = (lines("first"), lines("second"));
    let (Some(ahead), Some(behind)) = (first.last(), second.last()) else {
        // One of them has just been begun anew.
        return Ok(());
    };
    let in_order = [&first, &second]
        .iter()
        .all(|lines| lines.windows(2).all(|pair| pair[1] == pair[0] + 1));
    (in_order && ahead >= behind && ahead - behind <= 1)
        .then_some(())
        .ok_or_else(|| format!("line {ahead} and line {behind}, in order: {in_order}"))
}

/// A number is written to the first database, then to the second.
fn one_transfer_apart(folder: &Path) -> Result<(), String> {
    let last = |name: &str| -> Result<i64, String> {
        let bank = Connection::open_with_flags(folder.join(name), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|error| error.to_string())?;
        let sound: String = bank
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        let last = "SELECT (SELECT max(number) FROM taken), (SELECT max(number) FROM given)";
        let (taken, given): (i64, i64) = bank
            .query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|error| error.to_string())?;
        (sound == "ok" && taken == given)
            .then_some(taken)
            .ok_or_else(|| format!("{name}: {sound}, {taken} and {given}"))
    };
    let (first, second) = (last("first.sqlite")?, last("second.sqlite")?);
    (first >= second && first - second <= 1)
        .then_some(())
        .ok_or_else(|| format!("transfer {first} and transfer {second}"))
}

fn git_is_clean(folder: &Path) -> Result<(), String> {
    for arguments in [&["fsck", "--full", "--strict"][..], &["status"], &["log", "-1"]] {
        let done = Command::new("git")
            .args(["-c", "safe.directory=*"])
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        // Objects of a commit that was under way are nobody's yet; that is no fault.
        if !done.status.success() || said.contains("error") || said.contains("bad") {
            return Err(format!("git {arguments:?}: {said}"));
        }
    }
    Ok(())
}

fn of_one_moment(taken: &[Snapshot]) {
    for snapshot in taken {
        assert!(snapshot.moments.is_empty(), "{:?}", snapshot.moments);
        assert!(snapshot.pause_ms.is_some(), "{snapshot:?}");
    }
}

#[test]
fn files_that_are_renamed_all_the_time_are_in_a_snapshot_once() {
    of_one_moment(&judged("renames", SNAPSHOTS, each_file_once));
}

#[test]
fn a_large_file_written_in_place_is_of_one_moment() {
    of_one_moment(&judged("in-place", SNAPSHOTS, one_round));
}

#[test]
fn two_logs_that_are_written_in_turn_are_of_one_moment() {
    of_one_moment(&judged("appends", SNAPSHOTS, one_line_apart));
}

#[test]
fn two_databases_that_are_written_in_turn_are_of_one_moment() {
    of_one_moment(&judged("databases", SNAPSHOTS, one_transfer_apart));
}

#[test]
fn a_git_repository_is_whole_under_commits() {
    of_one_moment(&judged("commits", SNAPSHOTS, git_is_clean));
}
