//! What a start passes over is told, kept, and for somebody to decide.

use super::*;
use crate::bot::incidents::IncidentKind;
use crate::wire::control::Lost;

/// What the supervisor says after a start from `0` that passed these over, newest first.
fn passing_over(digits: &str) -> BackupStatus {
    let mut backup = at_rest();
    let mut report = report(Some('0'), 10);
    report.passed_over = digits.chars().map(id).collect();
    report.passed_over_for = Some("the state is gone".into());
    backup.restored = Some(report);
    backup
}

fn stored(digit: char, stored_at: u64, suspicious: bool) -> StoredSnapshot {
    StoredSnapshot {
        id: id(digit),
        stored_at,
        suspicious: suspicious.then(|| "the state is gone".into()),
    }
}

fn named(backup_state: &BackupState) -> Vec<SnapshotId> {
    let choice = backup_state.summary().choice;
    choice.map(|choice| choice.snapshots).unwrap_or_default()
}

#[test]
fn a_suspicious_snapshot_is_told_and_each_start_that_passes_it_over() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    let mut lossy = snapshot('a', 20);
    lossy.suspicious = Some("the state is gone".into());
    backup.taken = vec![lossy.clone()];
    let changes = backup_state.observe(1, R1, &status(R1, backup.clone()));
    let (kind, detail) = changes.history_events.last().unwrap();
    assert_eq!(
        (*kind, detail.as_deref()),
        (
            HistoryKind::SnapshotSuspicious,
            Some("aaaaaaaa: the state is gone")
        )
    );
    lossy.id = id('b');
    backup.taken.push(lossy);
    assert_eq!(observe_backup(&mut backup_state, 2, R1, backup), [], "it goes on");
    assert_eq!(backup_state.summary().choice, None);

    for (run, now) in [(2, 3), (3, 4)] {
        let changes = backup_state.observe(now, Run(run), &status(Run(run), passing_over("ba")));
        assert_eq!(kinds(&changes), [HistoryKind::Restored, HistoryKind::PassedOver]);
        assert_eq!(changes.held, [id('b'), id('a')]);
        let said = changes.history_events.last().unwrap().1.as_deref().unwrap();
        assert!(
            said.starts_with(&format!("{} (the state is gone): passed over", id('b'))),
            "{said}"
        );
        assert!(said.contains("made from 00000000"), "{said}");
    }
    let choice = backup_state.summary().choice.unwrap();
    let expected = PassedOver {
        snapshots: vec![id('b'), id('a')],
        total: 2,
        why: Some("the state is gone".into()),
        instead: Some(id('0')),
        since: 3,
        kept_until: 3 + HELD_FOR_MS,
    };
    assert_eq!(choice, expected);
    assert!(backup_state.incidents().is_open(IncidentKind::PassedOver));
}

#[test]
fn the_choice_is_known_before_the_start_if_the_snapshot_is() {
    let mut backup_state = BackupState::default();
    let bucket = [stored('0', 1, false), stored('a', 2, true), stored('b', 3, true)];
    backup_state.restore_point_for(7, R1, &bucket).unwrap();
    let choice = backup_state.summary().choice.unwrap();
    assert_eq!(choice.snapshots, [id('b'), id('a')]);
    assert_eq!((choice.instead, choice.since), (Some(id('0')), 7));
    let events = observe_backup(&mut backup_state, 8, R1, passing_over("ba"));
    assert_eq!(events, [HistoryKind::Restored, HistoryKind::PassedOver]);
    assert_eq!(backup_state.summary().choice.unwrap().since, 7);
}

#[test]
fn either_decision_ends_the_question() {
    let open = || {
        let mut backup_state = BackupState::default();
        observe_backup(&mut backup_state, 1, R1, passing_over("ba"));
        backup_state
    };
    let mut kept = open();
    assert!(kept.decide(2));
    assert!(!kept.decide(3), "there is no question");
    assert!(!kept.incidents().is_open(IncidentKind::PassedOver));
    // The next start passes the same over, as was decided.
    assert_eq!(
        observe_backup(&mut kept, 4, R2, passing_over("ba")),
        [HistoryKind::Restored]
    );
    assert_eq!(named(&kept), []);
    // A newer one is a new question.
    let changes = kept.observe(5, Run(3), &status(Run(3), passing_over("cba")));
    assert_eq!(changes.held, [id('c'), id('b'), id('a')]);
    assert_eq!(named(&kept), [id('c')]);

    let mut back = open();
    back.set_ordered_restore(2, RestorePoint::Snapshot(id('b')));
    assert_eq!(back.summary().choice, None);
    assert_eq!(
        back.restore_point_for(3, R2, &[]),
        Ok(RestorePoint::Snapshot(id('b')))
    );
}

#[test]
fn an_open_question_outlives_good_snapshots_and_later_losses() {
    let mut backup_state = BackupState::default();
    observe_backup(&mut backup_state, 1, R1, passing_over("a"));
    let mut backup = at_rest();
    backup.taken = vec![snapshot('c', 50)];
    observe_backup(&mut backup_state, 2, R2, backup);
    assert_eq!(named(&backup_state), [id('a')]);
    observe_backup(&mut backup_state, 3, Run(3), passing_over("d"));
    let choice = backup_state.summary().choice.unwrap();
    assert_eq!((choice.snapshots, choice.total), (vec![id('d'), id('a')], 2));
    observe_backup(&mut backup_state, 2 + HELD_FOR_MS, Run(3), at_rest());
    assert_eq!(named(&backup_state), [id('d'), id('a')]);
    observe_backup(&mut backup_state, 3 + HELD_FOR_MS, Run(3), at_rest());
    assert_eq!(named(&backup_state), [], "nobody answered in time");
}

#[test]
fn a_question_that_is_only_looked_at_lapses_in_its_time() {
    let mut backup_state = BackupState::default();
    observe_backup(&mut backup_state, 1, R1, passing_over("a"));
    assert!(!backup_state.lapse_choice(HELD_FOR_MS));
    assert_eq!(named(&backup_state), [id('a')]);
    assert!(backup_state.lapse_choice(1 + HELD_FOR_MS));
    assert_eq!(named(&backup_state), []);
    assert!(!backup_state.incidents().is_open(IncidentKind::PassedOver));
    assert!(!backup_state.lapse_choice(2 + HELD_FOR_MS), "once");
}

#[test]
fn a_snapshot_that_was_accepted_decides_once_it_is_there() {
    let mut backup_state = BackupState::default();
    let mut backup = passing_over("ba");
    observe_backup(&mut backup_state, 1, R1, backup.clone());
    backup.taken = vec![snapshot('c', 50)];
    observe_backup(&mut backup_state, 2, R1, backup.clone());
    assert_eq!(
        named(&backup_state),
        [id('b'), id('a')],
        "one that nobody accepted"
    );
    let mut accepted = snapshot('d', 60);
    accepted.accepted = true;
    backup.taken.push(accepted);
    observe_backup(&mut backup_state, 3, R1, backup);
    assert_eq!(named(&backup_state), []);
}

#[test]
fn a_question_about_many_snapshots_names_some() {
    let mut backup_state = BackupState::default();
    let mut backup = passing_over("");
    let many: Vec<SnapshotId> = (0..1_000).map(|n| format!("{n:064x}").parse().unwrap()).collect();
    backup.restored.as_mut().unwrap().passed_over.clone_from(&many);
    let changes = backup_state.observe(1, R1, &status(R1, backup));
    assert_eq!(changes.held, many);
    let choice = backup_state.summary().choice.unwrap();
    assert_eq!((choice.snapshots.len(), choice.total), (MAX_NAMED, 1_000));
    assert_eq!(backup_state.summary().passed_over.len(), MAX_NAMED);
}

#[test]
fn what_an_owner_deleted_is_told_once_an_hour() {
    let mut backup_state = BackupState::default();
    let mut backup = at_rest();
    let mut told = Vec::new();
    for (digit, now) in [('a', 1), ('b', LOSS_TOLD_EVERY_MS), ('c', LOSS_TOLD_EVERY_MS + 1)] {
        let mut lacking = snapshot(digit, 20 + i64::try_from(now).unwrap());
        lacking.lost = Some(Lost {
            what: "databases are gone or damaged: dev.sqlite".into(),
            before: id('0'),
        });
        backup.taken.push(lacking);
        let changes = backup_state.observe(now, R1, &status(R1, backup.clone()));
        told.extend(
            changes
                .history_events
                .into_iter()
                .filter(|(kind, _)| *kind == HistoryKind::ContentGone),
        );
    }
    let details: Vec<_> = told.iter().map(|(_, detail)| detail.clone().unwrap()).collect();
    let said = |short: &str| {
        let before = id('0');
        format!("{short}: databases are gone or damaged: dev.sqlite. Restore {before} to put it back")
    };
    assert_eq!(details, [said("aaaaaaaa"), said("cccccccc")]);
    assert!(!backup_state.incidents().is_open(IncidentKind::SnapshotSuspicious));
}

#[test]
fn what_the_last_snapshot_of_a_run_lacks_is_told_once_at_the_next_start() {
    let lost = || {
        Some(Lost {
            what: "databases are gone or damaged: dev.sqlite".into(),
            before: id('0'),
        })
    };
    let mut backup_state = BackupState::default();
    let mut first = at_rest();
    first.taken.push(snapshot('a', 20));
    observe_backup(&mut backup_state, 1, R1, first);
    let starting_from = |digit, (taken_at, lost_at), restored_at| {
        let mut backup = at_rest();
        let restored = report(Some(digit), restored_at);
        backup.restored = Some(RestoreReport {
            taken_at: Some(taken_at),
            lost: lost(),
            lost_at: Some(lost_at),
            ..restored
        });
        backup
    };
    // The bucket tells of them at the end of the run, with when they were stored.
    backup_state.ended(
        2,
        R1,
        Ended::Saved,
        &[stored('a', 21, false), stored('b', 35, false)],
    );
    let told = observe_backup(&mut backup_state, 2, R2, starting_from('b', (30, 29), 40));
    assert_eq!(told, [HistoryKind::Restored, HistoryKind::ContentGone]);
    assert_eq!(backup_state.summary().newest.unwrap().id, id('b'));
    // Another start from the same, a day later, and a return to one before it.
    for (run, backup) in [
        (3, starting_from('b', (30, 29), 50)),
        (4, starting_from('a', (20, 19), 60)),
        (5, starting_from('c', (40, 29), 70)),
    ] {
        let later = 2 + 24 * LOSS_TOLD_EVERY_MS;
        assert_eq!(
            observe_backup(&mut backup_state, later, Run(run), backup),
            [HistoryKind::Restored]
        );
    }
}
