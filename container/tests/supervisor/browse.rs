//! What is fetched from a snapshot without a restore: names of any bytes, parts of files, whole directories.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use moltworker_core::wire::control::SnapshotEntry;

use crate::fixture::{Answer, Fixture, authorised};
use crate::kept::{settled, snapshot};
use crate::repository::Repository;
use crate::saved::set_time;
use crate::tree::{assert_same, hand_over, listed, noise};

fn fetch(fixture: &Fixture, request: &str, id: &str, rest: &str) -> Answer {
    authorised(fixture, &format!("{request} /v1/snapshots/{id}/{rest}"))
}

/// The body of an answer whose length nobody knew; `None` where it broke off.
fn unchunked(answer: &Answer) -> Option<Vec<u8>> {
    assert!(
        answer.head.to_lowercase().contains("transfer-encoding: chunked"),
        "{}",
        answer.head
    );
    let (mut rest, mut body) = (answer.body.as_slice(), Vec::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + length)?);
        rest = rest.get(end + 2 + length + 2..)?;
    }
}

/// All that a tar has to carry: long names and targets, bytes that are no text, modes, times, files with several names.
fn odd(home: &Path, top: &Path) {
    let deep = top
        .join("d".repeat(120))
        .join("e".repeat(200))
        .join("f".repeat(60));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::create_dir(top.join("empty")).unwrap();
    for (name, bytes) in [
        (&b"plain"[..], b"x".to_vec()),
        (b"caf\xe9 + %41", b"latin".to_vec()),
        ("ü".as_bytes(), Vec::new()),
        (b"of many pieces", noise(7, 9_000_000)),
    ] {
        std::fs::write(top.join(OsStr::from_bytes(name)), bytes).unwrap();
    }
    let long = deep.join("g".repeat(255));
    std::fs::write(&long, "long").unwrap();
    std::fs::hard_link(&long, top.join("again")).unwrap();
    symlink("h".repeat(300), top.join("way")).unwrap();
    symlink(OsStr::from_bytes(b"plain\xff"), top.join("short way")).unwrap();
    let holes = std::fs::File::create(top.join("holes")).unwrap();
    holes.set_len(3_000_000).unwrap();
    hand_over(home);
    for (name, mode) in [("plain", 0o4755), ("of many pieces", 0o400), ("empty", 0o2750)] {
        std::fs::set_permissions(top.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    for (name, seconds, nanoseconds) in [
        ("plain", -14_159_025, 500_000_000),
        ("holes", -1, 999_999_999),
        ("again", 1_000_000_000, 1),
        ("way", 5_000_000_000, 0),
        ("empty", 12, 345_678_900),
    ] {
        set_time(&top.join(name), seconds, nanoseconds);
    }
}

#[test]
fn a_directory_of_any_number_of_entries_is_listed() {
    // With their names, which are no text, more than 16 MiB of JSON.
    const ENTRIES: usize = 11_000;
    let repository = Repository::start();
    let fixture = settled(&repository);
    let full = fixture.home.join("full");
    std::fs::create_dir(&full).unwrap();
    for number in 0..ENTRIES {
        let name = [&[0xff; 249][..], format!("{number:06}").as_bytes()].concat();
        std::fs::File::create(full.join(OsStr::from_bytes(&name))).unwrap();
    }
    hand_over(&fixture.home);
    let id = snapshot(&fixture).id;
    let answer = fetch(&fixture, "GET", id.as_str(), "files?path=full");
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(answer.head.contains("application/json"), "{}", answer.head);
    assert!(answer.body.len() > 16 * 1024 * 1024);
    let entries: Vec<SnapshotEntry> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(entries.len(), ENTRIES);
    assert!(entries.iter().all(|entry| entry.encoded_name.is_some()));
}

#[test]
fn a_directory_comes_as_a_tar_that_unpacks_to_the_same() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let top = fixture.home.join(OsStr::from_bytes(b"odd\xfe"));
    std::fs::create_dir(&top).unwrap();
    odd(&fixture.home, &top);
    let id = snapshot(&fixture).id;
    let answer = fetch(&fixture, "GET", id.as_str(), "archive?path=odd%FE");
    assert_eq!(answer.status, 200, "{}", answer.head);
    let unpacked = tempfile::tempdir().unwrap();
    let tar = unpacked.path().join("x.tar");
    std::fs::write(&tar, unchunked(&answer).unwrap()).unwrap();
    let mut unpack = Command::new("tar");
    unpack.current_dir(&unpacked).args([
        "--extract",
        "--preserve-permissions",
        "--numeric-owner",
        // It doubts times before 1970 and those to come, and sets them.
        "--warning=no-timestamp",
        "--file",
        "x.tar",
    ]);
    let done = unpack.output().unwrap();
    assert!(
        done.status.success() && done.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_same(
        &listed(&unpacked.path().join(OsStr::from_bytes(b"odd\xfe"))),
        &listed(&top),
    );

    // The home itself has a name in its archive.
    let whole = fetch(&fixture, "GET", id.as_str(), "archive?path=");
    std::fs::write(&tar, unchunked(&whole).unwrap()).unwrap();
    let names = Command::new("tar")
        .arg("--list")
        .arg("--file")
        .arg(&tar)
        .output()
        .unwrap()
        .stdout;
    assert!(
        names.starts_with(b"home/\n"),
        "{}",
        String::from_utf8_lossy(&names)
    );
    let file = fetch(&fixture, "GET", id.as_str(), "archive?path=odd%FE/plain");
    assert_eq!((file.status, file.code().as_str()), (400, "not-a-directory"));
}

#[test]
fn an_archive_that_cannot_be_read_whole_breaks_off() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let objects = repository.objects();
    std::fs::create_dir(fixture.home.join("d")).unwrap();
    for number in 0..3 {
        let path = fixture.home.join(format!("d/{number}"));
        std::fs::write(path, noise(number + 90, 12_000_000)).unwrap();
    }
    hand_over(&fixture.home);
    let id = snapshot(&fixture).id;
    let packs = repository.packs_since(&objects);
    let whole = fetch(&fixture, "GET", id.as_str(), "archive?path=d");
    assert!(unchunked(&whole).is_some_and(|body| body.len() > 36_000_000));
    // Trees are in packs of their own, which are small and needed before anything is said.
    repository.rot(&packs[0]);
    let broken = fetch(&fixture, "GET", id.as_str(), "archive?path=d");
    assert_eq!((broken.status, unchunked(&broken)), (200, None));
}

#[test]
fn a_file_that_cannot_be_read_is_not_answered_with_other_bytes() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let objects = repository.objects();
    std::fs::write(fixture.home.join("short"), "thirty bytes, and a few besides").unwrap();
    hand_over(&fixture.home);
    let id = snapshot(&fixture).id;
    // The file's, and that of the directories, which is read first.
    let packs = repository.packs_since(&objects);
    let found = packs.iter().any(|pack| {
        repository.rot(pack);
        let broken = fetch(&fixture, "GET", id.as_str(), "file?path=short");
        repository.rot(pack);
        broken.status == 200 && broken.body.is_empty()
    });
    assert!(found, "one of them has the file, and nothing came of it");
    let whole = fetch(&fixture, "GET", id.as_str(), "file?path=short");
    assert_eq!(whole.text(), "thirty bytes, and a few besides");
}

#[test]
fn a_name_that_is_not_utf8_is_listed_and_fetched() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let directory = fixture.home.join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join(OsStr::from_bytes(b"100%\xff")), "found").unwrap();
    hand_over(&fixture.home);
    let id = snapshot(&fixture).id;
    let list = |path: &str| -> serde_json::Value {
        let answer = fetch(&fixture, "GET", id.as_str(), &format!("files?path={path}"));
        serde_json::from_str(&answer.text()).unwrap()
    };
    let home = list("");
    let entries = home.as_array().unwrap();
    let odd = entries
        .iter()
        .find(|entry| entry["encoded_name"].is_string())
        .unwrap();
    assert_eq!(
        (&odd["name"], &odd["encoded_name"]),
        (&"caf\u{fffd}".into(), &"caf%E9".into())
    );
    let inner = list("caf%E9");
    assert_eq!(inner[0]["encoded_name"], "100%25%FF");
    let file = fetch(&fixture, "GET", id.as_str(), "file?path=caf%E9/100%25%FF");
    assert_eq!((file.status, file.text().as_str()), (200, "found"));
    let replaced = fetch(&fixture, "GET", id.as_str(), "file?path=caf%EF%BF%BD/100%25%FF");
    assert_eq!((replaced.status, replaced.code().as_str()), (404, "no-such-path"));
}

#[test]
fn part_of_a_file_is_read_by_a_range() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let bytes = noise(5, 5_000_000);
    std::fs::write(fixture.home.join("large"), &bytes).unwrap();
    std::fs::write(fixture.home.join("small"), "").unwrap();
    hand_over(&fixture.home);
    let id = snapshot(&fixture).id;
    let header = |answer: &Answer, name: &str| {
        let line = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    let whole = fetch(&fixture, "GET", id.as_str(), "file?path=large");
    assert!(whole.status == 200 && whole.body == bytes);
    let tag = header(&whole, "etag");
    assert_eq!(header(&whole, "accept-ranges"), "bytes");
    let head = fetch(&fixture, "HEAD", id.as_str(), "file?path=large&range=bytes%3D5-");
    assert_eq!(
        (head.status, head.body.len(), header(&head, "etag")),
        (200, 0, tag.clone())
    );
    assert_eq!(header(&head, "content-length"), "5000000");
    let encoded = tag.replace('"', "%22");
    for (range, status, part) in [
        ("bytes%3D0-0", 206, 0..1),
        ("bytes%3D1000000-3999999", 206, 1_000_000..4_000_000),
        ("bytes%3D-7", 206, 4_999_993..5_000_000),
        ("bytes%3D4999999-", 206, 4_999_999..5_000_000),
        ("bytes%3D0-1,5-6", 200, 0..5_000_000),
        (&format!("bytes%3D2-3&if_range={encoded}"), 206, 2..4),
        ("bytes%3D2-3&if_range=%22other%22", 200, 0..5_000_000),
    ] {
        let answer = fetch(
            &fixture,
            "GET",
            id.as_str(),
            &format!("file?path=large&range={range}"),
        );
        assert!(
            answer.status == status && answer.body == bytes[part.clone()],
            "{range}: {}",
            answer.head
        );
        let expected = format!("bytes {}-{}/5000000", part.start, part.end - 1);
        assert_eq!(
            header(&answer, "content-range"),
            if status == 206 { expected } else { String::new() }
        );
    }
    for (file, range, size) in [("large", "5000000-", 5_000_000), ("small", "0-", 0)] {
        let answer = fetch(
            &fixture,
            "GET",
            id.as_str(),
            &format!("file?path={file}&range=bytes%3D{range}"),
        );
        assert_eq!((answer.status, answer.code().as_str()), (416, "bad-range"));
        assert_eq!(header(&answer, "content-range"), format!("bytes */{size}"));
    }
}
