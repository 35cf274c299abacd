//! What is done with a database: everything of ours that SQLite does with a database of somebody else's.
//!
//! A program of its owner's says in it what is run when it is read or written: triggers, views, functions in indexes and
//! columns, virtual tables. None of that is run where it can be left, and the rest is counted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use rustix::time::{ClockId, clock_gettime};

use super::{CopyCheck, DatabaseAnswer, Limits, NotCopied, Request, Work};

/// What `PRAGMA integrity_check` answers when all is well.
const SOUND: &str = "ok";
/// The table of the gateway's leases; every row names a holder.
const LEASES: &str = "state_leases";
/// Bytes SQLite takes for all it does; it reads the gateway's databases with 3 MB.
const MAX_HEAP: i32 = 64 * 1024 * 1024;
/// Steps of SQLite's machine between two looks at the clock: some hundred microseconds.
const STEPS: i32 = 10_000;

/// An empty file that a database is copied into.
pub(super) struct Target(Connection);

impl Target {
    /// Opens the one that a piece of work needs, if it needs any.
    pub(super) fn open(work: &Work) -> Result<Option<Self>, NotCopied> {
        let (Work::Copy(path) | Work::Hold(path)) = work else {
            return Ok(None);
        };
        let failed = |error: rusqlite::Error| NotCopied::Failed(error.to_string());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let target = Connection::open_with_flags(path, flags).map_err(failed)?;
        // It is made once, and thrown away when that fails: nothing beside it is opened.
        let once = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;";
        target.execute_batch(once).map_err(failed)?;
        Ok(Some(Self(target)))
    }
}

/// Does a piece of work in a directory; `begun` is called when what is to be held is read from then on.
pub(super) fn serve(
    request: &Request,
    directory: &Path,
    target: Option<Target>,
    begun: &dyn Fn() -> bool,
) -> DatabaseAnswer {
    let path = directory.join(request.name());
    let done = match (&request.work, target) {
        (Work::Copy(_), Some(target)) => copy(&path, target, &request.limits),
        (Work::Hold(_), Some(target)) => hold(&path, target, &request.limits, begun),
        (Work::Copy(_) | Work::Hold(_), None) => {
            Err(NotCopied::Failed("it has nothing to copy into".to_owned()))
        }
        (Work::Merge, _) => merge(&path, &request.limits).map(|_| DatabaseAnswer::Copied),
        (Work::Check, _) => check(&path, &request.limits).map(DatabaseAnswer::Found),
        (Work::Release, _) => release(&path, &request.limits),
    };
    done.unwrap_or_else(DatabaseAnswer::Not)
}

/// Opens a database of somebody else's.
fn open(path: &PathBuf, flags: OpenFlags, limits: &Limits) -> Result<Connection, rusqlite::Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(limits.patience)?;
    for (setting, is_on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
    ] {
        database.set_db_config(setting, is_on)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_HEAP),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
    ] {
        database.set_limit(limit, most)?;
    }
    // A row that a constraint would refuse is still the owner's row: the copy is no less sound for it.
    database.execute_batch(&format!(
        "PRAGMA hard_heap_limit = {MAX_HEAP}; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;
        PRAGMA cell_size_check = ON; PRAGMA ignore_check_constraints = ON;"
    ))?;
    let (cpu, wait, begun) = (limits.cpu, limits.wait, Instant::now());
    database.progress_handler(STEPS, Some(move || used() > cpu || begun.elapsed() > wait))?;
    Ok(database)
}

/// Processor time of this process.
fn used() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or(Duration::MAX)
}

/// Reads what is there, so that it is known whether it can be read. The schema is left alone.
fn touch(database: &Connection) -> Result<(), rusqlite::Error> {
    database.query_row("PRAGMA schema_version", [], |_| Ok(()))
}

fn copy(path: &PathBuf, target: Target, limits: &Limits) -> Result<DatabaseAnswer, NotCopied> {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    let opened = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, limits)
        .and_then(|source| touch(&source).map(|()| source));
    let source = match opened {
        Ok(source) => source,
        Err(error) => {
            return match error.sqlite_error_code() {
                // What a killed program had not finished can be undone by writing only.
                Some(CannotOpen | PermissionDenied | ReadOnly) => Ok(DatabaseAnswer::NeedsWriting),
                _ => Err(judge(&error)),
            };
        }
    };
    into(&source, target)
}

/// Copies a database as it is at the moment this begins to read it.
fn hold(
    path: &PathBuf,
    target: Target,
    limits: &Limits,
    begun: &dyn Fn() -> bool,
) -> Result<DatabaseAnswer, NotCopied> {
    let source = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, limits).map_err(|error| judge(&error))?;
    let mode = source.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    if mode.map_err(|error| judge(&error))? != "wal" {
        let reason = "who reads it is in the way of who writes it";
        return Err(NotCopied::Refused(reason.to_owned()));
    }
    // The transaction begins with the first look.
    let held = source.execute_batch("BEGIN").and_then(|()| touch(&source));
    held.map_err(|error| judge(&error))?;
    if !begun() {
        return Err(NotCopied::Refused("nobody waits for it".to_owned()));
    }
    into(&source, target)
}

fn into(source: &Connection, Target(mut target): Target) -> Result<DatabaseAnswer, NotCopied> {
    {
        let backup = Backup::new(source, &mut target).map_err(|error| judge(&error))?;
        // All pages in one step: the copy is of one moment, and no writer can start it over.
        match backup.step(-1).map_err(|error| judge(&error))? {
            StepResult::Done => {}
            _ => return Err(NotCopied::Refused("it is being written for too long".to_owned())),
        }
    }
    target.close().map_err(|(_, error)| judge(&error))?;
    Ok(DatabaseAnswer::Copied)
}

/// Puts into a copy of ours what its logs hold, or undoes what they say. The last one who closes it removes them.
fn merge(path: &PathBuf, limits: &Limits) -> Result<Connection, NotCopied> {
    let copy = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits).map_err(|error| judge(&error))?;
    let ours = copy.execute_batch("PRAGMA synchronous = OFF");
    ours.and_then(|()| touch(&copy)).map_err(|error| judge(&error))?;
    let emptied = copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    if emptied.map_err(|error| judge(&error))? != 0 {
        return Err(NotCopied::Refused(
            "its log cannot be put into its copy".to_owned(),
        ));
    }
    Ok(copy)
}

fn check(path: &PathBuf, limits: &Limits) -> Result<CopyCheck, NotCopied> {
    let copy = merge(path, limits)?;
    let said = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    let found = match said {
        Ok(said) if said == SOUND => CopyCheck::Sound,
        Ok(said) => CopyCheck::Damaged(said),
        Err(error) => match judge(&error) {
            NotCopied::Damaged(reason) => CopyCheck::Damaged(reason),
            // Nobody else holds the copy.
            NotCopied::Refused(reason) | NotCopied::Exceeded(reason) => CopyCheck::Unchecked(reason),
            failed @ NotCopied::Failed(_) => return Err(failed),
        },
    };
    copy.close().map_err(|(_, error)| judge(&error))?;
    Ok(found)
}

fn release(path: &PathBuf, limits: &Limits) -> Result<DatabaseAnswer, NotCopied> {
    let released = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits).and_then(|database| {
        let released = remove_leases(&database)?;
        // Into the database itself: nothing of ours stays beside it.
        database.close().map_err(|(_, error)| error)?;
        Ok(DatabaseAnswer::Released(
            u64::try_from(released).unwrap_or(u64::MAX),
        ))
    });
    released.map_err(|error| judge(&error))
}

fn remove_leases(database: &Connection) -> Result<usize, rusqlite::Error> {
    // A virtual table has no page of its own, and a program behind it.
    let named = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0";
    let tables: u32 = database.query_row(named, [LEASES], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    database.execute(&format!("DELETE FROM {LEASES}"), [])
}

fn judge(error: &rusqlite::Error) -> NotCopied {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, OperationInterrupted, OutOfMemory, TooBig,
    };
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => NotCopied::Damaged(error.to_string()),
        Some(OperationInterrupted) => NotCopied::Exceeded("it takes longer than it may".to_owned()),
        Some(OutOfMemory | TooBig) => NotCopied::Exceeded("it takes more memory than it may".to_owned()),
        // What cannot be opened then is a file of the copy.
        Some(CannotOpen | DiskFull) => NotCopied::Failed(error.to_string()),
        _ => NotCopied::Refused(error.to_string()),
    }
}
