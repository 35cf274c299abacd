//! Random homes: what was saved comes back the same, by the supervisor and by stock restic, or is named as left out.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, CWD, XattrFlags, linkat};
use sha2::{Digest, Sha256};

use crate::kept::{ON_DEMAND, is_ready, lose, settled, snapshot, start};
use crate::repository::Repository;
use crate::saved::set_time;
use crate::tree::noise;

/// Homes that are tried; each opens the repository several times, which is made to take long.
const HOMES: u64 = 5;
/// Entries of one.
const ENTRIES: usize = 120;
/// Whom some of it belongs to who is not the bot.
const STRANGER: u32 = 61_234;

/// Numbers that look random and are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn name(&mut self, number: usize) -> OsString {
        let mut name = format!("{number}-").into_bytes();
        let odd: [&[u8]; 8] = [
            b"a",
            b"\xff\xfe",
            b"\n",
            b"\"\\",
            "ü語".as_bytes(),
            b" ",
            b"\x7f\x01",
            b"*?[",
        ];
        for _ in 0..self.below(4) {
            name.extend_from_slice(self.pick::<&[u8]>(&odd));
        }
        if self.one_in(12) {
            name.resize(255, b'n');
        }
        OsString::from_vec(name)
    }
}

/// What was made, and how much of it cannot be read.
struct Made {
    unreadable: Vec<PathBuf>,
}

/// Fills a directory with a little of everything.
fn make(root: &Path, seed: u64) -> Made {
    let mut dice = Dice(seed);
    let is_root = rustix::process::geteuid().is_root();
    let owner = std::fs::metadata(root).unwrap();
    let mut directories = vec![root.to_owned()];
    let (mut files, mut links) = (Vec::new(), Vec::new());
    let mut unreadable = Vec::new();
    for number in 0..ENTRIES {
        let path = dice.pick(&directories).join(dice.name(number));
        if path.as_os_str().len() > 3_000 {
            continue;
        }
        match dice.below(12) {
            0..=2 => {
                std::fs::create_dir(&path).unwrap();
                directories.push(path.clone());
            }
            3 => {
                let targets: [&[u8]; 4] = [b"nowhere", b"../..", b"\xffodd \n target", b"/proc/self"];
                symlink(
                    Path::new(std::ffi::OsStr::from_bytes(dice.pick::<&[u8]>(&targets))),
                    &path,
                )
                .unwrap();
                links.push(path.clone());
            }
            4 if !files.is_empty() => {
                std::fs::hard_link(dice.pick(&files), &path).unwrap();
            }
            5 if !links.is_empty() => {
                linkat(CWD, dice.pick(&links), CWD, &path, AtFlags::empty()).unwrap();
            }
            6 => {
                let made = Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
                continue;
            }
            7 => {
                let file = std::fs::File::create(&path).unwrap();
                file.set_len(dice.below(20_000_000)).unwrap();
                for _ in 0..dice.below(3) {
                    let bytes = noise(dice.below(1_000), 3_000);
                    file.write_all_at(&bytes, dice.below(9_000_000)).unwrap();
                }
                files.push(path.clone());
            }
            _ => {
                let length = *dice.pick(&[0, 1, 511, 4_096, 4_097, 300_000, 2_500_000]);
                std::fs::write(&path, noise(dice.below(1_000), length)).unwrap();
                files.push(path.clone());
            }
        }
    }
    let mut all = directories[1..].to_vec();
    all.extend(files.iter().cloned());
    for path in all.iter().chain(&links) {
        lchown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    for path in &all {
        if dice.one_in(4) {
            let value = noise(dice.below(100), usize::try_from(dice.below(200)).unwrap());
            rustix::fs::setxattr(path, "user.random", &value, XattrFlags::empty()).unwrap();
        }
        let is_file = !path.is_dir();
        let modes: &[u32] = if is_file {
            &[0o400, 0o644, 0o755, 0o4755, 0o2711, 0o666]
        } else {
            &[0o700, 0o755, 0o1777, 0o2775, 0o711]
        };
        std::fs::set_permissions(path, PermissionsExt::from_mode(*dice.pick(modes))).unwrap();
    }
    // Once all is there: later ones would not get in.
    for path in &files {
        let is_linked = std::fs::metadata(path).unwrap().nlink() > 1;
        if unreadable.len() < 3 && !is_linked && dice.one_in(15) {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o0)).unwrap();
            unreadable.push(path.clone());
        } else if is_root && dice.one_in(10) {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
            chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
        }
    }
    for path in all.iter().chain(&links).rev() {
        let seconds = *dice.pick(&[-2_000_000_000, -1, 0, 1, 1_700_000_000, 4_000_000_000]);
        let nanoseconds = *dice.pick(&[0, 1, 500_000_000, 999_999_999]);
        set_time(path, seconds, nanoseconds);
    }
    Made { unreadable }
}

/// What is in a directory, by path, but for what is `without`; with `links`, also which are one, and what exactly they say.
fn seen(root: &Path, links: bool, without: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut left = vec![PathBuf::new()];
    let mut first: HashMap<(u64, u64), PathBuf> = HashMap::new();
    while let Some(directory) = left.pop() {
        let entries = std::fs::read_dir(root.join(&directory)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            let path = directory.join(name);
            if without.contains(&path) {
                continue;
            }
            let here = root.join(&path);
            let stat = std::fs::symlink_metadata(&here).unwrap();
            let what = if stat.is_dir() {
                left.push(path.clone());
                "directory".to_owned()
            } else if stat.is_symlink() {
                let target = std::fs::read_link(&here).unwrap();
                // The restic that is installed knows a target only as text.
                let text = target.to_string_lossy().into_owned();
                if links {
                    format!("-> {target:?}")
                } else {
                    format!("-> {text:?}")
                }
            } else if stat.is_file() {
                let digest = Sha256::digest(std::fs::read(&here).unwrap());
                format!("{} bytes {:x?}", stat.len(), &digest[..])
            } else {
                continue;
            };
            let mut value = [0; 512];
            let attribute = rustix::fs::lgetxattr(&here, "user.random", &mut value);
            let attribute = attribute.map_or(&b"none"[..], |length| &value[..length]);
            let same = (links && stat.nlink() > 1 && !stat.is_dir()).then(|| {
                first
                    .entry((stat.dev(), stat.ino()))
                    .or_insert_with(|| path.clone())
                    .clone()
            });
            let line = format!(
                "{what} {:o} {}:{} {}.{} {attribute:?} {same:?}",
                stat.mode(),
                stat.uid(),
                stat.gid(),
                stat.mtime(),
                stat.mtime_nsec()
            );
            all.insert(path, line);
        }
    }
    all
}

fn compare(what: &str, seed: u64, found: &BTreeMap<PathBuf, String>, expected: &BTreeMap<PathBuf, String>) {
    for (path, line) in expected {
        assert_eq!(found.get(path), Some(line), "{what}, home {seed}: {path:?}");
    }
    for path in found.keys() {
        assert!(
            expected.contains_key(path),
            "{what}, home {seed}: {path:?} is too many"
        );
    }
}

#[test]
fn random_homes_come_back_as_they_were() {
    for seed in 1..=HOMES {
        let repository = Repository::start();
        let fixture = settled(&repository);
        let root = fixture.home.join("random");
        std::fs::create_dir(&root).unwrap();
        let home = std::fs::metadata(&fixture.home).unwrap();
        chown(&root, Some(home.uid()), Some(home.gid())).unwrap();
        let made = make(&root, seed);
        let taken = snapshot(&fixture);
        assert_eq!(
            taken.lacks.total,
            made.unreadable.len() as u64,
            "home {seed}: {:?}",
            taken.lacks
        );
        let below = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_owned();
        let without: Vec<_> = made.unreadable.iter().map(below).collect();
        let (_target, stock) = repository.restored(taken.id.as_str());
        let expected = seen(&root, false, &without);
        compare(
            "restic",
            seed,
            &seen(&stock.join("random"), false, &[]),
            &expected,
        );
        let expected = seen(&root, true, &without);
        lose(fixture);
        let fixture = start(&repository, &ON_DEMAND);
        let status = fixture.until("it is ready", is_ready);
        let report = status.backup.unwrap().restored.unwrap();
        assert_eq!(
            (report.mismatches, report.unset.total),
            (0, 0),
            "home {seed}: {report:?}"
        );
        let found = seen(&fixture.home.join("random"), true, &[]);
        compare("the supervisor", seed, &found, &expected);
    }
}
