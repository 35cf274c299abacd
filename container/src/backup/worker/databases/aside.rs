//! Reads a database as a copy of its files in a directory of ours, where SQLite may do with them what it likes.
//!
//! What is copied is of one moment because nobody who goes by SQLite's locks writes meanwhile, and because nothing about the
//! files is another afterwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::{Found, Located, NotCopied, check, judge};
use crate::backup::worker::exclusions::LOGS;
use crate::backup::worker::place::{look, open};

/// So often the files are copied before they have changed too often meanwhile.
const ATTEMPTS: u32 = 3;
/// Between two looks whether a lock is free.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What tells one state of a file from another: what it is, its length and when it was changed.
type State = Option<(u64, u64, i64, i64, i64, i64)>;

/// Copies the files of a database to `target` and what SQLite expects beside it, and lets SQLite make one of them.
///
/// # Errors
/// As for every way to copy it.
pub(super) fn copy(database: &Located<'_>, target: &Path, patience: Duration) -> Result<Found, NotCopied> {
    let failed = |error: io::Error| NotCopied::Failed(error.to_string());
    for _ in 0..ATTEMPTS {
        let file =
            open(database.directory, database.name).map_err(|error| NotCopied::Refused(error.to_string()))?;
        lock(&file, patience)?;
        let before = states(database);
        copy_file(&file, target).map_err(failed)?;
        for suffix in LOGS {
            let beside = with_suffix(target, suffix);
            match regular(open(database.directory, &database.beside(suffix))) {
                Ok(log) => copy_file(&log, &beside).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => _ = std::fs::remove_file(&beside),
                // It may hold what was written last: without it the copy would be sound and old.
                Err(error) => return Err(NotCopied::Refused(format!("its log cannot be read: {error}"))),
            }
        }
        if states(database) == before {
            return one_file(target);
        }
    }
    Err(NotCopied::Refused("it is being written all the time".to_owned()))
}

/// Copies them while nobody who could write them runs.
///
/// # Errors
/// When one of them cannot be copied.
pub(super) fn capture(
    database: &Located<'_>,
    target: &Path,
    copy: &dyn Fn(&File, &File) -> io::Result<()>,
) -> io::Result<()> {
    let file = regular(open(database.directory, database.name))?;
    copy(&file, &File::create(target)?)?;
    for suffix in LOGS {
        match regular(open(database.directory, &database.beside(suffix))) {
            Ok(log) => copy(&log, &File::create(with_suffix(target, suffix))?)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lets SQLite put into the copy what its logs hold, or undo what they say. The last one who closes it removes them.
pub(super) fn one_file(target: &Path) -> Result<Found, NotCopied> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(target, flags).map_err(|error| judge(&error))?;
    copy.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|error| judge(&error))?;
    let found = check(&copy)?;
    let emptied = copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    if emptied.map_err(|error| judge(&error))? != 0 {
        return Err(NotCopied::Refused(
            "its log cannot be put into its copy".to_owned(),
        ));
    }
    copy.close().map_err(|(_, error)| judge(&error))?;
    Ok(found)
}

/// Keeps others from writing while the file stays open; whoever writes is waited for.
fn lock(file: &File, patience: Duration) -> Result<(), NotCopied> {
    let until = Instant::now().checked_add(patience);
    loop {
        match fcntl_lock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => return Ok(()),
            Err(Errno::AGAIN | Errno::ACCESS) if until.is_some_and(|until| Instant::now() < until) => {
                std::thread::park_timeout(LOOK_AGAIN);
            }
            Err(Errno::AGAIN | Errno::ACCESS) => {
                return Err(NotCopied::Refused("database is locked".to_owned()));
            }
            Err(error) => return Err(NotCopied::Refused(error.to_string())),
        }
    }
}

fn states(database: &Located<'_>) -> Vec<State> {
    let state = |suffix: &&str| {
        // Not opened for reading: to close that would give up the lock.
        let stat = look(database.directory, &database.beside(suffix))
            .ok()?
            .metadata()
            .ok()?;
        Some((
            stat.ino(),
            stat.len(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
        ))
    };
    [""].iter().chain(&LOGS).map(state).collect()
}

/// Only a file can be a log.
fn regular(opened: io::Result<File>) -> io::Result<File> {
    let file = opened?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

fn copy_file(from: &File, to: &Path) -> io::Result<()> {
    let mut from = from;
    io::copy(&mut from, &mut File::create(to)?).map(|_| ())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}
