//! Another version of the gateway is about to use a home.

use moltworker_core::wire::control::{SNAPSHOTS_PATH, Snapshot, SnapshotReason};
use moltworker_core::wire::job::JobKind;

use crate::fixture::{Fixture, authorised};
use crate::kept::{failure, is_ready, lose, post, settled, snapshot, start};
use crate::repository::{Fault, Repository, What};

/// What the fake gateway says of itself.
const OLD: &str = "2026.0.0-fake";
const NEW: &str = "2027.1.0";

/// Starts a run in whose image that version is installed. It takes no snapshot by itself meanwhile.
fn run(repository: &Repository, version: &str) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package.json");
    std::fs::write(
        &package,
        format!(r#"{{"name":"openclaw","version":"{version}"}}"#),
    )
    .unwrap();
    let env = [
        ("TEST_GATEWAY_PACKAGE", package.to_str().unwrap()),
        ("TEST_SNAPSHOT_SETTLE_MS", "600000"),
    ];
    let fixture = start(repository, &env);
    fixture.until("it is ready", is_ready);
    fixture
}

fn marked(fixture: &Fixture) -> Vec<Snapshot> {
    let answer = authorised(fixture, &format!("GET {SNAPSHOTS_PATH}"));
    let all: Vec<Snapshot> = serde_json::from_slice(&answer.body).unwrap();
    let marked = all.into_iter();
    marked
        .filter(|snapshot| snapshot.reason == Some(SnapshotReason::BeforeUpgrade))
        .collect()
}

#[test]
fn a_snapshot_is_taken_before_a_newer_gateway_version_starts() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("note"), "by the old one").unwrap();
    let last = snapshot(&fixture);
    assert_eq!(last.gateway_version.as_deref(), Some(OLD));
    lose(fixture);

    let same = run(&repository, OLD);
    assert_eq!(marked(&same), []);
    lose(same);

    // Lost twice before it saved anything: that makes no second one.
    for _ in 0..2 {
        let upgraded = run(&repository, NEW);
        let [kept]: [Snapshot; 1] = marked(&upgraded).try_into().unwrap();
        assert_eq!(kept.gateway_version.as_deref(), Some(OLD));
        assert_eq!(kept.amount, last.amount);
        assert_ne!(kept.id, last.id);
        lose(upgraded);
    }
    repository.restic(&["check", "--read-data"]);
    let (_target, restored) = repository.restored("latest");
    assert_eq!(
        std::fs::read_to_string(restored.join("note")).unwrap(),
        "by the old one"
    );
}

#[test]
fn a_failed_pre_upgrade_snapshot_prevents_the_restore() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("note"), "by the old one").unwrap();
    let older = snapshot(&fixture);
    lose(fixture);
    let fixture = run(&repository, NEW);
    std::fs::write(fixture.home.join("note"), "by the new one").unwrap();
    // What there is now is saved first, and that goes well.
    repository.break_with(Fault {
        after: 1,
        ..Fault::always("POST", "snapshots/", What::Status(403))
    });
    let order = format!("{{\"snapshot\":\"{}\"}}", older.id);
    assert_eq!(post(&fixture, "/v1/restore", &order).status, 202);
    let status = fixture.until("it is not brought back", |status| {
        is_ready(status) && failure(status, JobKind::Restore).is_some()
    });
    let message = &failure(&status, JobKind::Restore).unwrap().message;
    assert!(message.contains("before an upgrade"), "{message}");
    assert_eq!(
        std::fs::read_to_string(fixture.home.join("note")).unwrap(),
        "by the new one"
    );
    lose(fixture);
}
