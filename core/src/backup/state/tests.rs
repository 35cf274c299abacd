use super::*;
use crate::wire::control::{
    Amount, BackupError, BackupStatus, GatewayPhase, MaintenanceReport, Progress, RestoreOrder,
    SnapshotReason, StartTimes, Status,
};

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
    }
}

pub(super) fn report(snapshot: Option<char>, restored_at: i64) -> RestoreReport {
    RestoreReport {
        snapshot: snapshot.map(id),
        taken_at: Some(0),
        restored_at,
        amount: Amount { files: 3, bytes: 4 },
        duration_ms: 1,
        compared: 5,
        mismatches: 0,
        passed_over: Vec::new(),
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

fn error(doing: Doing, failed_at: i64, attempts: u32) -> BackupError {
    BackupError {
        failed_at,
        doing,
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

fn kinds(news: &News) -> Vec<Kind> {
    news.notices.iter().map(|(kind, _)| *kind).collect()
}

/// Hears `backup` and says which entries follow.
pub(super) fn hear(ledger: &mut Ledger, now: u64, run: Run, backup: BackupStatus) -> Vec<Kind> {
    kinds(&ledger.heard(now, run, &status(run, backup)))
}

#[test]
fn a_first_day_is_told_once() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    assert_eq!(hear(&mut ledger, 1, R1, backup.clone()), [Kind::Restored]);
    assert_eq!(hear(&mut ledger, 2, R1, backup.clone()), []);
    backup.taken = vec![snapshot('a', 20), snapshot('b', 30)];
    let news = ledger.heard(3, R1, &status(R1, backup.clone()));
    assert_eq!(news.snapshots, backup.taken);
    assert_eq!(ledger.summary().newest, Some(Newest { id: id('b'), at: 30 }));
    backup.taken.push(snapshot('c', 40));
    let news = ledger.heard(4, R1, &status(R1, backup));
    assert_eq!(news.snapshots, [snapshot('c', 40)]);
    assert_eq!(ledger.verified(), None, "nothing was restored yet");
}

#[test]
fn what_was_restored_whole_is_proven_good() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    backup.restored = Some(report(Some('a'), 10));
    let news = ledger.heard(7, R1, &status(R1, backup.clone()));
    assert_eq!(news.verified, Some(id('a')));
    let detail = news.notices.first().unwrap().1.as_deref().unwrap();
    assert_eq!(detail, "aaaaaaaa: 3 files, 4 bytes, 5 compared, 0 differ");
    // The same snapshot in another run is a restore of its own.
    assert_eq!(hear(&mut ledger, 8, R2, backup.clone()), [Kind::Restored]);
    let mut differing = report(Some('b'), 11);
    differing.mismatches = 1;
    backup.restored = Some(differing);
    ledger.heard(9, R2, &status(R2, backup));
    assert_eq!(ledger.verified(), Some(&id('a')));
}

#[test]
fn changes_that_wait_too_long_are_told_asked_for_and_told_to_be_over() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    backup.changed = true;
    hear(&mut ledger, 0, R1, backup.clone());
    assert_eq!(hear(&mut ledger, OVERDUE_AFTER_MS - 1, R1, backup.clone()), []);
    assert_eq!(ledger.errand(0, R1, &status(R1, backup.clone())), None);
    // One that is being taken is on its way, within reason.
    let mut taking = backup.clone();
    taking.changed = false;
    taking.under_way = Some(Progress {
        doing: Doing::Snapshot,
        done: Amount::default(),
        total: None,
    });
    assert_eq!(hear(&mut ledger, OVERDUE_AFTER_MS, R1, taking.clone()), []);
    let mut hanging = ledger.clone();
    assert_eq!(
        hear(&mut hanging, LONG_SNAPSHOT_MS, R1, taking.clone()),
        [Kind::BackupOverdue]
    );
    assert_eq!(hear(&mut hanging, LONG_SNAPSHOT_MS + 1, R1, taking.clone()), []);
    assert_eq!(
        hear(&mut ledger, OVERDUE_AFTER_MS, R1, backup.clone()),
        [Kind::BackupOverdue]
    );
    assert_eq!(hear(&mut ledger, OVERDUE_AFTER_MS + 1, R1, taking), []);
    // Also where attempts fail, because a token has expired for example: the order brings a fresh one.
    let mut failing = backup.clone();
    failing.error = Some(error(Doing::Snapshot, 20, 9));
    for overdue in [&backup, &failing] {
        let errand = ledger.errand(OVERDUE_AFTER_MS, R1, &status(R1, overdue.clone()));
        assert!(matches!(errand, Some(Errand::Snapshot(_))), "{errand:?}");
    }
    backup.taken = vec![snapshot('a', 20)];
    assert_eq!(
        hear(&mut ledger, OVERDUE_AFTER_MS + 2, R1, backup.clone()),
        [Kind::BackupResumed]
    );
    assert_eq!(
        ledger.summary().unsaved_since,
        Some(OVERDUE_AFTER_MS + 2),
        "it goes on changing"
    );
    backup.changed = false;
    hear(&mut ledger, OVERDUE_AFTER_MS + 3, R1, backup);
    assert_eq!(ledger.summary().unsaved_since, None);
}

#[test]
fn failures_are_told_when_they_last_and_once() {
    for (doing, attempts, expected) in [
        (Doing::Snapshot, 1, vec![]),
        (Doing::Snapshot, TELL_AFTER, vec![Kind::BackupFailed]),
        (Doing::Restore, TELL_AFTER, vec![Kind::RestoreFailed]),
        (Doing::Compare, TELL_AFTER, vec![Kind::RestoreFailed]),
        (Doing::Maintain, 1, vec![Kind::MaintenanceFailed]),
    ] {
        let mut ledger = Ledger::default();
        let mut backup = BackupStatus {
            error: Some(error(doing, 1, attempts)),
            ..BackupStatus::default()
        };
        assert_eq!(hear(&mut ledger, 1, R1, backup.clone()), expected, "{doing:?}");
        assert_eq!(hear(&mut ledger, 2, R1, backup.clone()), [], "{doing:?} again");
        backup.error = None;
        assert_eq!(
            hear(&mut ledger, 3, R2, backup.clone()),
            [],
            "{doing:?} in a run that did nothing yet"
        );
        backup.restored = Some(report(None, 10));
        backup.taken = vec![snapshot('a', 20)];
        backup.maintained = Some(maintained(30, &[]));
        let over = hear(&mut ledger, 4, R2, backup).contains(&Kind::BackupResumed);
        assert_eq!(over, !expected.is_empty(), "{doing:?} is over");
    }
}

#[test]
fn a_suspicious_snapshot_is_told() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    let mut lossy = snapshot('a', 20);
    lossy.suspicious = Some("databases are gone: x".into());
    backup.taken = vec![lossy];
    let news = ledger.heard(1, R1, &status(R1, backup));
    let (kind, detail) = news.notices.last().unwrap();
    assert_eq!(
        (*kind, detail.as_deref()),
        (Kind::SnapshotSuspicious, Some("aaaaaaaa: databases are gone: x"))
    );
    let passing_over = |digits: &[char]| {
        let mut backup = at_rest();
        let mut report = report(Some('0'), 10);
        report.passed_over = digits.iter().copied().map(id).collect();
        backup.restored = Some(report);
        backup
    };
    let told = hear(&mut ledger, 2, R2, passing_over(&['a']));
    assert_eq!(told, [Kind::Restored], "that one was told");
    // One that was the last of its run.
    let told = hear(&mut ledger, 3, Run(3), passing_over(&['b', 'a']));
    assert_eq!(told, [Kind::Restored, Kind::SnapshotSuspicious]);
    assert_eq!(ledger.summary().passed_over, [id('b'), id('a')]);
    let told = hear(&mut ledger, 4, Run(4), passing_over(&['b', 'a']));
    assert_eq!(told, [Kind::Restored], "once");
}

fn restore_of(digit: char) -> Errand {
    Errand::Restore(RestoreOrder {
        snapshot: Some(id(digit)),
        token: None,
    })
}

#[test]
fn an_ordered_restore_is_given_once_and_over_with_the_next_snapshot() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    backup.restored = Some(report(Some('a'), 10));
    backup.taken = vec![snapshot('b', 20)];
    hear(&mut ledger, 1, R1, backup.clone());
    ledger.want(2, RestorePoint::Snapshot(id('a')));
    let now = status(R1, backup.clone());
    let errand = ledger.errand(3, R1, &now).unwrap();
    assert_eq!(errand, restore_of('a'));
    ledger.asked(3, R1, &now, &errand);
    assert_eq!(ledger.errand(4, R1, &now), None, "it was given");

    // The home was made from this very snapshot before; that is not the restore that was ordered.
    hear(&mut ledger, 5, R1, backup.clone());
    assert!(ledger.summary().restore_wanted.is_some());
    backup.restored = Some(report(Some('a'), 30));
    hear(&mut ledger, 6, R1, backup.clone());
    // Restored but not saved, or saved with a loss: should the run end now, `latest` would undo it.
    let mut lossy = snapshot('c', 40);
    lossy.suspicious = Some("databases are gone: x".into());
    backup.taken.push(lossy);
    hear(&mut ledger, 7, R1, backup.clone());
    assert!(ledger.summary().restore_wanted.is_some());
    backup.taken.push(snapshot('d', 50));
    hear(&mut ledger, 8, R1, backup);
    assert_eq!(ledger.summary().restore_wanted, None);
}

#[test]
fn a_restore_and_its_snapshot_may_be_heard_of_together() {
    let mut ledger = Ledger::default();
    ledger.want(1, RestorePoint::Snapshot(id('a')));
    assert_eq!(ledger.point_for(R1, &[]), Ok(RestorePoint::Snapshot(id('a'))));
    let mut backup = at_rest();
    backup.restored = Some(report(Some('a'), 30));
    backup.taken = vec![snapshot('c', 40)];
    hear(&mut ledger, 2, R1, backup);
    assert_eq!(ledger.summary().restore_wanted, None);
}

#[test]
fn a_restore_that_fails_is_told_and_given_up_where_the_bot_goes_on() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    hear(&mut ledger, 1, R1, backup.clone());
    ledger.want(2, RestorePoint::Snapshot(id('a')));
    let now = status(R1, backup.clone());
    let errand = ledger.errand(3, R1, &now).unwrap();
    ledger.asked(3, R1, &now, &errand);
    backup.error = Some(error(Doing::Restore, 50, 1));
    let mut trying = status(R1, backup.clone());
    trying.phase = GatewayPhase::Restoring;
    assert_eq!(kinds(&ledger.heard(4, R1, &trying)), []);
    assert!(ledger.summary().restore_wanted.is_some());
    assert_eq!(hear(&mut ledger, 5, R1, backup), [Kind::RestoreFailed]);
    assert!(ledger.summary().restore_wanted.is_none());
}

#[test]
fn a_later_order_replaces_an_earlier_one_and_reaches_the_run_that_has_that() {
    let mut ledger = Ledger::default();
    ledger.want(1, RestorePoint::Snapshot(id('a')));
    ledger.point_for(R1, &[]).unwrap();
    ledger.want(2, RestorePoint::Latest);
    let restoring = status(R1, BackupStatus::default());
    let latest = Errand::Restore(RestoreOrder {
        snapshot: None,
        token: None,
    });
    assert_eq!(ledger.errand(3, R1, &restoring), Some(latest.clone()));
    ledger.asked(3, R1, &restoring, &latest);
    hear(&mut ledger, 4, R1, at_rest());
    let ordered = ledger.summary().restore_wanted;
    assert_eq!(ordered, None, "the latest is what a next run begins with");
}

#[test]
fn maintenance_comes_once_a_day_to_a_bot_at_rest_and_rehearses_once_a_week() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    let due =
        |ledger: &Ledger, now, backup: &BackupStatus| ledger.errand(now, R1, &status(R1, backup.clone()));
    assert_eq!(
        due(&ledger, 100 * HOUR, &backup),
        None,
        "there is no snapshot yet"
    );
    backup.taken = vec![snapshot('a', 20)];
    hear(&mut ledger, 0, R1, backup.clone());
    assert_eq!(due(&ledger, MAINTAIN_EVERY_MS - 1, &backup), None);
    let mut now = MAINTAIN_EVERY_MS;
    for day in 0..9_u32 {
        let errand = due(&ledger, now, &backup).unwrap();
        let drill = day == 0 || day == 7;
        assert_eq!(
            errand,
            Errand::Maintain {
                part: day % PARTS + 1,
                drill
            }
        );
        ledger.asked(now, R1, &status(R1, backup.clone()), &errand);
        assert_eq!(
            due(&ledger, now + MAINTAIN_AGAIN_MS - 1, &backup),
            None,
            "it was asked for"
        );
        assert!(
            due(&ledger, now + MAINTAIN_AGAIN_MS, &backup).is_some(),
            "it was not heard of"
        );
        let mut done = maintained(i64::from(day), &[]);
        done.drill = drill.then(|| report(Some('a'), 60));
        backup.maintained = Some(done);
        let news = ledger.heard(now, R1, &status(R1, backup.clone()));
        assert_eq!(kinds(&news), [Kind::Maintained]);
        assert_eq!(news.forgotten, [id('e')]);
        assert_eq!(due(&ledger, now + MAINTAIN_EVERY_MS - 1, &backup), None);
        now += MAINTAIN_EVERY_MS;
    }
    assert_eq!(ledger.verified(), Some(&id('a')));
    let mut busy = status(R1, backup.clone());
    busy.ready_for_ms = Some(SETTLED_MS - 1);
    assert_eq!(ledger.errand(now, R1, &busy), None, "it has just started");
    backup.restored = None;
    assert_eq!(due(&ledger, now, &backup), None, "its home is not confirmed");
}

#[test]
fn a_drill_without_room_is_told_and_waits_its_week() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    backup.taken = vec![snapshot('a', 20)];
    hear(&mut ledger, 0, R1, backup.clone());
    let mut report = maintained(1, &[]);
    report.not_drilled = Some("there is no room for it".into());
    backup.maintained = Some(report);
    let news = ledger.heard(1, R1, &status(R1, backup.clone()));
    let (kind, detail) = news.notices.first().unwrap();
    assert_eq!(*kind, Kind::Maintained);
    let words = detail.as_deref().unwrap();
    assert!(
        words.ends_with("; not restored into scratch: there is no room for it"),
        "{words}"
    );
    let due = |now| ledger.errand(now, R1, &status(R1, backup.clone()));
    let drills = |errand| matches!(errand, Some(Errand::Maintain { drill: true, .. }));
    assert!(!drills(due(1 + MAINTAIN_EVERY_MS)));
    assert!(drills(due(1 + DRILL_EVERY_MS)));
}

#[test]
fn damage_is_told_once_and_shown_until_it_is_gone() {
    let mut ledger = Ledger::default();
    let mut backup = at_rest();
    hear(&mut ledger, 0, R1, backup.clone());
    backup.maintained = Some(maintained(1, &["pack x is gone"]));
    assert_eq!(
        hear(&mut ledger, 1, R1, backup.clone()),
        [Kind::RepositoryDamaged]
    );
    backup.maintained = Some(maintained(2, &["pack x is gone"]));
    assert_eq!(hear(&mut ledger, 2, R1, backup.clone()), []);
    assert_eq!(ledger.summary().problems, ["pack x is gone"]);
    backup.maintained = Some(maintained(3, &[]));
    assert_eq!(hear(&mut ledger, 3, R1, backup), [Kind::Maintained]);
    assert_eq!(ledger.summary().problems, Vec::<String>::new());
}

#[test]
fn a_bot_without_backups_and_an_older_record_are_understood() {
    let mut ledger: Ledger = serde_json::from_str("{}").unwrap();
    let mut without = status(R1, at_rest());
    without.backup = None;
    assert_eq!(ledger.heard(1, R1, &without), News::default());
    assert_eq!(ledger.errand(1, R1, &without), None);
}
