//! What is wrong: reported when it is first seen, remembered until it is over, whatever version stored it.

use super::*;
use crate::bot::incidents::IncidentKind;
use proptest::prelude::*;

/// As it was stored before there were incidents, with every latch set.
const LATCHED: &str = r#"{
  "run": 1,
  "restored": {"snapshot": null, "taken_at": 0, "restored_at": 10, "amount": {"files": 3, "bytes": 4},
    "duration_ms": 1, "compared": 5, "mismatches": 0, "passed_over": []},
  "newest": {"id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "at": 20},
  "verified": null, "wanted": null,
  "unsaved_since": 30, "overdue": true,
  "suspicious": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "raw": ["x.sqlite: it is locked", "y.sqlite: it is locked"], "failing": "snapshot",
  "maintenance": {"begun_at": 5, "asked_at": 6, "finished_at": 7, "reported_at": 8, "drilled_at": null,
    "turns": 4, "problems": ["pack x is gone"]}
}"#;
/// After what is stored in it.
const NOW: u64 = 30 + OVERDUE_AFTER_MS + 1;

/// What that bot's supervisor says.
fn latched_status() -> BackupStatus {
    let mut backup = at_rest();
    let mut newest = snapshot('a', 20);
    newest.suspicious = Some("databases are gone: z".into());
    backup.taken = vec![newest];
    backup.changed = true;
    backup.error = Some(error(JobKind::Snapshot, 40, 9));
    let mut report = maintained(8, &["pack x is gone"]);
    report.forgotten = Vec::new();
    backup.maintained = Some(report);
    backup
}

#[test]
fn the_latches_of_an_older_record_become_open_incidents() {
    let mut backup_state: BackupState = serde_json::from_str(LATCHED).unwrap();
    let opened: Vec<_> = backup_state
        .incidents()
        .iter()
        .map(|one| {
            assert!(one.is_open(), "{one:?}");
            (one.kind, one.opened_at, one.detail.as_deref().unwrap_or_default())
        })
        .collect();
    let a = id('a');
    assert_eq!(
        opened,
        [
            (IncidentKind::BackupOverdue, 30 + OVERDUE_AFTER_MS, ""),
            (IncidentKind::SnapshotSuspicious, 20, a.as_str()),
            (
                IncidentKind::DatabaseNotCopied,
                20,
                "x.sqlite: it is locked; y.sqlite: it is locked"
            ),
            (IncidentKind::BackupFailing, 20, ""),
            (IncidentKind::RepositoryDamaged, 7, "pack x is gone"),
        ]
    );
    let summary = backup_state.summary();
    assert!(summary.overdue);
    assert_eq!(summary.problems, ["pack x is gone"]);
    assert_eq!(
        observe_backup(&mut backup_state, NOW, R1, latched_status()),
        [],
        "all of it was reported before"
    );

    // The same is wrong after a new start, and then no more.
    let mut passing_over = at_rest();
    let mut restored = report(Some('0'), 50);
    restored.passed_over = vec![id('a')];
    passing_over.restored = Some(restored);
    let mut restarted = backup_state.clone();
    assert_eq!(
        observe_backup(&mut restarted, NOW, R2, passing_over),
        [HistoryKind::Restored, HistoryKind::PassedOver]
    );
    let mut mended = latched_status();
    mended.taken.push(snapshot('b', 60));
    mended.changed = false;
    mended.error = None;
    mended.maintained = Some(maintained(70, &[]));
    assert_eq!(
        observe_backup(&mut backup_state, NOW + 1, R1, mended),
        [
            HistoryKind::BackupResumed,
            HistoryKind::Maintained,
            HistoryKind::BackupResumed
        ]
    );
    let open = backup_state.incidents().iter().filter(|one| one.is_open());
    assert_eq!(open.count(), 0);
}

#[test]
fn an_older_records_suspicious_snapshot_ends_with_a_newer_one() {
    let newer = LATCHED.replacen("\"id\": \"aaaa", "\"id\": \"bbbb", 1);
    let mut backup_state: BackupState = serde_json::from_str(&newer).unwrap();
    assert!(!backup_state.incidents().is_open(IncidentKind::SnapshotSuspicious));
    let mut backup = at_rest();
    let mut restored = report(Some('0'), 50);
    restored.passed_over = vec![id('a')];
    backup.restored = Some(restored);
    assert_eq!(
        observe_backup(&mut backup_state, NOW, R2, backup),
        [HistoryKind::Restored, HistoryKind::PassedOver],
        "that it was passed over is news"
    );
}

#[test]
fn a_record_is_stored_without_latches_and_read_back() {
    let backup_state: BackupState = serde_json::from_str(LATCHED).unwrap();
    let text = serde_json::to_string(&backup_state).unwrap();
    for latch in ["\"overdue\"", "\"suspicious\"", "\"raw\"", "\"failing\""] {
        assert!(!text.contains(latch), "{latch}: {text}");
    }
    assert_eq!(serde_json::from_str::<BackupState>(&text).unwrap(), backup_state);
    let mut closed = backup_state;
    closed.incidents.close(NOW, IncidentKind::RepositoryDamaged);
    let text = serde_json::to_string(&closed).unwrap();
    assert_eq!(
        serde_json::from_str::<BackupState>(&text).unwrap(),
        closed,
        "the problems beside it are no latch any more"
    );
}

#[test]
fn failures_of_one_kind_do_not_end_or_repeat_those_of_another() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    observe_backup(&mut backup_state, 0, R1, backup.clone());
    let mut see = |now, error: BackupError| {
        backup.error = Some(error);
        observe_backup(&mut backup_state, now, R1, backup.clone())
    };
    assert_eq!(
        see(1, error(JobKind::Snapshot, 1, REPORT_AFTER_FAILURES)),
        [HistoryKind::BackupFailed]
    );
    assert_eq!(
        see(2, error(JobKind::Maintain, 2, 1)),
        [HistoryKind::MaintenanceFailed]
    );
    assert_eq!(
        see(3, error(JobKind::Snapshot, 3, REPORT_AFTER_FAILURES + 1)),
        [],
        "it was reported"
    );
    backup.error = None;
    backup.taken = vec![snapshot('a', 20)];
    assert_eq!(
        observe_backup(&mut backup_state, 4, R1, backup.clone()),
        [HistoryKind::BackupResumed]
    );
    let incidents = backup_state.incidents();
    assert!(!incidents.is_open(IncidentKind::BackupFailing));
    assert!(incidents.is_open(IncidentKind::MaintenanceFailing));
}

#[test]
fn a_run_that_ends_overdue_ends_the_incident() {
    let mut overdue = at_rest();
    overdue.changed = true;
    let mut backup_state = BackupState::default();
    observe_backup(&mut backup_state, 0, R1, overdue.clone());
    observe_backup(&mut backup_state, OVERDUE_AFTER_MS, R1, overdue);
    let mut silent = backup_state.clone();
    backup_state.ended(OVERDUE_AFTER_MS + 9, R1, Ended::Saved, &[]);
    // The end was not noticed, and another run answers.
    assert_eq!(
        observe_backup(&mut silent, OVERDUE_AFTER_MS + 9, R2, at_rest()),
        [HistoryKind::Restored]
    );
    for over in [backup_state, silent] {
        let last = over.incidents().last(IncidentKind::BackupOverdue).unwrap();
        assert_eq!(
            (last.opened_at, last.closed_at),
            (OVERDUE_AFTER_MS, Some(OVERDUE_AFTER_MS + 9))
        );
        assert!(!over.summary().overdue);
    }
}

/// What a supervisor may say of its backups.
fn any_status() -> impl Strategy<Value = BackupStatus> {
    let kind = prop::sample::select(JobKind::ALL.to_vec());
    let taken = prop::collection::vec(
        (prop::sample::select(vec!['a', 'b', 'c']), any::<(bool, bool)>()),
        0..3,
    );
    let failure = prop::option::of((kind.clone(), 1_u32..5));
    let restored = prop::option::of(prop::option::of(prop::sample::select(vec!['a', 'b'])));
    let problem = prop::option::of(prop::option::of(prop::sample::select(vec!["x", "y"])));
    (
        taken,
        failure,
        restored,
        prop::option::of(kind),
        (problem, 0_i64..3),
        any::<bool>(),
    )
        .prop_map(
            |(taken, failure, restored, under_way, (problem, finished_at), changed)| BackupStatus {
                restored: restored.map(|passed_over| {
                    let mut report = report(Some('0'), finished_at);
                    report.passed_over = passed_over.map(id).into_iter().collect();
                    report
                }),
                under_way: under_way.map(|job| Progress {
                    job,
                    done: Amount::default(),
                    total: None,
                }),
                taken: taken
                    .into_iter()
                    .map(|(digit, (lossy, held))| {
                        let mut taken = snapshot(digit, 20);
                        taken.suspicious = lossy.then(|| "databases are gone".to_owned());
                        taken.raw = held
                            .then(|| "x.sqlite: it is locked".to_owned())
                            .into_iter()
                            .collect();
                        taken
                    })
                    .collect(),
                error: failure.map(|(job, attempts)| error(job, finished_at, attempts)),
                maintained: problem.map(|problem| maintained(finished_at, problem.as_slice())),
                changed,
                held_up: None,
                unsaved_at_ms: None,
                partly_watched: false,
            },
        )
}

proptest! {
    /// Whatever a supervisor says: each incident that only begins and ends is reported once, when it begins; what is
    /// reported has an incident; and what is stored is read back.
    #[test]
    fn each_incident_is_reported_once(
        steps in prop::collection::vec((0_u64..10 * 60_000, 1_u64..3, any_status()), 1..30)
    ) {
        let mut backup_state = BackupState::default();
        let mut now = 0;
        for (passed, run, backup) in steps {
            now += passed;
            let before = backup_state.incidents().clone();
            let events = observe_backup(&mut backup_state, now, Run(run), backup);
            for (kind, event) in [
                (IncidentKind::BackupOverdue, HistoryKind::BackupOverdue),
                (IncidentKind::BackupFailing, HistoryKind::BackupFailed),
                (IncidentKind::RestoreFailing, HistoryKind::RestoreFailed),
                (IncidentKind::MaintenanceFailing, HistoryKind::MaintenanceFailed),
            ] {
                let opened = backup_state.incidents().open(kind).is_some_and(|one| {
                    one.opened_at == now && before.last(kind).is_none_or(|known| known.opened_at < now || !known.is_open())
                });
                let reported = events.iter().filter(|one| **one == event).count();
                prop_assert_eq!(reported, usize::from(opened), "{:?}", kind);
            }
            for (kind, event) in [
                (IncidentKind::SnapshotSuspicious, HistoryKind::SnapshotSuspicious),
                (IncidentKind::DatabaseNotCopied, HistoryKind::DatabaseNotCopied),
                (IncidentKind::RepositoryDamaged, HistoryKind::RepositoryDamaged),
            ] {
                prop_assert!(!events.contains(&event) || backup_state.incidents().last(kind).is_some());
            }
            prop_assert_eq!(backup_state.summary().overdue, backup_state.incidents().is_open(IncidentKind::BackupOverdue));
            prop_assert_eq!(
                !backup_state.summary().problems.is_empty(),
                backup_state.incidents().is_open(IncidentKind::RepositoryDamaged)
            );
            let text = serde_json::to_string(&backup_state).unwrap();
            prop_assert_eq!(&serde_json::from_str::<BackupState>(&text).unwrap(), &backup_state);
        }
    }
}
