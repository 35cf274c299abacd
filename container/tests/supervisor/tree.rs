//! What is in a directory, in a form that can be compared: everything a snapshot promises to keep.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

/// One line for each file, directory and link, by its path.
pub(crate) fn listed(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    list(root, root, &mut all);
    all
}

fn list(root: &Path, directory: &Path, all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stat = std::fs::symlink_metadata(&path).unwrap();
        let content = if stat.is_symlink() {
            format!("-> {}", std::fs::read_link(&path).unwrap().display())
        } else if stat.is_file() {
            let digest = Sha256::digest(std::fs::read(&path).unwrap());
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        } else {
            list(root, &path, all);
            String::new()
        };
        let line = format!(
            "{:o} {}:{} {}.{:09} {} {content}",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.mtime(),
            stat.mtime_nsec(),
            if stat.is_file() { stat.nlink() } else { 0 },
        );
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        assert!(all.insert(name, line).is_none());
    }
}

/// Fails with the first path that is not the same.
pub(crate) fn assert_same(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    for (path, line) in expected {
        assert_eq!(found.get(path), Some(line), "{path}");
    }
    let more: Vec<_> = found
        .keys()
        .filter(|path| !expected.contains_key(*path))
        .collect();
    assert!(more.is_empty(), "too many: {more:?}");
}

/// Bytes that do not compress and are others for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Everything in a home is its owner's.
pub(crate) fn hand_over(home: &Path) {
    let owner = std::fs::metadata(home).unwrap();
    let owner = format!("{}:{}", owner.uid(), owner.gid());
    let given = Command::new("chown").args(["-hR", &owner]).arg(home).status();
    assert!(given.unwrap().success());
}

/// A little of everything a home may hold.
pub(crate) fn furnish(home: &Path) {
    let write = |path: &str, bytes: &[u8]| {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("notes/today.md", b"remember this");
    write("notes/empty", b"");
    write("large.bin", &noise(1, 3_000_000));
    for number in 0..200 {
        write(
            &format!("many/{}/{number}.txt", number % 7),
            format!("file {number}").as_bytes(),
        );
    }
    write("a/b", b"directory before its namesake");
    write("a.txt", b"sorted between");
    write("project/Cargo.lock", b"not a lock");
    std::fs::create_dir_all(home.join("nothing/in/here")).unwrap();
    symlink("notes/today.md", home.join("link")).unwrap();
    symlink("/nowhere/at/all", home.join("dangling")).unwrap();
    std::fs::hard_link(home.join("large.bin"), home.join("large-again.bin")).unwrap();
    let odd = std::ffi::OsString::from_vec(b"not \xff utf-8 \"\\\n".to_vec());
    std::fs::write(home.join(odd), b"odd").unwrap();
    let modes = [
        ("notes/today.md", 0o640),
        ("many/3", 0o2775),
        ("a.txt", 0o400),
        ("nothing", 0o1777),
    ];
    let touched = Command::new("touch")
        .args(["-h", "-d", "2001-02-03T04:05:06.123456789Z"])
        .args(["notes", "link", "a/b"].map(|path| home.join(path)))
        .status();
    assert!(touched.unwrap().success());
    hand_over(home);
    for (path, mode) in modes {
        std::fs::set_permissions(home.join(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    // Not to be restored.
    write(".cache/pip/wheel", b"made again");
}

/// What of a furnished home is in no snapshot.
pub(crate) fn without_caches(mut listed: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let excluded = [".cache/pip", ".openclaw/tmp", ".openclaw/cache", ".openclaw/logs"];
    listed.retain(|path, _| {
        !excluded
            .iter()
            .any(|excluded| Path::new(path).starts_with(excluded))
    });
    listed
}
