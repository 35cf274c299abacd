//! Whatever is saved comes back: odd times, long paths, holes, attributes, links of links; and taking a snapshot changes
//! nothing.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags, linkat, utimensat};
use serde_json::json;

use crate::disk::Disk;
use crate::fixture::{Fixture, Setup};
use crate::kept::{ON_DEMAND, is_ready, lose, settled, snapshot, start, until_settled};
use crate::maintenance::maintain;
use crate::repository::{Fault, Repository, What};
use crate::tree::{hand_over, noise};

/// The longest path the kernel takes, the end of the text not counted.
const MAX_PATH: usize = 4_095;
const GIB: u64 = 1 << 30;
/// Packs of noise that are uploaded while the logs are written.
const NOISE: usize = 40_000_000;

pub(crate) fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn time(path: &Path) -> (i64, i64) {
    let stat = std::fs::symlink_metadata(path).unwrap();
    (stat.mtime(), stat.mtime_nsec())
}

/// The machine is gone; what the next one's home is once its gateway is ready.
fn reborn(fixture: Fixture, repository: &Repository) -> Fixture {
    lose(fixture);
    let fixture = start(repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    fixture
}

#[test]
fn times_before_1970_come_back() {
    // 1969-07-20 02:56:15.5 UTC, half a second and a nanosecond before 1970, and what is old and whole.
    let times = [
        ("moon", -14_159_025, 500_000_000),
        ("half", -1, 500_000_000),
        ("least", -1, 999_999_999),
        ("whole", -86_400, 0),
        ("directory", -3, 1),
        ("link", -7, 250_000_000),
    ];
    let repository = Repository::start();
    let fixture = settled(&repository);
    for (name, _, _) in times {
        let path = fixture.home.join(name);
        match name {
            "directory" => std::fs::create_dir(path).unwrap(),
            "link" => std::os::unix::fs::symlink("moon", path).unwrap(),
            _ => std::fs::write(path, name).unwrap(),
        }
    }
    hand_over(&fixture.home);
    for (name, seconds, nanoseconds) in times {
        set_time(&fixture.home.join(name), seconds, nanoseconds);
    }
    let id = snapshot(&fixture).id;
    let (_target, stock) = repository.restored(id.as_str());
    let fixture = reborn(fixture, &repository);
    for (name, seconds, nanoseconds) in times {
        assert_eq!(time(&fixture.home.join(name)), (seconds, nanoseconds), "{name}");
        assert_eq!(
            time(&stock.join(name)),
            (seconds, nanoseconds),
            "{name}, by restic"
        );
    }
    let report = fixture.status().backup.unwrap().restored.unwrap();
    assert_eq!((report.mismatches, report.unset.total), (0, 0), "{report:?}");
}

#[test]
fn a_time_that_cannot_be_set_is_named_and_stops_no_restore() {
    // The year 2500 fits into memory, not into what most disks have for it.
    let seconds = 16_725_225_600;
    let Some(disk) = Disk::mount("size=100m") else {
        return;
    };
    let repository = Repository::start();
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        env: &ON_DEMAND,
        disk: Some(disk.path()),
        ..Setup::default()
    });
    until_settled(&fixture);
    std::fs::write(fixture.home.join("future"), "far away").unwrap();
    hand_over(&fixture.home);
    set_time(&fixture.home.join("future"), seconds, 0);
    snapshot(&fixture);
    let fixture = reborn(fixture, &repository);
    let future = fixture.home.join("future");
    assert_eq!(std::fs::read_to_string(&future).unwrap(), "far away");
    let unset = fixture.status().backup.unwrap().restored.unwrap().unset;
    if time(&future).0 == seconds {
        assert!(unset.is_empty(), "{unset:?}");
    } else {
        assert_eq!((unset.total, unset.first.len()), (1, 1), "{unset:?}");
        assert!(
            unset.first[0].contains("future") && unset.first[0].contains("time"),
            "{unset:?}"
        );
    }
}

#[test]
fn the_longest_path_a_home_can_have_comes_back() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let mut path = fixture.home.clone();
    // The last name is as long as is left, and never too short or too long for one.
    while path.as_os_str().len() + 1 + 400 < MAX_PATH {
        path.push("d".repeat(200));
    }
    let left = MAX_PATH - path.as_os_str().len() - 2;
    path.push("e".repeat(left / 2));
    path.push("f".repeat(left - left / 2));
    assert_eq!(path.as_os_str().len(), MAX_PATH);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "at the end").unwrap();
    hand_over(&fixture.home);
    set_time(&path, 1_000_000_000, 5);
    let below = path.strip_prefix(&fixture.home).unwrap().to_owned();
    let taken = snapshot(&fixture);
    assert!(taken.lacks.is_empty(), "{:?}", taken.lacks);
    let fixture = reborn(fixture, &repository);
    let path = fixture.home.join(below);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "at the end");
    assert_eq!(time(&path), (1_000_000_000, 5));
}

#[test]
fn holes_come_back_as_holes_on_a_disk_with_room_for_the_rest() {
    let (Some(first), Some(second)) = (Disk::mount("size=150m"), Disk::mount("size=150m")) else {
        return;
    };
    let repository = Repository::start();
    let on = |disk: &Disk| {
        Fixture::start(&Setup {
            repository: Some(repository.access()),
            env: &ON_DEMAND,
            disk: Some(disk.path()),
            ..Setup::default()
        })
    };
    let fixture = on(&first);
    until_settled(&fixture);
    let write = |home: &Path| {
        let sparse = std::fs::File::create(home.join("sparse")).unwrap();
        sparse.set_len(GIB).unwrap();
        sparse.write_all_at(b"begin", 0).unwrap();
        sparse.write_all_at(&noise(5, 1_000_000), GIB / 2).unwrap();
        std::fs::File::create(home.join("all-hole"))
            .unwrap()
            .set_len(GIB / 8)
            .unwrap();
        hand_over(home);
    };
    write(&fixture.home);
    let taken = snapshot(&fixture);
    assert!(taken.amount.bytes > GIB, "{taken:?}");
    assert!(taken.disk_bytes.unwrap() < 10_000_000, "{taken:?}");
    lose(fixture);
    let fixture = on(&second);
    let status = fixture.until("it is ready", is_ready);
    let report = status.backup.unwrap().restored.unwrap();
    assert_eq!(report.amount, taken.amount);
    assert!(report.disk_bytes.unwrap() < 10_000_000, "{report:?}");
    let found = std::fs::metadata(fixture.home.join("sparse")).unwrap();
    assert_eq!(found.len(), GIB);
    assert!(found.blocks() * 512 < 2_000_000, "{} blocks", found.blocks());
    let sparse = std::fs::File::open(fixture.home.join("sparse")).unwrap();
    let mut middle = vec![0; 1_000_000];
    sparse.read_exact_at(&mut middle, GIB / 2).unwrap();
    assert_eq!(middle, noise(5, 1_000_000));
    let hole = std::fs::metadata(fixture.home.join("all-hole")).unwrap();
    assert_eq!((hole.len(), hole.blocks()), (GIB / 8, 0));
}

#[test]
fn stock_restic_accepts_a_snapshot_of_files_that_change_size_meanwhile() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    // The logs come after it and wait for their turn while it is sent.
    std::fs::write(fixture.home.join("large.bin"), noise(11, NOISE)).unwrap();
    for log in ["log-grows", "log-shrinks", "log-small"] {
        std::fs::write(fixture.home.join(log), noise(12, 1_000_000)).unwrap();
    }
    hand_over(&fixture.home);
    repository.break_with(Fault::always(
        "POST",
        "data/",
        What::Late(Duration::from_millis(200)),
    ));
    let over = AtomicBool::new(false);
    let id = std::thread::scope(|scope| {
        scope.spawn(|| {
            let open = |name: &str| {
                let options = std::fs::File::options()
                    .append(true)
                    .open(fixture.home.join(name));
                options.unwrap()
            };
            let (mut grows, mut shrinks, small) = (open("log-grows"), open("log-shrinks"), open("log-small"));
            let mut round: u64 = 0;
            while !over.load(Ordering::Relaxed) {
                round += 1;
                grows.write_all(b"one more line\n").unwrap();
                small.set_len(round % 3_000).unwrap();
                let length = shrinks.seek(SeekFrom::End(0)).unwrap();
                if length < 400_000 {
                    shrinks.write_all(&noise(13, 900_000)).unwrap();
                } else {
                    shrinks.set_len(length - 1_000).unwrap();
                }
            }
        });
        let id = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| snapshot(&fixture).id));
        over.store(true, Ordering::Relaxed);
        id.unwrap()
    });
    repository.mend();
    let target = tempfile::tempdir().unwrap();
    let to = target.path().to_str().unwrap();
    // It fails with the first file that is not as long as is said of it.
    repository.restic(&["restore", id.as_str(), "--verify", "--target", to]);
    let restored = target.path().join("data/moltbot");
    for log in ["log-grows", "log-shrinks", "log-small"] {
        assert!(restored.join(log).is_file(), "{log}");
    }
    let grown = std::fs::read(restored.join("log-grows")).unwrap();
    assert_eq!(grown[..1_000_000], noise(12, 1_000_000));
}

/// Everything about everything in a directory but when it was read.
fn exactly(directory: &Path) -> BTreeMap<PathBuf, String> {
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: BTreeMap<_, _> = entries
        .map(|path| {
            let stat = std::fs::symlink_metadata(&path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let seen = (
                stat.ino(),
                stat.mode(),
                stat.mtime(),
                stat.mtime_nsec(),
                stat.ctime(),
                stat.ctime_nsec(),
            );
            (path, format!("{seen:?} {bytes:?}"))
        })
        .collect();
    all.insert(directory.to_owned(), format!("{:?}", time(directory)));
    all
}

fn copy(directory: &Path, from: &str, to: &str, suffixes: &[&str]) {
    for suffix in suffixes {
        let from = directory.join(format!("{from}{suffix}"));
        std::fs::copy(from, directory.join(format!("{to}{suffix}"))).unwrap();
    }
}

#[test]
fn reading_databases_changes_nothing_in_the_home() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let odd = fixture.home.join("odd");
    std::fs::create_dir(&odd).unwrap();
    // Shorter than any database, with something beside it that is nobody's log.
    std::fs::write(odd.join("fake.sqlite"), b"SQLite format 3\0not really").unwrap();
    std::fs::write(odd.join("fake.sqlite-wal"), b"somebody's own").unwrap();
    // What a killed program leaves: rows in the log only, with the shared memory and without.
    let building = tempfile::tempdir().unwrap();
    let live = Connection::open(building.path().join("live.sqlite")).unwrap();
    live.pragma_update(None, "journal_mode", "WAL").unwrap();
    live.execute_batch("CREATE TABLE notes(what); INSERT INTO notes VALUES ('in the log');")
        .unwrap();
    copy(building.path(), "live.sqlite", "left.sqlite", &["", "-wal"]);
    copy(
        building.path(),
        "live.sqlite",
        "stale.sqlite",
        &["", "-wal", "-shm"],
    );
    // A transaction that was cut off: half of it is in the database, and what undoes it in the journal.
    let torn = Connection::open(building.path().join("torn.sqlite")).unwrap();
    torn.execute_batch(
        "CREATE TABLE numbers(n, pad); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500)
         INSERT INTO numbers SELECT 0, randomblob(1000) FROM c;
         PRAGMA cache_size = 5; BEGIN; UPDATE numbers SET n = 1, pad = randomblob(1000);",
    )
    .unwrap();
    copy(building.path(), "torn.sqlite", "hot.sqlite", &["", "-journal"]);
    // In the mode of the log, and closed well.
    let closed = Connection::open(building.path().join("closed.sqlite")).unwrap();
    closed.pragma_update(None, "journal_mode", "WAL").unwrap();
    closed
        .execute_batch("CREATE TABLE notes(what); INSERT INTO notes VALUES ('closed');")
        .unwrap();
    closed.close().unwrap();
    let names = [
        "left.sqlite",
        "left.sqlite-wal",
        "stale.sqlite",
        "stale.sqlite-wal",
        "hot.sqlite",
        "hot.sqlite-journal",
        "closed.sqlite",
    ];
    for name in names {
        std::fs::copy(building.path().join(name), odd.join(name)).unwrap();
    }
    hand_over(&fixture.home);
    let before = exactly(&odd);
    let id = snapshot(&fixture).id;
    let after = exactly(&odd);
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (path, what) in &before {
        assert!(after[path] == *what, "{} is another one", path.display());
    }
    let (_target, restored) = repository.restored(id.as_str());
    let restored = restored.join("odd");
    let read = |name: &str| std::fs::read(restored.join(name)).unwrap();
    assert_eq!(read("fake.sqlite"), b"SQLite format 3\0not really");
    assert_eq!(read("fake.sqlite-wal"), b"somebody's own");
    let answer = |name: &str, query: &str| -> String {
        let database = Connection::open(restored.join(name)).unwrap();
        let sound: String = database
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok", "{name}");
        database.query_row(query, [], |row| row.get(0)).unwrap()
    };
    for name in ["left.sqlite", "stale.sqlite"] {
        assert_eq!(answer(name, "SELECT what FROM notes"), "in the log", "{name}");
    }
    assert_eq!(answer("closed.sqlite", "SELECT what FROM notes"), "closed");
    assert_eq!(
        answer("hot.sqlite", "SELECT count(*) || ' ' || sum(n) FROM numbers"),
        "500 0"
    );
}

#[test]
fn attributes_and_links_of_links_come_back() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let home = fixture.home.clone();
    std::fs::create_dir(home.join("folder")).unwrap();
    std::fs::write(home.join("file"), "content").unwrap();
    std::os::unix::fs::symlink("nowhere", home.join("link")).unwrap();
    linkat(
        CWD,
        home.join("link"),
        CWD,
        home.join("folder/same-link"),
        AtFlags::empty(),
    )
    .unwrap();
    hand_over(&home);
    let long = noise(9, 2_000);
    let attributes: [(&str, &str, &[u8]); 4] = [
        ("file", "user.note", b"a word"),
        ("file", "user.empty", b""),
        ("file", "user.binary", &long),
        ("folder", "user.of-a-folder", b"\x00\xff"),
    ];
    for (name, attribute, value) in attributes {
        rustix::fs::setxattr(home.join(name), attribute, value, XattrFlags::empty()).unwrap();
    }
    let taken = snapshot(&fixture);
    let (_target, stock) = repository.restored(taken.id.as_str());
    let fixture = reborn(fixture, &repository);
    for (name, attribute, value) in attributes {
        for home in [&fixture.home, &stock] {
            let mut found = vec![0; 4_096];
            let length = rustix::fs::getxattr(home.join(name), attribute, &mut found).unwrap();
            assert_eq!(&found[..length], value, "{attribute}");
        }
    }
    let stat = |name: &str| std::fs::symlink_metadata(fixture.home.join(name)).unwrap();
    let (one, other) = (stat("link"), stat("folder/same-link"));
    assert!(one.is_symlink());
    assert_eq!((one.ino(), one.nlink()), (other.ino(), 2));
    let report = fixture.status().backup.unwrap().restored.unwrap();
    assert!(report.unset.is_empty(), "{:?}", report.unset);
}

#[test]
fn a_drill_rehearses_the_release_of_leases_and_the_swap() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let state = fixture.home.join(".openclaw/state");
    std::fs::create_dir_all(&state).unwrap();
    let database = Connection::open(state.join("openclaw.sqlite")).unwrap();
    let begin = "CREATE TABLE state_leases(scope, owner);
        INSERT INTO state_leases VALUES ('gateway-owner', 'a'), ('b', 'c'), ('d', 'e');";
    database.execute_batch(begin).unwrap();
    hand_over(&fixture.home);
    let taken = snapshot(&fixture);
    let report = maintain(&fixture, json!({"drill": true}));
    let drill = report.drill.unwrap();
    assert_eq!(drill.snapshot, Some(taken.id));
    assert_eq!((report.problems.len(), drill.unset.total), (0, 0), "{drill:?}");
    let output = fixture.output();
    assert!(
        output.contains("3 leases of the gateway before this one are released"),
        "{output}"
    );
    // The bot's own are still there, and so is its home.
    let left: i64 = database
        .query_row("SELECT count(*) FROM state_leases", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 3);
    assert!(!fixture.home.join("../.moltbot.scratch").exists());
}
