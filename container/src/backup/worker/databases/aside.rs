//! Reads a database as a copy of its files in a directory of ours, where SQLite may do with them what it likes.
//!
//! What is copied is of one moment because nobody who goes by SQLite's locks writes meanwhile, and because nothing about the
//! files is another afterwards.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FlockOperation, fcntl_lock, ftruncate, unlinkat};
use rustix::io::Errno;

use super::{COPY, Databases, Located, NotCopied, with_suffix};
use crate::backup::worker::exclusions::LOGS;
use crate::backup::worker::place::{look, open};

/// So often the files are copied before they have changed too often meanwhile.
const ATTEMPTS: u32 = 3;
/// Between two looks whether a lock is free.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What tells one state of a file from another: what it is, its length and when it was changed.
type State = Option<(u64, u64, i64, i64, i64, i64)>;

/// Copies the files of a database: it itself into the file that is there for it, its logs beside that.
///
/// # Errors
/// As for every way to copy it.
pub(super) fn copy(all: &Databases, database: &Located<'_>, target: &File) -> Result<(), NotCopied> {
    let failed = |error: io::Error| NotCopied::Failed(error.to_string());
    for _ in 0..ATTEMPTS {
        let file =
            open(database.directory, database.name).map_err(|error| NotCopied::Refused(error.to_string()))?;
        lock(&file, all.patience())?;
        let before = states(database);
        copy_file(&file, target).map_err(failed)?;
        for suffix in LOGS {
            match regular(open(database.directory, &database.beside(suffix))) {
                Ok(log) => all
                    .make(COPY.as_ref(), suffix)
                    .and_then(|beside| copy_file(&log, &beside))
                    .map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let name = with_suffix(COPY.as_ref(), suffix);
                    _ = unlinkat(&all.scratch, name, AtFlags::empty());
                }
                // It may hold what was written last: without it the copy would be sound and old.
                Err(error) => return Err(NotCopied::Refused(format!("its log cannot be read: {error}"))),
            }
        }
        if states(database) == before {
            return Ok(());
        }
    }
    Err(NotCopied::Refused("it is being written all the time".to_owned()))
}

/// Copies them while nobody who could write them runs.
///
/// # Errors
/// When one of them cannot be copied.
pub(super) fn capture(
    all: &Databases,
    database: &Located<'_>,
    name: &OsStr,
    copy: &dyn Fn(&File, &File) -> io::Result<()>,
) -> io::Result<()> {
    let file = regular(open(database.directory, database.name))?;
    // Whoever stood still in the middle of writing has left in one of its logs what undoes it, or nowhere.
    let has_log = LOGS.iter().any(|suffix| database.has(suffix));
    if !has_log && fcntl_lock(&file, FlockOperation::NonBlockingLockShared).is_err() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    copy(&file, &all.make(name, "")?)?;
    for suffix in LOGS {
        match regular(open(database.directory, &database.beside(suffix))) {
            Ok(log) => copy(&log, &all.make(name, suffix)?)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
        let stat = look(database.directory, database.beside(suffix))
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

/// No more than there is at the beginning: what grows all the time would be copied without end.
fn copy_file(from: &File, to: &File) -> io::Result<()> {
    use std::io::{Read, Seek};
    let (source, mut to) = (from, to);
    ftruncate(to, 0)?;
    to.rewind()?;
    let length = from.metadata()?.len();
    io::copy(&mut source.take(length), &mut to).map(|_| ())
}
