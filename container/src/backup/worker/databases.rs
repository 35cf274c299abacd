//! SQLite databases: found by their header, copied with SQLite's online backup, checked before they are stored.
//!
//! A database that is in use is several files that mean something only together; read one after the other they
//! make a damaged one. SQLite copies it as it is at one moment, whoever writes meanwhile.
//!
//! Nothing of what is in one is looked at here: that is done by processes that have nothing to lose (`confined`), in the
//! time a database may take. Reading changes nothing in the home. SQLite itself does: where the shared memory of a log is
//! missing it makes one, what a killed program left it undoes, a log beside an empty database it deletes. So it reads a
//! database in its place only where that takes no more than locks (`way`), and everything else as a copy of its files in a
//! directory of ours (`databases/aside.rs`).

mod aside;
mod budget;
mod moment;
mod unchanged;

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};

pub(crate) use self::moment::HeldMoment;
pub(crate) use self::unchanged::{Copies, DatabaseState, KnownCopies, Unchanged};

use self::budget::{Budget, spent};
use super::confined::{CopyCheck, DatabaseAnswer, DatabaseTask, Keeper, NotCopied, Work};
use super::exclusions::SIDECARS;
use super::place::{look, open};
use crate::beneath;

/// How a database file begins.
pub(crate) const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// The whole header: what is shorter is no database, whatever it begins with.
const HEADER_BYTES: usize = 100;
/// SQLite takes no longer path.
const MAX_SQLITE_PATH: usize = 500;
/// A writer that does not use the write-ahead log holds the database for its transaction. Longer than any of the
/// gateway's.
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// A copy's name while it is made.
const COPY: &str = "database";
/// What has holes for all but a part of its length takes more room as a copy than in its place. A database has none, as
/// SQLite writes it.
const HOLES: u64 = 8;
/// See [`HOLES`]: a smaller one does no harm.
const MIN_HOLES: u64 = 64 * 1024 * 1024;
/// Bytes in a block as the kernel counts them.
const DISK_BLOCK: u64 = 512;

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
        with_suffix(self.name, suffix)
    }

    /// Bytes in what has this name.
    fn bytes(&self, suffix: &str) -> u64 {
        let found = look(self.directory, self.beside(suffix)).and_then(|file| file.metadata());
        found.map_or(0, |stat| stat.len())
    }

    /// Whether there is something of that name with anything in it.
    fn has(&self, suffix: &str) -> bool {
        self.bytes(suffix) > 0
    }
}

fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}

/// How a database is read.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// In its place and beside its writers: that takes nothing but locks.
    InPlace,
    /// In its place while nobody writes: it has no write-ahead log.
    BetweenWrites,
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
    pub(crate) found: CopyCheck,
}

/// Copies the databases of a home.
pub(crate) struct Databases {
    keeper: Keeper,
    /// A directory of our own on the same file system, empty.
    scratch: OwnedFd,
    scratch_path: PathBuf,
    /// Whoever holds a database is waited for so long.
    patience: Duration,
    budget: Budget,
    /// So often one was copied.
    copies: AtomicU32,
}

impl Databases {
    /// Through a directory of our own on the same file system as the home.
    ///
    /// # Errors
    /// When that cannot be opened.
    pub(crate) fn new(keeper: Keeper, scratch: &Path, patience: Duration) -> io::Result<Self> {
        Ok(Self {
            budget: Budget::new(keeper.time()),
            keeper,
            scratch: beneath::root(scratch)?,
            scratch_path: scratch.to_owned(),
            patience,
            copies: AtomicU32::new(0),
        })
    }

    /// Copies a database and checks the copy. Whoever holds it is waited for.
    ///
    /// # Errors
    /// See [`NotCopied`].
    pub(crate) fn copy(&self, database: &Located<'_>) -> Result<Copy, NotCopied> {
        let copied = self.counted(|| self.copied(database));
        // The open file stays; nothing is left behind when we are killed later.
        self.discard(OsStr::new(COPY));
        copied
    }

    /// Removes what was copied to files of this name.
    pub(crate) fn discard(&self, name: &OsStr) {
        for suffix in [""].into_iter().chain(SIDECARS) {
            let _ = unlinkat(&self.scratch, with_suffix(name, suffix), AtFlags::empty());
        }
    }

    /// Does one of these pieces of work, and counts one that took all the time there is and came to nothing.
    fn counted(&self, work: impl FnOnce() -> Result<Copy, NotCopied>) -> Result<Copy, NotCopied> {
        let (begun, before) = (Instant::now(), spent());
        self.copies.fetch_add(1, Ordering::Relaxed);
        let copied = work();
        let took = begun.elapsed();
        self.budget.wait(took, spent().saturating_sub(before));
        let is_done = match &copied {
            Ok(copy) => !matches!(copy.found, CopyCheck::Unchecked(_)),
            Err(NotCopied::Refused(_) | NotCopied::Exceeded(_)) => false,
            Err(NotCopied::Damaged(_) | NotCopied::Failed(_)) => true,
        };
        if !is_done && took >= self.keeper.time() {
            self.budget.fail();
        }
        copied
    }

    /// How often one was copied.
    pub(crate) fn copies(&self) -> u32 {
        self.copies.load(Ordering::Relaxed)
    }

    fn patience(&self) -> Duration {
        self.budget.patience(self.patience)
    }

    fn copied(&self, database: &Located<'_>) -> Result<Copy, NotCopied> {
        let failed = |error: io::Error| NotCopied::Failed(error.to_string());
        let (way, stat) = way(database)?;
        let bytes = stat.len().saturating_add(database.bytes("-wal"));
        if is_hollow(&stat) {
            let reason = "nearly all of it is holes, and a copy would not have them";
            return Err(NotCopied::Exceeded(reason.to_owned()));
        }
        if self.budget.is_overdrawn() {
            let reason = "others took all the time there is for databases";
            return Err(NotCopied::Exceeded(reason.to_owned()));
        }
        let name = OsStr::new(COPY);
        let mut file = self.make(name, "").map_err(failed)?;
        let is_copied = way != Way::Aside && self.in_place(database, bytes)?;
        if !is_copied {
            aside::copy(self, database, &file)?;
        }
        let found = match (self.budget.is_spent(), is_copied) {
            (false, _) => self.finish(name, Work::Check, bytes)?,
            (true, false) => self.finish(name, Work::Merge, bytes)?,
            (true, true) => unchecked(),
        };
        file.rewind().map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Ok(Copy { file, bytes, found })
    }

    /// Makes a file of the copy.
    fn make(&self, name: &OsStr, suffix: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let name = with_suffix(name, suffix);
        Ok(beneath::open(&self.scratch, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Copies it as it is; false where that takes more than locks.
    fn in_place(&self, database: &Located<'_>, bytes: u64) -> Result<bool, NotCopied> {
        self.budget.explain(bytes);
        let answer = self.keeper.order(&DatabaseTask {
            work: Work::Copy(self.scratch_path.join(COPY)),
            directory: database.directory,
            name: database.name,
            bytes,
            patience: self.patience(),
        });
        match answer {
            DatabaseAnswer::Copied => Ok(true),
            DatabaseAnswer::NeedsWriting => Ok(false),
            other => Err(not(other)),
        }
    }

    /// Makes one file of the copy and its logs, and, if that is the work, looks whether it is sound.
    fn finish(&self, name: &OsStr, work: Work, bytes: u64) -> Result<CopyCheck, NotCopied> {
        self.budget.explain(bytes);
        let answer = self.keeper.order(&DatabaseTask {
            work,
            directory: &self.scratch,
            name,
            bytes,
            patience: Duration::ZERO,
        });
        match answer {
            DatabaseAnswer::Found(found) => Ok(found),
            DatabaseAnswer::Copied => Ok(unchecked()),
            // Nothing is missing from a copy but the check.
            DatabaseAnswer::Not(NotCopied::Exceeded(reason)) if self.is_whole(name) => {
                Ok(CopyCheck::Unchecked(reason))
            }
            other => Err(not(other)),
        }
    }

    /// Whether nothing lies beside the copy that belongs into it.
    fn is_whole(&self, name: &OsStr) -> bool {
        super::exclusions::LOGS.iter().all(|suffix| {
            let log = look(&self.scratch, with_suffix(name, suffix));
            log.and_then(|log| log.metadata())
                .map_or(true, |stat| stat.len() == 0)
        })
    }
}

fn unchecked() -> CopyCheck {
    CopyCheck::Unchecked("others took all the time there is for checks".to_owned())
}

/// Why there is no copy.
fn not(answer: DatabaseAnswer) -> NotCopied {
    match answer {
        DatabaseAnswer::Not(reason) => reason,
        _ => NotCopied::Failed("the process that read it answered something else".to_owned()),
    }
}

fn is_hollow(stat: &Metadata) -> bool {
    stat.len() > MIN_HOLES && stat.blocks().saturating_mul(DISK_BLOCK).saturating_mul(HOLES) < stat.len()
}

/// What can be told from the files alone.
fn way(database: &Located<'_>) -> Result<(Way, Metadata), NotCopied> {
    let refused = |error: io::Error| NotCopied::Refused(error.to_string());
    let mut header = [0; HEADER_BYTES];
    let file = open(database.directory, database.name).map_err(refused)?;
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
    let way = match (is_known_to_sqlite && is_read_only, is_log) {
        (true, true) => Way::InPlace,
        (true, false) => Way::BetweenWrites,
        (false, _) => Way::Aside,
    };
    Ok((way, file.metadata().map_err(refused)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Copies made while somebody writes.
    const COPIES: u32 = 100;

    fn copied(path: &Path, scratch: &Path, patience: Duration) -> Result<Copy, NotCopied> {
        let directory: OwnedFd = File::open(path.parent().unwrap()).unwrap().into();
        let located = Located {
            directory: &directory,
            name: path.file_name().unwrap(),
            path,
        };
        let databases = Databases::new(Keeper::in_this_process(), scratch, patience);
        databases.unwrap().copy(&located)
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
                assert_eq!((sound.as_str(), count), ("ok", 500), "{mode}, copy {number}");
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
