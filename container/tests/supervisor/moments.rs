//! A snapshot is of one moment, whatever the bot's programs do meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rusqlite::{Connection, OpenFlags};

use crate::fixture::{Fixture, has_state, kill};
use crate::kept::{backup_processes, patiently, post, settled, taken};
use crate::repository::Repository;
use crate::tree::{hand_over, noise};

/// Snapshots of each kind of change.
const SNAPSHOTS: usize = 3;
/// So many times as many may be of several moments, and say so.
const MOST_ATTEMPTS: usize = 10;
/// Files that are there all the time, under changing names.
const FILES: usize = 6_000;
/// The blocks of the file that is written in place, each with the number of its round at its beginning.
const BLOCK: usize = 64 * 1024;

fn churn(fixture: &Fixture, kind: &str) {
    let answer = fixture.get(&format!("/churn/{kind}"));
    assert_eq!(answer.status, 200, "{}", fixture.output());
}

/// Takes snapshots while the home is changed in this way, until so many say that they are of one moment, and has each judged
/// as stock restic restores it. On a machine that is busy otherwise a moment may be too short; then it is said.
fn judged(kind: &str, snapshots: usize, judge: impl Fn(&Path) -> Result<(), String>) {
    let repository = Repository::start();
    let fixture = settled(&repository);
    churn(&fixture, kind);
    let (mut of_one_moment, mut pauses) = (0, Vec::new());
    for number in 0..snapshots * MOST_ATTEMPTS {
        let taken = patiently(&fixture);
        pauses.extend(taken.pause_ms);
        if !taken.moments.is_empty() {
            continue;
        }
        let target = tempfile::tempdir().unwrap();
        let to = target.path().to_str().unwrap();
        repository.restic(&["restore", taken.id.as_str(), "--verify", "--target", to]);
        if let Err(wrong) = judge(&target.path().join("data/moltbot").join(kind)) {
            panic!("snapshot {number} of {kind}: {wrong}\n{}", fixture.output());
        }
        of_one_moment += 1;
        if of_one_moment == snapshots {
            let tries = number + 1;
            println!("{kind}: {snapshots} of {tries} of one moment, {}", spread(pauses));
            assert!(!fixture.output().contains("churn: "), "{}", fixture.output());
            return;
        }
    }
    panic!("{of_one_moment} are of one moment:\n{}", fixture.output());
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
        text.lines()
            .map(|line| line.parse().unwrap_or(u64::MAX))
            .collect()
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

#[test]
fn files_that_are_renamed_all_the_time_are_in_a_snapshot_once() {
    judged("renames", SNAPSHOTS, each_file_once);
}

#[test]
fn a_large_file_written_in_place_is_of_one_moment() {
    judged("in-place", SNAPSHOTS, one_round);
}

#[test]
fn a_file_that_is_written_through_a_mapping_is_of_one_moment() {
    judged("mapped", SNAPSHOTS, one_round);
}

#[test]
fn two_logs_that_are_written_in_turn_are_of_one_moment() {
    judged("appends", SNAPSHOTS, one_line_apart);
}

#[test]
fn two_databases_that_are_written_in_turn_are_of_one_moment() {
    judged("databases", SNAPSHOTS, one_transfer_apart);
}

#[test]
fn a_git_repository_is_whole_under_commits() {
    judged("commits", SNAPSHOTS, git_is_clean);
}

#[test]
#[ignore = "takes minutes: cargo test --release -p moltbot-supervisor --test supervisor -- --ignored --nocapture moments"]
fn a_hundred_snapshots_under_four_kinds_of_change_are_of_one_moment() {
    judged("appends", 25, one_line_apart);
    judged("databases", 25, one_transfer_apart);
    judged("commits", 25, git_is_clean);
    judged("renames", 25, each_file_once);
}

/// The least, the middle and the most of some milliseconds.
fn spread(mut pauses: Vec<u64>) -> String {
    pauses.sort_unstable();
    if pauses.is_empty() {
        return "no pause".to_owned();
    }
    let middle = pauses.len() / 2;
    format!(
        "{} to {} ms, median {} ms",
        pauses[0],
        pauses[pauses.len() - 1],
        pauses[middle]
    )
}

#[test]
#[ignore = "takes minutes: cargo test --release -p moltbot-supervisor --test supervisor -- --ignored --nocapture moments"]
fn the_pause_is_measured_in_homes_of_several_sizes() {
    /// Snapshots of each.
    const TIMES: usize = 5;
    // With more directories than can be watched, everything is looked at.
    for (what, directories, files, large) in [
        ("10,000 files", 500, 20, 0),
        ("100,000 files", 2_000, 50, 0),
        ("100,000 files in more directories than are watched", 20_000, 5, 0),
        ("1 GB of changes", 1, 20, 1 << 30),
    ] {
        let repository = Repository::start();
        let fixture = settled(&repository);
        for directory in 0..directories {
            let directory = fixture.home.join(format!("many/{}/{directory}", directory % 50));
            std::fs::create_dir_all(&directory).unwrap();
            for file in 0..files {
                std::fs::write(directory.join(file.to_string()), file.to_string()).unwrap();
            }
        }
        hand_over(&fixture.home);
        for kind in ["appends", "databases"] {
            churn(&fixture, kind);
        }
        let (mut pauses, mut several) = (Vec::new(), 0);
        for number in 0..TIMES {
            if large > 0 && number < 2 {
                let length = usize::try_from(large).unwrap();
                std::fs::write(fixture.home.join("large"), noise(number as u64, length)).unwrap();
            }
            let taken = patiently(&fixture);
            pauses.push(taken.pause_ms.unwrap_or(0));
            several += usize::from(!taken.moments.is_empty());
        }
        println!(
            "{what}: {several} of {TIMES} of several moments, {}",
            spread(pauses)
        );
    }
}

/// Whether a process is stopped.
fn is_stopped(pid: u32) -> bool {
    has_state(pid, 'T')
}

/// A bot that stands still because of a snapshot that takes long enough, and the number of its gateway.
fn held(repository: &Repository) -> (Fixture, u32) {
    let fixture = settled(repository);
    churn(&fixture, "in-place");
    let gateway = u32::try_from(fixture.gateway()["pid"].as_u64().unwrap()).unwrap();
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    fixture.wait_for("the bot stands still", || is_stopped(gateway).then_some(()));
    (fixture, gateway)
}

#[test]
fn a_bot_goes_on_when_the_job_that_holds_it_is_killed() {
    let repository = Repository::start();
    let (fixture, gateway) = held(&repository);
    for job in backup_processes(&fixture) {
        kill("KILL", job);
    }
    fixture.wait_for("it goes on", || (!is_stopped(gateway)).then_some(()));
    assert_eq!(fixture.get("/healthz").status, 200);
}

#[test]
fn a_bot_goes_on_after_a_second_when_the_job_that_holds_it_hangs() {
    let repository = Repository::start();
    let (fixture, gateway) = held(&repository);
    let jobs = backup_processes(&fixture);
    for job in &jobs {
        kill("STOP", *job);
    }
    fixture.wait_for("it goes on", || (!is_stopped(gateway)).then_some(()));
    assert_eq!(fixture.get("/healthz").status, 200);
    for job in &jobs {
        kill("CONT", *job);
    }
    // It was not told in time that nothing ran.
    let status = fixture.until("the snapshot is taken", |status| taken(status).len() > 1);
    assert!(!taken(&status)[1].moments.is_empty(), "{:?}", taken(&status));
    // Another one follows by itself.
    fixture.until("another one follows", |status| taken(status).len() > 2);
}
