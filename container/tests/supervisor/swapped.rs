//! A tenant that swaps its directories for links while they are read: nothing from elsewhere gets into a snapshot.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::fixture::{Fixture, Setup};
use crate::kept::{ON_DEMAND, snapshot, until_settled};
use crate::repository::Repository;
use crate::tree::hand_over;

/// In every file of the tenant's.
const MINE: &str = "written by the tenant";
const DATABASE: &str = "bank.sqlite";
/// Names that mean something where the links lead.
const FILES: [&str; 4] = ["maps", "environ", "shadow", "passwd"];
/// Directories beside each other, for each of the links.
const OF_EACH: usize = 8;
/// Snapshots that are taken meanwhile.
const SNAPSHOTS: usize = 5;

fn database(path: &Path, text: &str) {
    let database = Connection::open(path).unwrap();
    database.execute_batch("CREATE TABLE notes(what)").unwrap();
    database.execute("INSERT INTO notes VALUES (?1)", [text]).unwrap();
}

/// Every file in a directory, through no link.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

#[test]
fn directories_swapped_for_links_bring_nothing_into_a_snapshot() {
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::set_permissions(
        elsewhere.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    database(&elsewhere.path().join(DATABASE), "of somebody else");
    let repository = Repository::start();
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        env: &ON_DEMAND,
        ..Setup::default()
    });
    until_settled(&fixture);
    let swapped = fixture.home.join("swapped");
    let mut pairs = Vec::new();
    for target in [Path::new("/proc/self"), Path::new("/etc"), elsewhere.path()] {
        for _ in 0..OF_EACH {
            let [directory, link] = ["d", "l"].map(|kind| swapped.join(format!("{}{kind}", pairs.len())));
            std::fs::create_dir_all(&directory).unwrap();
            std::os::unix::fs::symlink(target, &link).unwrap();
            for name in FILES {
                std::fs::write(directory.join(name), MINE).unwrap();
            }
            database(&directory.join(DATABASE), MINE);
            pairs.push((directory, link));
        }
    }
    hand_over(&fixture.home);

    let is_over = AtomicBool::new(false);
    let mut ids = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (directory, link) in &pairs {
                    renameat_with(CWD, directory, CWD, link, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        for number in 0..SNAPSHOTS {
            // Otherwise there may be nothing new.
            std::fs::write(fixture.home.join("number"), format!("{number}: {MINE}")).unwrap();
            ids.push(snapshot(&fixture).id);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let mut seen = 0;
    for id in ids {
        let (_target, restored) = repository.restored(id.as_str());
        let mut found = Vec::new();
        files(&restored.join("swapped"), &mut found);
        for path in found {
            let bytes = std::fs::read(&path).unwrap();
            let is_mine = bytes.windows(MINE.len()).any(|part| part == MINE.as_bytes());
            assert!(is_mine, "{}: {}", path.display(), String::from_utf8_lossy(&bytes));
            seen += 1;
        }
    }
    assert!(seen > SNAPSHOTS * OF_EACH, "only {seen} files were there");
}
