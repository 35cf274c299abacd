//! What a Sandbox remembers of its snapshots, event by event.

mod choice;
mod fortnight;
mod incidents;
mod ordered_restores;
mod trouble;

use super::*;
use crate::wire::control::{
    Amount, BackupError, BackupStatus, GatewayPhase, LeftOut, MaintenanceReport, Named, Progress,
    SnapshotReason, StartTimes, Status,
};
use crate::wire::job::{BackupJob, JobKind, MaintenanceJob, SnapshotJob};

pub(super) const R1: Run = Run(1);
pub(super) const R2: Run = Run(2);
const HOUR: u64 = 60 * 60 * 1_000;

pub(super) fn id(digit: char) -> SnapshotId {
    digit.to_string().repeat(64).parse().unwrap()
}

pub(super) fn snapshot(digit: char, taken_at: i64) -> Snapshot {
    Snapshot {
        id: id(digit),
        taken_at,
        reason: Some(SnapshotReason::Change),
        run: Some(1),
        gateway_version: None,
        amount: Amount::default(),
        added_bytes: 0,
        raw: Vec::new(),
        suspicious: None,
        lost: None,
        disk_bytes: None,
        lacks: Named::default(),
        left_out: LeftOut::default(),
        moments: Named::default(),
        pause_ms: None,
        accepted: false,
    }
}

pub(super) fn report(snapshot: Option<char>, restored_at: i64) -> RestoreReport {
    RestoreReport {
        snapshot: snapshot.map(id),
        taken_at: Some(0),
        amount: Amount { files: 3, bytes: 4 },
        duration_ms: 1,
        compared: 5,
        ..RestoreReport::of_nothing(restored_at)
    }
}

fn maintained(finished_at: i64, problems: &[&str]) -> MaintenanceReport {
    MaintenanceReport {
        finished_at,
        duration_ms: 1,
        forgotten: vec![id('e')],
        kept: 2,
        pruned_bytes: 3,
        checked_bytes: 4,
        problems: problems.iter().map(|problem| (*problem).to_owned()).collect(),
        drill: None,
        not_drilled: None,
    }
}

fn error(job: JobKind, failed_at: i64, attempts: u32) -> BackupError {
    BackupError {
        failed_at,
        job,
        attempts,
        message: "it answers 500".into(),
    }
}

/// What a gateway that has been ready for long says, with these backups.
pub(super) fn status(run: Run, backup: BackupStatus) -> Status {
    Status {
        user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
        run,
        supervisor_version: String::new(),
        uptime_ms: 0,
        phase: GatewayPhase::Ready,
        gateway_pid: None,
        start: StartTimes::default(),
        restarts: 0,
        last_exit: None,
        gateway_version: None,
        ready_for_ms: Some(SETTLED_MS),
        endings: Vec::new(),
        crash_loop: None,
        outlived: Some(0),
        disk: None,
        cpu_ms: None,
        probe_ms: None,
        idle_ms: 0,
        open: crate::wire::control::OpenTraffic::default(),
        memory: None,
        processes: crate::wire::control::ProcessCount::default(),
        backup: Some(backup),
    }
}

/// A bot with a home made from nothing, at rest.
pub(super) fn at_rest() -> BackupStatus {
    BackupStatus {
        restored: Some(report(None, 10)),
        ..BackupStatus::default()
    }
}

fn kinds(changes: &BackupChanges) -> Vec<HistoryKind> {
    changes.history_events.iter().map(|(kind, _)| *kind).collect()
}

/// Takes note of `backup` and says which entries follow.
pub(super) fn observe_backup(
    backup_state: &mut BackupState,
    now: u64,
    run: Run,
    backup: BackupStatus,
) -> Vec<HistoryKind> {
    kinds(&backup_state.observe(now, run, &status(run, backup)))
}

#[test]
fn first_day_events_are_reported_once() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    assert_eq!(
        observe_backup(&mut backup_state, 1, R1, backup.clone()),
        [HistoryKind::Restored]
    );
    assert_eq!(observe_backup(&mut backup_state, 2, R1, backup.clone()), []);
    backup.taken = vec![snapshot('a', 20), snapshot('b', 30)];
    let changes = backup_state.observe(3, R1, &status(R1, backup.clone()));
    assert_eq!(changes.snapshots, backup.taken);
    assert_eq!(
        backup_state.summary().newest,
        Some(NewestSnapshot { id: id('b'), at: 30 })
    );
    backup.taken.push(snapshot('c', 40));
    let changes = backup_state.observe(4, R1, &status(R1, backup));
    assert_eq!(changes.snapshots, [snapshot('c', 40)]);
    assert_eq!(backup_state.verified(), None, "nothing was restored yet");
}

#[test]
fn a_complete_restore_verifies_its_snapshot() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    backup.restored = Some(report(Some('a'), 10));
    let changes = backup_state.observe(7, R1, &status(R1, backup.clone()));
    assert_eq!(changes.verified, Some(id('a')));
    let detail = changes.history_events.first().unwrap().1.as_deref().unwrap();
    assert_eq!(detail, "aaaaaaaa: 3 files, 4 bytes, 5 compared, 0 differ");
    // The same snapshot in another run is a restore of its own.
    assert_eq!(
        observe_backup(&mut backup_state, 8, R2, backup.clone()),
        [HistoryKind::Restored]
    );
    let mut differing = report(Some('b'), 11);
    differing.mismatches = 1;
    backup.restored = Some(differing);
    backup_state.observe(9, R2, &status(R2, backup));
    assert_eq!(backup_state.verified(), Some(&id('a')));
}

#[test]
fn overdue_changes_are_reported_requested_and_resolved() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    backup.changed = true;
    observe_backup(&mut backup_state, 0, R1, backup.clone());
    assert_eq!(
        observe_backup(&mut backup_state, OVERDUE_AFTER_MS - 1, R1, backup.clone()),
        []
    );
    assert_eq!(backup_state.due_job(0, R1, &status(R1, backup.clone())), None);
    // One that is being taken is on its way, within reason.
    let mut taking = backup.clone();
    taking.changed = false;
    taking.under_way = Some(Progress {
        job: JobKind::Snapshot,
        done: Amount::default(),
        total: None,
    });
    assert_eq!(
        observe_backup(&mut backup_state, OVERDUE_AFTER_MS, R1, taking.clone()),
        []
    );
    let mut hanging = backup_state.clone();
    assert_eq!(
        observe_backup(&mut hanging, LONG_SNAPSHOT_MS, R1, taking.clone()),
        [HistoryKind::BackupOverdue]
    );
    assert_eq!(
        observe_backup(&mut hanging, LONG_SNAPSHOT_MS + 1, R1, taking.clone()),
        []
    );
    assert_eq!(
        observe_backup(&mut backup_state, OVERDUE_AFTER_MS, R1, backup.clone()),
        [HistoryKind::BackupOverdue]
    );
    assert_eq!(
        observe_backup(&mut backup_state, OVERDUE_AFTER_MS + 1, R1, taking),
        []
    );
    // Also where attempts fail, because a token has expired for example: the order brings a fresh one.
    let mut failing = backup.clone();
    failing.error = Some(error(JobKind::Snapshot, 20, 9));
    for overdue in [&backup, &failing] {
        let due = backup_state.due_job(OVERDUE_AFTER_MS, R1, &status(R1, overdue.clone()));
        let snapshot = BackupJob::Snapshot(SnapshotJob::new(SnapshotReason::Change));
        assert_eq!(due, Some(snapshot));
    }
    backup.taken = vec![snapshot('a', 20)];
    assert_eq!(
        observe_backup(&mut backup_state, OVERDUE_AFTER_MS + 2, R1, backup.clone()),
        [HistoryKind::BackupResumed]
    );
    assert_eq!(
        backup_state.summary().unsaved_since,
        Some(OVERDUE_AFTER_MS + 2),
        "it goes on changing"
    );
    backup.changed = false;
    observe_backup(&mut backup_state, OVERDUE_AFTER_MS + 3, R1, backup);
    assert_eq!(backup_state.summary().unsaved_since, None);
}

#[test]
fn lasting_failures_are_reported_once() {
    for (job, attempts, expected) in [
        (JobKind::Snapshot, 1, vec![]),
        (
            JobKind::Snapshot,
            REPORT_AFTER_FAILURES,
            vec![HistoryKind::BackupFailed],
        ),
        (
            JobKind::Restore,
            REPORT_AFTER_FAILURES,
            vec![HistoryKind::RestoreFailed],
        ),
        (
            JobKind::Compare,
            REPORT_AFTER_FAILURES,
            vec![HistoryKind::RestoreFailed],
        ),
        (JobKind::Maintain, 1, vec![HistoryKind::MaintenanceFailed]),
    ] {
        let mut backup_state = BackupState::default();
        let mut backup = BackupStatus {
            error: Some(error(job, 1, attempts)),
            ..BackupStatus::default()
        };
        assert_eq!(
            observe_backup(&mut backup_state, 1, R1, backup.clone()),
            expected,
            "{job:?}"
        );
        assert_eq!(
            observe_backup(&mut backup_state, 2, R1, backup.clone()),
            [],
            "{job:?} again"
        );
        backup.error = None;
        assert_eq!(
            observe_backup(&mut backup_state, 3, R2, backup.clone()),
            [],
            "{job:?} in a run that did nothing yet"
        );
        backup.restored = Some(report(None, 10));
        backup.taken = vec![snapshot('a', 20)];
        backup.maintained = Some(maintained(30, &[]));
        let over = observe_backup(&mut backup_state, 4, R2, backup).contains(&HistoryKind::BackupResumed);
        assert_eq!(over, !expected.is_empty(), "{job:?} is over");
    }
}

#[test]
fn an_idle_bot_has_daily_maintenance_and_a_weekly_drill() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    let due = |backup_state: &BackupState, now, backup: &BackupStatus| {
        backup_state.due_job(now, R1, &status(R1, backup.clone()))
    };
    assert_eq!(
        due(&backup_state, 100 * HOUR, &backup),
        None,
        "there is no snapshot yet"
    );
    backup.taken = vec![snapshot('a', 20)];
    observe_backup(&mut backup_state, 0, R1, backup.clone());
    assert_eq!(due(&backup_state, MAINTAIN_EVERY_MS - 1, &backup), None);
    let mut now = MAINTAIN_EVERY_MS;
    for day in 0..9_u32 {
        let job = due(&backup_state, now, &backup).unwrap();
        let drill = day == 0 || day == 7;
        assert_eq!(
            job,
            BackupJob::Maintain(MaintenanceJob {
                pinned: Vec::new(),
                verified: backup_state.verified().cloned(),
                part: day % PARTS + 1,
                parts: PARTS,
                drill,
                now: i64::try_from(now).unwrap()
            })
        );
        backup_state.mark_ordered(now, R1, &status(R1, backup.clone()), &job);
        assert_eq!(
            due(&backup_state, now + MAINTAIN_AGAIN_MS - 1, &backup),
            None,
            "it was ordered"
        );
        assert!(
            due(&backup_state, now + MAINTAIN_AGAIN_MS, &backup).is_some(),
            "nothing came of it"
        );
        let mut done = maintained(i64::from(day), &[]);
        done.drill = drill.then(|| report(Some('a'), 60));
        backup.maintained = Some(done);
        let changes = backup_state.observe(now, R1, &status(R1, backup.clone()));
        assert_eq!(kinds(&changes), [HistoryKind::Maintained]);
        assert_eq!(changes.forgotten, [id('e')]);
        assert_eq!(due(&backup_state, now + MAINTAIN_EVERY_MS - 1, &backup), None);
        now += MAINTAIN_EVERY_MS;
    }
    assert_eq!(backup_state.verified(), Some(&id('a')));
    let mut busy = status(R1, backup.clone());
    busy.ready_for_ms = Some(SETTLED_MS - 1);
    assert_eq!(backup_state.due_job(now, R1, &busy), None, "it has just started");
    backup.restored = None;
    assert_eq!(
        due(&backup_state, now, &backup),
        None,
        "its home is not confirmed"
    );
}

#[test]
fn a_drill_without_disk_space_is_reported_and_waits_a_week() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    backup.taken = vec![snapshot('a', 20)];
    observe_backup(&mut backup_state, 0, R1, backup.clone());
    let mut report = maintained(1, &[]);
    report.not_drilled = Some("there is no room for it".into());
    backup.maintained = Some(report);
    let changes = backup_state.observe(1, R1, &status(R1, backup.clone()));
    let (kind, detail) = changes.history_events.first().unwrap();
    assert_eq!(*kind, HistoryKind::Maintained);
    let words = detail.as_deref().unwrap();
    assert!(
        words.ends_with("; not restored into scratch: there is no room for it"),
        "{words}"
    );
    let due = |now| backup_state.due_job(now, R1, &status(R1, backup.clone()));
    let drills = |job| matches!(job, Some(BackupJob::Maintain(MaintenanceJob { drill: true, .. })));
    assert!(!drills(due(1 + MAINTAIN_EVERY_MS)));
    assert!(drills(due(1 + DRILL_EVERY_MS)));
}

#[test]
fn damage_is_reported_once_and_shown_until_repaired() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    observe_backup(&mut backup_state, 0, R1, backup.clone());
    backup.maintained = Some(maintained(1, &["pack x is gone"]));
    assert_eq!(
        observe_backup(&mut backup_state, 1, R1, backup.clone()),
        [HistoryKind::RepositoryDamaged]
    );
    backup.maintained = Some(maintained(2, &["pack x is gone"]));
    assert_eq!(observe_backup(&mut backup_state, 2, R1, backup.clone()), []);
    assert_eq!(backup_state.summary().problems, ["pack x is gone"]);
    backup.maintained = Some(maintained(3, &[]));
    assert_eq!(
        observe_backup(&mut backup_state, 3, R1, backup),
        [HistoryKind::Maintained]
    );
    assert_eq!(backup_state.summary().problems, Vec::<String>::new());
}

#[test]
fn a_disabled_backup_state_and_an_older_record_are_parsed() {
    let mut backup_state: BackupState = serde_json::from_str("{}").unwrap();
    let mut without = status(R1, at_rest());
    without.backup = None;
    assert_eq!(backup_state.observe(1, R1, &without), BackupChanges::default());
    assert_eq!(backup_state.due_job(1, R1, &without), None);
}
