//! What the gateway of another machine still held when the snapshot was taken.
//!
//! The gateway writes into its database who owns its state, for five minutes at a time. Whether an owner of this
//! machine is gone it can tell by its process; of one whose machine had another name it waits for the end of those
//! minutes, and does not start until then. After a restore nobody who held anything is alive.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// The gateway's database below its home.
const DATABASE: &str = ".openclaw/state/openclaw.sqlite";
/// The table of its leases; every row names a holder.
const TABLE: &str = "state_leases";

/// Removes all leases from the gateway's database in a restored home; says how many there were. Without that
/// database, or that table in it, there are none.
///
/// # Errors
/// When it cannot be read or written. What to make of it is for the gateway to judge.
pub(crate) fn release(home: &Path) -> Result<usize, rusqlite::Error> {
    let path = home.join(DATABASE);
    if !path.is_file() {
        return Ok(0);
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let database = Connection::open_with_flags(path, flags)?;
    let named = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let tables: u32 = database.query_row(named, [TABLE], |row| row.get(0))?;
    if tables == 0 {
        return Ok(0);
    }
    let released = database.execute(&format!("DELETE FROM {TABLE}"), [])?;
    // Into the database itself: nothing of ours stays beside it.
    database.close().map_err(|(_, error)| error)?;
    Ok(released)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(DATABASE);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let database = Connection::open(&path).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute_batch(sql).unwrap();
        (home, path)
    }

    #[test]
    fn leases_are_released_and_nothing_else_is_touched() {
        let (home, path) = home(
            "CREATE TABLE state_leases(scope, owner); INSERT INTO state_leases VALUES ('gateway-owner', 'a'), ('b', 'c');
             CREATE TABLE cron_jobs(id); INSERT INTO cron_jobs VALUES (1);",
        );
        assert_eq!(release(home.path()).unwrap(), 2);
        assert_eq!(release(home.path()).unwrap(), 0);
        let count = |table: &str| -> u32 {
            let database = Connection::open(&path).unwrap();
            database
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!((count("state_leases"), count("cron_jobs")), (0, 1));
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn a_home_without_leases_is_not_changed() {
        assert_eq!(release(tempfile::tempdir().unwrap().path()).unwrap(), 0);
        let (home, path) = home("CREATE TABLE other(id)");
        assert_eq!(release(home.path()).unwrap(), 0);
        std::fs::write(&path, "no database at all, by no means").unwrap();
        assert!(release(home.path()).is_err());
    }
}
