//! What the code of the product must not use, and where it may all the same.

#![expect(clippy::expect_used, clippy::panic, reason = "a test reports by failing")]

#[path = "shared/sources.rs"]
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sources::{files, root};

/// The files of the supervisor that reach something by a path from the root, and what that is: never what lies in a
/// bot's home, which `container/src/beneath.rs` opens.
const BY_PATH: [(&str, &str); 20] = [
    (
        "backup/worker/capture.rs",
        "a directory of root's beside the home",
    ),
    (
        "backup/worker/confined/sqlite.rs",
        "one name in the only directory there is",
    ),
    (
        "backup/worker/maintain.rs",
        "a directory of root's beside the home",
    ),
    (
        "backup/worker/databases/unchanged.rs",
        "a directory of root's beside the home",
    ),
    (
        "backup/worker/databases/budget.rs",
        "what the kernel says of a process",
    ),
    ("backup/worker/mapped.rs", "what the kernel says of processes"),
    ("backup/worker/mod.rs", "a directory of root's beside the home"),
    (
        "backup/worker/place.rs",
        "the directory that a restore begins with",
    ),
    (
        "backup/worker/remote/kept.rs",
        "a directory of root's beside the home",
    ),
    ("backup/worker/restore.rs", "the room there is beside the home"),
    ("backup/worker/say.rs", "what the kernel says of a process"),
    (
        "backup/worker/swap.rs",
        "the home as a whole, in a directory of root's",
    ),
    ("beneath.rs", "the home as a whole, in a directory of root's"),
    ("confinement/mod.rs", "what the kernel says of a process"),
    ("settings.rs", "a file of the image"),
    ("supervisor/cgroup.rs", "what the kernel says of the machine"),
    ("supervisor/disk.rs", "how full the disk is"),
    ("supervisor/processes.rs", "what the kernel says of processes"),
    ("supervisor/tenant/entrance.rs", "a control group"),
    ("supervisor/tenant/group.rs", "a control group"),
];

/// Tests may use anything.
fn is_test(path: &Path) -> bool {
    let parts = path.with_extension("");
    parts.iter().any(|part| {
        ["tests", "properties", "diagram"]
            .iter()
            .any(|test| part == *test)
    })
}

/// The code of a file without its tests and comments.
fn product_of(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines();
    let code: Vec<&str> = lines
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    code.join("\n")
}

/// What of these a file's code has, without its tests.
fn paths_taken(text: &str) -> Vec<&'static str> {
    let code = product_of(text);
    let taken = [
        "CWD",
        "File::open(",
        "File::create(",
        "File::options(",
        "OpenOptions::",
        "DirBuilder::",
        "Connection::open",
        ".exists()",
        ".canonicalize(",
        "std::fs::read",
        "std::fs::write",
        "std::fs::remove",
        "std::fs::rename",
        "std::fs::create",
        "std::fs::copy",
        "std::fs::set_permissions",
        "std::fs::metadata",
        "std::fs::symlink_metadata",
        "std::fs::hard_link",
        "use std::fs;",
        "use std::fs::{self",
        "statvfs(",
        "rustix::fs::open(",
        "rustix::fs::stat(",
        "rustix::fs::lstat(",
    ];
    taken.into_iter().filter(|call| code.contains(call)).collect()
}

#[test]
fn the_supervisor_reaches_a_home_by_descriptors_alone() {
    let source = root().join("container/src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let mut by_path = BTreeSet::new();
    for path in found {
        if is_test(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file of the crate");
        let taken = paths_taken(&text);
        let name = path.strip_prefix(&source).expect("a file of the crate");
        let name = name.to_string_lossy().into_owned();
        let is_known = BY_PATH.iter().any(|(known, _)| *known == name);
        assert!(
            taken.is_empty() || is_known,
            "container/src/{name} uses {taken:?}: what lies in a home is opened by container/src/beneath.rs"
        );
        if !taken.is_empty() {
            by_path.insert(name);
        }
    }
    for (known, what) in BY_PATH {
        assert!(by_path.contains(known), "{known} reaches {what} no more");
    }
}

#[test]
fn a_call_by_path_is_found_and_a_test_may_have_one() {
    let product = "fn x() { std::fs::read(path) }\n";
    assert_eq!(paths_taken(product), ["std::fs::read"]);
    let test = format!("fn x() {{}} // std::fs::read\n#[cfg(test)]\nmod tests {{ {product} }}");
    assert_eq!(paths_taken(&test), [""; 0]);
}

/// On wasm a hash map's seed is the same in every isolate of every deployment. Hosts, people and tokens are keys that others
/// choose, so they could choose them to collide.
#[test]
fn the_worker_has_no_map_whose_keys_can_be_made_to_collide() {
    let mut found = Vec::new();
    for source in ["src", "core/src"] {
        let mut paths = Vec::new();
        files(&root().join(source), &mut paths);
        for path in paths {
            let text = fs::read_to_string(&path).expect("a file can be read");
            let hashed = ["HashMap", "HashSet"]
                .iter()
                .any(|map| product_of(&text).contains(map));
            if hashed && !is_test(&path) {
                found.push(path);
            }
        }
    }
    assert!(found.is_empty(), "order the maps of {found:?}");
}
