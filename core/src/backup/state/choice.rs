//! What a start passed over, and what somebody decides about it: to go back to that, or to keep what there is.

use serde::{Deserialize, Serialize};

use super::{BackupState, HELD_FOR_MS};
use crate::bot::incidents::IncidentKind;
use crate::wire::run::SnapshotId;

/// So many snapshots are named: the last is nearly always the one that somebody wants.
pub const MAX_NAMED: usize = 10;

/// Newer snapshots than the one a home was made from, until somebody decides. Each of them can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PassedOver {
    /// The newest of them, newest first.
    pub snapshots: Vec<SnapshotId>,
    /// How many there are.
    pub total: u64,
    /// What the newest of them has lost, as far as that is known.
    #[serde(default)]
    pub why: Option<String>,
    /// What the home was made from instead.
    #[serde(default)]
    pub instead: Option<SnapshotId>,
    /// When a start first passed the newest of them over.
    pub since: u64,
    /// Until then none of them is deleted; the question is over then.
    pub kept_until: u64,
}

impl BackupState {
    /// What waits for somebody to decide.
    pub fn choice(&self) -> Option<&PassedOver> {
        self.choice.as_ref()
    }

    /// A start passes these over, newest first, and makes the home from `instead`. Whether somebody has to decide; those
    /// about which somebody did are no question any more.
    pub(super) fn passes_over(
        &mut self,
        now: u64,
        snapshots: &[SnapshotId],
        why: Option<&str>,
        instead: Option<&SnapshotId>,
    ) -> bool {
        let is_open = |id: &&SnapshotId| Some(*id) != self.decided.as_ref();
        let mut open: Vec<SnapshotId> = snapshots.iter().take_while(is_open).cloned().collect();
        let Some(newest) = open.first().cloned() else {
            return false;
        };
        let mut total = open.len();
        let before = self.choice.take();
        let same = before
            .as_ref()
            .filter(|choice| choice.snapshots.first() == Some(&newest));
        let (since, known) = same.map_or((now, None), |choice| (choice.since, choice.why.clone()));
        // What an earlier start had passed over is within reach as well.
        if let Some(before) = &before {
            let further = before.snapshots.iter().filter(|id| !open.contains(id));
            let further: Vec<SnapshotId> = further.cloned().collect();
            total = total.saturating_add(further.len());
            open.extend(further);
        }
        open.truncate(MAX_NAMED);
        self.incidents
            .observe(now, IncidentKind::PassedOver, Some(newest.as_str()));
        self.choice = Some(PassedOver {
            snapshots: open,
            total: u64::try_from(total).unwrap_or(u64::MAX),
            why: why.map(str::to_owned).or(known),
            instead: instead.cloned(),
            since,
            kept_until: since.saturating_add(HELD_FOR_MS),
        });
        true
    }

    /// Somebody has decided: to keep what there is, or what there is to be instead. Whether there was a question.
    pub fn decide(&mut self, now: u64) -> bool {
        let Some(choice) = self.choice.take() else {
            return false;
        };
        self.decided = choice.snapshots.into_iter().next();
        self.incidents.close(now, IncidentKind::PassedOver);
        true
    }

    /// A question that nobody answered in time is over. Whether one was.
    pub fn lapse_choice(&mut self, now: u64) -> bool {
        let has_lapsed = |choice: &PassedOver| choice.kept_until <= now;
        self.choice.as_ref().is_some_and(has_lapsed) && self.decide(now)
    }
}
