//! What the tests of a bot's home share: a supervisor with a repository, and what is asked of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use moltworker_core::wire::control::{BackupError, GatewayPhase, Snapshot, Status};
use moltworker_core::wire::job::JobKind;

use crate::disk::Disk;
use crate::fixture::{Answer, Fixture, Setup, TOKEN, ask, kill};
use crate::repository::Repository;
use crate::tree::{listed, without_caches};

/// Snapshots soon after changes, and as many as a test likes.
pub(crate) const QUICK: [(&str, &str); 3] = [
    ("TEST_SNAPSHOT_SETTLE_MS", "50"),
    ("TEST_SNAPSHOT_SPACING_MS", "50"),
    ("TEST_REPOSITORY_PATIENCE_MS", "1000"),
];
/// Snapshots when the test asks for them, after the first.
pub(crate) const ON_DEMAND: [(&str, &str); 3] = [
    ("TEST_SNAPSHOT_SETTLE_MS", "0"),
    ("TEST_SNAPSHOT_SPACING_MS", "600000"),
    ("TEST_REPOSITORY_PATIENCE_MS", "1000"),
];

pub(crate) fn start(repository: &Repository, env: &[(&str, &str)]) -> Fixture {
    Fixture::start(&Setup {
        repository: Some(repository.access()),
        env,
        ..Setup::default()
    })
}

/// The same with its home on a disk of its own, and snapshots when the test asks for them.
pub(crate) fn start_on(disk: &Disk, repository: &Repository) -> Fixture {
    Fixture::start(&Setup {
        repository: Some(repository.access()),
        env: &ON_DEMAND,
        disk: Some(disk.path()),
        ..Setup::default()
    })
}

pub(crate) fn is_ready(status: &Status) -> bool {
    status.phase == GatewayPhase::Ready
}

pub(crate) fn taken(status: &Status) -> &[Snapshot] {
    &status.backup.as_ref().unwrap().taken
}

/// Why the last attempt at something failed.
pub(crate) fn failure(status: &Status, job: JobKind) -> Option<&BackupError> {
    let error = status.backup.as_ref().unwrap().error.as_ref();
    error.filter(|error| error.job == job)
}

/// A bed whose gateway is ready and whose first snapshot is taken.
pub(crate) fn settled(repository: &Repository) -> Fixture {
    let fixture = start(repository, &ON_DEMAND);
    until_settled(&fixture);
    fixture
}

/// Waits until the gateway is ready and the first snapshot of its run is taken.
pub(crate) fn until_settled(fixture: &Fixture) -> Status {
    fixture.until("the first snapshot is taken", |status| {
        let backup = status.backup.as_ref().unwrap();
        is_ready(status) && backup.under_way.is_none() && !backup.taken.is_empty()
    })
}

pub(crate) fn post(fixture: &Fixture, path: &str, body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
    ask(fixture.control, &head, body.as_bytes())
}

/// Takes a snapshot and waits for it.
pub(crate) fn snapshot(fixture: &Fixture) -> Snapshot {
    ordered(fixture, r#"{"reason":"manual"}"#)
}

/// Takes the snapshot that is asked for and waits for it.
pub(crate) fn ordered(fixture: &Fixture, order: &str) -> Snapshot {
    let last = |status: &Status| taken(status).last().map(|snapshot| snapshot.id.clone());
    let before = last(&fixture.status());
    assert_eq!(post(fixture, "/v1/snapshot", order).status, 202);
    let status = fixture.until("the snapshot is taken", |status| last(status) != before);
    taken(&status).last().unwrap().clone()
}

/// Waits for what takes longer than any test may that always runs.
pub(crate) fn in_the_end<T>(fixture: &Fixture, mut look: impl FnMut(&Status) -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60 * 60);
    loop {
        if let Some(found) = look(&fixture.status()) {
            return found;
        }
        assert!(Instant::now() < until, "{}", fixture.output());
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Takes a snapshot of a home for which that takes so long.
pub(crate) fn patiently(fixture: &Fixture) -> Snapshot {
    let last = |status: &Status| taken(status).last().cloned();
    let before = last(&fixture.status());
    let order = post(fixture, "/v1/snapshot", r#"{"reason":"manual"}"#);
    assert_eq!(order.status, 202);
    in_the_end(fixture, |status| {
        last(status).filter(|now| Some(now) != before.as_ref())
    })
}

/// The machine is gone, without a word.
pub(crate) fn lose(mut fixture: Fixture) {
    kill("KILL", fixture.pid());
    fixture.ended();
}

/// What of the home is in a snapshot.
pub(crate) fn home(fixture: &Fixture) -> BTreeMap<String, String> {
    without_caches(listed(&fixture.home))
}

/// What of it is the owner's own: what a running gateway does to its files is its own business.
pub(crate) fn own(fixture: &Fixture) -> BTreeMap<String, String> {
    let mut own = home(fixture);
    own.retain(|path, _| !path.is_empty() && !path.starts_with(".openclaw"));
    own
}

/// The backup processes there are.
pub(crate) fn backup_processes(fixture: &Fixture) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        arguments.unwrap_or_default().ends_with("backup\0")
    };
    fixture.children().into_iter().filter(is_one).collect()
}
