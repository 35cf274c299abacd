//! Work on the content of databases that belong to code nobody trusts, each piece of it in a process that has nothing
//! to lose.
//!
//! What lies in a database decides what SQLite does with it: how long it takes, how much memory, and, should SQLite have a
//! fault, anything at all. So nobody who holds a secret or a right opens one. It is opened by the supervisor's own binary,
//! started anew for this one piece of work (`process.rs`), which has given up for good whatever it had
//! (`container/src/confinement/mod.rs`). It answers one line. Whatever it does not do in its time is not waited for (`keeper.rs`).

mod keeper;
mod process;
mod sqlite;

use serde::{Deserialize, Serialize};

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::keeper::{DatabaseTask, Keeper, Pending};
pub(crate) use self::process::main;

/// The argument that makes the supervisor's binary this process.
pub(crate) const SUBCOMMAND: &str = "read-database";
/// Bytes it may take another second of processor time for: a tenth of what a slow core copies or checks.
pub(super) const BYTES_A_SECOND: u64 = 8 * 1024 * 1024;
/// So much longer than processor time may an answer take: beside a gateway that wants the same core, a job gets a tenth of
/// it.
pub(super) const SHARE: u32 = 10;
/// Longer is waited for nothing: a job that says nothing for longer hangs.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);
/// What it says before its answer, once it has begun to read what is to be held.
const BEGUN: u8 = b'>';
/// Bytes in a reason that is passed on.
const MAX_REASON: usize = 300;

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Copy a database as it is in its place, into an empty file that is there.
    Copy(PathBuf),
    /// The same as it is now, however long it takes: once it has begun to read, who writes is not waited for.
    Hold(PathBuf),
    /// Put what its logs hold into a copy of ours.
    Merge,
    /// The same, and check it.
    Check,
    /// Remove what the gateway of another machine held.
    Release,
}

/// What a process is started with; nothing of it is secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Request {
    work: Work,
    /// The name of the database in the directory that is standard input.
    name: Vec<u8>,
    owner: Option<(u32, u32)>,
    limits: Limits,
}

/// What a piece of work may take.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Limits {
    /// Processor time.
    cpu: Duration,
    /// How long is waited for whoever holds the database.
    patience: Duration,
    /// Time in all.
    wait: Duration,
    /// The longest file it may write.
    file_bytes: u64,
}

impl Limits {
    /// For a database of so many bytes, its log included, and what every database may take.
    fn new(work: &Work, bytes: u64, time: Duration, patience: Duration) -> Self {
        /// Beside its content a database has bookkeeping, and its log as much again.
        const SPARE: u64 = 64 * 1024 * 1024;
        // Leases are removed from a large database as fast as from a small one.
        let by_size = match work {
            Work::Release => 0,
            Work::Copy(_) | Work::Hold(_) | Work::Merge | Work::Check => bytes / BYTES_A_SECOND,
        };
        let cpu = time.saturating_add(Duration::from_secs(by_size));
        let wait = patience.saturating_add(cpu.saturating_mul(SHARE));
        Self {
            cpu,
            patience,
            wait: wait.min(MAX_WAIT),
            file_bytes: bytes.saturating_mul(2).saturating_add(SPARE),
        }
    }
}

impl Request {
    fn name(&self) -> OsString {
        OsString::from_vec(self.name.clone())
    }
}

/// What such a process says, once.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DatabaseAnswer {
    /// A database was copied as it was at one moment.
    Copied,
    /// What its place needs to be read is more than locks.
    NeedsWriting,
    /// What the check of a copy found.
    Found(CopyCheck),
    /// So many leases were removed.
    Released(u64),
    /// It was not done.
    Not(NotCopied),
}

/// What the check of a copy found.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CopyCheck {
    /// It is sound.
    Sound,
    /// So is the database damaged. The copy is of one moment, which its files are not.
    Damaged(String),
    /// It needs something to be checked that only its owner's program has, such as a collation; or more time or memory than
    /// a database may take.
    Unchecked(String),
}

/// Why a database was not copied.
#[derive(Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NotCopied {
    /// It is too damaged to be copied, or only looks like a database: it is stored as the file it is.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// SQLite does not let it be copied: somebody holds it, or what belongs to it cannot be opened.
    #[error("{0}")]
    Refused(String),
    /// It takes more than a database may: it is stored as the files it is, at once, because the next time it would again.
    #[error("{0}")]
    Exceeded(String),
    /// Our disk or our memory does not do.
    #[error("{0}")]
    Failed(String),
}

/// The beginning of a reason, in one line.
fn bounded(reason: &str) -> String {
    let is_odd = |character: char| character.is_control();
    reason
        .chars()
        .take(MAX_REASON)
        .filter(|character| !is_odd(*character))
        .collect()
}

fn bytes_of(name: &std::ffi::OsStr) -> Vec<u8> {
    name.as_bytes().to_owned()
}
