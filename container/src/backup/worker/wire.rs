//! What the supervisor and its backup process say to each other: one [`Job`] as JSON on its standard input,
//! [`Line`]s of JSON on its standard output.
//!
//! The job holds secrets and is therefore neither in the arguments nor in the environment, which others could
//! read, and has no `Debug`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use moltworker_core::wire::control::{
    MaintenanceReport, Progress, RestoreReport, Snapshot, SnapshotEntry, SnapshotReason,
};
use moltworker_core::wire::run::{RepositoryPassword, RepositoryToken, RestorePoint, SnapshotId};
use serde::{Deserialize, Serialize};

/// [`Access::renew_at`] of a token whose age nobody has said: it is renewed first.
pub(crate) const UNKNOWN_AGE: i64 = 0;

/// What a backup process is started for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    /// How the repository is reached.
    pub(crate) access: Access,
    /// The bot's home.
    pub(crate) home: PathBuf,
    /// User and group who own it, where this is another user.
    pub(crate) owner: Option<(u32, u32)>,
    /// What is to be done.
    pub(crate) work: Work,
}

/// How a repository is reached and opened.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    /// Base of the repository in the restic REST protocol; ends in a slash.
    pub(crate) url: String,
    /// What it asks for.
    pub(crate) token: String,
    /// From this moment on the token is renewed first, in Unix milliseconds.
    pub(crate) renew_at: i64,
    /// What may decrypt it, newest first.
    pub(crate) passwords: Vec<String>,
    /// How long a connection or the beginning of an answer may take, in milliseconds.
    pub(crate) patience_ms: u64,
}

impl Access {
    /// As the Sandbox said it.
    pub(crate) fn new(
        url: &str,
        token: &RepositoryToken,
        passwords: &[RepositoryPassword],
        patience_ms: u64,
    ) -> Self {
        Self {
            url: url.to_owned(),
            token: token.reveal().to_owned(),
            renew_at: UNKNOWN_AGE,
            passwords: passwords
                .iter()
                .map(|password| password.reveal().to_owned())
                .collect(),
            patience_ms,
        }
    }
}

/// What can be done with a repository.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// Make the home from a snapshot.
    Restore(Restoring),
    /// Take a snapshot of the home.
    Snapshot(Taking),
    /// Renew the token.
    Renew,
    /// Say which snapshots there are.
    List,
    /// Say what is in a directory of a snapshot.
    Browse(SnapshotId, PathBuf),
    /// Give out one file of a snapshot: a [`Line::File`], then its bytes.
    Download(SnapshotId, PathBuf),
    /// Delete what policy does not keep, check what is kept, restore into scratch.
    Maintain(Maintenance),
}

/// What a home is made from, and for which gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restoring {
    /// Which snapshot.
    pub(crate) point: RestorePoint,
    /// The run it is for.
    pub(crate) run: u64,
    /// The gateway that is about to use the home, if that is known.
    pub(crate) gateway_version: Option<String>,
}

/// With what a snapshot is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taking {
    /// Why.
    pub(crate) reason: SnapshotReason,
    /// Never mark it as suspicious: somebody has looked.
    pub(crate) accept: bool,
    /// The run it is taken in.
    pub(crate) run: u64,
    /// Whether this run began with nothing to restore and has taken none yet: that no snapshot is listed is no
    /// surprise then.
    pub(crate) first: bool,
    /// What the home is known to have held whole: what this run has restored, or its last good snapshot since. What is
    /// gone is judged by that, and not by a newer one that somebody has put aside.
    pub(crate) base: Option<SnapshotId>,
    /// The gateway that writes the home, if that is known.
    pub(crate) gateway_version: Option<String>,
    /// Databases, by their path below the home, for which snapshots have failed often enough: when they still cannot be
    /// copied, they are stored as the files they are.
    pub(crate) raw: BTreeSet<String>,
}

/// What maintenance is to respect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Maintenance {
    /// Snapshots that are never deleted, because somebody said so.
    pub(crate) pinned: Vec<SnapshotId>,
    /// The last snapshot that was restored and compared; it is never deleted.
    pub(crate) verified: Option<SnapshotId>,
    /// Which part of the repository is read back, `part` of `parts`, counted from one.
    pub(crate) part: u32,
    /// See `part`.
    pub(crate) parts: u32,
    /// Whether to restore the newest good snapshot into scratch.
    pub(crate) drill: bool,
    /// The time by which snapshots are old, in Unix milliseconds; zero for this machine's.
    pub(crate) now: i64,
}

/// What a backup process says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The token was renewed. A secret: it goes no further than the supervisor's memory.
    Token(Renewed),
    /// How far it is.
    Progress(Progress),
    /// Something goes on: what went over the wire so far, and what was read and written here, in pieces. Said when that
    /// has changed, so that an errand that says nothing hangs.
    Moves(Traffic, u64),
    /// Worth a line in the log.
    Note(String),
    /// The home is about to change places with the restored one, or to be removed for it: if nothing more is heard, it is
    /// the one, the other, or none.
    Replacing,
    /// They did not change places: the home is the one it was.
    NotReplaced,
    /// The home was made from a snapshot and compared with it, or there is nothing to restore.
    Restored(RestoreReport),
    /// Which databases a snapshot could not copy, at the end of its walk through the home: it fails for them, unless
    /// [`Taking::raw`] names them.
    Uncopied(BTreeSet<String>),
    /// A snapshot was taken; `None` when nothing had changed since the one before.
    Taken(Option<Snapshot>, Traffic),
    /// The snapshots there are, newest first.
    Snapshots(Vec<Snapshot>),
    /// What is in a directory.
    Entries(Vec<SnapshotEntry>),
    /// A file of so many bytes follows.
    File(u64),
    /// Maintenance is over.
    Maintained(MaintenanceReport),
    /// It did not work; the text is fit for the bot's owner.
    Failed(String),
}

/// A renewed token.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renewed {
    /// The secret.
    pub(crate) token: String,
    /// See [`Access::renew_at`].
    pub(crate) renew_at: i64,
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renewed(hidden, renew at {})", self.renew_at)
    }
}

/// What went over the wire to the repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// Requests that read one object or ask for it: R2's class B.
    pub(crate) reads: u64,
    /// Requests that write or list: R2's class A.
    pub(crate) writes: u64,
    /// Bytes that were sent.
    pub(crate) sent: u64,
    /// Bytes that were received.
    pub(crate) received: u64,
}
