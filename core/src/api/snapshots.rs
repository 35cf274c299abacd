//! What owners and admins can do with a bot's snapshots.

use serde::{Deserialize, Serialize};

use crate::wire::control::{LeftOut, Named, Snapshot};
use crate::wire::run::{RestorePoint, SnapshotId};

/// A call about snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotCall {
    /// All of them, newest first. Never wakes the bot.
    List,
    /// Take one now.
    Take,
    /// Make the home what it was in one.
    Restore,
    /// Keep one for ever.
    Pin,
    /// Leave one to the policy again.
    Unpin,
    /// What is in a directory of one.
    Browse,
    /// The bytes of a file of one.
    Download,
}

impl SnapshotCall {
    /// Whether it changes something.
    pub fn changes(self) -> bool {
        matches!(self, Self::Take | Self::Restore | Self::Pin | Self::Unpin)
    }

    /// Whether it is about one snapshot, which therefore has to be named.
    pub const fn names_snapshot(self) -> bool {
        matches!(self, Self::Pin | Self::Unpin | Self::Browse | Self::Download)
    }
}

/// What goes with a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SnapshotRequest {
    /// Which one. For a restore: without one, the newest that is not suspicious.
    pub snapshot: Option<SnapshotId>,
    /// When one is taken: that whatever is gone may be gone, so that it is not marked suspicious. When the newest is
    /// restored: that the storage has what it has, even if a newer one was there.
    pub accept: bool,
    /// Where in it, from the home on. A question's alone: no body has it.
    #[cfg_attr(feature = "schema", schema(ignore))]
    pub path: String,
}

/// The part of a [`SnapshotRequest`] that a call about one snapshot takes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SnapshotName {
    /// Which one.
    pub snapshot: SnapshotId,
}

/// See [`SnapshotRequest::accept`].
pub type Accept = bool;

/// What the Worker wants of a Sandbox about the bot's snapshots: a call with its particulars, each
/// [as in the request](SnapshotRequest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SnapshotCommand {
    /// See [`SnapshotCall::List`].
    List,
    /// See [`SnapshotCall::Take`].
    Take(Accept),
    /// See [`SnapshotCall::Restore`].
    Restore(RestorePoint, Accept),
    /// See [`SnapshotCall::Pin`].
    Pin(SnapshotId),
    /// See [`SnapshotCall::Unpin`].
    Unpin(SnapshotId),
    /// See [`SnapshotCall::Browse`].
    Browse(SnapshotId, String),
    /// See [`SnapshotCall::Download`].
    Download(SnapshotId, String),
}

impl SnapshotCommand {
    /// The command that a call with these particulars is; `None` when it is about one snapshot and names none.
    pub fn new(call: SnapshotCall, ask: SnapshotRequest) -> Option<Self> {
        let SnapshotRequest {
            snapshot,
            accept,
            path,
        } = ask;
        Some(match call {
            SnapshotCall::List => Self::List,
            SnapshotCall::Take => Self::Take(accept),
            SnapshotCall::Restore => Self::Restore(
                snapshot.map_or(RestorePoint::Latest, RestorePoint::Snapshot),
                accept,
            ),
            SnapshotCall::Pin => Self::Pin(snapshot?),
            SnapshotCall::Unpin => Self::Unpin(snapshot?),
            SnapshotCall::Browse => Self::Browse(snapshot?, path),
            SnapshotCall::Download => Self::Download(snapshot?, path),
        })
    }

    /// The one it is about, which therefore has to be there.
    pub fn snapshot(&self) -> Option<&SnapshotId> {
        match self {
            Self::Restore(RestorePoint::Snapshot(snapshot), _)
            | Self::Pin(snapshot)
            | Self::Unpin(snapshot)
            | Self::Browse(snapshot, _)
            | Self::Download(snapshot, _) => Some(snapshot),
            Self::List | Self::Take(_) | Self::Restore(RestorePoint::Latest, _) => None,
        }
    }

    /// In a few words, for the history.
    pub fn history_detail(&self) -> String {
        let accepted = |accept: &bool| if *accept { ", whatever is gone" } else { "" };
        match self {
            Self::List => "list snapshots".to_owned(),
            Self::Take(accept) => format!("take snapshot{}", accepted(accept)),
            Self::Restore(point, accept) => format!("restore snapshot {point}{}", accepted(accept)),
            Self::Pin(snapshot) => format!("pin snapshot {snapshot}"),
            Self::Unpin(snapshot) => format!("unpin snapshot {snapshot}"),
            Self::Browse(snapshot, path) if path.is_empty() => format!("browse snapshot {snapshot}"),
            Self::Browse(snapshot, path) => format!("browse snapshot {snapshot}: {path}"),
            Self::Download(snapshot, path) => format!("download snapshot {snapshot}: {path}"),
        }
    }
}

/// All of a bot's snapshots, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SnapshotList {
    /// Each of them.
    pub snapshots: Vec<ShownSnapshot>,
}

/// One snapshot, as owners and admins see it. Only the bot's container can read what is in it: of one whose run has
/// ended before it could be asked no more is known than that it is there and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ShownSnapshot {
    /// What names it.
    pub id: SnapshotId,
    /// When it was stored, in milliseconds since 1970.
    pub stored_at: u64,
    /// What is known of it.
    #[serde(flatten)]
    pub details: Option<Details>,
    /// When it was last restored and compared, byte by byte.
    pub verified_at: Option<u64>,
    /// Somebody wants it kept for ever.
    pub pinned: bool,
    /// Kept whatever the policy says until then: it is what there was before a restore.
    pub held_until: Option<u64>,
}

/// What is known of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Details {
    /// When it was taken, in milliseconds since 1970.
    pub taken_at: i64,
    /// Why; null when it was not the supervisor that took it.
    pub reason: Option<String>,
    /// The run it was taken in.
    pub run: Option<u64>,
    /// The gateway that had written what is in it.
    pub gateway_version: Option<String>,
    /// Files in it.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes that it added to the repository.
    pub added_bytes: u64,
    /// Databases that are in it as the files they were, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<String>,
    /// What was lost, if that was too much.
    pub suspicious: Option<String>,
    /// Bytes its files took on the disk: fewer than there are in them where they have holes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// What it lacks because it could not be read, and why.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub lacks: Named,
    /// What the rules left out of it.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
}

impl From<Snapshot> for Details {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            taken_at: snapshot.taken_at,
            reason: snapshot.reason.map(|reason| reason.as_str().to_owned()),
            run: snapshot.run,
            gateway_version: snapshot.gateway_version,
            files: snapshot.amount.files,
            bytes: snapshot.amount.bytes,
            added_bytes: snapshot.added_bytes,
            raw: snapshot.raw,
            suspicious: snapshot.suspicious,
            disk_bytes: snapshot.disk_bytes,
            lacks: snapshot.lacks,
            left_out: snapshot.left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_its_particulars_is_a_command() {
        let id: SnapshotId = "ab".repeat(32).parse().unwrap();
        let whole = || SnapshotRequest {
            snapshot: Some(id.clone()),
            accept: true,
            path: "notes/a.md".into(),
        };
        let (named, nothing) = (whole(), SnapshotRequest::default());
        let cases = [
            (SnapshotCall::List, &nothing, Some("list snapshots".to_owned())),
            (SnapshotCall::Take, &nothing, Some("take snapshot".to_owned())),
            (
                SnapshotCall::Take,
                &named,
                Some("take snapshot, whatever is gone".to_owned()),
            ),
            (
                SnapshotCall::Restore,
                &nothing,
                Some("restore snapshot latest".to_owned()),
            ),
            (
                SnapshotCall::Restore,
                &named,
                Some(format!("restore snapshot {id}, whatever is gone")),
            ),
            (SnapshotCall::Pin, &nothing, None),
            (SnapshotCall::Pin, &named, Some(format!("pin snapshot {id}"))),
            (SnapshotCall::Unpin, &nothing, None),
            (SnapshotCall::Unpin, &named, Some(format!("unpin snapshot {id}"))),
            (SnapshotCall::Browse, &nothing, None),
            (
                SnapshotCall::Browse,
                &named,
                Some(format!("browse snapshot {id}: notes/a.md")),
            ),
            (SnapshotCall::Download, &nothing, None),
            (
                SnapshotCall::Download,
                &named,
                Some(format!("download snapshot {id}: notes/a.md")),
            ),
        ];
        for (call, ask, detail) in cases {
            let command = SnapshotCommand::new(call, ask.clone());
            assert_eq!(
                command.map(|command| command.history_detail()),
                detail,
                "{call:?}"
            );
        }
        let home = SnapshotRequest {
            path: String::new(),
            ..whole()
        };
        let home = SnapshotCommand::new(SnapshotCall::Browse, home);
        let home = home.map(|command| command.history_detail());
        assert_eq!(home, Some(format!("browse snapshot {id}")));
    }

    #[test]
    fn a_snapshot_request_with_unknown_fields_is_refused() {
        let read = serde_json::from_str::<SnapshotRequest>;
        assert_eq!(read("{}").unwrap(), SnapshotRequest::default());
        assert!(read(r#"{"snapshot":"latest"}"#).is_err());
        assert!(read(r#"{"snapshots":null}"#).is_err());
    }
}
