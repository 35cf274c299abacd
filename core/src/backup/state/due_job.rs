//! Which job a Sandbox orders from its supervisor, and when.

use super::BackupState;
use crate::backup::job::{BackupJob, MaintenanceJob, SnapshotJob};
use crate::bot::incidents::IncidentKind;
use crate::wire::control::{GatewayPhase, SnapshotReason, Status};
use crate::wire::run::Run;

/// From one maintenance to the next.
pub const MAINTAIN_EVERY_MS: u64 = 24 * 60 * 60 * 1_000;
/// One that was ordered and of which nothing came is ordered again after this.
pub const MAINTAIN_AGAIN_MS: u64 = 60 * 60 * 1_000;
/// From one restore into scratch to the next.
pub const DRILL_EVERY_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Each maintenance reads back one of so many parts of the data: with one a day, all of it in a week.
pub const PARTS: u32 = 7;
/// How long a gateway has to be ready before maintenance begins: its start and the owner's first words come first.
pub const SETTLED_MS: u64 = 2 * 60_000;

impl BackupState {
    /// The job to order from the supervisor of `run`, which says `status`; the most urgent first. Tokens, and what is
    /// pinned, are for the Sandbox to add.
    pub fn due_job(&self, now: u64, run: Run, status: &Status) -> Option<BackupJob> {
        let backup = status.backup.as_ref()?;
        if let Some(wanted) = &self.wanted
            && wanted.given_to != Some(run)
        {
            return Some(BackupJob::Restore(wanted.point.clone()));
        }
        if backup.restored.is_none() || backup.under_way.is_some() {
            return None;
        }
        if self.incidents.is_open(IncidentKind::BackupOverdue) {
            return Some(BackupJob::Snapshot(SnapshotJob::new(SnapshotReason::Change)));
        }
        let settled = status.phase == GatewayPhase::Ready
            && status.ready_for_ms.is_some_and(|ready| ready >= SETTLED_MS);
        (settled && self.wanted.is_none() && self.maintenance_is_due(now)).then(|| {
            let drilled = self.maintenance.drilled_at;
            BackupJob::Maintain(MaintenanceJob {
                pinned: Vec::new(),
                verified: self.verified().cloned(),
                part: self.maintenance.turns.wrapping_rem(PARTS).saturating_add(1),
                parts: PARTS,
                drill: drilled.is_none_or(|at| now.saturating_sub(at) >= DRILL_EVERY_MS),
                now: i64::try_from(now).unwrap_or_default(),
            })
        })
    }

    fn maintenance_is_due(&self, now: u64) -> bool {
        let maintenance = &self.maintenance;
        // A day of snapshots, or there is nothing to keep in order.
        let Some(last) = maintenance.finished_at.or(maintenance.begun_at) else {
            return false;
        };
        let ordered_at = maintenance.asked_at.unwrap_or(0);
        now.saturating_sub(last) >= MAINTAIN_EVERY_MS && now.saturating_sub(ordered_at) >= MAINTAIN_AGAIN_MS
    }

    /// It was ordered from the supervisor of `run`, which said `status` before.
    pub fn mark_ordered(&mut self, now: u64, run: Run, status: &Status, job: &BackupJob) {
        match job {
            BackupJob::Restore(_) => {
                if let Some(wanted) = &mut self.wanted {
                    let backup = status.backup.as_ref();
                    let restored = backup.and_then(|backup| backup.restored.as_ref());
                    let error = backup.and_then(|backup| backup.error.as_ref());
                    wanted.given_to = Some(run);
                    wanted.restored_before = restored.map(|report| report.restored_at);
                    wanted.failed_before = error.map(|error| error.failed_at);
                    wanted.done_at = None;
                }
            }
            BackupJob::Maintain(_) => self.maintenance.asked_at = Some(now),
            BackupJob::Snapshot(_) | BackupJob::RenewToken | BackupJob::Read(_) => {}
        }
    }
}
