//! SQLite databases: found by their header, copied with SQLite's online backup, checked before they are stored.
//!
//! A database that is in use is several files that mean something only together; read one after the other they
//! make a damaged one. SQLite copies it as it is at one moment, whoever writes meanwhile.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

/// How a database file begins.
const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// A writer that does not use the write-ahead log holds the database for its transaction. Longer than any of the
/// gateway's.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// What `PRAGMA integrity_check` answers when all is well.
const SOUND: &str = "ok";

/// A copy of a database, checked. Its file has no name any more.
pub(crate) struct Copy {
    /// The copy, at its beginning.
    pub(crate) file: File,
    /// Bytes in it.
    pub(crate) bytes: u64,
    /// What the check found.
    pub(crate) found: Found,
}

/// What the check of a copy found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is sound.
    Sound,
    /// So is the database damaged. The copy is of one moment, which its files are not.
    Damaged(String),
    /// It needs something to be checked that only its owner's program has, such as a collation.
    Unchecked(String),
}

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCopied {
    /// It is too damaged to be copied, or only looks like a database: it is stored as the file it is.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// SQLite does not let it be copied: somebody holds it, or what belongs to it cannot be opened.
    #[error("{0}")]
    Refused(String),
    /// Our disk or our memory does not do.
    #[error("{0}")]
    Failed(String),
}

/// Whether a file is a database, by its header. An empty file is one only to SQLite.
pub(crate) fn is_database(path: &Path) -> bool {
    let mut header = [0; 16];
    let opened = File::options().read(true).custom_flags(read_flags()).open(path);
    opened.and_then(|mut file| file.read_exact(&mut header)).is_ok() && header == *HEADER
}

/// A link is not followed, a named pipe does not block.
pub(crate) fn read_flags() -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default()
}

/// Copies a database into `scratch`, a directory of our own on the same file system, and checks the copy. Whoever
/// holds it is waited for with `patience`.
///
/// # Errors
/// See [`NotCopied`].
pub(crate) fn copy(database: &Path, scratch: &Path, patience: Duration) -> Result<Copy, NotCopied> {
    let target = scratch.join("database");
    let copied = copy_to(database, &target, patience);
    let opened = copied.and_then(|found| {
        let file = File::open(&target).map_err(|error| NotCopied::Failed(error.to_string()))?;
        let bytes = file
            .metadata()
            .map_err(|error| NotCopied::Failed(error.to_string()))?
            .len();
        Ok(Copy { file, bytes, found })
    });
    // The open file stays; nothing is left behind when we are killed later.
    for suffix in [""].into_iter().chain(super::exclusions::SIDECARS) {
        let mut name = target.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
    opened
}

fn copy_to(database: &Path, target: &Path, patience: Duration) -> Result<Found, NotCopied> {
    let source = open(database, patience)?;
    let mut copy = Connection::open(target).map_err(|error| NotCopied::Failed(error.to_string()))?;
    {
        let backup = Backup::new(&source, &mut copy).map_err(|error| judge(&error))?;
        // All pages in one step: the copy is of one moment, and no writer can start it over.
        match backup.step(-1).map_err(|error| judge(&error))? {
            StepResult::Done => {}
            _ => return Err(NotCopied::Refused("it is being written for too long".to_owned())),
        }
    }
    drop(source);
    let found = check(&copy)?;
    copy.close().map_err(|(_, error)| judge(&error))?;
    Ok(found)
}

fn check(copy: &Connection) -> Result<Found, NotCopied> {
    match copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(said) if said == SOUND => Ok(Found::Sound),
        Ok(said) => Ok(Found::Damaged(said)),
        Err(error) => match judge(&error) {
            NotCopied::Damaged(reason) => Ok(Found::Damaged(reason)),
            // Nobody else holds the copy.
            NotCopied::Refused(reason) => Ok(Found::Unchecked(reason)),
            failed @ NotCopied::Failed(_) => Err(failed),
        },
    }
}

/// Opens a database to read it. What a killed process had not finished can be undone by writing only.
fn open(database: &Path, patience: Duration) -> Result<Connection, NotCopied> {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy};
    let readable = |flags| {
        let connection = Connection::open_with_flags(database, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(patience)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    readable(OpenFlags::SQLITE_OPEN_READ_ONLY)
        .or_else(|error: rusqlite::Error| match error.sqlite_error_code() {
            // It would be waited for once more.
            Some(DatabaseBusy) => Err(error),
            _ => readable(OpenFlags::SQLITE_OPEN_READ_WRITE),
        })
        .map_err(|error| match error.sqlite_error_code() {
            Some(CannotOpen) => NotCopied::Refused(error.to_string()),
            _ => judge(&error),
        })
}

fn judge(error: &rusqlite::Error) -> NotCopied {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, OutOfMemory, SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => NotCopied::Damaged(error.to_string()),
        // What cannot be opened then is a file of the copy.
        Some(CannotOpen | DiskFull | OutOfMemory | SystemIoFailure) => NotCopied::Failed(error.to_string()),
        _ => NotCopied::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Copies made while somebody writes.
    const COPIES: u32 = 100;

    fn scratch(directory: &Path) -> PathBuf {
        let scratch = directory.join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        scratch
    }

    /// Each transaction moves something from one table to the other: a torn copy has more or less than there is.
    #[test]
    fn a_database_under_constant_writes_is_copied_consistently() {
        // The gateway's are in WAL mode; in the other one a writer waits for the disk with each transaction.
        for (mode, copies) in [("WAL", COPIES), ("DELETE", COPIES / 10)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("bank.sqlite");
            let writer = Connection::open(&path).unwrap();
            writer.busy_timeout(BUSY).unwrap();
            writer.pragma_update(None, "journal_mode", mode).unwrap();
            let begin = "CREATE TABLE a(n, pad); CREATE TABLE b(n, pad);
                WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)
                INSERT INTO a SELECT n, randomblob(500) FROM numbers;";
            writer.execute_batch(begin).unwrap();
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let over = &stop;
                scope.spawn(move || {
                    let moves = "BEGIN IMMEDIATE; INSERT INTO b SELECT n, randomblob(500) FROM a LIMIT 50;
                        DELETE FROM a WHERE n IN (SELECT n FROM b); INSERT INTO a SELECT * FROM b; DELETE FROM b;
                        INSERT INTO b SELECT * FROM a LIMIT 100; DELETE FROM a WHERE n IN (SELECT n FROM b);
                        INSERT INTO a SELECT * FROM b WHERE n % 2; DELETE FROM b WHERE n % 2; COMMIT;
                        BEGIN; INSERT INTO a SELECT * FROM b; DELETE FROM b; COMMIT;";
                    while !over.load(Ordering::Relaxed) {
                        writer.execute_batch(moves).unwrap();
                    }
                });
                let scratch = scratch(directory.path());
                let mut found = Vec::new();
                for _ in 0..copies {
                    let mut copy = copy(&path, &scratch, BUSY).unwrap();
                    let restored = directory.path().join("restored.sqlite");
                    std::io::copy(&mut copy.file, &mut File::create(&restored).unwrap()).unwrap();
                    let restored = Connection::open(&restored).unwrap();
                    let sound: String = restored
                        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                        .unwrap();
                    let count = "SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)";
                    let count: u32 = restored.query_row(count, [], |row| row.get(0)).unwrap();
                    found.push((sound, count));
                }
                // Before anything is judged: a test that fails ends as well.
                stop.store(true, Ordering::Relaxed);
                for (number, found) in found.into_iter().enumerate() {
                    assert_eq!(found, (SOUND.to_owned(), 500), "{mode}, copy {number}");
                }
            });
            assert_eq!(
                std::fs::read_dir(directory.path().join("scratch"))
                    .unwrap()
                    .count(),
                0
            );
        }
    }

    #[test]
    fn a_non_database_is_distinguished_from_a_database_that_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = scratch(directory.path());
        let path = directory.path().join("x");
        std::fs::write(&path, [HEADER.as_slice(), &[7; 4096]].concat()).unwrap();
        assert!(is_database(&path));
        assert!(matches!(copy(&path, &scratch, BUSY), Err(NotCopied::Damaged(_))));
        assert!(!is_database(directory.path()));
        std::fs::write(&path, "SQLite format").unwrap();
        assert!(!is_database(&path));
    }
}
