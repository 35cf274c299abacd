//! One entry that cannot be read costs the others nothing: the snapshot has them, and names what it lacks.

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use moltworker_core::wire::control::Status;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use crate::fixture::{authorised, cannot_run};
use crate::kept::{ON_DEMAND, is_ready, lose, post, settled, snapshot, start};
use crate::repository::Repository;
use crate::tree::hand_over;

/// A name so long that 22 of them are more than a path may have.
fn long_name() -> String {
    "deep".repeat(50)
}

fn open(at: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty()).unwrap()
}

/// Makes directories within each other, as a program does that changes into each; the innermost has a file.
fn dig(home: &Path, levels: usize) {
    let mut directory = open(CWD, home);
    for _ in 0..levels {
        mkdirat(&directory, long_name(), Mode::from_raw_mode(0o755)).unwrap();
        directory = open(&directory, long_name());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = openat(&directory, "treasure", flags, Mode::from_raw_mode(0o644)).unwrap();
    rustix::io::write(&file, b"found").unwrap();
}

/// What the innermost directory's file says.
fn dug_out(home: &Path, levels: usize) -> String {
    let mut directory = open(CWD, home);
    for _ in 0..levels {
        directory = open(&directory, long_name());
    }
    let file = openat(
        &directory,
        "treasure",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .unwrap();
    let mut said = [0; 64];
    let length = rustix::io::read(&file, &mut said).unwrap();
    String::from_utf8(said[..length].to_vec()).unwrap()
}

#[test]
fn a_tree_deeper_than_a_path_can_say_is_saved_and_comes_back() {
    const LEVELS: usize = 22;
    let repository = Repository::start();
    let fixture = settled(&repository);
    dig(&fixture.home, LEVELS);
    std::fs::write(fixture.home.join("beside"), "still here").unwrap();
    hand_over(&fixture.home);
    let taken = snapshot(&fixture);
    assert!(taken.lacks.is_empty(), "{:?}", taken.lacks);
    lose(fixture);
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    assert_eq!(dug_out(&fixture.home, LEVELS), "found");
    assert_eq!(
        std::fs::read_to_string(fixture.home.join("beside")).unwrap(),
        "still here"
    );
    // It makes way like any other home.
    let restored_at = |status: &Status| Some(status.backup.as_ref()?.restored.as_ref()?.restored_at);
    let before = restored_at(&fixture.status());
    assert_eq!(post(&fixture, "/v1/restore", r#"{"snapshot":null}"#).status, 202);
    fixture.until("it is restored again", |status| {
        is_ready(status) && restored_at(status) > before
    });
    assert_eq!(dug_out(&fixture.home, LEVELS), "found");
    let left = fixture.home.with_file_name(".moltbot.restoring");
    assert!(!left.exists());
}

#[test]
fn a_tree_beyond_all_bounds_costs_the_others_nothing() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    dig(&fixture.home, 100);
    std::fs::write(fixture.home.join("later"), "still here").unwrap();
    hand_over(&fixture.home);
    let taken = snapshot(&fixture);
    assert_eq!(taken.lacks.total, 1, "{:?}", taken.lacks);
    assert!(taken.lacks.first[0].starts_with("deepdeep"), "{:?}", taken.lacks);
    lose(fixture);
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    assert_eq!(
        std::fs::read_to_string(fixture.home.join("later")).unwrap(),
        "still here"
    );
    assert!(fixture.home.join(long_name()).join(long_name()).is_dir());
}

#[test]
fn what_its_owner_may_not_read_is_named_and_the_rest_is_saved() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let home = fixture.home.clone();
    for name in ["closed-folder", "listed-folder"] {
        std::fs::create_dir(home.join(name)).unwrap();
        std::fs::write(home.join(name).join("inside"), "x").unwrap();
    }
    for name in ["closed", "open"] {
        std::fs::write(home.join(name), name).unwrap();
    }
    hand_over(&home);
    // Closed as a whole; and one whose names can be read and nothing behind them.
    for (name, mode) in [("closed", 0), ("closed-folder", 0), ("listed-folder", 0o400)] {
        std::fs::set_permissions(home.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let taken = snapshot(&fixture);
    // An owner who is not root opens them again, so that the directory can be removed.
    for name in ["closed-folder", "listed-folder"] {
        std::fs::set_permissions(home.join(name), Permissions::from_mode(0o700)).unwrap();
    }
    assert_eq!(taken.lacks.total, 3, "{:?}", taken.lacks);
    for name in ["closed:", "closed-folder:", "listed-folder/inside:"] {
        let named = |text: &&String| text.starts_with(name) && text.contains("Permission denied");
        assert_eq!(
            taken.lacks.first.iter().filter(named).count(),
            1,
            "{name} {:?}",
            taken.lacks
        );
    }
    // Whoever lists the snapshots later sees it too.
    let listed = authorised(&fixture, "GET /v1/snapshots").text();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["lacks"]["total"], 3, "{listed}");
    let (_target, restored) = repository.restored(taken.id.as_str());
    assert_eq!(std::fs::read_to_string(restored.join("open")).unwrap(), "open");
    assert!(!restored.join("closed").exists() && restored.join("listed-folder").is_dir());
}

/// A file that opens well and cannot be read: the kernel's own, in the place of one of the home's.
struct Unreadable(PathBuf);

impl Unreadable {
    fn mount(path: PathBuf) -> Option<Self> {
        const REFUSES: &str = "/sys/class/net/lo/speed";
        std::fs::write(&path, "a good file before").unwrap();
        let refuses = std::fs::read(REFUSES).is_err();
        let mounted = Command::new("mount")
            .args(["--bind", REFUSES])
            .arg(&path)
            .output()
            .unwrap();
        let unreadable = Self(path);
        if !mounted.status.success() || !refuses {
            let why = String::from_utf8_lossy(&mounted.stderr);
            cannot_run("what a file costs that cannot be read", why.trim());
            return None;
        }
        Some(unreadable)
    }
}

impl Drop for Unreadable {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["--lazy", "--quiet"])
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_file_whose_reading_fails_is_named_and_the_rest_is_saved() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("a"), "before").unwrap();
    std::fs::write(fixture.home.join("z"), "after").unwrap();
    let Some(_unreadable) = Unreadable::mount(fixture.home.join("m")) else {
        return;
    };
    let taken = snapshot(&fixture);
    assert_eq!(taken.lacks.total, 1, "{:?}", taken.lacks);
    assert!(taken.lacks.first[0].starts_with("m: "), "{:?}", taken.lacks);
    let (_target, restored) = repository.restored(taken.id.as_str());
    let names: Vec<_> = ["a", "m", "z"].map(|name| restored.join(name).exists()).into();
    assert_eq!(names, [true, false, true]);
    assert_eq!(fixture.status().backup.unwrap().error, None);
}
