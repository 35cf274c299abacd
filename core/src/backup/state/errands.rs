//! What a Sandbox asks of its supervisor about the snapshots, and when.

use super::BackupState;
use crate::wire::control::{GatewayPhase, RestoreOrder, SnapshotOrder, SnapshotReason, Status};
use crate::wire::run::{RestorePoint, Run};

/// From one maintenance to the next.
pub const MAINTAIN_EVERY_MS: u64 = 24 * 60 * 60 * 1_000;
/// One that was asked for and not heard of is asked for again after this.
pub const MAINTAIN_AGAIN_MS: u64 = 60 * 60 * 1_000;
/// From one restore into scratch to the next.
pub const DRILL_EVERY_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Each maintenance reads back one of so many parts of the data: with one a day, all of it in a week.
pub const PARTS: u32 = 7;
/// How long a gateway has to be ready before maintenance begins: its start and the owner's first words come first.
pub const SETTLED_MS: u64 = 2 * 60_000;

/// What the supervisor is asked for. Tokens are for the Sandbox to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// An ordered restore.
    Restore(RestoreOrder),
    /// A snapshot that is overdue.
    Snapshot(SnapshotOrder),
    /// Maintenance.
    Maintain {
        /// Which part of the data is read back, counted from one.
        part: u32,
        /// Whether a snapshot is restored into scratch.
        drill: bool,
    },
}

impl BackupState {
    /// What to ask of the supervisor of `run`, which says `status`; the most urgent first.
    pub fn errand(&self, now: u64, run: Run, status: &Status) -> Option<Errand> {
        let backup = status.backup.as_ref()?;
        if let Some(wanted) = &self.wanted
            && wanted.given_to != Some(run)
        {
            let snapshot = match &wanted.point {
                RestorePoint::Latest => None,
                RestorePoint::Snapshot(id) => Some(id.clone()),
            };
            return Some(Errand::Restore(RestoreOrder {
                snapshot,
                token: None,
            }));
        }
        if backup.restored.is_none() || backup.under_way.is_some() {
            return None;
        }
        if self.overdue {
            return Some(Errand::Snapshot(SnapshotOrder {
                reason: SnapshotReason::Change,
                accept: false,
                token: None,
            }));
        }
        let settled = status.phase == GatewayPhase::Ready
            && status.ready_for_ms.is_some_and(|ready| ready >= SETTLED_MS);
        (settled && self.wanted.is_none() && self.maintenance_is_due(now)).then(|| {
            let drilled = self.maintenance.drilled_at;
            Errand::Maintain {
                part: self.maintenance.turns.wrapping_rem(PARTS).saturating_add(1),
                drill: drilled.is_none_or(|at| now.saturating_sub(at) >= DRILL_EVERY_MS),
            }
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

    /// The supervisor of `run`, which said `status` before, was asked for it.
    pub fn mark_ordered(&mut self, now: u64, run: Run, status: &Status, errand: &Errand) {
        match errand {
            Errand::Restore(_) => {
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
            Errand::Snapshot(_) => {}
            Errand::Maintain { .. } => self.maintenance.asked_at = Some(now),
        }
    }
}
