//! An older state of the home is brought back, and a loss is not taken for the newest state.

use std::collections::BTreeMap;
use std::path::Path;

use moltworker_core::wire::control::{Snapshot, SnapshotReason, Status};
use moltworker_core::wire::job::JobKind;

use crate::fixture::{Fixture, authorised, kill};
use crate::kept::{
    ON_DEMAND, backup_processes, failure, is_ready, lose, ordered, own, post, restored_from, settled,
    snapshot, start, until_settled,
};
use crate::losses::{damage, database};
use crate::repository::{Fault, Repository, What};
use crate::tree::{assert_same, furnish, hand_over, noise};

/// Files whose removal takes some tenths of a second.
const LONG_TO_REMOVE: u32 = 40_000;

fn restore(fixture: &Fixture, id: &str) {
    let order = format!("{{\"snapshot\":\"{id}\"}}");
    assert_eq!(post(fixture, "/v1/restore", &order).status, 202);
}

/// The ids of the snapshots that were taken before a restore, newest first.
fn before_restores(fixture: &Fixture) -> Vec<String> {
    let listed = authorised(fixture, "GET /v1/snapshots").text();
    let listed: Vec<moltworker_core::wire::control::Snapshot> = serde_json::from_str(&listed).unwrap();
    let before = listed
        .into_iter()
        .filter(|snapshot| snapshot.reason == Some(SnapshotReason::BeforeRestore));
    before.map(|snapshot| snapshot.id.as_str().to_owned()).collect()
}

/// Nothing of an attempt is left beside the home.
fn assert_tidy(fixture: &Fixture) {
    assert!(!fixture.home.with_file_name(".moltbot.restoring").exists());
}

/// What an owner does to a furnished home.
fn go_on(home: &Path) {
    std::fs::write(home.join("notes/today.md"), "something else").unwrap();
    std::fs::write(home.join("new.bin"), noise(9, 500_000)).unwrap();
    std::fs::remove_file(home.join("a.txt")).unwrap();
    std::fs::remove_dir_all(home.join("many")).unwrap();
}

/// A home that is another one than in its snapshot, and what is the owner's own in that.
fn gone_on() -> (Repository, Fixture, Snapshot, BTreeMap<String, String>) {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    let older = snapshot(&fixture);
    let then = own(&fixture);
    go_on(&fixture.home);
    (repository, fixture, older, then)
}

#[test]
fn an_older_snapshot_is_restored_and_the_replaced_home_is_kept() {
    let (repository, fixture, older, then) = gone_on();
    let now = own(&fixture);

    restore(&fixture, older.id.as_str());
    let status = fixture.until("the older state is back", |status| {
        is_ready(status) && restored_from(status) == Some(older.id.as_str())
    });
    let report = status.backup.unwrap().restored.unwrap();
    assert_eq!((report.amount, report.mismatches), (older.amount, 0));
    assert_same(&own(&fixture), &then);
    assert_tidy(&fixture);

    let saved = before_restores(&fixture);
    assert_eq!(saved.len(), 1, "what there was is saved, once");
    restore(&fixture, &saved[0]);
    fixture.until("what there was is back", |status| {
        is_ready(status) && restored_from(status) == Some(&saved[0])
    });
    assert_same(&own(&fixture), &now);
    repository.restic(&["check", "--read-data"]);
}

#[test]
fn a_failed_restore_keeps_the_current_home() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let objects = repository.objects();
    furnish(&fixture.home);
    let older = snapshot(&fixture);
    let packs = repository.packs_since(&objects);
    go_on(&fixture.home);
    let now = own(&fixture);
    let never = "0".repeat(64);
    for (id, fault, said) in [
        (older.id.as_str(), What::Corrupt, "damaged"),
        (older.id.as_str(), What::Hang, "does not answer"),
        (older.id.as_str(), What::Status(503), "answers 503"),
        (never.as_str(), What::Empty, "has no snapshot"),
    ] {
        // What only the older one needs: the snapshot before the restore is taken as ever.
        repository.break_with(Fault::always("GET", &packs[0], fault));
        std::fs::write(fixture.home.join("said"), said).unwrap();
        let gateway = fixture.status().gateway_pid;
        restore(&fixture, id);
        let status = fixture.until(said, |status| {
            is_ready(status) && failure(status, JobKind::Restore).is_some() && status.gateway_pid != gateway
        });
        let message = &failure(&status, JobKind::Restore).unwrap().message;
        assert!(message.contains(said), "{message}");
        assert_eq!(std::fs::read_to_string(fixture.home.join("said")).unwrap(), said);
        std::fs::remove_file(fixture.home.join("said")).unwrap();
        assert_same(&own(&fixture), &now);
        assert_tidy(&fixture);
        repository.mend();
    }
    assert_eq!(before_restores(&fixture).len(), 4);
    restore(&fixture, older.id.as_str());
    let status = fixture.until("the older state is back after all", |status| {
        is_ready(status) && restored_from(status) == Some(older.id.as_str())
    });
    assert_eq!(status.backup.unwrap().error, None);
}

#[test]
fn a_restore_interrupted_after_the_home_swap_is_repeated() {
    let (_, fixture, older, then) = gone_on();
    // In no snapshot, and long to remove: so long the old home lies beside the new one.
    let cache = fixture.home.join(".cache");
    std::fs::create_dir_all(&cache).unwrap();
    for number in 0..LONG_TO_REMOVE {
        std::fs::write(cache.join(number.to_string()), "").unwrap();
    }
    restore(&fixture, older.id.as_str());
    let process = fixture.wait_for("they have changed places", || {
        (!fixture.home.join("new.bin").exists()).then(|| backup_processes(&fixture))
    });
    kill("KILL", process[0]);
    let status = fixture.until("it is done again", |status| {
        is_ready(status) && restored_from(status) == Some(older.id.as_str())
    });
    assert!(
        fixture.output().contains(&format!("restore {} failed", older.id)),
        "{}",
        fixture.output()
    );
    assert_eq!(status.backup.unwrap().error, None);
    assert_same(&own(&fixture), &then);

    snapshot(&fixture);
    let unchanged = |status: &Status| !status.backup.as_ref().unwrap().changed;
    fixture.until("all is saved", unchanged);
    std::fs::write(fixture.home.join("notes/today.md"), "and this").unwrap();
    fixture.until("what changes in this home is noticed", |status| {
        !unchanged(status)
    });
}

#[test]
fn a_home_that_cannot_be_saved_is_not_replaced() {
    let (repository, fixture, older, _) = gone_on();
    let now = own(&fixture);
    let (gateway, objects) = (fixture.status().gateway_pid, repository.objects());
    repository.break_with(Fault::always("POST", "data/", What::Status(507)));
    restore(&fixture, older.id.as_str());
    let status = fixture.until("it goes on", |status| {
        is_ready(status) && status.gateway_pid != gateway && failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(restored_from(&status), None);
    assert_same(&own(&fixture), &now);
    assert_eq!(repository.objects(), objects);
    // A stop would try to save it until the deadline.
    lose(fixture);
}

/// The gateway's state, which is the platform's to judge.
const STATE: &str = ".openclaw/state/openclaw.sqlite";

/// A database of a bot, the gateway's own, and as much again of other things.
fn remember(home: &Path) {
    for name in [STATE, "memory.sqlite"] {
        database(&home.join(name));
    }
    std::fs::write(home.join("photos.bin"), noise(4, 20_000_000)).unwrap();
    std::fs::write(home.join("notes.md"), "some notes").unwrap();
    hand_over(home);
}

#[test]
fn a_suspicious_snapshot_is_skipped_until_it_is_accepted() {
    type Breaks<'a> = &'a dyn Fn(&Path);
    let remove: Breaks<'_> = &|path| std::fs::remove_file(path).unwrap();
    let damage: Breaks<'_> = &damage;
    for (case, breaks) in [("missing", remove), ("damaged", damage)] {
        let repository = Repository::start();
        let fixture = settled(&repository);
        remember(&fixture.home);
        let good = snapshot(&fixture);
        assert_eq!(good.suspicious, None);
        breaks(&fixture.home.join(STATE));
        let mut suspicious = vec![snapshot(&fixture)];
        // The loss is not forgotten with the next change.
        std::fs::write(fixture.home.join("notes.md"), "more notes").unwrap();
        suspicious.insert(0, snapshot(&fixture));
        for snapshot in &suspicious {
            let words = snapshot.suspicious.as_deref().unwrap_or_default();
            let said = format!("the gateway's own databases are gone or damaged: {STATE}");
            assert_eq!(words, said, "{case}");
            assert_eq!(snapshot.lost.as_ref().unwrap().before, good.id, "{case}");
        }
        lose(fixture);

        let fixture = start(&repository, &ON_DEMAND);
        let status = until_settled(&fixture);
        let report = status.backup.unwrap().restored.unwrap();
        let passed_over: Vec<_> = suspicious.into_iter().map(|snapshot| snapshot.id).collect();
        assert_eq!(
            (report.snapshot, report.passed_over),
            (Some(good.id), passed_over),
            "{case}"
        );
        assert!(fixture.home.join(STATE).exists());
        breaks(&fixture.home.join(STATE));
        let marked = snapshot(&fixture);
        assert!(marked.suspicious.is_some(), "{case}");
        // Nothing has changed since: that it is accepted is all that is new.
        let accepted = ordered(&fixture, r#"{"reason":"manual","accept":true}"#);
        assert_eq!(accepted.suspicious, None, "{case}");
        lose(fixture);

        let fixture = start(&repository, &ON_DEMAND);
        let status = fixture.until("it is ready", is_ready);
        let report = status.backup.unwrap().restored.unwrap();
        assert_eq!(
            (report.snapshot, report.passed_over),
            (Some(accepted.id), Vec::new()),
            "{case}"
        );
        repository.restic(&["check", "--read-data"]);
    }
}

#[test]
fn an_ordered_rollback_is_not_flagged_as_a_loss() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("notes.md"), "before it remembered anything").unwrap();
    let older = snapshot(&fixture);
    remember(&fixture.home);
    assert_eq!(snapshot(&fixture).suspicious, None);
    restore(&fixture, older.id.as_str());
    fixture.until("the older state is back", |status| {
        is_ready(status) && restored_from(status) == Some(older.id.as_str())
    });
    std::fs::write(fixture.home.join("notes.md"), "begun again").unwrap();
    let next = snapshot(&fixture);
    assert_eq!(next.suspicious, None);
    lose(fixture);

    let fixture = start(&repository, &ON_DEMAND);
    let status = fixture.until("it is ready", is_ready);
    assert_eq!(restored_from(&status), Some(next.id.as_str()));
    assert_eq!(
        std::fs::read_to_string(fixture.home.join("notes.md")).unwrap(),
        "begun again"
    );
    assert!(!fixture.home.join("memory.sqlite").exists());
}
