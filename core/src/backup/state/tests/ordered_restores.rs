//! A restore that somebody ordered: given once, followed to its end.

use super::*;

fn restore_of(digit: char) -> BackupJob {
    BackupJob::Restore(RestorePoint::Snapshot(id(digit)))
}

#[test]
fn an_ordered_restore_runs_once_and_ends_with_the_next_snapshot() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    backup.restored = Some(report(Some('a'), 10));
    backup.taken = vec![snapshot('b', 20)];
    observe_backup(&mut backup_state, 1, R1, backup.clone());
    backup_state.set_ordered_restore(2, RestorePoint::Snapshot(id('a')));
    let now = status(R1, backup.clone());
    let job = backup_state.due_job(3, R1, &now).unwrap();
    assert_eq!(job, restore_of('a'));
    backup_state.mark_ordered(3, R1, &now, &job);
    assert_eq!(backup_state.due_job(4, R1, &now), None, "it was given");

    // The home was made from this very snapshot before; that is not the restore that was ordered.
    observe_backup(&mut backup_state, 5, R1, backup.clone());
    assert!(backup_state.summary().restore_wanted.is_some());
    assert_eq!(backup_state.ordered_restore_at(), None);
    backup.restored = Some(report(Some('a'), 30));
    observe_backup(&mut backup_state, 6, R1, backup.clone());
    assert_eq!(backup_state.ordered_restore_at(), Some(6));
    // Restored but not saved, or saved with a loss: should the run end now, `latest` would undo it.
    let mut lossy = snapshot('c', 40);
    lossy.suspicious = Some("databases are gone: x".into());
    backup.taken.push(lossy);
    observe_backup(&mut backup_state, 7, R1, backup.clone());
    assert!(backup_state.summary().restore_wanted.is_some());
    backup.taken.push(snapshot('d', 50));
    observe_backup(&mut backup_state, 8, R1, backup);
    assert_eq!(backup_state.summary().restore_wanted, None);
}

#[test]
fn a_restore_and_its_snapshot_may_be_reported_together() {
    let mut backup_state = BackupState::default();
    backup_state.set_ordered_restore(1, RestorePoint::Snapshot(id('a')));
    assert_eq!(
        backup_state.restore_point_for(9, R1, &[]),
        Ok(RestorePoint::Snapshot(id('a')))
    );
    let mut backup = at_rest();
    backup.restored = Some(report(Some('a'), 30));
    backup.taken = vec![snapshot('c', 40)];
    observe_backup(&mut backup_state, 2, R1, backup);
    assert_eq!(backup_state.summary().restore_wanted, None);
}

#[test]
fn a_failed_restore_is_reported_and_dropped_if_the_bot_runs() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    observe_backup(&mut backup_state, 1, R1, backup.clone());
    backup_state.set_ordered_restore(2, RestorePoint::Snapshot(id('a')));
    let now = status(R1, backup.clone());
    let job = backup_state.due_job(3, R1, &now).unwrap();
    backup_state.mark_ordered(3, R1, &now, &job);
    backup.error = Some(error(JobKind::Restore, 50, 1));
    let mut trying = status(R1, backup.clone());
    trying.phase = GatewayPhase::Restoring;
    assert_eq!(kinds(&backup_state.observe(4, R1, &trying)), []);
    assert!(backup_state.summary().restore_wanted.is_some());
    assert_eq!(
        observe_backup(&mut backup_state, 5, R1, backup),
        [HistoryKind::RestoreFailed]
    );
    assert!(backup_state.summary().restore_wanted.is_none());
}

#[test]
fn a_later_restore_order_replaces_an_earlier_one_in_the_same_run() {
    let mut backup_state = BackupState::default();
    backup_state.set_ordered_restore(1, RestorePoint::Snapshot(id('a')));
    backup_state.restore_point_for(9, R1, &[]).unwrap();
    backup_state.set_ordered_restore(2, RestorePoint::Latest);
    let restoring = status(R1, BackupStatus::default());
    let latest = BackupJob::Restore(RestorePoint::Latest);
    assert_eq!(backup_state.due_job(3, R1, &restoring), Some(latest.clone()));
    backup_state.mark_ordered(3, R1, &restoring, &latest);
    observe_backup(&mut backup_state, 4, R1, at_rest());
    let ordered = backup_state.summary().restore_wanted;
    assert_eq!(ordered, None, "the latest is what a next run begins with");
}
