//! What is not saved, why, and since when: known with the first answer of a supervisor in trouble, and reported when it
//! lasts.

use serde::{Deserialize, Serialize};

use super::{BackupChanges, BackupState, LONG_SNAPSHOT_MS, OVERDUE_AFTER_MS, REPORT_AFTER_FAILURES};
use crate::bot::history::{HistoryKind, truncate_detail};
use crate::bot::incidents::IncidentKind;
use crate::wire::control::{BackupStatus, GatewayPhase, Status};
use crate::wire::job::JobKind;

/// Trouble that lasts this long is reported, however few attempts have failed: one that nobody answers tries for minutes.
pub const TROUBLE_REPORTED_AFTER_MS: u64 = 60_000;
/// That all is saved is written down this often: what a run that ends at once may have lost is told as so much more.
pub const SAVED_EVERY_MS: u64 = 30_000;

/// Two answers about the same moment differ by no more than they take.
const ANSWER_TAKES_MS: u64 = 5_000;

/// Why snapshots or restores do not get on. They are tried again by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Trouble {
    /// Which of them.
    #[serde(rename = "doing")]
    pub job: JobKind,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Why, in words.
    pub reason: String,
    /// Whether an attempt is under way that is held up; otherwise the last one has failed.
    pub held_up: bool,
}

/// What the supervisor counts from its start, at our own time.
fn at_our_time(now: u64, uptime_ms: u64, at_ms: u64) -> u64 {
    now.saturating_sub(uptime_ms.saturating_sub(at_ms))
}

impl BackupState {
    /// What would be lost if the run ended now, in words for whoever wants that.
    pub fn would_lose(&self) -> Option<String> {
        let trouble = self
            .trouble
            .as_ref()
            .filter(|trouble| trouble.job == JobKind::Snapshot)?;
        self.unsaved_since?;
        let now = if trouble.held_up { "is held up" } else { "failed" };
        Some(truncate_detail(&format!(
            "the snapshot of it {now}: {}",
            trouble.reason
        )))
    }

    pub(super) fn observe_trouble(&mut self, now: u64, status: &Status, backup: &BackupStatus) {
        let waits = backup.under_way.as_ref().zip(backup.held_up.as_ref());
        let waits = waits.map(|(progress, held_up)| {
            let since = at_our_time(now, status.uptime_ms, held_up.since_ms);
            (progress.job, since, &held_up.message, true)
        });
        let failed = backup.error.as_ref();
        let failed = failed.map(|error| (error.job, now, &error.message, false));
        // A gateway that runs again after a failed restore was given its old home: that is over.
        let counts = |job: JobKind| match job {
            JobKind::Snapshot => true,
            JobKind::Restore | JobKind::Compare => status.phase == GatewayPhase::Restoring,
            JobKind::Maintain | JobKind::Read | JobKind::Unknown => false,
        };
        let found = waits.filter(|(job, ..)| counts(*job));
        let found = found.or(failed.filter(|(job, ..)| counts(*job)));
        self.trouble = found.map(|(job, since, reason, held_up)| {
            let before = self.trouble.as_ref().filter(|before| before.job == job);
            Trouble {
                job,
                // Of several attempts in a row, since the first.
                since: before.map_or(since, |before| before.since.min(since)),
                reason: truncate_detail(reason),
                held_up,
            }
        });
    }

    /// Trouble is an incident once it lasts.
    fn report_lasting_trouble(&mut self, now: u64, changes: &mut BackupChanges) {
        let Some(trouble) = &self.trouble else { return };
        if now.saturating_sub(trouble.since) < TROUBLE_REPORTED_AFTER_MS {
            return;
        }
        let (incident, history) = failure_kinds(trouble.job);
        let observed = self.incidents.observe(now, incident, Some(&trouble.reason));
        if observed.is_opened() {
            changes
                .history_events
                .push((history, Some(trouble.reason.clone())));
        }
    }

    pub(super) fn observe_unsaved(
        &mut self,
        now: u64,
        uptime_ms: u64,
        backup: &BackupStatus,
        changes: &mut BackupChanges,
    ) {
        let taking = backup
            .under_way
            .as_ref()
            .is_some_and(|progress| progress.job == JobKind::Snapshot);
        let first = backup.unsaved_at_ms.map(|at| at_our_time(now, uptime_ms, at));
        if let Some(first) = first {
            let known = self.unsaved_since;
            let known = known.filter(|known| known.abs_diff(first) < ANSWER_TAKES_MS);
            self.unsaved_since = Some(known.unwrap_or(first));
        } else if backup.changed {
            self.unsaved_since.get_or_insert(now);
        } else if !taking {
            // What is being taken is not saved before it is.
            self.unsaved_since = None;
            if backup.restored.is_some() {
                let known = self.saved_at.map(|at| now.saturating_sub(at));
                self.saved_at = self
                    .saved_at
                    .filter(|_| known < Some(SAVED_EVERY_MS))
                    .or(Some(now));
            }
        }
        let unsaved_for = self.unsaved_since.map(|since| now.saturating_sub(since));
        let is_open = self.incidents.is_open(IncidentKind::BackupOverdue);
        // One that is overdue stays that until it is taken.
        let overdue_after = if taking && !is_open {
            LONG_SNAPSHOT_MS
        } else {
            OVERDUE_AFTER_MS
        };
        if unsaved_for >= Some(overdue_after) {
            let observed = self.incidents.observe(now, IncidentKind::BackupOverdue, None);
            if observed.is_opened() {
                changes.history_events.push((HistoryKind::BackupOverdue, None));
            }
        } else if self.incidents.close(now, IncidentKind::BackupOverdue).is_some() {
            changes.history_events.push((HistoryKind::BackupResumed, None));
        }
    }

    pub(super) fn observe_failures(&mut self, now: u64, backup: &BackupStatus, changes: &mut BackupChanges) {
        self.report_lasting_trouble(now, changes);
        let Some(error) = &backup.error else {
            // A run that has just begun has no error, and has done nothing yet either; one that is held up has none yet.
            let trouble = self.trouble.as_ref().map(|trouble| failure_kinds(trouble.job).0);
            let over = FAILURES
                .into_iter()
                .filter(|kind| has_succeeded(*kind, backup) && Some(*kind) != trouble);
            let over = over.filter_map(|kind| self.incidents.close(now, kind));
            // However many are over, backups are in order again.
            if over.count() > 0 {
                changes.history_events.push((HistoryKind::BackupResumed, None));
            }
            return;
        };
        if error.attempts < failures_before_report(error.job) {
            return;
        }
        let (incident, history) = failure_kinds(error.job);
        if self
            .incidents
            .observe(now, incident, Some(&error.message))
            .is_opened()
        {
            changes
                .history_events
                .push((history, Some(error.message.clone())));
        }
    }
}

/// What jobs that fail lead to.
const FAILURES: [IncidentKind; 3] = [
    IncidentKind::BackupFailing,
    IncidentKind::RestoreFailing,
    IncidentKind::MaintenanceFailing,
];

/// Failures in a row before that is an incident. Maintenance is not tried again by itself.
fn failures_before_report(job: JobKind) -> u32 {
    match job {
        JobKind::Maintain => 1,
        _ => REPORT_AFTER_FAILURES,
    }
}

pub(super) fn failure_kinds(job: JobKind) -> (IncidentKind, HistoryKind) {
    match job {
        // A comparison that failed is a restore that failed.
        JobKind::Restore | JobKind::Compare => (IncidentKind::RestoreFailing, HistoryKind::RestoreFailed),
        JobKind::Maintain => (IncidentKind::MaintenanceFailing, HistoryKind::MaintenanceFailed),
        JobKind::Snapshot | JobKind::Read | JobKind::Unknown => {
            (IncidentKind::BackupFailing, HistoryKind::BackupFailed)
        }
    }
}

/// Whether a run has succeeded at least once with what led to such an incident.
fn has_succeeded(incident: IncidentKind, backup: &BackupStatus) -> bool {
    match incident {
        IncidentKind::RestoreFailing => backup.restored.is_some(),
        IncidentKind::MaintenanceFailing => backup.maintained.is_some(),
        _ => !backup.taken.is_empty(),
    }
}
