//! Taking note of what a supervisor says.

use super::{
    BackupChanges, BackupState, Drill, DrillOutcome, LOSS_TOLD_EVERY_MS, NewestSnapshot, VerifiedSnapshot,
};
use crate::bot::history::HistoryKind;
use crate::bot::incidents::IncidentKind;
use crate::http::paths;
use crate::wire::control::{
    BackupStatus, DRILL_FAILED, GatewayPhase, Lost, MaintenanceReport, RestoreReport, Snapshot, Status,
};
use crate::wire::job::JobKind;
use crate::wire::run::{RestorePoint, Run, SnapshotId};

impl BackupState {
    /// Takes note of what the supervisor of `run` says.
    pub fn observe(&mut self, now: u64, run: Run, status: &Status) -> BackupChanges {
        let mut changes = BackupChanges::default();
        let Some(backup) = &status.backup else {
            return changes;
        };
        if self.run != run {
            self.run = run;
            self.restored = None;
            self.unsaved_since = None;
            self.saved_at = None;
            self.trouble = None;
            self.incidents.close(now, IncidentKind::BackupOverdue);
        }
        self.lapse_choice(now);
        self.partly_watched = backup.partly_watched;
        self.observe_restores(now, run, backup, &mut changes);
        self.observe_snapshots(now, backup, &mut changes);
        self.observe_unsaved(now, status.uptime_ms, backup, &mut changes);
        self.observe_trouble(now, status, backup);
        self.observe_maintenance(now, backup, &mut changes);
        self.observe_failures(now, backup, &mut changes);
        self.settle_ordered_restore(now, run, status.phase, backup, &mut changes);
        changes
    }

    fn observe_restores(&mut self, now: u64, run: Run, backup: &BackupStatus, changes: &mut BackupChanges) {
        let Some(report) = &backup.restored else { return };
        if self.restored.as_ref() == Some(report) {
            return;
        }
        self.restored = Some(report.clone());
        self.key.restored(run);
        let (is_news, lost) = self.news(report);
        self.judged_until = self.judged_until.max(report.taken_at);
        self.record_verified(now, report, changes);
        let passed_over = match report.passed_over_total() {
            0 => String::new(),
            more => format!("; {more} suspicious ones passed over"),
        };
        let detail = match &report.snapshot {
            Some(id) => format!("{}{passed_over}", restore_summary(id, report)),
            None => "there was nothing to restore".to_owned(),
        };
        changes.history_events.push((HistoryKind::Restored, Some(detail)));
        if let (true, Some(id)) = (is_news, &report.snapshot) {
            let at = report.taken_at.unwrap_or_default();
            self.newest = Some(NewestSnapshot { id: id.clone(), at });
        }
        if let (Some(lost), Some(id)) = (lost, &report.snapshot) {
            self.observe_content_gone(now, id, lost, changes);
        }
        let Some(newest) = report.passed_over.first() else {
            return;
        };
        if !self.is_known_suspicious(newest) {
            // The last one of a run is known to nobody before it is passed over.
            self.incidents
                .observe(now, IncidentKind::SnapshotSuspicious, Some(newest.as_str()));
        }
        let passed = report.passed_over.clone();
        let why = report.passed_over_for.as_deref();
        if self.passes_over(now, &passed, why, report.snapshot.as_ref()) {
            // Those that are not named are older than what is; where that is decided about, so are they.
            let is_decided = |id: &SnapshotId| Some(id) == self.decided.as_ref();
            let more = match passed.iter().any(is_decided) {
                true => 0,
                false => report.passed_over_more,
            };
            if let Some(choice) = &mut self.choice {
                choice.total = choice.total.saturating_add(more);
            }
            let why = self.choice.as_ref().and_then(|choice| choice.why.as_deref());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            let instead = report.snapshot.as_ref().map_or("nothing", short_id);
            let detail = format!(
                "{newest}{why}: passed over at this start, which is made from {instead}. Its owner puts it back, or keeps \
                 what there is, at {}; until then nothing of it is deleted",
                paths::CHOICE
            );
            changes
                .history_events
                .push((HistoryKind::PassedOver, Some(detail)));
            // What an earlier start had passed over is part of the question as well.
            let named = self.choice.iter().flat_map(|choice| &choice.snapshots);
            let further = named.filter(|id| !passed.contains(id)).cloned();
            changes.held = passed.iter().cloned().chain(further).collect();
            changes.held_until = self.choice.as_ref().map_or(0, |choice| choice.kept_until);
        }
    }

    /// Whether the snapshot of a restore is newer than any that is known. And what the last ones of a run lack: they were taken
    /// when nobody asked any more, so that the bucket may have told of them, but not what is in them.
    fn news<'r>(&self, report: &'r RestoreReport) -> (bool, Option<&'r Lost>) {
        let is_newer =
            |known: Option<i64>, at: Option<i64>| known.is_none_or(|known| at.is_some_and(|at| at > known));
        let newest = self.newest.as_ref().map(|newest| newest.at);
        let is_judged = !is_newer(self.judged_until, report.lost_at);
        let lost = report.lost.as_ref().filter(|_| !is_judged);
        (is_newer(newest, report.taken_at), lost)
    }

    /// Whether this is the last one that was found suspicious, be that over or not.
    fn is_known_suspicious(&self, id: &SnapshotId) -> bool {
        let last = self.incidents.last(IncidentKind::SnapshotSuspicious);
        last.is_some_and(|incident| incident.detail.as_deref() == Some(id.as_str()))
    }

    /// A snapshot that was restored whole.
    fn record_verified(&mut self, now: u64, report: &RestoreReport, changes: &mut BackupChanges) {
        if let Some(id) = &report.snapshot
            && report.mismatches == 0
        {
            self.verified = Some(VerifiedSnapshot {
                id: id.clone(),
                at: now,
            });
            self.maintenance.begun_at.get_or_insert(now);
            changes.verified = Some(id.clone());
        }
    }

    fn observe_snapshots(&mut self, now: u64, backup: &BackupStatus, changes: &mut BackupChanges) {
        let known = self.newest.as_ref().map(|newest| &newest.id);
        // Oldest first: what follows the one we know is new.
        let after = backup
            .taken
            .iter()
            .rposition(|snapshot| Some(&snapshot.id) == known);
        let skipped = after.map_or(0, |position| position.saturating_add(1));
        let fresh: Vec<Snapshot> = backup.taken.iter().skip(skipped).cloned().collect();
        if let Some(newest) = fresh.last() {
            self.newest = Some(NewestSnapshot {
                id: newest.id.clone(),
                at: newest.taken_at,
            });
            self.maintenance.begun_at.get_or_insert(now);
            self.unsaved_since = None;
            if newest.raw.is_empty() {
                self.incidents.close(now, IncidentKind::DatabaseNotCopied);
            } else {
                let detail = newest.raw.join("; ");
                let observed = self
                    .incidents
                    .observe(now, IncidentKind::DatabaseNotCopied, Some(&detail));
                if observed.is_opened_or_changed() {
                    changes
                        .history_events
                        .push((HistoryKind::DatabaseNotCopied, Some(detail)));
                }
            }
            if fresh.iter().any(|snapshot| snapshot.suspicious.is_none()) {
                self.wanted.take_if(|wanted| wanted.done_at.is_some());
            }
        }
        if fresh.iter().any(|snapshot| snapshot.accepted) {
            self.decide(now);
        }
        for snapshot in &fresh {
            self.observe_loss(now, snapshot, changes);
            self.judged_until = self.judged_until.max(Some(snapshot.taken_at));
        }
        // `latest` is this one: nothing is passed over any more.
        if fresh.last().is_some_and(|newest| newest.suspicious.is_none()) {
            self.incidents.close(now, IncidentKind::SnapshotSuspicious);
        }
        changes.snapshots = fresh;
    }

    /// What a snapshot lacks that the one before it has. Each list of snapshots says so; the history says it when it is
    /// news, because a program may make and delete databases all day.
    fn observe_loss(&mut self, now: u64, snapshot: &Snapshot, changes: &mut BackupChanges) {
        let id = short_id(&snapshot.id);
        if let Some(lost) = &snapshot.suspicious {
            let observed =
                self.incidents
                    .observe(now, IncidentKind::SnapshotSuspicious, Some(snapshot.id.as_str()));
            if observed.is_opened() {
                changes
                    .history_events
                    .push((HistoryKind::SnapshotSuspicious, Some(format!("{id}: {lost}"))));
            }
        } else if let Some(lost) = &snapshot.lost {
            self.observe_content_gone(now, &snapshot.id, lost, changes);
        }
    }

    fn observe_content_gone(&mut self, now: u64, id: &SnapshotId, lost: &Lost, changes: &mut BackupChanges) {
        let told = self.loss_told_at.map(|at| now.saturating_sub(at));
        if told.is_some_and(|ago| ago < LOSS_TOLD_EVERY_MS) {
            return;
        }
        self.loss_told_at = Some(now);
        let detail = format!(
            "{}: {}. Restore {} to put it back",
            short_id(id),
            lost.what,
            lost.before
        );
        changes
            .history_events
            .push((HistoryKind::ContentGone, Some(detail)));
    }

    fn observe_maintenance(&mut self, now: u64, backup: &BackupStatus, changes: &mut BackupChanges) {
        let Some(report) = &backup.maintained else { return };
        let maintenance = &mut self.maintenance;
        if maintenance.reported_at == Some(report.finished_at) {
            return;
        }
        maintenance.reported_at = Some(report.finished_at);
        maintenance.finished_at = Some(now);
        maintenance.turns = maintenance.turns.wrapping_add(1);
        changes.forgotten.clone_from(&report.forgotten);
        maintenance.problems.clone_from(&report.problems);
        // One for which there is no room is no nearer tomorrow.
        if report.drill.is_some() || report.not_drilled.is_some() {
            maintenance.drilled_at = Some(now);
        }
        if let Some(outcome) = DrillOutcome::of(report) {
            maintenance.drill = Some(Drill { at: now, outcome });
        }
        if let Some(drill) = &report.drill {
            self.record_verified(now, drill, changes);
        }
        let (drill, damage): (Vec<&str>, Vec<&str>) = report
            .problems
            .iter()
            .map(String::as_str)
            .partition(|problem| problem.starts_with(DRILL_FAILED));
        let found = [
            (IncidentKind::DrillFailing, HistoryKind::DrillFailed, drill),
            (
                IncidentKind::RepositoryDamaged,
                HistoryKind::RepositoryDamaged,
                damage,
            ),
        ];
        for (incident, history, problems) in found {
            if problems.is_empty() {
                // Only another drill says that restores go well again.
                if incident != IncidentKind::DrillFailing || report.drill.is_some() {
                    self.incidents.close(now, incident);
                }
                continue;
            }
            let problems = problems.join("; ");
            let observed = self.incidents.observe(now, incident, Some(&problems));
            if observed.is_opened_or_changed() {
                changes.history_events.push((history, Some(problems)));
            }
        }
        if report.problems.is_empty() {
            changes
                .history_events
                .push((HistoryKind::Maintained, Some(maintenance_summary(report))));
        }
    }

    /// Whether an ordered restore is done, or has failed for good.
    fn settle_ordered_restore(
        &mut self,
        now: u64,
        run: Run,
        phase: GatewayPhase,
        backup: &BackupStatus,
        changes: &mut BackupChanges,
    ) {
        let Some(wanted) = &mut self.wanted else { return };
        if wanted.given_to != Some(run) || wanted.done_at.is_some() {
            return;
        }
        let restored = backup.restored.as_ref();
        let asked_for = restored.is_some_and(|report| match &wanted.point {
            RestorePoint::Latest => true,
            RestorePoint::Snapshot(id) => report.snapshot.as_ref() == Some(id),
        });
        if asked_for && restored.map(|report| report.restored_at) != wanted.restored_before {
            // Both on the container's clock: a snapshot of what was restored ends it, and `latest` needs none.
            let since = restored.map(|report| report.restored_at);
            let saved = backup
                .taken
                .iter()
                .any(|snapshot| Some(snapshot.taken_at) >= since && snapshot.suspicious.is_none());
            wanted.done_at = Some(now);
            if saved || wanted.point == RestorePoint::Latest {
                self.wanted = None;
            }
            self.ordered_restore_at = Some(now);
            self.decide(now);
            return;
        }
        // A start that cannot restore tries again for ever; a gateway that comes back instead was given its old home.
        let went_on = matches!(
            phase,
            GatewayPhase::Starting | GatewayPhase::Ready | GatewayPhase::Suspect
        );
        let error = backup
            .error
            .as_ref()
            .filter(|error| error.job != JobKind::Maintain);
        if let Some(error) = error
            && went_on
            && Some(error.failed_at) != wanted.failed_before
        {
            let detail = format!("the bot keeps what it had: {}", error.message);
            self.wanted = None;
            changes
                .history_events
                .push((HistoryKind::RestoreFailed, Some(detail)));
        }
    }
}

/// As restic shortens an id.
fn short_id(id: &SnapshotId) -> &str {
    id.as_str().get(..8).unwrap_or_default()
}

fn restore_summary(id: &SnapshotId, report: &RestoreReport) -> String {
    format!(
        "{}: {} files, {} bytes, {} compared, {} differ",
        short_id(id),
        report.amount.files,
        report.amount.bytes,
        report.compared,
        report.mismatches
    )
}

fn maintenance_summary(report: &MaintenanceReport) -> String {
    let drilled = report.drill.as_ref();
    let drilled = drilled.and_then(|drill| Some((drill.snapshot.as_ref()?, drill)));
    let drill = match (drilled, &report.not_drilled) {
        (Some((id, drill)), _) => format!("; restored into scratch: {}", restore_summary(id, drill)),
        (None, Some(why)) => format!("; not restored into scratch: {why}"),
        (None, None) => String::new(),
    };
    format!(
        "{} snapshots forgotten, {} kept, {} bytes freed, {} bytes read back{drill}",
        report.forgotten.len(),
        report.kept,
        report.pruned_bytes,
        report.checked_bytes
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{R1, at_rest, id, observe_backup, snapshot, status};
    use super::*;

    #[test]
    fn a_database_stored_as_files_is_reported_once() {
        let mut backup_state = BackupState::default();
        let mut backup = at_rest();
        let mut held = snapshot('a', 20);
        held.raw = vec!["x.sqlite: it is locked".into()];
        backup.taken = vec![held.clone()];
        let changes = backup_state.observe(1, R1, &status(R1, backup.clone()));
        let detail = (
            HistoryKind::DatabaseNotCopied,
            Some("x.sqlite: it is locked".to_owned()),
        );
        assert!(changes.history_events.contains(&detail), "{changes:?}");
        held.id = id('b');
        backup.taken.push(held);
        assert_eq!(observe_backup(&mut backup_state, 2, R1, backup.clone()), []);
        backup.taken.push(snapshot('c', 30));
        assert_eq!(
            observe_backup(&mut backup_state, 3, R1, backup),
            [],
            "it is copied again"
        );
    }

    #[test]
    fn what_came_of_the_last_drill_is_remembered() {
        let mut backup_state = BackupState::default();
        assert_eq!(backup_state.drill(), None);
        let failed = format!("{DRILL_FAILED}: pack 7 is gone");
        for (at, problems, drill, not_drilled, expected) in [
            (1, vec![], None, None, None),
            (2, vec![], Some(0), None, Some((2, DrillOutcome::Held))),
            (3, vec![], None, None, Some((2, DrillOutcome::Held))),
            (4, vec![failed], None, None, Some((4, DrillOutcome::Failed))),
            (
                5,
                vec![],
                None,
                Some("no room"),
                Some((5, DrillOutcome::NotPossible)),
            ),
            (
                6,
                vec!["another fault".into()],
                Some(0),
                None,
                Some((6, DrillOutcome::Held)),
            ),
            (7, vec![], Some(3), None, Some((7, DrillOutcome::Failed))),
        ] {
            let mut backup = at_rest();
            backup.maintained = Some(MaintenanceReport {
                finished_at: i64::try_from(at).unwrap(),
                duration_ms: 1,
                forgotten: vec![],
                kept: 1,
                pruned_bytes: 0,
                checked_bytes: 0,
                problems,
                drill: drill.map(|mismatches| RestoreReport {
                    snapshot: Some(id('a')),
                    mismatches,
                    ..RestoreReport::of_nothing(1)
                }),
                not_drilled: not_drilled.map(str::to_owned),
            });
            observe_backup(&mut backup_state, at, R1, backup);
            let told = backup_state.drill().map(|drill| (drill.at, drill.outcome));
            assert_eq!(told, expected, "{at}");
        }
    }
}
