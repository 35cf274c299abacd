//! What is gone from a home is its owner's doing, and told; only what the platform knows better is passed over.

use std::os::unix::fs::FileExt;
use std::path::Path;

use moltworker_core::wire::control::{Snapshot, Status};
use moltworker_core::wire::job::JobKind;
use rusqlite::Connection;

use crate::disk::Disk;
use crate::fixture::Fixture;
use crate::kept::{
    ON_DEMAND, QUICK, failure, is_ready, lose, post, restored_from, settled, snapshot, start, start_on,
    until_settled,
};
use crate::repository::{Fault, Repository, What};
use crate::tree::{hand_over, noise};

/// Where the first rows of a database are, in bytes.
const FIRST_ROWS: u64 = 4096;

/// A database with something in it.
pub(crate) fn database(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let database = Connection::open(path).unwrap();
    let begin = "CREATE TABLE memories(what); INSERT INTO memories VALUES ('everything');";
    database.execute_batch(begin).unwrap();
    database.close().unwrap();
}

/// Damages a database so that its check finds it.
pub(crate) fn damage(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&noise(7, 4096), FIRST_ROWS).unwrap();
}

/// What a run starts from that follows this snapshot.
fn start_after(repository: &Repository, last: &Snapshot) -> Fixture {
    let fixture = start(repository, &ON_DEMAND);
    let status = fixture.until("it is ready", is_ready);
    let report = status.backup.unwrap().restored.unwrap();
    assert_eq!(report.snapshot.as_ref(), Some(&last.id));
    assert_eq!(report.passed_over, []);
    fixture
}

#[test]
fn what_an_owner_deletes_stays_deleted_and_is_told() {
    type Deletes<'a> = &'a dyn Fn(&Path);
    let remove = |name: &'static str| move |home: &Path| std::fs::remove_file(home.join(name)).unwrap();
    let (app, film) = (remove("webapp/dev.sqlite"), remove("film.bin"));
    let all = |home: &Path| {
        for name in ["webapp", "notes"] {
            std::fs::remove_dir_all(home.join(name)).unwrap();
        }
        std::fs::remove_file(home.join("film.bin")).unwrap();
    };
    for (deletes, what) in [
        (
            &app as Deletes<'_>,
            "databases are gone or damaged: webapp/dev.sqlite",
        ),
        (&film, " bytes are left"),
        (&all, "webapp/dev.sqlite; of "),
    ] {
        let repository = Repository::start();
        let fixture = settled(&repository);
        database(&fixture.home.join("webapp/dev.sqlite"));
        std::fs::write(fixture.home.join("film.bin"), noise(4, 20_000_000)).unwrap();
        std::fs::create_dir(fixture.home.join("notes")).unwrap();
        for number in 0..150 {
            std::fs::write(fixture.home.join(format!("notes/{number}")), "note").unwrap();
        }
        hand_over(&fixture.home);
        let before = snapshot(&fixture);
        assert_eq!((&before.suspicious, &before.lost), (&None, &None));
        deletes(&fixture.home);
        let after = snapshot(&fixture);
        let lost = after.lost.clone().unwrap();
        assert!(lost.what.contains(what), "{}", lost.what);
        assert_eq!((after.suspicious, &lost.before), (None, &before.id), "{what}");
        // It is told once: what comes next is compared with what the owner left.
        std::fs::write(fixture.home.join("today.md"), "goes on").unwrap();
        let next = snapshot(&fixture);
        assert_eq!((&next.suspicious, &next.lost), (&None, &None), "{what}");
        lose(fixture);

        let fixture = start_after(&repository, &next);
        assert!(fixture.home.join("today.md").exists());
        // One step puts back what was there.
        let order = format!("{{\"snapshot\":\"{}\"}}", before.id);
        assert_eq!(post(&fixture, "/v1/restore", &order).status, 202);
        fixture.until("it is back", |status| {
            is_ready(status) && restored_from(status) == Some(before.id.as_str())
        });
        for name in ["webapp/dev.sqlite", "film.bin", "notes/149"] {
            assert!(fixture.home.join(name).exists(), "{name}");
        }
    }
}

#[test]
fn a_restore_says_what_the_last_snapshots_of_a_run_lack() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    database(&fixture.home.join("dev.sqlite"));
    hand_over(&fixture.home);
    let before = snapshot(&fixture);
    std::fs::remove_file(fixture.home.join("dev.sqlite")).unwrap();
    let without = snapshot(&fixture);
    // Compared with that one, the next lacks nothing.
    std::fs::write(fixture.home.join("today.md"), "goes on").unwrap();
    let last = snapshot(&fixture);
    assert_eq!(last.lost, None);
    lose(fixture);

    let fixture = start_after(&repository, &last);
    let restored = fixture.status().backup.unwrap().restored.unwrap();
    assert_eq!(
        (restored.lost.unwrap().before, restored.lost_at),
        (before.id, Some(without.taken_at))
    );
}

#[test]
fn shadows_and_holes_that_go_are_no_loss() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let agent = fixture.home.join(".openclaw/agents/main/agent");
    database(&agent.join("openclaw-agent.sqlite"));
    let shadow = agent.join("openclaw-agent.sqlite.memory-reindex-6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20");
    database(&shadow);
    // A gigabyte of holes: more than half of what is in the files, and next to nothing of the disk.
    let holes = fixture.home.join("disk.img");
    std::fs::File::create(&holes).unwrap().set_len(1 << 30).unwrap();
    std::fs::write(fixture.home.join("film.bin"), noise(4, 10_000_000)).unwrap();
    hand_over(&fixture.home);
    snapshot(&fixture);
    std::fs::remove_file(shadow).unwrap();
    std::fs::remove_file(holes).unwrap();
    let after = snapshot(&fixture);
    assert_eq!((after.suspicious, after.lost), (None, None));
}

#[test]
fn a_home_that_nobody_emptied_is_passed_over() {
    let repository = Repository::start();
    let Some(disk) = Disk::mount("size=100m") else {
        return;
    };
    let fixture = start_on(&disk, &repository);
    until_settled(&fixture);
    std::fs::create_dir(fixture.home.join("notes")).unwrap();
    for number in 0..150 {
        std::fs::write(
            fixture.home.join(format!("notes/{number}")),
            noise(number, 100_000),
        )
        .unwrap();
    }
    hand_over(&fixture.home);
    let before = snapshot(&fixture);
    assert_eq!(before.suspicious, None);
    // The disk is gone, and another one in its place.
    let gone = std::process::Command::new("umount")
        .args(["--lazy"])
        .arg(disk.path())
        .status();
    assert!(gone.unwrap().success());
    std::fs::create_dir_all(&fixture.home).unwrap();
    std::fs::write(fixture.home.join("new"), "of a gateway").unwrap();
    hand_over(&fixture.home);
    let emptied = snapshot(&fixture);
    let words = emptied.suspicious.unwrap_or_default();
    assert!(words.contains("1 files") && words.contains("are left"), "{words}");
    lose(fixture);

    let fixture = start(&repository, &ON_DEMAND);
    let status = fixture.until("it is ready", is_ready);
    let report = status.backup.unwrap().restored.unwrap();
    assert_eq!(report.snapshot, Some(before.id));
    assert_eq!(report.passed_over, [emptied.id]);
}

#[test]
fn a_snapshot_that_is_held_up_says_so_while_it_is_tried() {
    let repository = Repository::start();
    let mut fixture = start(&repository, &QUICK);
    until_settled(&fixture);
    let saved = |status: &Status| {
        let backup = status.backup.as_ref().unwrap();
        backup.unsaved_at_ms.is_none() && backup.under_way.is_none()
    };
    fixture.until("all is saved", saved);
    repository.break_with(Fault::always("POST", "data/", What::Status(500)));
    let changed_after = fixture.status().uptime_ms;
    std::fs::write(fixture.home.join("memory"), "of years").unwrap();
    let status = fixture.until("it is held up", |status| {
        let backup = status.backup.as_ref().unwrap();
        backup.held_up.is_some() && failure(status, JobKind::Snapshot).is_none()
    });
    let backup = status.backup.as_ref().unwrap();
    let held_up = backup.held_up.as_ref().unwrap();
    assert!(
        held_up.message.contains("answers 500 to POST data/"),
        "{held_up:?}"
    );
    assert!(
        (changed_after..=status.uptime_ms).contains(&held_up.since_ms),
        "{held_up:?}"
    );
    let unsaved = backup.unsaved_at_ms.unwrap();
    assert!(
        (changed_after..=held_up.since_ms).contains(&unsaved),
        "{backup:?}"
    );

    // Once it has failed it is no longer held up, and the change is as old as before.
    let status = fixture.until("it has failed", |status| {
        let backup = status.backup.as_ref().unwrap();
        failure(status, JobKind::Snapshot).is_some() && backup.under_way.is_none()
    });
    let backup = status.backup.unwrap();
    assert_eq!((backup.held_up, backup.unsaved_at_ms), (None, Some(unsaved)));
    repository.mend();
    fixture.until("all is saved again", saved);

    // One that could not save its last changes does not leave as if it had.
    repository.break_with(Fault::always("POST", "data/", What::Status(500)));
    std::fs::write(fixture.home.join("memory"), "of today").unwrap();
    fixture.signal("TERM");
    assert_eq!(fixture.ended().code(), Some(1));
    assert!(fixture.output().contains("the last snapshot could not be taken"));
}

#[test]
fn a_supervisor_that_is_told_to_stop_and_has_saved_leaves_well() {
    let repository = Repository::start();
    let mut fixture = settled(&repository);
    std::fs::write(fixture.home.join("memory"), "of today").unwrap();
    let before = repository.snapshots();
    fixture.signal("TERM");
    assert_eq!(fixture.ended().code(), Some(0));
    assert_eq!(repository.snapshots(), before + 1);
}
