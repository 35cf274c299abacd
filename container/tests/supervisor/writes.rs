//! A database that is written all the time is whole in every snapshot.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use moltworker_core::backup::job::JobKind;
use rusqlite::{Connection, OpenFlags};

use crate::kept::{failure, post, settled, snapshot, taken};
use crate::repository::Repository;
use crate::tree::hand_over;

/// So many snapshots of so many databases are a hundred copies, each made while it is written. A snapshot of a
/// database of its own each would open the repository a hundred times and more, which is made to take long.
const SNAPSHOTS: usize = 10;
const DATABASES: usize = 10;
/// The rows that are kept; older ones go, so that pages are given back and taken again.
const ROWS: i64 = 400;
const FOLDER: &str = "memory";

/// Each transaction takes from one account what it gives to another: in a torn copy they differ.
const BEGIN: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE taken(number INTEGER PRIMARY KEY, amount, pad);
    CREATE TABLE given(number INTEGER PRIMARY KEY, amount, pad);";

fn transfer(bank: &mut Connection, number: i64) -> rusqlite::Result<()> {
    let transaction = bank.transaction()?;
    let amount = number % 97;
    for table in ["taken", "given"] {
        let add = format!("INSERT INTO {table} VALUES (?1, ?2, randomblob(300))");
        transaction.execute(&add, [number, amount])?;
        transaction.execute(
            &format!("DELETE FROM {table} WHERE number + ?1 <= ?2"),
            [ROWS, number],
        )?;
    }
    transaction.commit()
}

fn name(number: usize) -> String {
    format!("bank-{number}.sqlite")
}

/// What is wrong with the restored databases; nothing when all is well.
fn wrong(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names: BTreeSet<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<_> = (0..DATABASES).map(name).collect();
    if names != expected {
        return vec![format!("not just the databases: {names:?}")];
    }
    names.iter().filter_map(|name| torn(&folder.join(name))).collect()
}

fn torn(restored: &Path) -> Option<String> {
    let bank = Connection::open_with_flags(restored, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sound: String = bank
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    let difference = "SELECT (SELECT count(*) FROM (SELECT number, amount FROM taken EXCEPT SELECT number, amount FROM given)),
        (SELECT count(*) FROM taken) - (SELECT count(*) FROM given), (SELECT count(*) FROM taken)";
    let found: (i64, i64, i64) = bank
        .query_row(difference, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    let well = sound == "ok" && found.0 == 0 && found.1 == 0 && found.2 > 0 && found.2 <= ROWS;
    (!well).then(|| format!("{sound}, {found:?}"))
}

/// Ends what goes on beside it, also when it fails itself.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_hundred_copies_of_databases_under_writes_are_all_consistent() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let folder = fixture.home.join(FOLDER);
    std::fs::create_dir(&folder).unwrap();
    let mut banks: Vec<_> = (0..DATABASES)
        .map(|number| {
            let bank = Connection::open(folder.join(name(number))).unwrap();
            bank.execute_batch(BEGIN).unwrap();
            bank
        })
        .collect();
    hand_over(&fixture.home);

    let (over, transfers) = (AtomicBool::new(false), AtomicI64::new(0));
    let snapshots = Mutex::new(Vec::new());
    let problems = Mutex::new(Vec::new());
    let checked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let number = transfers.fetch_add(1, Ordering::Relaxed);
                for bank in &mut banks {
                    transfer(bank, number).unwrap();
                }
            }
        });
        // Restored while the next one is taken.
        let check = || {
            loop {
                let is_over = over.load(Ordering::Relaxed);
                let next: Option<String> = snapshots.lock().unwrap().pop();
                if let Some(id) = next {
                    let (_target, restored) = repository.restored(&id);
                    let found = wrong(&restored.join(FOLDER));
                    checked.fetch_add(DATABASES, Ordering::Relaxed);
                    let told = found.into_iter().map(|found| format!("{id}: {found}"));
                    problems.lock().unwrap().extend(told);
                } else if is_over {
                    return;
                } else {
                    std::thread::yield_now();
                }
            }
        };
        scope.spawn(check);
        let _ends = Ends(&over);
        for _ in 0..SNAPSHOTS {
            let before = transfers.load(Ordering::Relaxed);
            let taken = snapshot(&fixture);
            assert!(transfers.load(Ordering::Relaxed) > before, "it is being written");
            snapshots.lock().unwrap().push(taken.id.as_str().to_owned());
        }
    });
    assert_eq!(problems.into_inner().unwrap(), [""; 0]);
    assert_eq!(checked.into_inner(), 100);
    repository.restic(&["check"]);
}

#[test]
fn an_uncopyable_database_fails_at_most_three_snapshots() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let path = fixture.home.join("held.sqlite");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE notes(what); INSERT INTO notes VALUES ('kept'); PRAGMA journal_mode = WAL;",
        )
        .unwrap();
    drop(database);
    hand_over(&fixture.home);
    assert_eq!(snapshot(&fixture).raw, [""; 0]);

    // Nobody can open its log, and that is found out at once.
    let log = fixture.home.join("held.sqlite-wal");
    let _ = std::fs::remove_file(&log);
    std::fs::create_dir(&log).unwrap();
    std::fs::write(fixture.home.join("other"), "to be saved").unwrap();
    hand_over(&fixture.home);
    let before = repository.snapshots();
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    for attempt in 1..=3 {
        fixture.until("it says why", |status| {
            failure(status, JobKind::Snapshot).is_some_and(|error| {
                assert!(error.message.contains("held.sqlite: "), "{error:?}");
                error.attempts >= attempt
            })
        });
        assert_eq!(repository.snapshots(), before);
    }
    let status = fixture.until("it is taken all the same", |status| {
        status.backup.as_ref().unwrap().error.is_none()
    });
    let last = taken(&status).last().unwrap();
    assert!(last.raw[0].starts_with("held.sqlite: "), "{last:?}");
    assert_eq!((last.raw.len(), &last.suspicious), (1, &None));
    let (_target, restored) = repository.restored(last.id.as_str());
    assert_eq!(
        std::fs::read(restored.join("held.sqlite")).unwrap(),
        std::fs::read(&path).unwrap()
    );
    assert_eq!(
        std::fs::read_to_string(restored.join("other")).unwrap(),
        "to be saved"
    );

    // As soon as it can be copied it is, and its loss is one all the while.
    std::fs::remove_dir(&log).unwrap();
    let copied = snapshot(&fixture);
    assert_eq!((copied.raw.len(), copied.suspicious), (0, None));
}
