use super::*;
use crate::backup::worker::confined::Keeper;
use crate::backup::worker::repository::HOME_IN_SNAPSHOT;
use rusqlite::Connection;
use rustic_core::ReadSource;
use std::fs::File;
use std::time::Duration;

/// What a snapshot of a home would hold, by path, and what was found.
fn stored(home: &Path, raw: &[&str]) -> (Vec<(String, Vec<u8>)>, Findings) {
    let scratch = tempfile::tempdir().unwrap();
    let source = Home {
        path: home.to_owned(),
        databases: Arc::new(
            Databases::new(Keeper::in_this_process(), scratch.path(), Duration::ZERO).unwrap(),
        ),
        raw: Arc::new(raw.iter().map(|name| (*name).to_owned()).collect()),
        patterns: Arc::default(),
        since: None,
        findings: Arc::default(),
        record: Arc::default(),
        changes: Arc::new(Changes::begin()),
        unchanged: Arc::default(),
        mapped: Arc::default(),
    };
    let entries = source.entries().map(|entry| entry.unwrap());
    let files = entries.filter_map(|entry| {
        let mut bytes = Vec::new();
        entry.open?.open().unwrap().read_to_end(&mut bytes).unwrap();
        let path = entry.path.strip_prefix(HOME_IN_SNAPSHOT).unwrap();
        Some((path.to_str().unwrap().to_owned(), bytes))
    });
    let files = files.collect();
    let findings = std::mem::take(&mut *source.findings.lock().unwrap());
    (files, findings)
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

/// What a query answers on restored files.
fn answer(files: &[(String, Vec<u8>)], database: &str, query: &str) -> String {
    let restored = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(restored.path().join(name), bytes).unwrap();
    }
    let restored = Connection::open(restored.path().join(database)).unwrap();
    restored.query_row(query, [], |row| row.get(0)).unwrap()
}

fn in_wal_mode(path: &Path) -> Connection {
    let writer = Connection::open(path).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer
}

/// An index says something else than its table: every page can be read and copied.
const DAMAGE: &str = "CREATE TABLE notes(what); CREATE INDEX by_what ON notes(what);
    INSERT INTO notes VALUES ('kept'); PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE INDEX by_what ON notes(what || 1)' WHERE name = 'by_what';
    PRAGMA writable_schema = RESET;";

#[test]
fn a_damaged_database_is_stored_with_its_wal() {
    let home = tempfile::tempdir().unwrap();
    let writer = in_wal_mode(&home.path().join("damaged.sqlite"));
    writer.execute_batch(DAMAGE).unwrap();
    let (files, findings) = stored(home.path(), &[]);
    assert_eq!(names(&files), ["damaged.sqlite"]);
    let what = answer(&files, "damaged.sqlite", "SELECT what FROM notes NOT INDEXED");
    assert_eq!(what, "kept");
    assert!(findings.databases.is_empty());
    assert!(findings.failures.is_empty(), "{:?}", findings.failures);
    assert!(
        findings.notes[0].contains("damaged database"),
        "{:?}",
        findings.notes
    );
}

#[test]
fn a_locked_database_fails_the_snapshot_until_stored_with_its_wal() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("held.sqlite");
    let holder = in_wal_mode(&path);
    holder.execute_batch("CREATE TABLE notes(what);").unwrap();
    // Only from now on: before its first access it would do without shared memory, and without locks in this process.
    holder.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    holder
        .execute_batch("INSERT INTO notes VALUES ('in the log');")
        .unwrap();
    // Between the two by its name.
    std::fs::write(home.path().join("held.sqlite!"), "").unwrap();

    let (files, findings) = stored(home.path(), &["other.sqlite"]);
    assert_eq!(names(&files), ["held.sqlite!"]);
    assert_eq!(findings.failures, ["held.sqlite: database is locked"]);
    assert_eq!(findings.uncopied, BTreeSet::from(["held.sqlite".to_owned()]));

    let (files, findings) = stored(home.path(), &["held.sqlite"]);
    assert_eq!(names(&files), ["held.sqlite", "held.sqlite!", "held.sqlite-wal"]);
    assert_eq!(
        answer(&files, "held.sqlite", "SELECT what FROM notes"),
        "in the log"
    );
    assert!(findings.failures.is_empty(), "{:?}", findings.failures);
    assert_eq!(findings.raw["held.sqlite"], "database is locked");
    assert_eq!(findings.uncopied.len(), 1);

    drop(holder);
    let (files, findings) = stored(home.path(), &["held.sqlite"]);
    assert_eq!(names(&files), ["held.sqlite", "held.sqlite!"]);
    assert_eq!((findings.raw.len(), findings.uncopied.len()), (0, 0));
    assert_eq!(findings.databases.len(), 1);
}

#[test]
fn a_database_copy_that_cannot_be_checked_is_stored_and_reported() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("odd.sqlite");
    let writer = in_wal_mode(&path);
    let begin = "CREATE TABLE notes(what); CREATE INDEX by_what ON notes(what COLLATE nocase);
        INSERT INTO notes VALUES ('kept'); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'nocase', 'alien') WHERE name = 'by_what';";
    writer.execute_batch(begin).unwrap();
    let (files, findings) = stored(home.path(), &[]);
    assert_eq!(names(&files), ["odd.sqlite"]);
    let what = answer(&files, "odd.sqlite", "SELECT what FROM notes NOT INDEXED");
    assert_eq!(what, "kept");
    assert!(findings.failures.is_empty(), "{:?}", findings.failures);
    assert!(findings.raw["odd.sqlite"].contains("alien"), "{:?}", findings.raw);
    assert_eq!((findings.uncopied.len(), findings.databases.len()), (0, 0));
}

#[test]
fn a_file_is_stored_as_long_as_it_was_when_it_was_found() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    let length = 1_000_000;
    for (name, now) in [("grown", length + 500_000), ("cut", 1_000)] {
        std::fs::write(&path, vec![b'x'; length]).unwrap();
        let bytes = ContentBytes::File(File::open(&path).unwrap(), length as u64);
        let findings = Arc::default();
        let mut reader = Source::new(bytes, "log".into(), &findings).open().unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(now as u64)
            .unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), length, "{name}");
        let known = now.min(length);
        assert!(
            read[..known].iter().all(|byte| *byte == b'x') && read[known..].iter().all(|byte| *byte == 0)
        );
        assert_eq!(
            findings.lock().unwrap().notes.len(),
            usize::from(now < length),
            "{name}"
        );
    }
}

#[test]
fn one_bad_file_is_named_and_a_failing_machine_fails_the_snapshot() {
    let mut findings = Findings::default();
    let error = |errno: rustix::io::Errno| io::Error::from(errno);
    for errno in [
        rustix::io::Errno::IO,
        rustix::io::Errno::ACCESS,
        rustix::io::Errno::NAMETOOLONG,
    ] {
        findings.unreadable(Path::new("one"), &error(errno));
    }
    assert_eq!((findings.lacks.total, findings.failures.len()), (3, 0));
    for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NOMEM] {
        findings.unreadable(Path::new("one"), &error(errno));
    }
    assert_eq!((findings.lacks.total, findings.failures.len()), (3, 2));
    findings.unreadable(Path::new(&"ü".repeat(4_000)), &error(rustix::io::Errno::IO));
    assert!(
        findings.lacks.first[3].contains("Input/output error"),
        "{:?}",
        findings.lacks
    );
}

#[test]
fn what_the_snapshot_before_has_no_more_is_named() {
    let findings = Arc::default();
    let source = Source::new(ContentBytes::Before(8), PathBuf::from("a.sqlite"), &findings);
    assert!(source.open().unwrap().read_to_end(&mut Vec::new()).is_err());
    let findings = std::mem::take(&mut *findings.lock().unwrap());
    assert_eq!(Vec::from_iter(findings.missed), ["a.sqlite"]);
    assert!(
        findings.lacks.first[0].starts_with("a.sqlite: "),
        "{:?}",
        findings.lacks
    );
    assert!(findings.failures.is_empty());
}
