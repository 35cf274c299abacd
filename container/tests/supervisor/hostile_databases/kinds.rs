//! The kinds of databases that are written to harm whoever reads them.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use crate::tree::noise;

/// Rows of a table of which each takes some milliseconds.
const ROWS: u32 = 3_000;

/// Makes one.
pub(super) fn database(path: &Path, sql: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let database = Connection::open(path).unwrap();
    database.execute_batch(sql).unwrap();
}

fn with_rows(begin: &str, insert: &str) -> String {
    format!(
        "PRAGMA ignore_check_constraints = ON; {begin};
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {ROWS})
        INSERT INTO {insert} FROM numbers;"
    )
}

/// Every kind, by its name.
fn kinds() -> Vec<(&'static str, String)> {
    // Takes milliseconds, and is the empty text.
    let slow = "substr(hex(zeroblob(2000000)), 1, 0)";
    let slow_index = format!(
        "{}; PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(n || {slow})' WHERE name = 'i';",
        with_rows(
            "CREATE TABLE t(n TEXT); CREATE INDEX i ON t(n || '')",
            "t SELECT n"
        )
    );
    let large_index = slow_index.replace("2000000", "900000000");
    // Each column takes 40 MB, and all of them are there at once: together what only a limit on memory refuses.
    let hungry = ["hex(zeroblob(20000000 + length(n)))"; 12].join(", ");
    let hungry_index = format!(
        "CREATE TABLE t(n TEXT); CREATE INDEX i ON t(n || ''); INSERT INTO t VALUES ('1');
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t({hungry})' WHERE name = 'i';"
    );
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let mut views = format!("CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE VIEW v0 AS {endless};");
    for number in 1..60 {
        let before = number - 1;
        views.push_str(&format!(
            "CREATE VIEW v{number} AS SELECT * FROM v{before} UNION ALL SELECT * FROM v{before};"
        ));
    }
    vec![
        (
            "check",
            with_rows(
                &format!("CREATE TABLE t(n CHECK (n || {slow} = n))"),
                "t SELECT n",
            ),
        ),
        (
            "generated",
            with_rows(
                &format!("CREATE TABLE t(n TEXT, g TEXT AS (n || {slow}) NOT NULL)"),
                "t(n) SELECT n",
            ),
        ),
        ("slow-index", slow_index),
        ("large-index", large_index),
        ("hungry-index", hungry_index),
        (
            "trigger",
            format!(
                "CREATE TABLE t(a); INSERT INTO t VALUES (1);
                CREATE TRIGGER d BEFORE DELETE ON t BEGIN {endless}; END;"
            ),
        ),
        ("views", views),
        (
            "virtual",
            "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('a b c');
            UPDATE f_data SET block = randomblob(5000); CREATE VIRTUAL TABLE r USING rtree(i, a, b);
            INSERT INTO r VALUES (1, 2, 3); UPDATE r_node SET data = randomblob(900);
            CREATE TABLE u(a); PRAGMA writable_schema = ON; UPDATE sqlite_schema
            SET sql = 'CREATE VIRTUAL TABLE u USING nothing(a)', rootpage = 0 WHERE name = 'u';"
                .to_owned(),
        ),
    ]
}

/// One database of each kind, as bytes; and some whose file is what is wrong.
pub(super) fn templates() -> BTreeMap<&'static str, Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let mut all = BTreeMap::new();
    for (kind, sql) in kinds() {
        let path = directory.path().join(kind);
        database(&path, &sql);
        all.insert(kind, std::fs::read(path).unwrap());
    }
    let good = all["views"].clone();
    // The number of pages, as the header has it, and that it is to be believed.
    let mut pages = good.clone();
    pages[28..32].copy_from_slice(&[0xff, 0xff, 0xff, 0xfe]);
    let counter: [u8; 4] = pages[24..28].try_into().unwrap();
    pages[92..96].copy_from_slice(&counter);
    all.insert("pages", pages);
    let mut header = good.clone();
    header[16..100].copy_from_slice(&noise(3, 84));
    all.insert("header", header);
    let mut content = good;
    let length = content.len();
    content[100..].copy_from_slice(&noise(4, length - 100));
    all.insert("content", content);
    all
}

/// Somebody writes over some bytes of it, others for each number.
pub(super) fn mutated(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = bytes.to_owned();
    let dice = noise(u64::try_from(number).unwrap() + 1, 64);
    for change in dice.chunks(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        if at >= 20 {
            bytes[at] = change[2];
        }
    }
    bytes
}
