//! What is not saved is told at once, with the reason; what a run lost, when it ends.

use super::*;
use crate::bot::incidents::IncidentKind;
use crate::wire::control::HeldUp;

/// By the supervisor's clock, when it is asked at `NOW`.
const UPTIME_MS: u64 = 500_000;
const NOW: u64 = 1_790_000_000_000;

/// What a supervisor says that has been up for so long.
fn says(uptime_ms: u64, backup: BackupStatus) -> Status {
    Status {
        uptime_ms,
        ..status(R1, backup)
    }
}

fn taking(held_up_at: Option<u64>) -> BackupStatus {
    BackupStatus {
        under_way: Some(Progress {
            job: JobKind::Snapshot,
            done: Amount::default(),
            total: None,
        }),
        held_up: held_up_at.map(|since_ms| HeldUp {
            since_ms,
            message: "the repository does not answer".into(),
        }),
        unsaved_at_ms: Some(UPTIME_MS - 40_000),
        ..at_rest()
    }
}

fn failed() -> BackupStatus {
    BackupStatus {
        error: Some(error(JobKind::Snapshot, 40, 1)),
        changed: true,
        under_way: None,
        ..taking(None)
    }
}

#[test]
fn what_is_held_up_is_trouble_at_once_and_reported_when_it_lasts() {
    let mut backup_state = BackupState::default();
    backup_state.observe(NOW, R1, &says(UPTIME_MS, taking(None)));
    assert_eq!(backup_state.summary().trouble, None);
    assert_eq!(backup_state.would_lose(), None, "it is on its way");
    let held_up = taking(Some(UPTIME_MS - 10_000));
    let changes = backup_state.observe(NOW, R1, &says(UPTIME_MS, held_up.clone()));
    assert_eq!(kinds(&changes), []);
    let summary = backup_state.summary();
    let trouble = Trouble {
        job: JobKind::Snapshot,
        since: NOW - 10_000,
        reason: "the repository does not answer".into(),
        held_up: true,
    };
    assert_eq!(
        (summary.trouble, summary.unsaved_since),
        (Some(trouble), Some(NOW - 40_000))
    );
    let why = backup_state.would_lose().unwrap();
    assert_eq!(
        why,
        "the snapshot of it is held up: the repository does not answer"
    );

    // It fails at last, and is tried again: the same trouble.
    let later = 49_999;
    let said = says(UPTIME_MS + later, failed());
    assert_eq!(kinds(&backup_state.observe(NOW + later, R1, &said)), []);
    let again = NOW + later + 1;
    let said = says(UPTIME_MS + later + 1, held_up);
    assert_eq!(
        kinds(&backup_state.observe(again, R1, &said)),
        [HistoryKind::BackupFailed]
    );
    assert_eq!(backup_state.summary().trouble.unwrap().since, NOW - 10_000);
    assert!(backup_state.incidents().is_open(IncidentKind::BackupFailing));
    assert_eq!(kinds(&backup_state.observe(again + 1, R1, &said)), [], "once");

    let mut well = at_rest();
    well.taken = vec![snapshot('a', 20)];
    let changes = backup_state.observe(again + 2, R1, &says(UPTIME_MS, well));
    assert_eq!(kinds(&changes), [HistoryKind::BackupResumed]);
    assert_eq!(backup_state.summary().trouble, None);
    assert_eq!(backup_state.would_lose(), None);
}

#[test]
fn only_what_keeps_changes_from_being_saved_would_lose_them() {
    let lose = |backup: BackupStatus| {
        let mut backup_state = BackupState::default();
        backup_state.observe(NOW, R1, &says(UPTIME_MS, backup));
        backup_state.would_lose()
    };
    assert_eq!(
        lose(failed()).unwrap(),
        "the snapshot of it failed: it answers 500"
    );
    let mut saved = failed();
    (saved.changed, saved.unsaved_at_ms) = (false, None);
    assert_eq!(lose(saved), None, "there is nothing to lose");
    let mut maintained = failed();
    maintained.error = Some(error(JobKind::Maintain, 40, 1));
    assert_eq!(lose(maintained), None, "that is not what saves");
}

#[test]
fn a_restore_is_in_trouble_until_the_gateway_runs() {
    let mut backup = at_rest();
    backup.error = Some(error(JobKind::Restore, 40, 1));
    let mut backup_state = BackupState::default();
    let mut said = says(UPTIME_MS, backup);
    said.phase = GatewayPhase::Restoring;
    backup_state.observe(NOW, R1, &said);
    assert_eq!(backup_state.summary().trouble.unwrap().job, JobKind::Restore);
    said.phase = GatewayPhase::Ready;
    backup_state.observe(NOW, R1, &said);
    assert_eq!(backup_state.summary().trouble, None);
}

#[test]
fn every_end_without_a_last_snapshot_says_how_much_is_lost() {
    let stored = |stored_at| {
        vec![StoredSnapshot {
            id: id('a'),
            stored_at,
            suspicious: None,
        }]
    };
    let changed = BackupStatus {
        changed: true,
        unsaved_at_ms: Some(UPTIME_MS - 10_000),
        ..at_rest()
    };
    let unsaved = "at most 35 seconds of changes: the run ended before they were saved";
    let unknown = "whatever was changed in its last 25 seconds: the run ended without a last snapshot";
    for (case, heard, how, bucket, expected) in [
        ("unsaved", changed.clone(), Ended::Broken, vec![], Some(unsaved)),
        (
            "a snapshot of which nobody knows",
            changed.clone(),
            Ended::Broken,
            stored(NOW),
            Some(unsaved),
        ),
        (
            "saved when it was last heard",
            at_rest(),
            Ended::Broken,
            vec![],
            Some(unknown),
        ),
        (
            "saved at its end",
            changed.clone(),
            Ended::Saved,
            stored(NOW + 24_000),
            None,
        ),
        (
            "not saved at its end",
            changed,
            Ended::Saved,
            stored(NOW - 11_000),
            Some("35 seconds of changes"),
        ),
        ("nothing to save", at_rest(), Ended::Saved, vec![], None),
        (
            "no home yet",
            BackupStatus::default(),
            Ended::Broken,
            vec![],
            None,
        ),
    ] {
        let mut backup_state = BackupState::default();
        backup_state.observe(NOW, R1, &says(UPTIME_MS, heard));
        let entry = backup_state.ended(NOW + 25_000, R1, how, &bucket);
        let expected = expected.map(|said| (HistoryKind::ChangesLost, Some(said.to_owned())));
        assert_eq!(entry, expected, "{case}");
        assert_eq!(
            backup_state.ended(NOW + 26_000, R1, how, &[]),
            None,
            "{case}: once"
        );
    }
    let mut troubled = BackupState::default();
    troubled.observe(NOW, R1, &says(UPTIME_MS, failed()));
    let (_, detail) = troubled.ended(NOW, R1, Ended::Broken, &[]).unwrap();
    assert!(
        detail
            .unwrap()
            .ends_with("saved; the last snapshot failed: it answers 500")
    );
}

#[test]
fn that_all_is_saved_is_stored_twice_a_minute() {
    let mut backup_state = BackupState::default();
    let mut states = std::collections::BTreeSet::new();
    for second in 0..60 {
        let (now, uptime) = (NOW + second * 1_000, UPTIME_MS + second * 1_000);
        backup_state.observe(now, R1, &says(uptime, at_rest()));
        states.insert(serde_json::to_string(&backup_state).unwrap());
    }
    assert_eq!(states.len(), 2);
    let mut backup_state = BackupState::default();
    let mut changed = at_rest();
    (changed.changed, changed.unsaved_at_ms) = (true, Some(1_000));
    let mut states = std::collections::BTreeSet::new();
    for (now, delay) in [(2_000, 40), (3_000, 0), (4_000, 1_500), (5_000, 3)] {
        backup_state.observe(NOW + now + delay, R1, &says(now, changed.clone()));
        states.insert(serde_json::to_string(&backup_state).unwrap());
    }
    assert_eq!(states.len(), 1, "however long the answers take");
}
