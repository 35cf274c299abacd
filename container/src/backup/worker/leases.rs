//! What the gateway of another machine still held when the snapshot was taken.
//!
//! The gateway writes into its database who owns its state, for five minutes at a time. Whether an owner of this
//! machine is gone it can tell by its process; of one whose machine had another name it waits for the end of those
//! minutes, and does not start until then. After a restore nobody who held anything is alive.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::confined::{DatabaseAnswer, DatabaseTask, Keeper, Work};
use super::place::look;
use crate::beneath;

/// Where the gateway's database lies below its home.
const PLACE: &str = ".openclaw/state";
/// Its name there.
const DATABASE: &str = "openclaw.sqlite";

/// Removes all leases from the gateway's database in a restored home; says how many there were. Without that
/// database, or that table in it, there are none.
///
/// # Errors
/// When it cannot be read or written, or that takes too long. What to make of it is for the gateway to judge.
pub(crate) fn release(home: &Path, keeper: &Keeper) -> Result<u64, String> {
    let place = beneath::root(home).and_then(|home| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        beneath::open_through_links(&home, Path::new(PLACE), flags)
    });
    let place = match place {
        Ok(place) => place,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(0),
        Err(error) => return Err(error.to_string()),
    };
    let found = look(&place, DATABASE).and_then(|file| file.metadata());
    let bytes = match found {
        Ok(stat) if stat.is_file() => stat.len(),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
        Ok(_) | Err(_) => return Ok(0),
    };
    let answer = keeper.order(&DatabaseTask {
        work: Work::Release,
        directory: &place,
        name: OsStr::new(DATABASE),
        bytes,
        // Nobody else is there.
        patience: Duration::ZERO,
    });
    match answer {
        DatabaseAnswer::Released(count) => Ok(count),
        DatabaseAnswer::Not(reason) => Err(reason.to_string()),
        _ => Err("the process that read it answered something else".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn home(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(PLACE).join(DATABASE);
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
        assert_eq!(release(home.path(), &Keeper::in_this_process()).unwrap(), 2);
        assert_eq!(release(home.path(), &Keeper::in_this_process()).unwrap(), 0);
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
        assert_eq!(
            release(tempfile::tempdir().unwrap().path(), &Keeper::in_this_process()).unwrap(),
            0
        );
        let (home, path) = home("CREATE TABLE other(id)");
        assert_eq!(release(home.path(), &Keeper::in_this_process()).unwrap(), 0);
        std::fs::write(&path, "no database at all, by no means").unwrap();
        assert!(release(home.path(), &Keeper::in_this_process()).is_err());
    }
}
