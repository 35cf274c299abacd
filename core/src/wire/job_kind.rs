//! Kinds of backup jobs: below both the jobs and the status, which names them.

use serde::{Deserialize, Serialize};

/// The kind of a job, as the status has it. Its texts are on the wire: peers of other versions read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum JobKind {
    /// The home is made from a snapshot.
    Restore,
    /// What was restored is compared with the snapshot: the second half of a restore.
    Compare,
    /// A snapshot is taken.
    Snapshot,
    /// What policy does not keep is deleted, and what is kept is verified.
    Maintain,
    /// The repository is read for somebody.
    Read,
    /// A kind of a newer supervisor.
    #[serde(other)]
    Unknown,
}

impl JobKind {
    /// Every kind this version knows.
    pub const ALL: [Self; 5] = [
        Self::Restore,
        Self::Compare,
        Self::Snapshot,
        Self::Maintain,
        Self::Read,
    ];

    /// Its text in JSON and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Compare => "compare",
            Self::Snapshot => "snapshot",
            Self::Maintain => "maintain",
            Self::Read => "read",
            Self::Unknown => "unknown",
        }
    }
}
