//! Taking note of what a supervisor says.

use super::{LONG_SNAPSHOT_MS, Ledger, Newest, News, OVERDUE_AFTER_MS, TELL_AFTER, Verified};
use crate::bot::history::Kind;
use crate::wire::control::{
    BackupStatus, Doing, GatewayPhase, MaintenanceReport, RestoreReport, Snapshot, Status,
};
use crate::wire::run::{RestorePoint, Run, SnapshotId};

impl Ledger {
    /// Takes note of what the supervisor of `run` says.
    pub fn heard(&mut self, now: u64, run: Run, status: &Status) -> News {
        let mut news = News::default();
        let Some(backup) = &status.backup else { return news };
        if self.run != run {
            self.run = run;
            self.restored = None;
            self.unsaved_since = None;
            self.overdue = false;
        }
        self.hear_of_restores(now, backup, &mut news);
        self.hear_of_snapshots(now, backup, &mut news);
        self.hear_of_maintenance(now, backup, &mut news);
        self.hear_of_failures(backup, &mut news);
        self.settle_wanted(now, run, status.phase, backup, &mut news);
        news
    }

    fn hear_of_restores(&mut self, now: u64, backup: &BackupStatus, news: &mut News) {
        let Some(report) = &backup.restored else { return };
        if self.restored.as_ref() == Some(report) {
            return;
        }
        self.restored = Some(report.clone());
        self.proven(now, report, news);
        let passed_over = match report.passed_over.len() {
            0 => String::new(),
            more => format!("; {more} suspicious ones passed over"),
        };
        let detail = match &report.snapshot {
            Some(id) => format!("{}{passed_over}", in_words(id, report)),
            None => "there was nothing to restore".to_owned(),
        };
        news.notices.push((Kind::Restored, Some(detail)));
        // The last one of a run is heard of by nobody before it is passed over.
        if let Some(id) = report.passed_over.first()
            && self.suspicious.as_ref() != Some(id)
        {
            self.suspicious = Some(id.clone());
            let detail = format!("{}: passed over at this start", short(id));
            news.notices.push((Kind::SnapshotSuspicious, Some(detail)));
        }
    }

    /// A snapshot that was restored whole.
    fn proven(&mut self, now: u64, report: &RestoreReport, news: &mut News) {
        if let Some(id) = &report.snapshot
            && report.mismatches == 0
        {
            self.verified = Some(Verified {
                id: id.clone(),
                at: now,
            });
            if self.newest.is_none() {
                self.newest = Some(Newest {
                    id: id.clone(),
                    at: report.taken_at.unwrap_or_default(),
                });
            }
            self.maintenance.begun_at.get_or_insert(now);
            news.verified = Some(id.clone());
        }
    }

    fn hear_of_snapshots(&mut self, now: u64, backup: &BackupStatus, news: &mut News) {
        let known = self.newest.as_ref().map(|newest| &newest.id);
        // Oldest first: what follows the one we know is new.
        let after = backup
            .taken
            .iter()
            .rposition(|snapshot| Some(&snapshot.id) == known);
        let skipped = after.map_or(0, |position| position.saturating_add(1));
        let fresh: Vec<Snapshot> = backup.taken.iter().skip(skipped).cloned().collect();
        if let Some(newest) = fresh.last() {
            self.newest = Some(Newest {
                id: newest.id.clone(),
                at: newest.taken_at,
            });
            self.maintenance.begun_at.get_or_insert(now);
            self.unsaved_since = None;
            if self.raw != newest.raw {
                self.raw.clone_from(&newest.raw);
                let told = (!self.raw.is_empty()).then(|| self.raw.join("; "));
                let notice = told.map(|told| (Kind::DatabaseNotCopied, Some(told)));
                news.notices.extend(notice);
            }
            if fresh.iter().any(|snapshot| snapshot.suspicious.is_none()) {
                self.wanted.take_if(|wanted| wanted.done_at.is_some());
            }
        }
        for snapshot in &fresh {
            if let Some(lost) = &snapshot.suspicious {
                self.suspicious = Some(snapshot.id.clone());
                let detail = format!("{}: {lost}", short(&snapshot.id));
                news.notices.push((Kind::SnapshotSuspicious, Some(detail)));
            }
        }
        news.snapshots = fresh;
        let taking = backup
            .under_way
            .as_ref()
            .is_some_and(|progress| progress.doing == Doing::Snapshot);
        if backup.changed {
            self.unsaved_since.get_or_insert(now);
        } else if !taking {
            // What is being taken is not saved before it is.
            self.unsaved_since = None;
        }
        let unsaved_for = self.unsaved_since.map(|since| now.saturating_sub(since));
        let patience = if taking {
            LONG_SNAPSHOT_MS
        } else {
            OVERDUE_AFTER_MS
        };
        match self.overdue {
            false if unsaved_for >= Some(patience) => {
                self.overdue = true;
                news.notices.push((Kind::BackupOverdue, None));
            }
            true if unsaved_for < Some(OVERDUE_AFTER_MS) => {
                self.overdue = false;
                news.notices.push((Kind::BackupResumed, None));
            }
            _ => {}
        }
    }

    fn hear_of_maintenance(&mut self, now: u64, backup: &BackupStatus, news: &mut News) {
        let Some(report) = &backup.maintained else { return };
        let upkeep = &mut self.maintenance;
        if upkeep.reported_at == Some(report.finished_at) {
            return;
        }
        upkeep.reported_at = Some(report.finished_at);
        upkeep.finished_at = Some(now);
        upkeep.turns = upkeep.turns.wrapping_add(1);
        news.forgotten.clone_from(&report.forgotten);
        let known = std::mem::replace(&mut upkeep.problems, report.problems.clone());
        // One for which there is no room is no nearer tomorrow.
        if report.drill.is_some() || report.not_drilled.is_some() {
            upkeep.drilled_at = Some(now);
        }
        if let Some(drill) = &report.drill {
            self.proven(now, drill, news);
        }
        if report.problems.is_empty() {
            news.notices.push((Kind::Maintained, Some(accounted(report))));
        } else if report.problems != known {
            news.notices
                .push((Kind::RepositoryDamaged, Some(report.problems.join("; "))));
        }
    }

    fn hear_of_failures(&mut self, backup: &BackupStatus, news: &mut News) {
        match &backup.error {
            // A comparison that failed is a restore that failed.
            Some(error) if error.attempts >= patience(error.doing) && self.failing != Some(error.doing) => {
                self.failing = Some(error.doing);
                let detail = Some(error.message.clone());
                news.notices.push((failure(error.doing), detail));
            }
            // A run that has just begun has no error, and has done nothing yet either.
            None if self.failing.is_some_and(|doing| has_done(doing, backup)) => {
                self.failing = None;
                news.notices.push((Kind::BackupResumed, None));
            }
            _ => {}
        }
    }

    /// Whether an ordered restore is done, or has failed for good.
    fn settle_wanted(
        &mut self,
        now: u64,
        run: Run,
        phase: GatewayPhase,
        backup: &BackupStatus,
        news: &mut News,
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
            .filter(|error| error.doing != Doing::Maintain);
        if let Some(error) = error
            && went_on
            && Some(error.failed_at) != wanted.failed_before
        {
            let detail = format!("the bot keeps what it had: {}", error.message);
            self.wanted = None;
            news.notices.push((Kind::RestoreFailed, Some(detail)));
        }
    }
}

/// Failures in a row before it is told. Maintenance is not tried again by itself.
fn patience(doing: Doing) -> u32 {
    match doing {
        Doing::Maintain => 1,
        _ => TELL_AFTER,
    }
}

fn failure(doing: Doing) -> Kind {
    match doing {
        Doing::Restore | Doing::Compare => Kind::RestoreFailed,
        Doing::Maintain => Kind::MaintenanceFailed,
        Doing::Snapshot | Doing::Unknown => Kind::BackupFailed,
    }
}

/// Whether a run has succeeded with it at least once.
fn has_done(doing: Doing, backup: &BackupStatus) -> bool {
    match doing {
        Doing::Restore | Doing::Compare => backup.restored.is_some(),
        Doing::Maintain => backup.maintained.is_some(),
        Doing::Snapshot => !backup.taken.is_empty(),
        Doing::Unknown => true,
    }
}

/// As restic shortens an id.
fn short(id: &SnapshotId) -> &str {
    id.as_str().get(..8).unwrap_or_default()
}

fn in_words(id: &SnapshotId, report: &RestoreReport) -> String {
    format!(
        "{}: {} files, {} bytes, {} compared, {} differ",
        short(id),
        report.amount.files,
        report.amount.bytes,
        report.compared,
        report.mismatches
    )
}

fn accounted(report: &MaintenanceReport) -> String {
    let drilled = report.drill.as_ref();
    let drilled = drilled.and_then(|drill| Some((drill.snapshot.as_ref()?, drill)));
    let drill = match (drilled, &report.not_drilled) {
        (Some((id, drill)), _) => format!("; restored into scratch: {}", in_words(id, drill)),
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
    use super::super::tests::{R1, at_rest, hear, id, snapshot, status};
    use super::*;

    #[test]
    fn a_database_that_is_stored_as_files_is_told_once() {
        let mut ledger = Ledger::default();
        let mut backup = at_rest();
        let mut held = snapshot('a', 20);
        held.raw = vec!["x.sqlite: it is locked".into()];
        backup.taken = vec![held.clone()];
        let news = ledger.heard(1, R1, &status(R1, backup.clone()));
        let told = (Kind::DatabaseNotCopied, Some("x.sqlite: it is locked".to_owned()));
        assert!(news.notices.contains(&told), "{news:?}");
        held.id = id('b');
        backup.taken.push(held);
        assert_eq!(hear(&mut ledger, 2, R1, backup.clone()), []);
        backup.taken.push(snapshot('c', 30));
        assert_eq!(hear(&mut ledger, 3, R1, backup), [], "it is copied again");
    }
}
