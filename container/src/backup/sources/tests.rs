use super::*;
use rusqlite::Connection;

/// What a snapshot of a home would hold, by path, and what was found.
fn stored(home: &Path) -> (Vec<(String, Vec<u8>)>, Findings) {
    let scratch = tempfile::tempdir().unwrap();
    let source = Home {
        path: home.to_owned(),
        scratch: scratch.path().to_owned(),
        findings: Arc::default(),
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
fn a_damaged_database_is_stored_with_what_its_log_holds() {
    let home = tempfile::tempdir().unwrap();
    let writer = in_wal_mode(&home.path().join("damaged.sqlite"));
    writer.execute_batch(DAMAGE).unwrap();
    let (files, findings) = stored(home.path());
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
