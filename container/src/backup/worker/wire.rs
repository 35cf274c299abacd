//! What the supervisor and its backup process say to each other: one [`JobInput`] as a line of JSON on its standard input,
//! [`Line`]s of JSON on its standard output, and a [`JobAnswer`] to those that ask for something.
//!
//! The input holds secrets and is therefore neither in the arguments nor in the environment, which others could
//! read, and has no `Debug`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use moltworker_core::backup::suspicion::Deletions;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{MaintenanceReport, Progress, RestoreReport, Snapshot};
use moltworker_core::wire::job::BackupJob;
use moltworker_core::wire::run::{RepositoryPassword, RepositoryToken, SnapshotId};
use rustic_core::repofile::MasterKey;
use serde::{Deserialize, Serialize};

/// [`JobAccess::renew_at`] of a token whose age nobody has said: it is renewed first.
pub(crate) const UNKNOWN_AGE: i64 = 0;

/// With what a backup process is started.
#[derive(Serialize, Deserialize)]
pub(crate) struct JobInput {
    /// How the repository is reached.
    pub(crate) access: JobAccess,
    /// The bot's home.
    pub(crate) home: PathBuf,
    /// User and group who own it, where this is another user.
    pub(crate) owner: Option<(u32, u32)>,
    /// What a database may take beside what its size does.
    pub(crate) database_time: Duration,
    /// What is to be done.
    pub(crate) job: BackupJob,
    /// What else there is to know for it.
    pub(crate) context: JobContext,
}

/// How a repository is reached and opened.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct JobAccess {
    /// Base of the repository in the restic REST protocol; ends in a slash.
    pub(crate) url: String,
    /// What it asks for.
    pub(crate) token: String,
    /// From this moment on the token is renewed first, in Unix milliseconds.
    pub(crate) renew_at: i64,
    /// What may decrypt it, newest first.
    pub(crate) passwords: Vec<String>,
    /// What a job of this run has opened it with.
    pub(crate) unlocked: Option<UnlockedKey>,
    /// How long a connection or the beginning of an answer may take, in milliseconds.
    pub(crate) patience_ms: u64,
}

impl JobAccess {
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
            unlocked: None,
            patience_ms,
        }
    }
}

/// What the supervisor knows of the run a job is done in. A job that only reads needs nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobContext {
    pub(crate) run: u64,
    /// The gateway that is about to use the home or, for a snapshot, has written it; if that is known.
    pub(crate) gateway_version: Option<String>,
    /// Whether this run began with nothing to restore and has taken no snapshot yet: that none is listed is no surprise
    /// then.
    pub(crate) first: bool,
    /// Whether this run has a home that was confirmed.
    pub(crate) has_home: bool,
    /// What the home is known to have held whole: what this run has restored, or its last good snapshot since. What is
    /// gone is judged by that, and not by a newer one that somebody has put aside.
    pub(crate) base: Option<SnapshotId>,
    /// What was seen to be deleted since then.
    pub(crate) deletions: Deletions,
    /// Databases, by their path below the home, for which snapshots have failed often enough: when they still cannot be
    /// copied, they are stored as the files they are.
    pub(crate) raw: BTreeSet<String>,
}

/// What a backup process says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The token was renewed. A secret: it goes no further than the supervisor's memory.
    Token(Renewed),
    /// The repository was opened by a password. The next jobs of this run need none. A secret like the token.
    Unlocked(UnlockedKey),
    /// How far it is.
    Progress(Progress),
    /// Something goes on: what went over the wire so far, and what was read and written here, in pieces. Said when that
    /// has changed, so that a job that says nothing hangs.
    Moves(Traffic, u64),
    /// What it waits for, while it tries again; `None` when that is over. Said when it has changed.
    HeldUp(Option<String>),
    /// Worth a line in the log.
    Note(String),
    /// The bot is to stand still; it is answered with [`JobAnswer::Still`] or [`JobAnswer::NotStill`].
    Freeze,
    /// It may go on; that is answered with [`JobAnswer::GoesOn`].
    Thaw,
    /// Which processes the bot has; that is answered with [`JobAnswer::Processes`].
    WhoRuns,
    /// The home is about to change places with the restored one, or to be removed for it: if nothing more is said, it is
    /// the one, the other, or none.
    Replacing,
    /// They did not change places: the home is the one it was.
    NotReplaced,
    /// The home was made from a snapshot and compared with it, or there is nothing to restore.
    Restored(RestoreReport),
    /// Which databases a snapshot could not copy, at the end of its walk through the home: it fails for them, unless
    /// [`JobContext::raw`] names them.
    Uncopied(BTreeSet<String>),
    /// A snapshot was taken; `None` when nothing had changed since the one before.
    Taken(Option<Snapshot>, Traffic),
    /// The snapshots there are, newest first.
    Snapshots(Vec<Snapshot>),
    /// What is in a directory follows, as JSON of so many bytes: a directory may have more entries than fit into a line.
    Entries(u64),
    /// This of a file follows.
    File(FileHead),
    /// A file has so many bytes, and none of them is in the range that was asked for.
    Unsatisfiable(u64),
    /// A directory follows as a tar, in pieces (`stream`).
    Archive,
    /// Maintenance is over.
    Maintained(MaintenanceReport),
    /// What was to be read is not there, or nothing of that kind; what exactly.
    Refused(Refusal, String),
    /// It did not work; the text is fit for the bot's owner.
    Failed(String),
}

/// What there is to say about a file before its bytes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileHead {
    /// Bytes in it.
    pub(crate) size: u64,
    /// What tells its content from any other, as an `ETag`.
    pub(crate) tag: String,
    /// The first byte and the number of those that follow, where not all of it does.
    pub(crate) part: Option<(u64, u64)>,
}

/// What a job is answered, one on a line of its standard input, after the [`JobInput`] on the first.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum JobAnswer {
    /// No process of the bot runs.
    Still,
    /// They go on as before, and why.
    NotStill(String),
    /// The processes of the bot.
    Processes(Vec<u32>),
    /// They go on.
    GoesOn {
        /// Whether none has run meanwhile.
        throughout: bool,
        /// For how long they were held up, in milliseconds.
        pause_ms: u64,
    },
}

/// A renewed token.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Renewed {
    /// The secret.
    pub(crate) token: String,
    /// See [`JobAccess::renew_at`].
    pub(crate) renew_at: i64,
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Renewed(hidden, renew at {})", self.renew_at)
    }
}

/// A repository's master key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct UnlockedKey(pub(crate) MasterKey);

impl PartialEq for UnlockedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.encrypt == other.0.encrypt
    }
}

impl Eq for UnlockedKey {}

impl std::fmt::Debug for UnlockedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnlockedKey(hidden)")
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
