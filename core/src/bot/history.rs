//! The history of bots: who did what to which one, when and why. Kept in D1, read by owners and admins.

use serde::{Deserialize, Serialize};

use crate::user_id::UserId;

/// How long an entry is kept, in milliseconds: a quarter of a year, what an incident's aftermath takes. Bots
/// leave some twenty a day, so a thousand of them stay within D1's 10 GB for ever.
pub const KEPT_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// Characters kept of a reason: the gateway's words about a bad config fit, a stack trace does not.
pub const MAX_DETAIL: usize = 500;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryKind {
    /// A container was started.
    Started,
    /// Its gateway answers for the first time.
    Ready,
    /// It went to sleep.
    Slept,
    /// It did not stop in time and was killed.
    Killed,
    /// Its container ended by itself.
    Died,
    /// Its container was stopped well, and not by us: it counts as no failure.
    ShutDown,
    /// A start failed.
    StartFailed,
    /// Its gateway does not answer.
    Unhealthy,
    /// It answers again.
    Healed,
    /// Processes that it had started did not end with its gateway, and were ended; the detail says how many.
    Outlived,
    /// Its gateway ran out of memory; the detail says how.
    OutOfMemory,
    /// Its supervisor could not help it; it gets another container.
    Replaced,
    /// Starting it again is pointless for now.
    CrashLooped,
    /// It may run again.
    MadeAvailable,
    /// Its owner or an admin stopped it.
    Stopped,
    /// An admin suspended it.
    Suspended,
    /// It could not wake: all slots were taken.
    NoCapacity,
    /// Four fifths of what it may cost in a month are spent; the detail says how much of how much.
    SpendNearLimit,
    /// All of it is spent: it is put to sleep, and nothing wakes it.
    SpendOverLimit,
    /// It may run again: an admin raised its limit, or the month is another one.
    SpendLimitLifted,
    /// Somebody gave it an order; the detail says which.
    Ordered,
    /// Its home was made from a snapshot and compared with it; the detail says which, and how much.
    Restored,
    /// Its home could not be made from a snapshot.
    RestoreFailed,
    /// A snapshot lost what nobody should have deleted; a restore passes it over.
    SnapshotSuspicious,
    /// A start passed over a newer snapshot; the detail says which, why, and what can be done about it.
    PassedOver,
    /// A snapshot lacks what the one before it has, which is the owner's doing; the detail says what, and which one has it.
    ContentGone,
    /// A database can only be stored as the files it is; the detail says which, and why.
    DatabaseNotCopied,
    /// Snapshots fail, several in a row.
    BackupFailed,
    /// Changes wait for a snapshot longer than they should.
    BackupOverdue,
    /// Backups are in order again.
    BackupResumed,
    /// A run ended with changes that no snapshot has.
    ChangesLost,
    /// Its repository was checked and cleared; the detail says how much.
    Maintained,
    /// Maintenance could not be done.
    MaintenanceFailed,
    /// Maintenance found the repository damaged, or could not restore from it.
    RepositoryDamaged,
    /// A restore into scratch, as a drill, failed; the detail says how.
    DrillFailed,
    /// An admin looked at somebody's data; the action says at what.
    Inspected,
    /// An owner or an admin changed something beside the bot itself: a domain, an invitation, the allow-list.
    Changed,
    /// Somebody was refused what only others may do, or may do only in another way; or failed to sign in.
    Refused,
    /// Somebody signed in, or took their session to another host.
    SignedIn,
    /// Somebody signed out.
    SignedOut,
}

impl HistoryKind {
    /// Every kind.
    pub const ALL: [Self; 40] = [
        Self::Started,
        Self::Ready,
        Self::Slept,
        Self::Killed,
        Self::Died,
        Self::ShutDown,
        Self::StartFailed,
        Self::Unhealthy,
        Self::Healed,
        Self::Outlived,
        Self::OutOfMemory,
        Self::Replaced,
        Self::CrashLooped,
        Self::MadeAvailable,
        Self::Stopped,
        Self::Suspended,
        Self::NoCapacity,
        Self::SpendNearLimit,
        Self::SpendOverLimit,
        Self::SpendLimitLifted,
        Self::Ordered,
        Self::Restored,
        Self::RestoreFailed,
        Self::SnapshotSuspicious,
        Self::PassedOver,
        Self::ContentGone,
        Self::DatabaseNotCopied,
        Self::BackupFailed,
        Self::BackupOverdue,
        Self::BackupResumed,
        Self::ChangesLost,
        Self::Maintained,
        Self::MaintenanceFailed,
        Self::RepositoryDamaged,
        Self::DrillFailed,
        Self::Inspected,
        Self::Changed,
        Self::Refused,
        Self::SignedIn,
        Self::SignedOut,
    ];

    /// Its name in JSON and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Slept => "slept",
            Self::Killed => "killed",
            Self::Died => "died",
            Self::ShutDown => "shut-down",
            Self::StartFailed => "start-failed",
            Self::Unhealthy => "unhealthy",
            Self::Healed => "healed",
            Self::Outlived => "outlived",
            Self::OutOfMemory => "out-of-memory",
            Self::Replaced => "replaced",
            Self::CrashLooped => "crash-looped",
            Self::MadeAvailable => "made-available",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::NoCapacity => "no-capacity",
            Self::SpendNearLimit => "spend-near-limit",
            Self::SpendOverLimit => "spend-over-limit",
            Self::SpendLimitLifted => "spend-limit-lifted",
            Self::Ordered => "ordered",
            Self::Restored => "restored",
            Self::RestoreFailed => "restore-failed",
            Self::SnapshotSuspicious => "snapshot-suspicious",
            Self::PassedOver => "passed-over",
            Self::ContentGone => "content-gone",
            Self::DatabaseNotCopied => "database-not-copied",
            Self::BackupFailed => "backup-failed",
            Self::BackupOverdue => "backup-overdue",
            Self::BackupResumed => "backup-resumed",
            Self::ChangesLost => "changes-lost",
            Self::Maintained => "maintained",
            Self::MaintenanceFailed => "maintenance-failed",
            Self::RepositoryDamaged => "repository-damaged",
            Self::DrillFailed => "drill-failed",
            Self::Inspected => "inspected",
            Self::Changed => "changed",
            Self::Refused => "refused",
            Self::SignedIn => "signed-in",
            Self::SignedOut => "signed-out",
        }
    }
}

/// Who made it happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The platform by its own rules.
    Platform,
    /// The bot's owner.
    Owner,
    /// An admin, at a bot or an account that may be their own.
    Admin(UserId),
    /// Somebody who is neither: it was refused.
    User(UserId),
    /// Whoever has the operator's token for repositories.
    Operator,
    /// Somebody who did not say who they are.
    Anonymous,
}

impl Actor {
    /// Its text in JSON and in D1: `platform`, `owner`, `operator`, `anonymous`, or a user id.
    pub fn to_text(self) -> String {
        match self {
            Self::Platform => "platform".into(),
            Self::Owner => "owner".into(),
            Self::Admin(id) | Self::User(id) => id.to_string(),
            Self::Operator => "operator".into(),
            Self::Anonymous => "anonymous".into(),
        }
    }
}

/// A reason in at most [`MAX_DETAIL`] characters.
pub fn truncate_detail(detail: &str) -> String {
    detail.chars().take(MAX_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_names_match_their_serialized_form() {
        for kind in HistoryKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn a_long_reason_is_truncated_at_a_character_boundary() {
        assert_eq!(
            truncate_detail(&"é".repeat(MAX_DETAIL + 1)).chars().count(),
            MAX_DETAIL
        );
        assert_eq!(truncate_detail("short"), "short");
    }
}
