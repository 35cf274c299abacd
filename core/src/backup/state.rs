//! What a Sandbox remembers of its bot's snapshots, and what it does about them.
//!
//! The supervisor takes and restores them; what its status says is forgotten with the run. What must outlive it is
//! here: how old the last snapshot is, which one was proven good, which one somebody ordered back, whether maintenance
//! is due, and what is wrong. `observe` takes note, `due_job` says which job to order from the supervisor next. Times are
//! milliseconds since 1970; those a container said (`i64`) are only ever compared with one another, because its clock
//! need not be ours.

mod choice;
mod due_job;
mod key;
mod observe;
mod record;
mod start;
#[cfg(test)]
mod tests;
mod trouble;

use serde::{Deserialize, Serialize};

use crate::bot::history::HistoryKind;
use crate::bot::incidents::{IncidentKind, Incidents};
use crate::http::paths;
use crate::wire::control::{DRILL_FAILED, MaintenanceReport, RestoreReport, Snapshot};
use crate::wire::run::{RestorePoint, Run, SnapshotId};

pub use choice::{MAX_NAMED, PassedOver};
pub use due_job::{DRILL_EVERY_MS, MAINTAIN_AGAIN_MS, MAINTAIN_EVERY_MS, PARTS, SETTLED_MS};
pub use start::{Ended, StoredSnapshot};
pub use trouble::{SAVED_EVERY_MS, TROUBLE_REPORTED_AFTER_MS, Trouble};

/// Changes that are not saved for so long make a backup overdue: five times what the supervisor promises.
pub const OVERDUE_AFTER_MS: u64 = 5 * 60_000;
/// A snapshot that is being taken may put that off for so long: a first one of a large home takes its time, and one that
/// hangs must be noticed all the same.
pub const LONG_SNAPSHOT_MS: u64 = 60 * 60_000;
/// Failures in a row that are worth an entry in the history: one or two pass by themselves.
pub const REPORT_AFTER_FAILURES: u32 = 3;
/// The history is told once in so long that something is gone from a home.
pub const LOSS_TOLD_EVERY_MS: u64 = 60 * 60_000;
/// How long what there was before a restore is held, and what a start passed over: as long as somebody may notice that it
/// was the wrong one.
pub const HELD_FOR_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// What a Sandbox remembers. Stored as JSON; what older versions stored is read as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "record::BackupRecord")]
pub struct BackupState {
    /// The run whose status was seen last.
    run: Run,
    /// What the home of that run was made from.
    restored: Option<RestoreReport>,
    /// The newest snapshot that is known.
    newest: Option<NewestSnapshot>,
    /// The last snapshot that was restored and compared, byte by byte.
    verified: Option<VerifiedSnapshot>,
    /// A restore that somebody ordered and that is not yet over.
    wanted: Option<OrderedRestore>,
    /// When the last restore that somebody ordered was done.
    ordered_restore_at: Option<u64>,
    /// What a start passed over, while nobody has decided about it.
    choice: Option<PassedOver>,
    /// The newest that was passed over when somebody decided.
    decided: Option<SnapshotId>,
    /// When the history was last told that something is gone.
    loss_told_at: Option<u64>,
    /// When the last snapshot was taken of which it was observed what it lacks, by its container's clock.
    judged_until: Option<i64>,
    /// Since when something is not saved.
    unsaved_since: Option<u64>,
    /// When the run was last known to have nothing that is not saved.
    saved_at: Option<u64>,
    /// Why snapshots or restores do not get on.
    trouble: Option<Trouble>,
    maintenance: MaintenanceState,
    /// Whether its supervisor watches a part of the home only.
    partly_watched: bool,
    /// Which of the operator's keys opens the repository.
    key: key::KeyState,
    /// What is wrong, and what was.
    incidents: Incidents,
}

/// What is known of the newest snapshot without asking the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewestSnapshot {
    /// What names it.
    pub id: SnapshotId,
    /// When it was taken or, where only the bucket was asked, stored.
    pub at: i64,
}

/// A snapshot that was proven good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VerifiedSnapshot {
    /// What names it.
    pub id: SnapshotId,
    /// When that was seen.
    pub at: u64,
}

/// A restore that somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedRestore {
    /// What is to be restored.
    pub point: RestorePoint,
    /// When it was ordered.
    pub ordered_at: u64,
    /// The run it was given to.
    #[serde(default)]
    given_to: Option<Run>,
    /// The restore and the failure in that run's status before: those of this one differ.
    #[serde(default)]
    restored_before: Option<i64>,
    #[serde(default)]
    failed_before: Option<i64>,
    /// When it was seen to be done. It is over only with the next snapshot that is not suspicious: until then `latest`
    /// is still what there was before, and a new run would silently undo it.
    #[serde(default)]
    done_at: Option<u64>,
}

/// How the repository is kept in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct MaintenanceState {
    /// When the first snapshot was seen.
    begun_at: Option<u64>,
    /// When it was last ordered.
    asked_at: Option<u64>,
    /// When the last was over: when we saw that, and as the container said it.
    finished_at: Option<u64>,
    reported_at: Option<i64>,
    /// When the last drill was over.
    drilled_at: Option<u64>,
    /// The last one that was tried, whatever came of it.
    drill: Option<Drill>,
    /// How many there were: says which part of the data is read back next.
    turns: u32,
    /// What the last one found.
    problems: Vec<String>,
}

/// A restore drill: the newest snapshot was to be restored into scratch and compared, file by file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Drill {
    /// When it was over, in milliseconds since 1970.
    pub at: u64,
    /// What came of it.
    pub outcome: DrillOutcome,
}

/// What came of a restore drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DrillOutcome {
    /// All that was restored is as the snapshot has it.
    Held,
    /// It could not be restored, or differs.
    Failed,
    /// There was none, for a reason that is no fault of the repository: no room for it beside the bot.
    NotPossible,
    /// An outcome of a newer version.
    #[serde(other)]
    Unknown,
}

impl DrillOutcome {
    /// What came of the drill of a maintenance, if there was to be one.
    fn of(report: &MaintenanceReport) -> Option<Self> {
        let has_failed = report
            .problems
            .iter()
            .any(|problem| problem.starts_with(DRILL_FAILED));
        match &report.drill {
            Some(drill) if drill.mismatches == 0 && !has_failed => Some(Self::Held),
            Some(_) => Some(Self::Failed),
            None if has_failed => Some(Self::Failed),
            None => report.not_drilled.as_ref().map(|_| Self::NotPossible),
        }
    }

    /// Its text in JSON and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Failed => "failed",
            Self::NotPossible => "not-possible",
            Self::Unknown => "unknown",
        }
    }
}

/// What follows from what a supervisor says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupChanges {
    /// Entries of the history.
    pub history_events: Vec<(HistoryKind, Option<String>)>,
    /// Snapshots that were not known.
    pub snapshots: Vec<Snapshot>,
    /// A snapshot that was proven good.
    pub verified: Option<SnapshotId>,
    /// Snapshots that are gone.
    pub forgotten: Vec<SnapshotId>,
    /// Snapshots that were passed over: none of them is deleted for [`HELD_FOR_MS`].
    pub held: Vec<SnapshotId>,
    /// Until when.
    pub held_until: u64,
}

/// How a bot's backups are, in words for owners and admins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BackupSummary {
    /// The newest snapshot.
    pub newest: Option<NewestSnapshot>,
    /// The last one that was restored and compared, byte by byte, and when.
    pub verified: Option<VerifiedSnapshot>,
    /// Since when something is not saved.
    pub unsaved_since: Option<u64>,
    /// That is longer than it should be.
    pub overdue: bool,
    /// There are more directories than are watched: what changes in the others is noticed every five minutes only.
    pub partly_watched: bool,
    /// Why the newest snapshot, or the restore, failed or is held up. It is tried again by itself.
    pub trouble: Option<Trouble>,
    /// Newer snapshots than the one the home was made from, newest first: they had lost what nobody should have deleted.
    pub passed_over: Vec<SnapshotId>,
    /// What waits for a decision: to go back to what a start passed over, or to keep what there is.
    pub choice: Option<PassedOver>,
    /// While something does: the page with the buttons for it, on any host of the bot's.
    pub choice_page: Option<&'static str>,
    /// What somebody ordered back, until it is there.
    pub restore_wanted: Option<RestorePoint>,
    /// When maintenance was last over.
    pub maintained_at: Option<u64>,
    /// The last restore drill.
    pub drill: Option<Drill>,
    /// What it found wrong with the repository.
    pub problems: Vec<String>,
}

impl BackupState {
    /// In words.
    pub fn summary(&self) -> BackupSummary {
        // One who has ordered a restore has decided, if it can be done.
        let choice = self.choice.clone().filter(|_| self.wanted.is_none());
        BackupSummary {
            newest: self.newest.clone(),
            verified: self.verified.clone(),
            unsaved_since: self.unsaved_since,
            trouble: self.trouble.clone(),
            partly_watched: self.partly_watched,
            overdue: self.incidents.is_open(IncidentKind::BackupOverdue),
            passed_over: self
                .restored
                .as_ref()
                .map(|report| report.passed_over.iter().take(MAX_NAMED).cloned().collect())
                .unwrap_or_default(),
            choice_page: choice.is_some().then_some(paths::CHOICE),
            choice,
            restore_wanted: self.wanted.as_ref().map(|wanted| wanted.point.clone()),
            maintained_at: self.maintenance.finished_at,
            drill: self.maintenance.drill,
            problems: self.maintenance.problems.clone(),
        }
    }

    /// When the newest snapshot that is known was taken, in milliseconds since 1970.
    pub fn newest_at(&self) -> Option<u64> {
        let newest = self.newest.as_ref()?;
        u64::try_from(newest.at).ok()
    }

    /// Since when something is not saved, in milliseconds since 1970.
    pub fn unsaved_since(&self) -> Option<u64> {
        self.unsaved_since
    }

    /// The last restore drill.
    pub fn drill(&self) -> Option<Drill> {
        self.maintenance.drill
    }

    /// The snapshot that is kept because it was proven good.
    pub fn verified(&self) -> Option<&SnapshotId> {
        self.verified.as_ref().map(|verified| &verified.id)
    }

    /// When the last restore that somebody ordered was done, in milliseconds since 1970.
    pub fn ordered_restore_at(&self) -> Option<u64> {
        self.ordered_restore_at
    }

    /// What is wrong with its backups, and what was.
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Somebody ordered a restore. It replaces one that is not yet over. What was passed over is decided about once it is
    /// done; one that fails leaves the question.
    pub fn set_ordered_restore(&mut self, now: u64, point: RestorePoint) {
        self.wanted = Some(OrderedRestore {
            point,
            ordered_at: now,
            given_to: None,
            restored_before: None,
            failed_before: None,
            done_at: None,
        });
    }
}
