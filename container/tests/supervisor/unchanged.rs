//! A database that has not changed is not copied again, and one that has is, whatever its times say.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use crate::fixture::Fixture;
use crate::kept::{settled, snapshot};
use crate::repository::Repository;
use crate::tree::hand_over;

const DATABASES: u32 = 200;

/// Takes a snapshot; how many databases were copied for it, and how long it took.
fn copied(fixture: &Fixture) -> (u32, Duration) {
    let note = fixture.home.join("note");
    let number: u32 = std::fs::read_to_string(&note).map_or(0, |text| text.parse().unwrap());
    std::fs::write(&note, (number + 1).to_string()).unwrap();
    let begun = Instant::now();
    snapshot(fixture);
    let took = begun.elapsed();
    let output = fixture.output();
    let mut lines = output.lines().rev();
    let count = lines.find_map(|line| {
        let count = line
            .split_once("backup: ")?
            .1
            .strip_suffix(" databases were copied")?;
        count.parse().ok()
    });
    (count.unwrap(), took)
}

/// Waits until this was changed long enough ago for another change to have another time.
#[expect(
    clippy::disallowed_methods,
    reason = "how long ago the test has changed a file"
)]
fn until_settled(fixture: &Fixture, path: &Path) {
    let changed = path.metadata().unwrap().ctime();
    fixture.wait_for("another change has another time", || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        (i64::try_from(now.as_secs()).unwrap() > changed + 3).then_some(())
    });
}

/// What stock restic restores of a row.
fn restored(repository: &Repository, name: &str) -> String {
    let (_target, home) = repository.restored("latest");
    let database = Connection::open(home.join(name)).unwrap();
    let query = "SELECT what FROM notes ORDER BY rowid DESC LIMIT 1";
    database.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_database_is_copied_again_only_once_it_was_written() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let first = fixture.home.join("many-0.sqlite");
    let writer = Connection::open(&first).unwrap();
    writer
        .execute_batch("CREATE TABLE notes(what); INSERT INTO notes VALUES ('at first')")
        .unwrap();
    for number in 1..DATABASES {
        let another = fixture.home.join(format!("many-{number}.sqlite"));
        std::fs::copy(&first, another).unwrap();
    }
    let log = fixture.home.join("log.sqlite");
    let logging = Connection::open(&log).unwrap();
    logging.pragma_update(None, "journal_mode", "WAL").unwrap();
    logging
        .execute_batch("CREATE TABLE notes(what); INSERT INTO notes VALUES ('at first')")
        .unwrap();
    until_settled(&fixture, &log);

    let (all, before) = copied(&fixture);
    assert!(all > DATABASES, "{all}");
    let (none, after) = copied(&fixture);
    println!("{DATABASES} databases: {before:?} when copied, {after:?} when not");
    assert_eq!(none, 0, "{}", fixture.output());
    assert_eq!(restored(&repository, "log.sqlite"), "at first");

    logging
        .execute_batch("INSERT INTO notes VALUES ('into the log')")
        .unwrap();
    // Settled, so that it is compared with what is known of it, and not copied for being too young.
    until_settled(&fixture, &fixture.home.join("log.sqlite-wal"));
    assert_eq!(copied(&fixture).0, 1);
    assert_eq!(restored(&repository, "log.sqlite"), "into the log");
    assert_eq!(copied(&fixture).0, 0);

    // A program sets the time back, and as many bytes are in it as before.
    let stat = first.metadata().unwrap();
    writer
        .execute_batch("UPDATE notes SET what = 'and then'")
        .unwrap();
    let file = std::fs::File::open(&first).unwrap();
    file.set_modified(stat.modified().unwrap()).unwrap();
    let now = first.metadata().unwrap();
    assert_eq!(
        (now.len(), now.mtime(), now.mtime_nsec()),
        (stat.len(), stat.mtime(), stat.mtime_nsec())
    );
    until_settled(&fixture, &first);
    assert_eq!(copied(&fixture).0, 1);
    assert_eq!(restored(&repository, "many-0.sqlite"), "and then");
}

#[test]
fn a_copy_that_the_snapshot_before_does_not_have_costs_the_others_nothing() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let names = ["a.sqlite", "b.sqlite"];
    for name in names {
        let database = Connection::open(fixture.home.join(name)).unwrap();
        database
            .execute_batch("CREATE TABLE notes(what); INSERT INTO notes VALUES ('kept')")
            .unwrap();
    }
    hand_over(&fixture.home);
    until_settled(&fixture, &fixture.home.join("b.sqlite"));
    assert!(copied(&fixture).0 > 1);
    // What is known of one of them is of another length than what the snapshot has.
    let known = fixture.home.with_file_name(".moltbot.databases");
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&known).unwrap()).unwrap();
    text["copies"]["a.sqlite"]["bytes"] = 12_345.into();
    std::fs::write(&known, text.to_string()).unwrap();
    std::fs::write(fixture.home.join("beside"), "it").unwrap();
    let status = snapshot(&fixture);
    assert!(status.lacks.is_empty(), "{:?}", status.lacks);
    for name in names {
        assert_eq!(restored(&repository, name), "kept", "{name}");
    }
    let (_target, home) = repository.restored("latest");
    assert_eq!(std::fs::read_to_string(home.join("beside")).unwrap(), "it");
}
