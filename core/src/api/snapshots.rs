//! What owners and admins can do with a bot's snapshots.

use serde::{Deserialize, Serialize};

use crate::wire::control::Snapshot;
use crate::wire::run::SnapshotId;

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
    /// Every call.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Take,
        Self::Restore,
        Self::Pin,
        Self::Unpin,
        Self::Browse,
        Self::Download,
    ];

    /// Its name on the wire and in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Take => "take",
            Self::Restore => "restore",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Browse => "browse",
            Self::Download => "download",
        }
    }

    /// The call of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.as_str() == name)
    }

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
#[cfg(feature = "schema")]
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotName {
    /// Which one.
    pub snapshot: SnapshotId,
}

impl SnapshotRequest {
    /// In a few words, for the history.
    pub fn history_detail(&self, call: SnapshotCall) -> String {
        if call == SnapshotCall::List {
            return "list snapshots".into();
        }
        let mut words = format!("{} snapshot", call.as_str());
        match &self.snapshot {
            Some(id) => words = format!("{words} {id}"),
            None if call == SnapshotCall::Restore => words.push_str(" latest"),
            None => {}
        }
        if self.accept {
            words.push_str(", whatever is gone");
        }
        if !self.path.is_empty() {
            words = format!("{words}: {}", self.path);
        }
        words
    }
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

/// A bot's snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SnapshotList {
    /// Newest first.
    pub snapshots: Vec<ShownSnapshot>,
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_names_match_their_serialized_form() {
        for call in SnapshotCall::ALL {
            assert_eq!(SnapshotCall::parse(call.as_str()), Some(call));
        }
        assert_eq!(SnapshotCall::parse("delete"), None);
    }

    #[test]
    fn the_history_detail_names_the_request() {
        let id = "ab".repeat(32);
        let one = SnapshotRequest {
            snapshot: Some(id.parse().unwrap()),
            path: "notes/a.md".into(),
            ..SnapshotRequest::default()
        };
        assert_eq!(
            one.history_detail(SnapshotCall::Download),
            format!("download snapshot {id}: notes/a.md")
        );
        let accepted = SnapshotRequest {
            accept: true,
            ..SnapshotRequest::default()
        };
        assert_eq!(
            accepted.history_detail(SnapshotCall::Take),
            "take snapshot, whatever is gone"
        );
        assert_eq!(
            SnapshotRequest::default().history_detail(SnapshotCall::List),
            "list snapshots"
        );
        assert_eq!(
            SnapshotRequest::default().history_detail(SnapshotCall::Restore),
            "restore snapshot latest"
        );
    }

    #[test]
    fn a_snapshot_request_with_unknown_fields_is_refused() {
        let read = serde_json::from_str::<SnapshotRequest>;
        assert_eq!(read("{}").unwrap(), SnapshotRequest::default());
        assert!(read(r#"{"snapshot":"latest"}"#).is_err());
        assert!(read(r#"{"snapshots":null}"#).is_err());
    }
}
