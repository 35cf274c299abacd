//! What the supervisor says about the bot's snapshots.
//!
//! Times of day (`…_at`) are Unix milliseconds: a snapshot outlives the run that took it.

use serde::{Deserialize, Serialize};

use super::{LeftOut, Named};
use crate::wire::home_path::HomePath;
use crate::wire::job_kind::JobKind;
use crate::wire::run::SnapshotId;

/// `POST`: take a snapshot now; the body is that of an [`OrderedJob`](crate::wire::job::OrderedJob). Answers 202 with the [`Status`](super::Status)
/// from before.
pub const SNAPSHOT_PATH: &str = "/v1/snapshot";
/// `GET`: all snapshots of the bot, newest first, as a list of [`Snapshot`]. Below it, of one snapshot:
/// `<id>/files?path=…` what is in a directory, as a list of [`SnapshotEntry`]; `<id>/file?path=…` the bytes of a file, with
/// `range` and `if_range` as the headers of these names, and by `HEAD` without them; `<id>/archive?path=…` a directory with
/// all that is below it, as a tar. A path counts from the home, is a percent-encoded [`HomePath`], and is empty for the home
/// itself.
pub const SNAPSHOTS_PATH: &str = "/v1/snapshots";
/// `POST`: make the home what it was in a snapshot; the body is that of an
/// [`OrderedJob`](crate::wire::job::OrderedJob). What there is now is saved
/// first. Answers 202 with the [`Status`](super::Status) from before.
pub const RESTORE_PATH: &str = "/v1/restore";
/// `POST`: maintain the repository; the body is that of an [`OrderedJob`](crate::wire::job::OrderedJob). Answers 202 with the
/// [`Status`](super::Status) from before.
pub const MAINTAIN_PATH: &str = "/v1/maintain";

/// Snapshots in a list of ids. Each of those of a status, with what else is in it, has to fit into an answer
/// ([`MAX_ANSWER_BYTES`](super::MAX_ANSWER_BYTES)): 67 KB.
pub const MAX_IDS: usize = 1_000;

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why a snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotReason {
    /// Something in the home had changed.
    Change,
    /// The container was about to stop.
    Stop,
    /// Somebody asked for it.
    Manual,
    /// An older snapshot was about to replace what there was.
    BeforeRestore,
    /// Another version of the gateway was about to run.
    BeforeUpgrade,
    /// A reason of a newer supervisor.
    #[serde(other)]
    Unknown,
}

impl SnapshotReason {
    /// Every reason this version knows.
    pub const ALL: [Self; 5] = [
        Self::Change,
        Self::Stop,
        Self::Manual,
        Self::BeforeRestore,
        Self::BeforeUpgrade,
    ];

    /// Its text in JSON, in a snapshot's tags and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Stop => "stop",
            Self::Manual => "manual",
            Self::BeforeRestore => "before-restore",
            Self::BeforeUpgrade => "before-upgrade",
            Self::Unknown => "unknown",
        }
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Amount {
    /// Files; directories and links are not counted.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// A snapshot that was stored and confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What names it.
    pub id: SnapshotId,
    /// When it was taken.
    pub taken_at: i64,
    /// Why; `None` when it was not the supervisor that took it.
    pub reason: Option<SnapshotReason>,
    /// The run it was taken in.
    #[serde(default)]
    pub run: Option<u64>,
    /// The gateway that had written what is in it, if that was known.
    #[serde(default)]
    pub gateway_version: Option<String>,
    /// What is in it.
    pub amount: Amount,
    /// Bytes that it added to the repository, as they are stored.
    pub added_bytes: u64,
    /// Set when it lost what nobody should have deleted: `latest` passes it over. Says what was lost.
    #[serde(default)]
    pub suspicious: Option<String>,
    /// What it lacks that an earlier one has. Unless it is suspicious that is as its owner wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// Databases in it that are not known to be sound, each with the reason: nobody let them be copied or checked, and
    /// they are in it as they were. A snapshot without them would be none of anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<String>,
    /// Bytes its files took on the disk: fewer than there are in them where they have holes. `None` when it was not
    /// counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// What it lacks because it could not be read, each with the reason.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub lacks: Named,
    /// What it lacks because the rules leave it out.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
    /// What in it may be of another moment than the rest, each with the reason: the bot did not stand still for long enough.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub moments: Named,
    /// For how many milliseconds the bot stood still for it. `None` where it did not: nothing had changed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
    /// Whether somebody ordered it with whatever is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
}

/// What a snapshot lacks that an earlier one has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Lost {
    /// What is gone, in words of a bounded length.
    pub what: String,
    /// The snapshot that has it: a restore of that one puts it back.
    pub before: SnapshotId,
}

/// What a home was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RestoreReport {
    /// The snapshot; `None` when the repository has none, so that there was nothing to restore.
    pub snapshot: Option<SnapshotId>,
    /// When that snapshot was taken.
    #[serde(default)]
    pub taken_at: Option<i64>,
    /// When the restore was over.
    pub restored_at: i64,
    /// What was restored.
    pub amount: Amount,
    /// How long it took, the comparison included, in milliseconds.
    pub duration_ms: u64,
    /// Files, directories and links that were compared with the snapshot afterwards: type, owner, mode, time,
    /// target, and every byte by its digest.
    pub compared: u64,
    /// How many of them differ. A run with any does not begin.
    pub mismatches: u64,
    /// Newer snapshots that were passed over because they are marked suspicious, newest first: at most [`MAX_IDS`].
    #[serde(default)]
    pub passed_over: Vec<SnapshotId>,
    /// How many more were.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub passed_over_more: u64,
    /// What the newest of these has lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub passed_over_for: Option<String>,
    /// What the newest snapshot lacks that an earlier one has, or what one before it in the same run does: of those at the end
    /// of a run nobody else says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub lost: Option<Lost>,
    /// When the first snapshot that lacks it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub lost_at: Option<i64>,
    /// Bytes that were written: holes are not. `None` from a supervisor that wrote them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub disk_bytes: Option<u64>,
    /// Owners, modes, times and attributes that could not be set as they were, and other steps that are no reason to go
    /// without the home: all that is in the files is there.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub unset: Named,
}

impl RestoreReport {
    /// How many snapshots were passed over.
    pub fn passed_over_total(&self) -> u64 {
        let named = u64::try_from(self.passed_over.len()).unwrap_or(u64::MAX);
        self.passed_over_more.saturating_add(named)
    }

    /// Names no more of them than are named.
    pub fn bound_passed_over(&mut self) {
        let total = self.passed_over_total();
        self.passed_over.truncate(MAX_IDS);
        let named = u64::try_from(self.passed_over.len()).unwrap_or(u64::MAX);
        self.passed_over_more = total.saturating_sub(named);
    }

    /// That nothing was restored, and that this was over at `restored_at`.
    pub fn of_nothing(restored_at: i64) -> Self {
        Self {
            snapshot: None,
            taken_at: None,
            restored_at,
            amount: Amount::default(),
            duration_ms: 0,
            compared: 0,
            mismatches: 0,
            passed_over: Vec::new(),
            passed_over_more: 0,
            passed_over_for: None,
            lost: None,
            lost_at: None,
            disk_bytes: None,
            unset: Named::default(),
        }
    }
}

/// A job under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Of which kind it is.
    #[serde(rename = "doing")]
    pub job: JobKind,
    /// What is done.
    pub done: Amount,
    /// What there is to do, once that is known.
    #[serde(default)]
    pub total: Option<Amount>,
}

/// Why the last attempt at something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupError {
    /// When the last of these attempts failed.
    pub failed_at: i64,
    /// Of which kind the job was.
    #[serde(rename = "doing")]
    pub job: JobKind,
    /// How many attempts in a row have failed.
    pub attempts: u32,
    /// What went wrong, fit for the bot's owner, without secrets.
    pub message: String,
}

/// What a job under way waits for, while it still tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldUp {
    /// Milliseconds since the supervisor started at which that was noticed.
    pub since_ms: u64,
    /// What it waits for, fit for the bot's owner, without secrets.
    pub message: String,
}

/// How a problem begins that a restore drill has found.
pub const DRILL_FAILED: &str = "the restore drill failed";

/// What maintenance did, and how the repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceReport {
    /// When it was over.
    pub finished_at: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Snapshots that policy no longer kept; they are gone. At most [`MAX_IDS`]: the next maintenance forgets the others.
    pub forgotten: Vec<SnapshotId>,
    /// Snapshots that are left.
    pub kept: u32,
    /// Bytes that were removed from the repository.
    pub pruned_bytes: u64,
    /// Bytes of the repository that were read back and checked.
    pub checked_bytes: u64,
    /// What the check found wrong, in words; empty when all is well.
    pub problems: Vec<String>,
    /// The snapshot that was restored into scratch and compared.
    #[serde(default)]
    pub drill: Option<RestoreReport>,
    /// Why none was, although it was asked for, when the repository has no part in that: it is neither a problem of it
    /// nor a proof. The same words for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_drilled: Option<String>,
}

/// All about a bot's snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackupStatus {
    /// What this run's home was made from; `None` until that is confirmed. Before that no gateway runs and no
    /// snapshot is taken.
    #[serde(default)]
    pub restored: Option<RestoreReport>,
    /// What is being done.
    #[serde(default)]
    pub under_way: Option<Progress>,
    /// The last snapshots of this run, oldest first.
    #[serde(default)]
    pub taken: Vec<Snapshot>,
    /// Set while the last attempt at something has failed.
    #[serde(default)]
    pub error: Option<BackupError>,
    /// What the last maintenance of this run did.
    #[serde(default)]
    pub maintained: Option<MaintenanceReport>,
    /// Whether something has changed since the last snapshot began.
    #[serde(default)]
    pub changed: bool,
    /// What the job under way waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up: Option<HeldUp>,
    /// Milliseconds since the supervisor started at which the first change was noticed that is in no snapshot yet; one
    /// that is being taken is none. `None` where there is no such change, or from a supervisor that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsaved_at_ms: Option<u64>,
    /// Whether there are more directories than are watched: what changes in the others is noticed every five minutes only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partly_watched: bool,
}

/// Something in a directory of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SnapshotEntry {
    /// Its name; what is not UTF-8 in it is replaced.
    pub name: String,
    /// Where something had to be replaced: its name percent-encoded, as it stands in the `path` of a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, nullable = false))]
    pub encoded_name: Option<HomePath>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes in it.
    pub bytes: u64,
    /// When it was last written.
    #[serde(default)]
    pub modified_at: Option<i64>,
}

/// What something in a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_names_match_their_serialized_form() {
        for reason in SnapshotReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(SnapshotReason::named(reason.as_str()), Some(reason));
        }
        assert_eq!(SnapshotReason::named("boredom"), None);
    }
}
