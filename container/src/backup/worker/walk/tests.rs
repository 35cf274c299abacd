use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use rusqlite::Connection;
use rustic_core::ReadSourceOpen;

use super::*;
use crate::backup::worker::capture::Capture;
use crate::backup::worker::changes::{Changed, Changes};
use crate::backup::worker::confined::Keeper;
use crate::backup::worker::databases::Databases;
use crate::backup::worker::record::Record;

/// So many homes, and changes of each.
const HOMES: u64 = 40;
const CHANGES: u64 = 12;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn source(home: &Path, scratch: &Path) -> Home {
    Home {
        path: home.to_owned(),
        databases: Arc::new(Databases::new(Keeper::in_this_process(), scratch, Duration::ZERO).unwrap()),
        raw: Arc::default(),
        patterns: Arc::default(),
        since: None,
        findings: Arc::default(),
        record: Arc::default(),
        changes: Arc::new(Changes::begin()),
        unchanged: Arc::default(),
        mapped: Arc::default(),
    }
}

/// What a walk gives: what is said of each place, and what is in it where that is read.
fn walked(walk: Walk) -> BTreeMap<PathBuf, (String, Option<Vec<u8>>)> {
    let mut all = BTreeMap::new();
    for entry in walk {
        let entry = entry.unwrap();
        let meta = &entry.node.meta;
        let kind = &entry.node.node_type;
        let is_directory = entry.node.is_dir();
        let said = format!(
            "{kind:?} {:?} {:?} {} {}",
            meta.mode,
            // A copy of a database has the time of its logs.
            (!entry.path.to_string_lossy().contains("sqlite")).then_some(meta.mtime),
            if is_directory { 0 } else { meta.size },
            meta.inode
        );
        let bytes = entry.open.and_then(|source| {
            let mut bytes = Vec::new();
            source.open().unwrap().read_to_end(&mut bytes).ok()?;
            Some(bytes)
        });
        assert!(
            all.insert(entry.path.clone(), (said, bytes)).is_none(),
            "{} twice",
            entry.path.display()
        );
    }
    all
}

fn change(home: &Path, numbers: &mut Numbers) {
    let folders = ["", "a", "a/b", "a/b/c", "d", "d/e"];
    let folder = |numbers: &mut Numbers| home.join(folders[numbers.below(6) as usize]);
    let file = |numbers: &mut Numbers| folder(numbers).join(format!("f{}", numbers.below(4)));
    let (one, two) = (file(numbers), file(numbers));
    // Each may meet something that is in its way; then it is no change.
    let _ = match numbers.below(12) {
        0 | 1 => std::fs::write(&one, vec![b'x'; numbers.below(2_000) as usize]),
        2 => std::fs::File::options()
            .append(true)
            .open(&one)
            .and_then(|mut file| file.write_all(b"more")),
        3 => std::fs::rename(&one, &two),
        4 => std::fs::remove_file(&one),
        5 => std::fs::create_dir_all(folder(numbers)),
        6 => std::fs::rename(folder(numbers), folder(numbers).join("moved")),
        7 => std::fs::rename(home.join("a"), home.join("d/e")),
        8 => symlink("somewhere", &one),
        9 => std::fs::hard_link(&one, &two),
        10 => std::fs::set_permissions(&one, PermissionsExt::from_mode(0o600 + numbers.below(8) as u32)),
        _ => {
            let database = Connection::open(folder(numbers).join("x.sqlite"));
            let _ = database.and_then(|database| {
                database.execute_batch(
                    "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t(n); INSERT INTO t VALUES (1);",
                )
            });
            Ok(())
        }
    };
}

#[test]
fn a_walk_over_what_has_changed_finds_what_a_whole_one_finds() {
    for (seed, sees_all) in (1..=HOMES).flat_map(|seed| [(seed, true), (seed, false)]) {
        let directory = tempfile::tempdir().unwrap();
        let (home, scratch) = (directory.path().join("home"), directory.path().join("scratch"));
        std::fs::create_dir_all(home.join("a/b/c")).unwrap();
        std::fs::create_dir_all(home.join("d")).unwrap();
        std::fs::create_dir(&scratch).unwrap();
        let mut numbers = Numbers(seed);
        for _ in 0..CHANGES * 3 {
            change(&home, &mut numbers);
        }
        let first = source(&home, &scratch);
        let before = walked(Walk::new(first.clone()));
        for _ in 0..numbers.below(CHANGES) {
            change(&home, &mut numbers);
        }
        let changed = if sees_all {
            first.changes.take()
        } else {
            Changed::anything()
        };
        let record: Arc<Record> = Arc::new(std::mem::take(&mut *first.record()));
        let second = source(&home, &scratch);
        let mut walk = Walk::again(second, Since::new(Arc::clone(&record), changed));
        assert!(walk.capture(Capture::begin(&scratch), &record.by_inode()));
        let again = walked(walk);
        let whole = source(&home, &scratch);
        let expected = walked(Walk::new(whole));
        let names = |all: &BTreeMap<PathBuf, _>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&again), names(&expected), "home {seed}, {sees_all}");
        for (path, (said, bytes)) in &expected {
            let (found, read) = &again[path];
            assert_eq!(found, said, "home {seed}, {sees_all}: {}", path.display());
            // What was not read again is as it was, and a database as it was copied.
            if let Some(read) = read {
                assert_eq!(Some(read), bytes.as_ref(), "home {seed}: {}", path.display());
            } else if bytes.is_some() {
                let known = before.get(path).map(|(_, bytes)| bytes);
                assert_eq!(known, Some(bytes), "home {seed}, {sees_all}: {}", path.display());
            }
        }
    }
}
