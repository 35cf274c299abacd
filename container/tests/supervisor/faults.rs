//! What can go wrong with a repository or a disk: nothing starts on half a home, nothing is written that refers to
//! what is missing, and it is said why.

use std::time::{Duration, Instant};

use moltworker_core::wire::control::GatewayPhase;
use moltworker_core::wire::job::JobKind;

use crate::disk::Disk;
use crate::fixture::{Fixture, Setup};
use crate::kept::{
    QUICK, failure, home, is_ready, lose, own, post, settled, snapshot, start, start_on, taken, until_settled,
};
use crate::repository::{Fault, MAINTAIN, Repository, What};
use crate::tree::{assert_same, furnish, hand_over, listed, noise, without_caches};

/// Larger than a pack, so that some go well before one goes wrong.
const CHANGE: usize = 9_000_000;
/// So many fixtures are waited for at the same time.
const SIDE_BY_SIDE: usize = 6;
/// How long a job may go without progress. Deriving a repository's key, half a second of a core, is the longest it says
/// nothing, and a backup process gets a fortieth of a core beside a few builds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an answer takes that is slow, and nothing worse: the eight in a row that a snapshot takes are slower together
/// than a job may hang.
const SLOW: Duration = Duration::from_secs(5);

#[test]
fn a_faulted_snapshot_is_discarded_and_the_next_one_is_complete() {
    let pack_after_the_first = Fault {
        after: 1,
        ..Fault::always("POST", "data/", What::Status(500))
    };
    let always = Fault::always;
    let cases = [
        ("500 for packs", always("POST", "data/", What::Status(500))),
        ("500 for the second pack", pack_after_the_first),
        ("no room for packs", always("POST", "data/", What::Status(507))),
        ("403 for packs", always("POST", "data/", What::Status(403))),
        ("no answer to packs", always("POST", "data/", What::Hang)),
        ("500 for the index", always("POST", "index/", What::Status(500))),
        ("500 for it", always("POST", "snapshots/", What::Status(500))),
        ("a corrupt index", always("GET", "index/", What::Corrupt)),
        ("a truncated index", always("GET", "index/", What::Truncate)),
        (
            "an empty list of snapshots",
            always("GET", "snapshots/", What::Empty),
        ),
        (
            "a corrupt snapshot before it",
            always("GET", "snapshots/", What::Corrupt),
        ),
        (
            "corrupt trees of the one before it",
            always("GET", "data/", What::Corrupt),
        ),
        (
            "404 for trees of the one before it",
            always("GET", "data/", What::Status(404)),
        ),
        ("404 for the config", always("GET", "config", What::Status(404))),
        ("404 for everything", always("", "", What::Status(404))),
        ("an expired token", always("POST", "token", What::Status(401))),
    ];
    // Most of it is waiting for the next attempt.
    for some in cases.chunks(SIDE_BY_SIDE) {
        std::thread::scope(|scope| {
            for (what, fault) in some {
                scope.spawn(|| snapshot_with(what, fault.clone()));
            }
        });
    }
}

fn snapshot_with(what: &str, fault: Fault) {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    snapshot(&fixture);
    std::fs::write(fixture.home.join("change.bin"), noise(7, CHANGE)).unwrap();
    hand_over(&fixture.home);
    // As on a machine that could not keep them: the trees of the one before are read.
    std::fs::remove_file(fixture.home.with_file_name(".moltbot.trees")).unwrap();
    let (before, gateway) = (repository.snapshots(), fixture.status().gateway_pid);
    repository.break_with(fault);
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    let status = fixture.until(what, |status| failure(status, JobKind::Snapshot).is_some());
    assert!(!failure(&status, JobKind::Snapshot).unwrap().message.is_empty());
    assert_eq!(
        (status.phase, status.gateway_pid, repository.snapshots()),
        (GatewayPhase::Ready, gateway, before),
        "{what}"
    );
    repository.mend();
    let taken_before = taken(&status).len();
    let status = fixture.until(&format!("a snapshot is taken after {what}"), |status| {
        taken(status).len() > taken_before
    });
    assert_eq!(status.backup.unwrap().error, None, "{what}");
    repository.restic(&["check", "--read-data"]);
    let (_target, restored) = repository.restored("latest");
    assert_same(&without_caches(listed(&restored)), &home(&fixture));
}

#[test]
fn a_stalled_backup_job_is_killed_and_a_slow_one_is_not() {
    let snapshot = r#"{"reason":"manual"}"#.to_owned();
    let maintenance = format!(r#"{{"token":"{MAINTAIN}"}}"#);
    // Most of it is waiting for what does not come.
    std::thread::scope(|scope| {
        scope.spawn(a_slow_snapshot_is_taken);
        scope.spawn(|| a_stalled_job_is_killed(JobKind::Snapshot, "/v1/snapshot", &snapshot));
        scope.spawn(|| a_stalled_job_is_killed(JobKind::Maintain, "/v1/maintain", &maintenance));
    });
}

/// A fixture whose jobs may go without progress for [`PATIENCE`], with something to save.
fn impatient(repository: &Repository) -> Fixture {
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        env: &[
            ("TEST_SNAPSHOT_SETTLE_MS", "0"),
            ("TEST_SNAPSHOT_SPACING_MS", "600000"),
            ("TEST_JOB_PATIENCE_MS", &PATIENCE.as_millis().to_string()),
        ],
        ..Setup::default()
    });
    until_settled(&fixture);
    furnish(&fixture.home);
    fixture
}

fn a_slow_snapshot_is_taken() {
    let repository = Repository::start();
    let fixture = impatient(&repository);
    repository.break_with(Fault::always("", "", What::Late(SLOW)));
    let begun = Instant::now();
    snapshot(&fixture);
    let took = begun.elapsed();
    assert!(took > PATIENCE, "{took:?} is no longer than it may hang");
    assert!(!fixture.output().contains("no progress"), "{}", fixture.output());
    repository.mend();
}

fn a_stalled_job_is_killed(kind: JobKind, path: &str, order: &str) {
    let repository = Repository::start();
    let fixture = impatient(&repository);
    repository.break_with(Fault::always("GET", "index/", What::Hang));
    assert_eq!(post(&fixture, path, order).status, 202);
    let status = fixture.until("it is ended", |status| failure(status, kind).is_some());
    let message = &failure(&status, kind).unwrap().message;
    assert!(message.contains("no progress for 30 s"), "{message}");
    assert_eq!(status.phase, GatewayPhase::Ready);
    repository.mend();
    if kind == JobKind::Maintain {
        // That is not tried again by itself.
        assert_eq!(post(&fixture, path, order).status, 202);
    }
    let before = taken(&status).len();
    let status = fixture.until("it is done after all", |status| {
        let backup = status.backup.as_ref().unwrap();
        match kind {
            JobKind::Maintain => backup.maintained.is_some(),
            _ => backup.taken.len() > before,
        }
    });
    let backup = status.backup.unwrap();
    assert_eq!((backup.error, backup.under_way), (None, None), "{kind:?}");
}

#[test]
fn a_lost_repository_response_is_requested_again() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    for path in ["data/", "index/", "snapshots/", "token"] {
        repository.break_with(Fault {
            times: 1,
            ..Fault::always("POST", path, What::Lost)
        });
    }
    let before = repository.snapshots();
    snapshot(&fixture);
    assert_eq!(repository.snapshots(), before + 1);
    assert_eq!(fixture.status().backup.unwrap().error, None);
    repository.restic(&["check", "--read-data"]);
}

#[test]
fn a_failed_first_snapshot_is_retried_as_soon_as_possible() {
    let repository = Repository::start();
    repository.break_with(Fault::always("POST", "snapshots/", What::Status(500)));
    let fixture = start(&repository, &QUICK);
    fixture.until("it says why", |status| {
        is_ready(status) && failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(repository.snapshots(), 0);
    let stored = |kind: &str| repository.objects().iter().any(|path| path.starts_with(kind));
    assert!(stored("index/"), "all but the snapshot itself was stored");
    repository.mend();
    let status = until_settled(&fixture);
    assert_eq!(status.backup.unwrap().error, None);
    repository.restic(&["check", "--read-data"]);
}

#[test]
fn a_disk_too_small_for_the_home_prevents_gateway_start() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    let expected = home(&fixture);
    snapshot(&fixture);
    lose(fixture);
    for (what, too_small, large_enough, said) in [
        ("too few bytes", "size=2m", "size=200m", "bytes free"),
        // Nothing tells beforehand: it ends in the middle.
        (
            "too few files",
            "size=200m,nr_inodes=100",
            "size=200m,nr_inodes=10000",
            "No space left",
        ),
    ] {
        let Some(disk) = Disk::mount(too_small) else {
            return;
        };
        let fixture = start_on(&disk, &repository);
        let status = fixture.until(what, |status| failure(status, JobKind::Restore).is_some());
        let message = &failure(&status, JobKind::Restore).unwrap().message;
        assert!(message.contains(said), "{what}: {message}");
        assert_eq!(
            (status.phase, status.gateway_pid),
            (GatewayPhase::Restoring, None),
            "{what}"
        );
        disk.remount(large_enough);
        fixture.until("there is room", is_ready);
        let mut found = home(&fixture);
        let mut expected = expected.clone();
        for own in [&mut found, &mut expected] {
            own.retain(|path, _| !path.starts_with(".openclaw"));
        }
        assert_same(&found, &expected);
    }
}

#[test]
fn a_home_that_nearly_fills_its_disk_comes_back_on_one_of_that_size() {
    // Less stays free than is kept free beside a home that is there.
    let disk = || Disk::mount("size=40m");
    let (Some(first), Some(second)) = (disk(), disk()) else {
        return;
    };
    let repository = Repository::start();
    let fixture = start_on(&first, &repository);
    until_settled(&fixture);
    std::fs::write(fixture.home.join("large"), noise(11, 30_000_000)).unwrap();
    hand_over(&fixture.home);
    let expected = own(&fixture);
    snapshot(&fixture);
    lose(fixture);
    let fixture = start_on(&second, &repository);
    fixture.until("it is restored", |status| {
        is_ready(status) || failure(status, JobKind::Restore).is_some()
    });
    let status = fixture.status();
    assert_eq!(failure(&status, JobKind::Restore), None);
    assert_same(&own(&fixture), &expected);
}

#[test]
fn a_full_disk_fails_the_snapshot_and_loses_no_stored_one() {
    let Some(disk) = Disk::mount("size=200m") else {
        return;
    };
    let repository = Repository::start();
    let fixture = start_on(&disk, &repository);
    until_settled(&fixture);
    let database = rusqlite::Connection::open(fixture.home.join("memory.sqlite")).unwrap();
    let fill = "CREATE TABLE memories(what); INSERT INTO memories VALUES (randomblob(4000000));";
    database.execute_batch(fill).unwrap();
    hand_over(&fixture.home);
    let before = repository.snapshots();
    // The copy of a database needs room of its own.
    let ballast = disk.fill();
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    let status = fixture.until("it says why", |status| {
        failure(status, JobKind::Snapshot).is_some()
    });
    let message = &failure(&status, JobKind::Snapshot).unwrap().message;
    assert!(message.contains("memory.sqlite"), "{message}");
    assert_eq!(repository.snapshots(), before);
    assert_eq!(status.phase, GatewayPhase::Ready);
    std::fs::remove_file(ballast).unwrap();
    let count = taken(&status).len();
    fixture.until("there is room", |status| taken(status).len() > count);
    repository.restic(&["check", "--read-data"]);
    let (_target, restored) = repository.restored("latest");
    let restored = rusqlite::Connection::open(restored.join("memory.sqlite")).unwrap();
    let bytes = restored.query_row("SELECT length(what) FROM memories", [], |row| row.get(0));
    assert_eq!(bytes, Ok(4_000_000));
}
