//! What the tests of a bot's home share: a supervisor with a repository, and what is asked of it.

use std::collections::BTreeMap;

use moltworker_core::wire::control::{BackupError, Doing, GatewayPhase, Snapshot, Status};

use crate::bed::{Answer, Bed, Setup, TOKEN, ask, kill};
use crate::repository::Repository;
use crate::tree::{listed, without_caches};

/// Snapshots soon after changes, and as many as a test likes.
pub(crate) const QUICK: [(&str, &str); 3] = [
    ("MOLTBOT_SNAPSHOT_SETTLE_MS", "50"),
    ("MOLTBOT_SNAPSHOT_SPACING_MS", "50"),
    ("MOLTBOT_REPOSITORY_PATIENCE_MS", "1000"),
];
/// Snapshots when the test asks for them, after the first.
pub(crate) const ON_DEMAND: [(&str, &str); 3] = [
    ("MOLTBOT_SNAPSHOT_SETTLE_MS", "0"),
    ("MOLTBOT_SNAPSHOT_SPACING_MS", "600000"),
    ("MOLTBOT_REPOSITORY_PATIENCE_MS", "1000"),
];

pub(crate) fn start(repository: &Repository, env: &[(&str, &str)]) -> Bed {
    Bed::start(&Setup {
        repository: Some(repository.access()),
        env,
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
pub(crate) fn failure(status: &Status, doing: Doing) -> Option<&BackupError> {
    let error = status.backup.as_ref().unwrap().error.as_ref();
    error.filter(|error| error.doing == doing)
}

/// A bed whose gateway is ready and whose first snapshot is taken.
pub(crate) fn settled(repository: &Repository) -> Bed {
    let bed = start(repository, &ON_DEMAND);
    until_settled(&bed);
    bed
}

/// Waits until the gateway is ready and the first snapshot of its run is taken.
pub(crate) fn until_settled(bed: &Bed) -> Status {
    bed.until("the first snapshot is taken", |status| {
        let backup = status.backup.as_ref().unwrap();
        is_ready(status) && backup.under_way.is_none() && !backup.taken.is_empty()
    })
}

pub(crate) fn post(bed: &Bed, path: &str, body: &str) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
    ask(bed.control, &head, body.as_bytes())
}

/// Takes a snapshot and waits for it.
pub(crate) fn snapshot(bed: &Bed) -> Snapshot {
    ordered(bed, r#"{"reason":"manual"}"#)
}

/// Takes the snapshot that is asked for and waits for it.
pub(crate) fn ordered(bed: &Bed, order: &str) -> Snapshot {
    let last = |status: &Status| taken(status).last().map(|snapshot| snapshot.id.clone());
    let before = last(&bed.status());
    assert_eq!(post(bed, "/v1/snapshot", order).status, 202);
    let status = bed.until("the snapshot is taken", |status| last(status) != before);
    taken(&status).last().unwrap().clone()
}

/// The machine is gone, without a word.
pub(crate) fn lose(mut bed: Bed) {
    kill("KILL", bed.pid());
    bed.ended();
}

/// What of the home is in a snapshot.
pub(crate) fn home(bed: &Bed) -> BTreeMap<String, String> {
    without_caches(listed(&bed.home))
}

/// What of it is the owner's own: what a running gateway does to its files is its own business.
pub(crate) fn own(bed: &Bed) -> BTreeMap<String, String> {
    let mut own = home(bed);
    own.retain(|path, _| !path.is_empty() && !path.starts_with(".openclaw"));
    own
}

/// The backup processes there are.
pub(crate) fn errands(bed: &Bed) -> Vec<u32> {
    let is_one = |pid: &u32| {
        let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        arguments.unwrap_or_default().ends_with("backup\0")
    };
    bed.children().into_iter().filter(is_one).collect()
}
