//! What owners and admins can do with a bot's snapshots.

use serde::{Deserialize, Serialize};

use crate::http::paths;
use crate::http::problem::Refusal;
use crate::wire::control::{LeftOut, Lost, Named, Snapshot};
use crate::wire::home_path::HomePath;
use crate::wire::job::FileRequest;
use crate::wire::run::{RestorePoint, SnapshotId};

pub use list::{SnapshotCursor, SnapshotList};

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
    /// Keep what there is: what a start passed over is no question any more. Never wakes the bot.
    Keep,
    /// Make the home what it was in the newest that a start passed over.
    PutBack,
    /// The page with the buttons for these two. Never wakes the bot.
    Choose,
    /// What is in a directory of one.
    Browse,
    /// The bytes of a file of one.
    Download,
    /// A directory of one with all that is below it, as a tar.
    Archive,
}

impl SnapshotCall {
    /// Whether it changes something.
    pub fn changes(self) -> bool {
        matches!(
            self,
            Self::Take | Self::Restore | Self::Pin | Self::Unpin | Self::Keep | Self::PutBack
        )
    }

    /// Why it can be refused beside what follows from who may call: by the Worker, the Sandbox or the supervisor. What
    /// else a supervisor says is none of these.
    pub const fn problems(self) -> &'static [Refusal] {
        match self {
            Self::List | Self::Keep | Self::Choose => &[],
            Self::PutBack => &[Refusal::NothingPassedOver, Refusal::NoSuchSnapshot],
            // A container that is awake takes it, once it has a home to take it of.
            Self::Take => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::NoRepository,
                Refusal::NotRestored,
                Refusal::StorageUnavailable,
            ],
            // The Sandbox does it, or has it done when the bot is awake.
            Self::Restore | Self::Pin | Self::Unpin => &[Refusal::NoSuchSnapshot],
            // A container that is awake reads it.
            Self::Browse | Self::Download | Self::Archive => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::NoSuchSnapshot,
                Refusal::NoSuchPath,
                Refusal::BadPath,
                Refusal::NotAFile,
                Refusal::NotADirectory,
                Refusal::NoRepository,
                Refusal::StorageUnavailable,
            ],
        }
    }
}

/// What may go with a call; which of it goes with which, [`SnapshotCommand::new`] knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotRequest {
    /// Which one. For a restore: without one, the newest that is not suspicious.
    pub snapshot: Option<SnapshotId>,
    /// See [`TakeRequest::accept`] and [`RestoreRequest::accept`].
    pub accept: Option<bool>,
    /// Where in it, from the home on.
    pub path: Option<HomePath>,
    /// Only those that follow this one in the list.
    pub after: Option<SnapshotCursor>,
}

/// The part of a [`SnapshotRequest`] that goes with taking one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TakeRequest {
    /// Whatever is gone may be gone: it is not marked suspicious, and once it is stored, what a start passed over is no
    /// question any more.
    pub accept: Option<bool>,
}

/// The part of a [`SnapshotRequest`] that goes with a restore.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RestoreRequest {
    /// Which one; without one, the newest that is not suspicious.
    pub snapshot: Option<SnapshotId>,
    /// When the newest is restored: the storage has what it has, even if a newer one was there.
    pub accept: Option<bool>,
}

/// The part of a [`SnapshotRequest`] that goes with a change of one snapshot.
#[derive(Deserialize)]
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
    /// The same, behind this place.
    ListAfter(SnapshotCursor),
    /// See [`SnapshotCall::Take`].
    Take(Accept),
    /// See [`SnapshotCall::Restore`].
    Restore(RestorePoint, Accept),
    /// See [`SnapshotCall::Pin`].
    Pin(SnapshotId),
    /// See [`SnapshotCall::Unpin`].
    Unpin(SnapshotId),
    /// See [`SnapshotCall::Keep`].
    Keep,
    /// See [`SnapshotCall::PutBack`].
    PutBack,
    /// See [`SnapshotCall::Choose`].
    Choose,
    /// See [`SnapshotCall::Browse`].
    Browse(SnapshotId, HomePath),
    /// See [`SnapshotCall::Download`].
    Download(SnapshotId, FileRequest),
    /// See [`SnapshotCall::Archive`].
    Archive(SnapshotId, HomePath),
}

impl SnapshotCommand {
    /// The command that a call with these particulars is.
    ///
    /// # Errors
    /// What is wrong with them, in words: something that does not go with this call, or no snapshot where it is about
    /// one.
    pub fn new(call: SnapshotCall, ask: SnapshotRequest) -> Result<Self, &'static str> {
        let SnapshotRequest {
            snapshot,
            accept,
            path,
            after,
        } = ask;
        let about_none = matches!(
            call,
            SnapshotCall::List
                | SnapshotCall::Take
                | SnapshotCall::Keep
                | SnapshotCall::PutBack
                | SnapshotCall::Choose
        );
        if snapshot.is_some() && about_none {
            return Err("snapshot does not go with this: it is about no one snapshot");
        }
        if accept.is_some() && !matches!(call, SnapshotCall::Take | SnapshotCall::Restore) {
            return Err("accept goes with taking and restoring a snapshot alone");
        }
        if after.is_some() && call != SnapshotCall::List {
            return Err("after is for the list");
        }
        let takes_path = matches!(
            call,
            SnapshotCall::Browse | SnapshotCall::Download | SnapshotCall::Archive
        );
        if path.is_some() && !takes_path {
            return Err("path is for questions, and stands in their query");
        }
        let (accept, path) = (accept.unwrap_or_default(), path.unwrap_or_default());
        let named = || {
            snapshot
                .clone()
                .ok_or("name a snapshot by its id of 64 hexadecimal digits")
        };
        Ok(match call {
            SnapshotCall::List => after.map_or(Self::List, Self::ListAfter),
            SnapshotCall::Take => Self::Take(accept),
            SnapshotCall::Restore => Self::Restore(
                snapshot.map_or(RestorePoint::Latest, RestorePoint::Snapshot),
                accept,
            ),
            SnapshotCall::Pin => Self::Pin(named()?),
            SnapshotCall::Unpin => Self::Unpin(named()?),
            SnapshotCall::Keep => Self::Keep,
            SnapshotCall::PutBack => Self::PutBack,
            SnapshotCall::Choose => Self::Choose,
            SnapshotCall::Browse => Self::Browse(named()?, path),
            SnapshotCall::Download => {
                let request = FileRequest {
                    path,
                    ..FileRequest::default()
                };
                Self::Download(named()?, request)
            }
            SnapshotCall::Archive => Self::Archive(named()?, path),
        })
    }

    /// The one it is about, which therefore has to be there.
    pub fn snapshot(&self) -> Option<&SnapshotId> {
        match self {
            Self::Restore(RestorePoint::Snapshot(snapshot), _)
            | Self::Pin(snapshot)
            | Self::Unpin(snapshot)
            | Self::Browse(snapshot, _)
            | Self::Download(snapshot, _)
            | Self::Archive(snapshot, _) => Some(snapshot),
            Self::List
            | Self::ListAfter(_)
            | Self::Take(_)
            | Self::Keep
            | Self::PutBack
            | Self::Choose
            | Self::Restore(RestorePoint::Latest, _) => None,
        }
    }

    /// Where a button of a page leads on to: the bot, or the page that follows what it began.
    pub fn leads_on(&self) -> Option<&'static str> {
        match self {
            Self::Keep => Some("/"),
            Self::PutBack => Some(paths::CHOICE),
            _ => None,
        }
    }

    /// In a few words, for the history.
    pub fn history_detail(&self) -> String {
        let accepted = |accept: &bool| if *accept { ", whatever is gone" } else { "" };
        match self {
            Self::List | Self::ListAfter(_) => "list snapshots".to_owned(),
            Self::Take(accept) => format!("take snapshot{}", accepted(accept)),
            Self::Restore(point, accept) => format!("restore snapshot {point}{}", accepted(accept)),
            Self::Pin(snapshot) => format!("pin snapshot {snapshot}"),
            Self::Unpin(snapshot) => format!("unpin snapshot {snapshot}"),
            Self::Keep => "keep what there is".to_owned(),
            Self::PutBack => "put back what was passed over".to_owned(),
            Self::Choose => "look at what was passed over".to_owned(),
            Self::Browse(snapshot, path) if path.is_empty() => format!("browse snapshot {snapshot}"),
            Self::Browse(snapshot, path) => format!("browse snapshot {snapshot}: {path}"),
            Self::Download(snapshot, FileRequest { path, .. }) | Self::Archive(snapshot, path) => {
                format!("download snapshot {snapshot}: {path}")
            }
        }
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
    /// What was lost that nobody should have deleted: a start passes it over until somebody decides.
    pub suspicious: Option<String>,
    /// What it lacks that an earlier one has, and which one: a restore of that one puts it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub lost: Option<Lost>,
    /// Bytes its files took on the disk: fewer than there are in them where they have holes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub disk_bytes: Option<u64>,
    /// What it lacks because it could not be read, and why.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub lacks: Named,
    /// What the rules left out of it.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
    /// What in it may be of another moment than the rest, and why: the bot did not stand still for long enough. Another
    /// snapshot follows at once.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub moments: Named,
    /// For how many milliseconds the bot stood still for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub pause_ms: Option<u64>,
}

impl From<Snapshot> for Details {
    fn from(mut snapshot: Snapshot) -> Self {
        snapshot.bound();
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
            lost: snapshot.lost,
            disk_bytes: snapshot.disk_bytes,
            lacks: snapshot.lacks,
            left_out: snapshot.left_out,
            moments: snapshot.moments,
            pause_ms: snapshot.pause_ms,
        }
    }
}

mod list;
#[cfg(test)]
mod tests;
