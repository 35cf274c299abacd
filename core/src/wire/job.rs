//! A backup job: one thing to be done with a bot's repository. The Sandbox decides that it is due or passes on what
//! somebody ordered, the supervisor carries it out in a process of its own, and the status says of which kind the one
//! under way, or the one that failed, is. All of them use these types.

mod order;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::control::SnapshotReason;
use crate::wire::home_path::HomePath;
use crate::wire::run::{RestorePoint, SnapshotId};

pub use crate::wire::job_kind::JobKind;
pub use order::{BadOrder, OrderedJob};

/// One thing to be done with a repository. It holds no secret and may be printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupJob {
    /// Make the home what it was at this point.
    Restore(RestorePoint),
    /// Take a snapshot of the home.
    Snapshot(SnapshotJob),
    /// Renew the token.
    RenewToken,
    /// Delete what policy does not keep, check what is kept, restore into scratch.
    Maintain(MaintenanceJob),
    /// Read for somebody.
    Read(ReadJob),
}

/// A snapshot to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotJob {
    /// Why it is taken; retention holds some reasons longer.
    pub reason: SnapshotReason,
    /// Whether somebody has looked at the home and found it right as it is: the snapshot is then not marked
    /// suspicious, however much is gone.
    #[serde(default)]
    pub accept: bool,
}

impl SnapshotJob {
    /// One whose loss, should there be any, nobody has accepted.
    pub fn new(reason: SnapshotReason) -> Self {
        Self {
            reason,
            accept: false,
        }
    }
}

/// What maintenance is to do and to respect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceJob {
    /// Snapshots that stay because somebody said so.
    #[serde(default)]
    pub pinned: Vec<SnapshotId>,
    /// The snapshot that was restored and compared last; it stays.
    #[serde(default)]
    pub verified: Option<SnapshotId>,
    /// Which part of the repository's data is read back: `part` of `parts`, counted from one.
    #[serde(default = "one")]
    pub part: u32,
    /// In how many parts all of it is read back.
    #[serde(default = "one")]
    pub parts: u32,
    /// Whether to restore the newest good snapshot into scratch and compare it.
    #[serde(default)]
    pub drill: bool,
    /// The time by which snapshots are old, in Unix milliseconds: a container's own clock may be far ahead, and nearly all
    /// would be too old by it. Zero where nobody said it.
    #[serde(default)]
    pub now: i64,
}

fn one() -> u32 {
    1
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadJob {
    /// Which snapshots there are.
    Snapshots,
    /// What is in a directory of a snapshot; its path counts from the home.
    Directory(SnapshotId, HomePath),
    /// One file of a snapshot.
    File(SnapshotId, FileRequest),
    /// A directory of a snapshot with all that is below it; its path counts from the home.
    Archive(SnapshotId, HomePath),
}

/// Which file is read, and what of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileRequest {
    /// Its path from the home on.
    pub path: HomePath,
    /// The value of a `Range` header.
    pub range: Option<String>,
    /// The value of an `If-Range` header.
    pub if_range: Option<String>,
    /// Only what there is to say about it.
    pub head: bool,
}

/// Snapshots that a Sandbox holds: what is held goes into each order of maintenance, 67 bytes a piece, and into one object of
/// the bucket of at most 1 MiB.
pub const MAX_HOLDS: u32 = 10_000;

/// The value of a header by which part of a file is asked for may be so long; no such header that means anything is longer.
pub const MAX_RANGE_HEADER: usize = 128;

impl BackupJob {
    /// Of which kind it is to whoever asks how the backups are.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Restore(_) => JobKind::Restore,
            // Without a token that opens the repository nothing is saved: to an owner it is the same.
            Self::Snapshot(_) | Self::RenewToken => JobKind::Snapshot,
            Self::Maintain(_) => JobKind::Maintain,
            Self::Read(_) => JobKind::Read,
        }
    }
}

/// In short, for logs: a job with a thousand pins is one line.
impl fmt::Display for BackupJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(point) => write!(f, "restore {point}"),
            Self::Snapshot(job) => {
                let accept = if job.accept { ", whatever is gone" } else { "" };
                write!(f, "snapshot ({}{accept})", job.reason.as_str())
            }
            Self::RenewToken => f.write_str("renew the token"),
            Self::Maintain(job) => {
                let drill = if job.drill { ", with a drill" } else { "" };
                write!(f, "maintain (part {} of {}{drill})", job.part, job.parts)
            }
            Self::Read(ReadJob::Snapshots) => f.write_str("read the list of snapshots"),
            Self::Read(ReadJob::Directory(id, _)) => write!(f, "read a directory of {id}"),
            Self::Read(ReadJob::File(id, _)) => write!(f, "read a file of {id}"),
            Self::Read(ReadJob::Archive(id, _)) => write!(f, "pack a directory of {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_described_in_one_short_line() {
        let job = MaintenanceJob {
            pinned: vec!["a".repeat(64).parse().unwrap(); 1_000],
            verified: None,
            part: 2,
            parts: 7,
            drill: true,
            now: 0,
        };
        for (job, text) in [
            (BackupJob::Restore(RestorePoint::Latest), "restore latest"),
            (
                BackupJob::Snapshot(SnapshotJob::new(SnapshotReason::Stop)),
                "snapshot (stop)",
            ),
            (BackupJob::Maintain(job), "maintain (part 2 of 7, with a drill)"),
            (BackupJob::RenewToken, "renew the token"),
        ] {
            assert_eq!(job.to_string(), text);
        }
    }

    #[test]
    fn kind_names_match_their_serialized_form() {
        for kind in JobKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let newer: JobKind = serde_json::from_str(r#""defragment""#).unwrap();
        assert_eq!(newer, JobKind::Unknown);
    }
}
