//! The stored form of what a Sandbox remembers. Objects of every age are out there: one that was stored before there were
//! incidents has a latch for each thing that had been reported, and those become open incidents.

use serde::Deserialize;

use super::key::KeyState;
use super::{
    BackupState, MaintenanceState, NewestSnapshot, OVERDUE_AFTER_MS, OrderedRestore, PassedOver, Trouble,
    VerifiedSnapshot,
};
use crate::bot::incidents::{IncidentKind, Incidents};
use crate::wire::control::RestoreReport;
use crate::wire::job::JobKind;
use crate::wire::run::{Run, SnapshotId};

/// A record of any age.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct BackupRecord {
    run: Run,
    restored: Option<RestoreReport>,
    newest: Option<NewestSnapshot>,
    verified: Option<VerifiedSnapshot>,
    wanted: Option<OrderedRestore>,
    ordered_restore_at: Option<u64>,
    choice: Option<PassedOver>,
    decided: Option<SnapshotId>,
    loss_told_at: Option<u64>,
    judged_until: Option<i64>,
    unsaved_since: Option<u64>,
    saved_at: Option<u64>,
    trouble: Option<Trouble>,
    maintenance: MaintenanceState,
    partly_watched: bool,
    key: KeyState,
    /// Not in one with latches.
    incidents: Option<Incidents>,
    overdue: bool,
    suspicious: Option<SnapshotId>,
    raw: Vec<String>,
    failing: Option<JobKind>,
}

impl From<BackupRecord> for BackupState {
    fn from(record: BackupRecord) -> Self {
        let incidents = record.incidents.clone();
        Self {
            incidents: incidents.unwrap_or_else(|| record.latched()),
            run: record.run,
            restored: record.restored,
            newest: record.newest,
            verified: record.verified,
            wanted: record.wanted,
            ordered_restore_at: record.ordered_restore_at,
            choice: record.choice,
            decided: record.decided,
            loss_told_at: record.loss_told_at,
            judged_until: record.judged_until,
            unsaved_since: record.unsaved_since,
            saved_at: record.saved_at,
            trouble: record.trouble,
            maintenance: record.maintenance,
            partly_watched: record.partly_watched,
            key: record.key,
        }
    }
}

impl BackupRecord {
    /// The incidents that the latches stand for. When they began was not stored: it is taken for the last time at which
    /// something is known to have happened.
    fn latched(&self) -> Incidents {
        let mut incidents = Incidents::default();
        let newest_at = self.newest.as_ref().and_then(|newest| newest.at.try_into().ok());
        let maintenance = &self.maintenance;
        let known_at = newest_at
            .or(maintenance.finished_at)
            .or(maintenance.begun_at)
            .unwrap_or(0);
        if self.overdue {
            let at = self.unsaved_since.unwrap_or(known_at);
            incidents.observe(
                at.saturating_add(OVERDUE_AFTER_MS),
                IncidentKind::BackupOverdue,
                None,
            );
        }
        if let Some(id) = &self.suspicious {
            incidents.observe(known_at, IncidentKind::SnapshotSuspicious, Some(id.as_str()));
            // A newer one is good, or it would be the one.
            if self.newest.as_ref().is_some_and(|newest| newest.id != *id) {
                incidents.close(known_at, IncidentKind::SnapshotSuspicious);
            }
        }
        if !self.raw.is_empty() {
            let detail = self.raw.join("; ");
            incidents.observe(known_at, IncidentKind::DatabaseNotCopied, Some(&detail));
        }
        if let Some(job) = self.failing {
            let (kind, _) = super::trouble::failure_kinds(job);
            incidents.observe(known_at, kind, None);
        }
        if !maintenance.problems.is_empty() {
            let (at, detail) = (maintenance.finished_at, maintenance.problems.join("; "));
            let at = at.unwrap_or(known_at);
            incidents.observe(at, IncidentKind::RepositoryDamaged, Some(&detail));
        }
        incidents
    }
}
