//! SQLite databases: found by their header, copied with SQLite's online backup, checked before they are stored.
//!
//! A database that is in use is several files that mean something only together; read one after the other they
//! make a damaged one. SQLite copies it as it is at one moment, whoever writes meanwhile.
//!
//! Reading changes nothing in the home. SQLite itself does: where the shared memory of a log is missing it makes one, what a
//! killed program left it undoes, a log beside an empty database it deletes. So it reads a database in its place only where
//! that takes no more than locks (`way`), and everything else as a copy of its files in a directory of ours
//! (`databases/aside.rs`).

mod aside;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::place::{look, open};

/// How a database file begins.
pub(crate) const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// The whole header: what is shorter is no database, whatever it begins with.
const HEADER_BYTES: usize = 100;
/// SQLite takes no longer path.
const MAX_SQLITE_PATH: usize = 500;
/// A writer that does not use the write-ahead log holds the database for its transaction. Longer than any of the
/// gateway's.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// What `PRAGMA integrity_check` answers when all is well.
const SOUND: &str = "ok";

/// Where a database lies.
pub(crate) struct Located<'a> {
    /// The directory that holds it.
    pub(crate) directory: &'a OwnedFd,
    /// Its name there.
    pub(crate) name: &'a OsStr,
    /// Its path, for SQLite; it may be too long for anybody.
    pub(crate) path: &'a Path,
}

impl Located<'_> {
    /// The name of what belongs to it.
    fn beside(&self, suffix: &str) -> OsString {
        let mut name = self.name.to_owned();
        name.push(suffix);
        name
    }

    /// Whether there is something of that name with anything in it.
    fn has(&self, suffix: &str) -> bool {
        let found = look(self.directory, &self.beside(suffix)).and_then(|file| file.metadata());
        found.is_ok_and(|stat| stat.len() > 0)
    }
}

/// How a database is read.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// In its place: that takes nothing but locks.
    InPlace,
    /// As a copy of its files.
    Aside,
}

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

/// Copies a database into `scratch`, a directory of our own on the same file system, and checks the copy. Whoever
/// holds it is waited for with `patience`.
///
/// # Errors
/// See [`NotCopied`].
pub(crate) fn copy(database: &Located<'_>, scratch: &Path, patience: Duration) -> Result<Copy, NotCopied> {
    let target = scratch.join("database");
    let copied = match way(database)? {
        Way::InPlace => match in_place(database.path, &target, patience) {
            // What a killed program had not finished can be undone by writing only.
            Err(NotRead::NeedsWriting) => aside::copy(database, &target, patience),
            Err(NotRead::For(reason)) => Err(reason),
            Ok(found) => Ok(found),
        },
        Way::Aside => aside::copy(database, &target, patience),
    };
    opened(&target, copied)
}

/// Copies the files of a database of which nobody writes now to `target` and beside it.
///
/// # Errors
/// When that does not work.
pub(crate) fn capture(
    database: &Located<'_>,
    target: &Path,
    copy: &dyn Fn(&File, &File) -> io::Result<()>,
) -> io::Result<()> {
    aside::capture(database, target, copy)
}

/// What one reads in a database stays what it is now, whoever writes meanwhile, until this is copied.
pub(crate) struct Held(Connection);

/// Begins to read a database in its place; nothing where that takes more than locks, where somebody holds it, or where it has no
/// write-ahead log and a reader would be in its writers' way.
pub(crate) fn hold(database: &Located<'_>) -> Option<Held> {
    if way(database).ok()? == Way::Aside {
        return None;
    }
    let source = readable(database.path, Duration::ZERO).ok()?;
    let mode = source.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    if mode.ok()? != "wal" {
        return None;
    }
    source.execute_batch("BEGIN").ok()?;
    // The transaction begins with the first look.
    source
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .ok()?;
    Some(Held(source))
}

impl Held {
    /// Copies it to `target`, and checks the copy.
    ///
    /// # Errors
    /// See [`NotCopied`].
    pub(crate) fn copy(self, target: &Path) -> Result<Copy, NotCopied> {
        opened(target, backed_up(&self.0, target))
    }
}

/// Makes one file of what was captured, and checks it.
///
/// # Errors
/// See [`NotCopied`].
pub(crate) fn finish(target: &Path) -> Result<Copy, NotCopied> {
    opened(target, aside::one_file(target))
}

/// Removes what was captured.
pub(crate) fn discard(target: &Path) {
    for suffix in [""].into_iter().chain(super::exclusions::SIDECARS) {
        let mut name = target.to_owned().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
}

fn opened(target: &Path, copied: Result<Found, NotCopied>) -> Result<Copy, NotCopied> {
    let opened = copied.and_then(|found| {
        let file = File::open(target).map_err(|error| NotCopied::Failed(error.to_string()))?;
        let bytes = file
            .metadata()
            .map_err(|error| NotCopied::Failed(error.to_string()))?
            .len();
        Ok(Copy { file, bytes, found })
    });
    // The open file stays; nothing is left behind when we are killed later.
    discard(target);
    opened
}

/// What can be told from the files alone.
fn way(database: &Located<'_>) -> Result<Way, NotCopied> {
    let mut header = [0; HEADER_BYTES];
    let file =
        open(database.directory, database.name).map_err(|error| NotCopied::Refused(error.to_string()))?;
    if file.read_exact_at(&mut header, 0).is_err() {
        return Err(NotCopied::Damaged(
            "it is shorter than the header of a database".to_owned(),
        ));
    }
    // Bytes 16 to 19: the size of a page, and whether a log is used by those who write and by those who read.
    let &[.., writes, reads] = header.first_chunk::<20>().unwrap_or(&[0; 20]);
    let is_log = (writes, reads) == (2, 2);
    let is_known_to_sqlite = database.path.as_os_str().len() <= MAX_SQLITE_PATH;
    // With its shared memory there a log is in use, or was until its program was killed: a reader adds nothing.
    let is_read_only = if is_log {
        database.has("-shm")
    } else {
        !database.has("-wal")
    };
    if is_known_to_sqlite && is_read_only {
        Ok(Way::InPlace)
    } else {
        Ok(Way::Aside)
    }
}

/// Why a database was not read in its place.
enum NotRead {
    NeedsWriting,
    For(NotCopied),
}

impl From<NotCopied> for NotRead {
    fn from(reason: NotCopied) -> Self {
        Self::For(reason)
    }
}

fn in_place(database: &Path, target: &Path, patience: Duration) -> Result<Found, NotRead> {
    Ok(backed_up(&readable(database, patience)?, target)?)
}

fn backed_up(source: &Connection, target: &Path) -> Result<Found, NotCopied> {
    let mut copy = Connection::open(target).map_err(|error| NotCopied::Failed(error.to_string()))?;
    {
        let backup = Backup::new(source, &mut copy).map_err(|error| judge(&error))?;
        // All pages in one step: the copy is of one moment, and no writer can start it over.
        match backup.step(-1).map_err(|error| judge(&error))? {
            StepResult::Done => {}
            _ => return Err(NotCopied::Refused("it is being written for too long".to_owned())),
        }
    }
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

/// Opens a database to read it.
fn readable(database: &Path, patience: Duration) -> Result<Connection, NotRead> {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly};
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(database, flags).and_then(|connection| {
        connection.busy_timeout(patience)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    });
    opened.map_err(|error| match error.sqlite_error_code() {
        Some(CannotOpen | PermissionDenied | ReadOnly) => NotRead::NeedsWriting,
        _ => judge(&error).into(),
    })
}

fn judge(error: &rusqlite::Error) -> NotCopied {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, DiskFull, NotADatabase, OutOfMemory};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => NotCopied::Damaged(error.to_string()),
        // What cannot be opened then is a file of the copy.
        Some(CannotOpen | DiskFull | OutOfMemory) => NotCopied::Failed(error.to_string()),
        _ => NotCopied::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies made while somebody writes.
    const COPIES: u32 = 100;

    fn copied(path: &Path, scratch: &Path, patience: Duration) -> Result<Copy, NotCopied> {
        let directory: OwnedFd = File::open(path.parent().unwrap()).unwrap().into();
        let located = Located {
            directory: &directory,
            name: path.file_name().unwrap(),
            path,
        };
        copy(&located, scratch, patience)
    }

    fn scratch(directory: &Path) -> PathBuf {
        let scratch = directory.join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        scratch
    }

    /// What the writer writes to.
    const WRITTEN: &str = "MOLTBOT_TEST_DATABASE";

    /// A program of its own, because a process that closes a file gives up all its locks on it: beside the copies it would
    /// write without any.
    #[test]
    #[ignore = "the writer of the next test, which ends it"]
    #[expect(
        clippy::disallowed_methods,
        reason = "no setting: what the test tells the program it starts"
    )]
    fn writes_without_end() {
        let Ok(path) = std::env::var(WRITTEN) else { return };
        let moves = "BEGIN IMMEDIATE; INSERT INTO b SELECT n, randomblob(500) FROM a LIMIT 50;
            DELETE FROM a WHERE n IN (SELECT n FROM b); INSERT INTO a SELECT * FROM b; DELETE FROM b;
            INSERT INTO b SELECT * FROM a LIMIT 100; DELETE FROM a WHERE n IN (SELECT n FROM b);
            INSERT INTO a SELECT * FROM b WHERE n % 2; DELETE FROM b WHERE n % 2; COMMIT;
            BEGIN; INSERT INTO a SELECT * FROM b; DELETE FROM b; COMMIT;";
        let writer = Connection::open(path).unwrap();
        writer.busy_timeout(BUSY).unwrap();
        loop {
            writer.execute_batch(moves).unwrap();
        }
    }

    struct Writer(std::process::Child);

    impl Writer {
        fn start(path: &Path) -> Self {
            let program = std::env::current_exe().unwrap();
            let writer = std::process::Command::new(program)
                .args([
                    "--exact",
                    "--ignored",
                    "backup::worker::databases::tests::writes_without_end",
                ])
                .env(WRITTEN, path)
                .stdout(std::process::Stdio::null())
                .spawn();
            Self(writer.unwrap())
        }
    }

    impl Drop for Writer {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Each transaction moves something from one table to the other: a torn copy has more or less than there is.
    #[test]
    fn a_database_under_constant_writes_is_copied_consistently() {
        // The gateway's are in WAL mode; in the other one a writer waits for the disk with each transaction.
        for (mode, copies) in [("WAL", COPIES), ("DELETE", COPIES / 10)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("bank.sqlite");
            let first = Connection::open(&path).unwrap();
            first.pragma_update(None, "journal_mode", mode).unwrap();
            let begin = "CREATE TABLE a(n, pad); CREATE TABLE b(n, pad);
                WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)
                INSERT INTO a SELECT n, randomblob(500) FROM numbers;";
            first.execute_batch(begin).unwrap();
            drop(first);
            let mut writer = Writer::start(&path);
            let scratch = scratch(directory.path());
            for number in 0..copies {
                let mut copy = copied(&path, &scratch, BUSY).unwrap();
                let restored = directory.path().join("restored.sqlite");
                std::io::copy(&mut copy.file, &mut File::create(&restored).unwrap()).unwrap();
                let restored = Connection::open(&restored).unwrap();
                let sound: String = restored
                    .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                    .unwrap();
                let count = "SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)";
                let count: u32 = restored.query_row(count, [], |row| row.get(0)).unwrap();
                assert_eq!((sound.as_str(), count), (SOUND, 500), "{mode}, copy {number}");
            }
            assert!(writer.0.try_wait().unwrap().is_none(), "{mode}: nobody wrote");
            assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_non_database_is_distinguished_from_a_database_that_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = scratch(directory.path());
        let path = directory.path().join("x");
        std::fs::write(&path, [HEADER.as_slice(), &[7; 4096]].concat()).unwrap();
        assert!(matches!(
            copied(&path, &scratch, BUSY),
            Err(NotCopied::Damaged(_))
        ));
        std::fs::write(&path, [HEADER.as_slice(), b"not really"].concat()).unwrap();
        assert!(matches!(
            copied(&path, &scratch, BUSY),
            Err(NotCopied::Damaged(_))
        ));
        std::fs::remove_file(&path).unwrap();
        let holder = Connection::open(&path).unwrap();
        holder
            .execute_batch("CREATE TABLE a(n); BEGIN EXCLUSIVE; INSERT INTO a VALUES (1);")
            .unwrap();
        let held = copied(&path, &scratch, Duration::ZERO);
        assert!(matches!(held, Err(NotCopied::Refused(_))), "{:?}", held.err());
    }
}
