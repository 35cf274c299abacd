//! The bot's home is saved and restored, and nothing runs on one that is not.

use std::io::{Read, Write};
use std::path::Path;

use moltworker_core::wire::control::{GatewayPhase, SnapshotReason};
use moltworker_core::wire::job::JobKind;

use crate::fixture::{Fixture, Setup, TOKEN, ask, authorised, connect};
use crate::kept::{
    ON_DEMAND, QUICK, backup_processes, failure, home, is_ready, lose, own, post, settled, snapshot, start,
    taken, until_settled,
};
use crate::repository::{Fault, Repository, What, password};
use crate::tree::{assert_same, furnish, listed, noise, without_caches};

#[test]
fn a_new_bot_starts_with_an_empty_home_and_is_soon_saved() {
    let repository = Repository::start();
    let fixture = start(&repository, &QUICK);
    let status = fixture.until("the first snapshot is taken", |status| {
        is_ready(status) && !taken(status).is_empty()
    });
    let backup = status.backup.unwrap();
    let restored = backup.restored.unwrap();
    assert_eq!((restored.snapshot, restored.mismatches), (None, 0));
    assert_eq!(backup.taken[0].reason, Some(SnapshotReason::Change));
    assert_eq!(backup.taken[0].run, Some(7));
    assert_eq!(backup.error, None);
    repository.restic(&["check", "--read-data"]);
}

#[test]
fn the_next_run_restores_the_home_byte_for_byte() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    let expected = own(&fixture);
    let snapshot = snapshot(&fixture);
    lose(fixture);

    let fixture = start(&repository, &ON_DEMAND);
    let status = fixture.until("it is ready", is_ready);
    let report = status.backup.unwrap().restored.unwrap();
    assert_eq!(report.snapshot, Some(snapshot.id));
    assert_eq!((report.amount, report.mismatches), (snapshot.amount, 0));
    assert!(expected.len() > 210);
    assert_same(&own(&fixture), &expected);
    assert!(!fixture.home.join(".cache/pip").exists());
}

#[test]
fn stock_restic_reads_what_is_written() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    snapshot(&fixture);
    // A second one, with something changed and something gone.
    std::fs::write(fixture.home.join("notes/today.md"), "and this").unwrap();
    std::fs::remove_file(fixture.home.join("a.txt")).unwrap();
    snapshot(&fixture);
    repository.restic(&["check", "--read-data"]);
    let (_target, restored) = repository.restored("latest");
    assert_same(&without_caches(listed(&restored)), &home(&fixture));
    let tags = repository.restic(&["snapshots", "--json"]);
    assert!(tags.contains("reason:manual") && tags.contains("run:7"), "{tags}");
}

#[test]
fn a_stop_takes_a_final_snapshot() {
    let repository = Repository::start();
    let mut fixture = settled(&repository);
    std::fs::write(fixture.home.join("last-words"), "do not forget").unwrap();
    fixture.signal("TERM");
    fixture.signal("TERM");
    assert!(fixture.ended().success());
    assert!(
        fixture.output().contains("the last snapshot was taken"),
        "{}",
        fixture.output()
    );
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    assert_eq!(
        std::fs::read_to_string(fixture.home.join("last-words")).unwrap(),
        "do not forget"
    );
}

#[test]
fn changes_are_saved_automatically() {
    let repository = Repository::start();
    let fixture = start(&repository, &QUICK);
    fixture.until("the first snapshot is taken", |status| {
        is_ready(status) && !taken(status).is_empty()
    });
    fixture.until("all is saved", |status| !status.backup.as_ref().unwrap().changed);
    let before = repository.snapshots();
    std::fs::write(fixture.home.join("new"), noise(3, 100)).unwrap();
    fixture.wait_for("the change is saved", || {
        (repository.snapshots() > before).then_some(())
    });
}

#[test]
fn no_snapshot_is_taken_while_the_gateway_starts() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    lose(fixture);
    let before = repository.snapshots();
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        gateway: "--never-ready",
        env: &QUICK,
        ..Setup::default()
    });
    fixture.until("the gateway starts", |status| status.gateway_pid.is_some());
    // Other jobs of the repository, which take about as long each.
    for _ in 0..5 {
        let head = format!("GET /v1/snapshots HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
        assert_eq!(ask(fixture.control, &head, b"").status, 200);
    }
    assert_eq!(
        (repository.snapshots(), fixture.status().phase),
        (before, GatewayPhase::Starting)
    );
    assert_eq!(fixture.status().backup.unwrap().under_way, None);
}

#[test]
fn a_failing_repository_prevents_gateway_start_and_writes() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("memory"), "of years").unwrap();
    snapshot(&fixture);
    lose(fixture);
    let objects = repository.objects();
    for (what, fault) in [
        (
            "500 for the config",
            Fault::always("GET", "config", What::Status(500)),
        ),
        (
            "403 for the config",
            Fault::always("", "config", What::Status(403)),
        ),
        ("404 for everything", Fault::always("", "", What::Status(404))),
        ("no answer", Fault::always("GET", "snapshots/", What::Hang)),
        (
            "500 for snapshots",
            Fault::always("GET", "snapshots/", What::Status(500)),
        ),
        (
            "an empty list of snapshots",
            Fault::always("GET", "snapshots/", What::Empty),
        ),
        ("truncated packs", Fault::always("GET", "data/", What::Truncate)),
        ("corrupt packs", Fault::always("GET", "data/", What::Corrupt)),
        ("a corrupt index", Fault::always("GET", "index/", What::Corrupt)),
        ("a corrupt key", Fault::always("GET", "keys/", What::Corrupt)),
        (
            "an expired token",
            Fault::always("POST", "token", What::Status(401)),
        ),
    ] {
        let repository = repository.copy();
        repository.break_with(fault);
        let fixture = start(&repository, &QUICK);
        let status = fixture.until(what, |status| failure(status, JobKind::Restore).is_some());
        assert_eq!(status.phase, GatewayPhase::Restoring, "{what}");
        assert_eq!(
            (status.gateway_pid, status.backup.unwrap().restored),
            (None, None),
            "{what}"
        );
        assert_eq!(
            post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).code(),
            "not-restored"
        );
        assert_eq!(repository.objects(), objects, "{what}");
        repository.mend();
        fixture.until("it is ready after all", is_ready);
        assert_eq!(
            std::fs::read_to_string(fixture.home.join("memory")).unwrap(),
            "of years"
        );
        lose(fixture);
    }
}

#[test]
fn a_key_is_added_for_the_newest_password_and_older_keys_still_open() {
    let repository = Repository::start();
    lose(settled(&repository));
    let keys = |repository: &Repository| {
        repository
            .objects()
            .iter()
            .filter(|path| path.starts_with("keys/"))
            .count()
    };
    assert_eq!(keys(&repository), 1);
    let mut access = repository.access();
    access.passwords = vec![password('b'), password('a')];
    for run in 0..2 {
        let fixture = Fixture::start(&Setup {
            repository: Some(access.clone()),
            env: &ON_DEMAND,
            ..Setup::default()
        });
        fixture.until("it is ready", is_ready);
        assert_eq!(keys(&repository), 2, "run {run}");
    }
    access.passwords = vec![password('c')];
    let fixture = Fixture::start(&Setup {
        repository: Some(access),
        env: &ON_DEMAND,
        ..Setup::default()
    });
    let status = fixture.until("it says why", |status| {
        status.backup.as_ref().unwrap().error.is_some()
    });
    let message = status.backup.unwrap().error.unwrap().message;
    assert!(message.contains("none of the passwords"), "{message}");
}

#[test]
fn snapshots_can_be_listed_browsed_and_downloaded() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    std::os::unix::fs::symlink("notes", fixture.home.join("way")).unwrap();
    let id = snapshot(&fixture).id;
    let listed: serde_json::Value =
        serde_json::from_str(&authorised(&fixture, "GET /v1/snapshots").text()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), repository.snapshots());
    assert_eq!(listed[0]["id"], id.as_str());
    let entries = authorised(&fixture, &format!("GET /v1/snapshots/{id}/files?path=notes")).text();
    let entries: serde_json::Value = serde_json::from_str(&entries).unwrap();
    assert_eq!(entries[0]["name"], "empty");
    assert_eq!(
        (&entries[1]["name"], &entries[1]["bytes"]),
        (&"today.md".into(), &13.into())
    );
    let file = authorised(&fixture, &format!("GET /v1/snapshots/{id}/file?path=large.bin"));
    assert_eq!(
        (file.status, file.body),
        (200, std::fs::read(fixture.home.join("large.bin")).unwrap())
    );
    let never = "0".repeat(64);
    for (path, status, code) in [
        (format!("{id}/file?path=notes"), 400, "not-a-file"),
        (format!("{id}/file?path="), 400, "not-a-file"),
        (format!("{id}/file?path=way"), 400, "not-a-file"),
        (format!("{id}/files?path=large.bin"), 400, "not-a-directory"),
        (format!("{id}/files?path=way"), 400, "not-a-directory"),
        (format!("{id}/file?path=way/today.md"), 400, "not-a-directory"),
        (format!("{id}/file?path=nowhere"), 404, "no-such-path"),
        (format!("{id}/files?path=notes/nowhere"), 404, "no-such-path"),
        (format!("{id}/file?path=../../etc/passwd"), 400, "bad-path"),
        (format!("{id}/files?path=/etc"), 400, "bad-path"),
        (format!("{id}/file?path=a%00b"), 400, "bad-path"),
        (format!("{id}/file?path=%zz"), 400, "bad-request"),
        (format!("{never}/files?path="), 404, "no-such-snapshot"),
        ("abc/files".to_owned(), 400, "bad-request"),
    ] {
        let answer = authorised(&fixture, &format!("GET /v1/snapshots/{path}"));
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (answer.status, &problem["code"]),
            (status, &code.into()),
            "{path}: {problem}"
        );
    }
    assert_eq!(authorised(&fixture, "GET /v1/snapshotsx").status, 404);
}

#[test]
fn concurrent_snapshot_reads_are_limited_with_retry_after() {
    let repository = Repository::start();
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        // One that is not answered waits for longer than the others do for their turn.
        env: &[("TEST_SNAPSHOT_SPACING_MS", "600000")],
        ..Setup::default()
    });
    until_settled(&fixture);
    repository.break_with(Fault::always("GET", "index/", What::Hang));
    repository.break_with(Fault::always("GET", "snapshots/", What::Hang));
    let head = format!("GET /v1/snapshots HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\nhost: h\r\n\r\n");
    let many: Vec<_> = (0..5)
        .map(|_| {
            let mut asking = connect(fixture.control);
            asking.write_all(head.as_bytes()).unwrap();
            asking
        })
        .collect();
    fixture.wait_for("two read", || {
        (backup_processes(&fixture).len() == 2).then_some(())
    });
    let mut refused = 0;
    for asking in &many {
        asking.set_nonblocking(true).unwrap();
    }
    fixture.wait_for("the others are refused", || {
        assert!(backup_processes(&fixture).len() <= 2);
        let told = |asking: &&std::net::TcpStream| asking.peek(&mut [0]).is_ok_and(|count| count > 0);
        refused = many.iter().filter(told).count();
        (refused == 3).then_some(())
    });
    for mut asking in many {
        let mut answer = vec![0; 4_096];
        if let Ok(count) = asking.read(&mut answer) {
            let answer = String::from_utf8_lossy(&answer[..count]).to_ascii_lowercase();
            assert!(
                answer.starts_with("http/1.1 503") && answer.contains("retry-after: 5"),
                "{answer}"
            );
        }
    }
    // Those who had a turn have gone, and it is somebody else's.
    repository.mend();
    fixture.wait_for("their processes are gone", || {
        backup_processes(&fixture).is_empty().then_some(())
    });
    assert_eq!(authorised(&fixture, "GET /v1/snapshots").status, 200);
}

#[test]
fn without_a_repository_the_status_says_backups_are_disabled() {
    let fixture = Fixture::ready();
    assert_eq!(fixture.status().backup, None);
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).code(),
        "no-repository"
    );
    assert!(!Path::new(&fixture.home).join("../.moltbot.scratch").exists());
}

/// How nice the backup process under way is to others.
fn niceness(fixture: &Fixture) -> Option<i64> {
    let of = |pid: u32| {
        let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The 19th field; the second one, in brackets, may hold spaces.
        let nice = stat.rsplit(')').next()?.split_whitespace().nth(16)?.parse().ok();
        nice.filter(|_| arguments.ends_with("\0backup\0"))
    };
    fixture.children().into_iter().find_map(of)
}

#[test]
fn a_snapshot_runs_at_low_priority_and_a_restore_does_not() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("memory"), noise(3, 100_000)).unwrap();
    repository.break_with(Fault::always("POST", "data/", What::Hang));
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    fixture.wait_for("a snapshot hangs", || (repository.hung() > 0).then_some(()));
    assert_eq!(niceness(&fixture), Some(i64::from((own + 10).min(19))));
    lose(fixture);
    repository.mend();

    let before = repository.hung();
    repository.break_with(Fault::always("GET", "snapshots/", What::Hang));
    let fixture = start(&repository, &ON_DEMAND);
    fixture.wait_for("a restore hangs", || (repository.hung() > before).then_some(()));
    assert_eq!(niceness(&fixture), Some(i64::from(own)));
}

#[test]
fn a_home_of_more_directories_than_are_watched_is_told() {
    /// A few more than that.
    const DIRECTORIES: usize = 16_500;
    let repository = Repository::start();
    let fixture = settled(&repository);
    assert!(!fixture.status().backup.unwrap().partly_watched);
    for number in 0..DIRECTORIES {
        let directory = fixture.home.join(format!("many/{}/{number}", number % 50));
        std::fs::create_dir_all(directory).unwrap();
    }
    fixture.until("it is told", |status| {
        status.backup.as_ref().unwrap().partly_watched
    });
}
