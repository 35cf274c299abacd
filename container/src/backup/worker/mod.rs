//! The backup process: the supervisor's own binary, started once for each job.
//!
//! A process of its own, so that its memory goes back to the system with it, a panic or a hang in it ends
//! nothing but itself, and it can be killed at a deadline. It gets one [`JobInput`] on standard input and says
//! [`Line`]s on standard output. Its exit code says nothing that the last line does not.

mod archive;
mod attributes;
mod backend;
mod capture;
mod changes;
mod compare;
pub(crate) mod confined;
mod content;
mod databases;
mod descent;
mod exclusions;
mod findings;
mod keys;
mod leases;
mod left_out;
mod loaders;
mod maintain;
mod mapped;
mod passes;
mod patterns;
mod pieces;
mod place;
mod ranges;
mod read;
mod record;
mod remote;
mod repository;
mod restore;
mod say;
mod snapshot;
mod sources;
pub(crate) mod stream;
mod swap;
mod tree;
mod walk;
pub(crate) mod wire;
mod write;

use std::fs::{DirBuilder, Permissions};
use std::io::BufRead;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use moltworker_core::wire::job::{BackupJob, ReadJob};
use rustix::process::{DumpableBehavior, Gid, Signal, Uid};

use self::confined::Keeper;
use self::databases::{BUSY, Databases, KnownCopies};
use self::passes::CopyPlace;
use self::read::ReadError;
use self::remote::{KeptObjects, Remote};
use self::repository::RepositoryError;
use self::say::{Ticker, pieces, say};
use self::wire::{JobInput, Line};
use crate::confinement::USER;

pub(crate) use self::exclusions::is_excluded;

/// The argument that makes the supervisor's binary this process.
pub(crate) const SUBCOMMAND: &str = "backup";
/// Names beside the home, on the same file system, that are ours.
const FRESH: &str = "restoring";
const SCRATCH: &str = "scratch";
const DATABASES: &str = "databases";
/// What is kept of the repository for the run, and how many bytes of it. Small objects: of some 10,000 snapshots of a small home,
/// read in 20 ms.
const OBJECTS: (&str, u64) = ("objects", 64 * 1024 * 1024);
/// Trees: those of a million files.
const TREES: (&str, u64) = ("trees", 128 * 1024 * 1024);

/// So much nicer than the supervisor is what the bot does not wait for: beside a gateway that wants the same processor it gets
/// a tenth of it, so that it goes on and is not noticed.
pub(crate) const NICENESS: i32 = 10;

/// Between two looks whether the token is to be renewed. It is when a third of its time is over.
const RENEWAL_LOOK: Duration = Duration::from_secs(1);
/// Between two attempts to renew it, after some that failed.
const MAX_RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// The time of day in Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    rustic_core::jiff::Timestamp::now().as_millisecond()
}

/// What lies beside the home for `purpose`: `<home>.<purpose>`, hidden.
fn beside(home: &Path, purpose: &str) -> PathBuf {
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    home.with_file_name(format!(".{name}.{purpose}"))
}

/// Does one job.
pub(crate) fn main() -> ExitCode {
    match do_job() {
        Ok(line) => {
            if let Some(line) = line {
                say(&line);
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            say(&Line::Failed(failure.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn do_job() -> Result<Option<Line>, RepositoryError> {
    let hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hidden.map_err(|error| RepositoryError(format!("hiding this process: {error}")))?;
    bind_to_supervisor()?;
    let mut text = Vec::new();
    let read = std::io::stdin().lock().read_until(b'\n', &mut text);
    read.map_err(|error| RepositoryError(format!("reading the job: {error}")))?;
    let input: JobInput =
        serde_json::from_slice(&text).map_err(|_| RepositoryError::new("the job is malformed"))?;
    drop(text);
    let JobInput {
        mut access,
        home,
        owner,
        database_time,
        job,
        context,
    } = input;

    // The bot goes on meanwhile; for a restore it waits.
    if !matches!(job, BackupJob::Restore(_)) {
        give_way();
    }
    // Maintenance verifies what is stored, and not what is kept of it.
    let keeps = !matches!(job, BackupJob::Maintain(_));
    access.unlocked = access.unlocked.filter(|_| keeps);
    let kept = [OBJECTS, TREES].map(|(name, max)| {
        keeps
            .then(|| KeptObjects::open(&beside(&home, name), max))
            .flatten()
    });
    let remote = Arc::new(Remote::new(&access, kept));
    // After the line that says what it is, a file or a directory is all that is said.
    let _beat = (!is_passed_on(&job)).then(|| {
        let (moves, waits) = (Arc::clone(&remote), Arc::clone(&remote));
        // Begun here, with root's rights: only they may look at what this process reads and writes.
        let moves = Ticker::reporting(move || Line::Moves(moves.traffic(), pieces()));
        (moves, Ticker::reporting(move || Line::HeldUp(waits.held_up())))
    });
    let renewed = match job {
        // For these the token proves that a repository's endpoint is what answers.
        BackupJob::Restore(_) | BackupJob::Snapshot(_) | BackupJob::RenewToken => {
            remote.renew_now().map(Some)
        }
        // What the Sandbox just minted for this.
        BackupJob::Maintain(_) => Ok(None),
        BackupJob::Read(_) => remote.renew(),
    };
    if let Some(renewed) = renewed.map_err(|error| RepositoryError(format!("renewing the token: {error}")))? {
        say(&Line::Token(renewed));
    }
    // What follows the length of a file, or the word that a directory comes, is nothing but that, and what maintenance may is
    // nobody else's.
    let is_said = !matches!(job, BackupJob::Maintain(_)) && !is_passed_on(&job);
    keep_renewing(Arc::clone(&remote), is_said);
    // With root's rights, which it takes to start a process that has none and to end it.
    let keeper = Keeper::start(owner, database_time);
    let done = match job {
        BackupJob::RenewToken => None,
        BackupJob::Restore(point) => {
            let fresh = beside(&home, FRESH);
            let restored = restore::restore(&access, &remote, &home, &fresh, &point, &context, &keeper);
            if restored.is_err() {
                // The next attempt begins with nothing; until then the space is free.
                let _ = swap::remove(&fresh);
            }
            Some(Line::Restored(restored?))
        }
        BackupJob::Snapshot(job) => {
            let scratch = scratch(&home, owner)?;
            let known = KnownCopies::open(&beside(&home, DATABASES));
            become_reader(owner)?;
            let databases = Databases::new(keeper, &scratch, BUSY)
                .map_err(|error| RepositoryError(format!("{}: {error}", scratch.display())))?;
            let copies = CopyPlace {
                scratch: &scratch,
                databases: &Arc::new(databases),
                known: &known,
            };
            let taken = snapshot::take(&access, &remote, &home, copies, job, &context)?;
            Some(Line::Taken(taken, remote.traffic()))
        }
        BackupJob::Read(job) => match read::read(&access, &remote, &job) {
            Err(ReadError::Refused(refusal, detail)) => Some(Line::Refused(refusal, detail)),
            Err(ReadError::Failed(error)) => return Err(error),
            Ok(line) => line,
        },
        BackupJob::Maintain(job) => {
            let scratch = scratch(&home, owner)?;
            let report = maintain::maintain(&access, &remote, &scratch, &job, &keeper);
            let _ = swap::remove(&scratch);
            Some(Line::Maintained(report?))
        }
    };
    Ok(done)
}

/// Whether what was read follows the line that says what it is.
fn is_passed_on(job: &BackupJob) -> bool {
    matches!(
        job,
        BackupJob::Read(ReadJob::Directory(..) | ReadJob::File(..) | ReadJob::Archive(..))
    )
}

/// Renews the token in time for as long as this process lives: a job may take longer than a token holds. Whether that is said.
fn keep_renewing(remote: Arc<Remote>, is_said: bool) {
    std::thread::spawn(move || {
        let mut pause = RENEWAL_LOOK;
        loop {
            std::thread::park_timeout(pause);
            pause = match remote.renew() {
                Ok(renewed) => {
                    if let Some(renewed) = renewed.filter(|_| is_said) {
                        say(&Line::Token(renewed));
                    }
                    RENEWAL_LOOK
                }
                // Tried again while there is time, but whoever refuses it is not asked each second.
                Err(_) => pause.saturating_mul(2).min(MAX_RENEWAL_PAUSE),
            };
        }
    });
}

/// Ends this process with the supervisor: nobody would know what comes of it, and what it wrote would come as a
/// surprise to the next run.
fn bind_to_supervisor() -> Result<(), RepositoryError> {
    let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    bound.map_err(|error| RepositoryError(format!("binding this process to the supervisor: {error}")))
}

/// Lets others go first. It is this thread that does, and so do all it starts.
fn give_way() {
    let lowered = rustix::process::getpriority_process(None).and_then(|own| {
        let nicer = own.saturating_add(NICENESS);
        rustix::process::setpriority_process(None, nicer)
    });
    if let Err(error) = lowered {
        say::note(&format!("no lower priority: {error}"));
    }
}

/// An empty directory of our own. Who reads a home gets in by its group, and nobody of the bot's does.
fn scratch(home: &Path, owner: Option<(u32, u32)>) -> Result<PathBuf, RepositoryError> {
    let scratch = beside(home, SCRATCH);
    swap::remove(&scratch)?;
    let made = DirBuilder::new().mode(0o700).create(&scratch);
    let made = made.and_then(|()| match owner {
        Some(_) => {
            chown(&scratch, None, Some(USER))?;
            std::fs::set_permissions(&scratch, Permissions::from_mode(0o770))
        }
        None => Ok(()),
    });
    made.map_err(|error| RepositoryError(format!("{}: {error}", scratch.display())))?;
    Ok(scratch)
}

/// The home belongs to code nobody trusts. Read with its owner's rights, nothing in it leads to what its owner
/// may not read. They are taken by this thread, and so by those it starts; the process stays root's, so that its
/// owner can neither signal nor trace it.
fn become_reader(owner: Option<(u32, u32)>) -> Result<(), RepositoryError> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let taken = rustix::thread::set_thread_groups(&[Gid::from_raw(USER)])
        .and_then(|()| rustix::thread::set_thread_res_gid(None, Gid::from_raw(gid), None))
        .and_then(|()| rustix::thread::set_thread_res_uid(None, Uid::from_raw(uid), None));
    taken.map_err(|error| RepositoryError(format!("taking the rights of the home's owner: {error}")))?;
    // The kernel forgets it where rights change.
    bind_to_supervisor()
}
