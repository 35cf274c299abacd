//! What makes itself again is in no snapshot, and nothing else is missing from one unless its owner says so.

use std::path::Path;

use crate::kept::{settled, snapshot};
use crate::repository::Repository;
use crate::tree::hand_over;

const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n";

fn write(home: &Path, path: &str, bytes: &[u8]) {
    let path = home.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn only_caches_that_make_themselves_again_are_left_out() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let kept = [
        "project/.venv/CACHEDIR.TAG",
        "project/.venv/bin/python",
        "notes/CACHEDIR.TAG",
        "notes/diary.md",
        ".cache/CACHEDIR.TAG",
        ".cache/huggingface/token",
        ".cache/huggingface/stored_tokens",
        ".cache/somebody/data",
        ".cache/ms-playwright/chromium/chrome",
        "tools/.cache/pip/mine",
    ];
    let left_out = [
        ".cache/pip/http/a",
        ".cache/uv/wheels/b",
        ".cache/huggingface/hub/models/c",
        ".npm/_cacache/d",
        ".openclaw/cache/control-ui-assets/e",
    ];
    for path in kept.iter().chain(&left_out) {
        let is_tag = path.ends_with("CACHEDIR.TAG");
        write(&fixture.home, path, if is_tag { TAG } else { &[1; 10_000] });
    }
    hand_over(&fixture.home);
    let taken = snapshot(&fixture);
    let (_target, restored) = repository.restored(taken.id.as_str());
    for path in kept {
        assert!(restored.join(path).exists(), "{path} is missing");
    }
    for path in left_out {
        assert!(!restored.join(path).exists(), "{path} is saved");
    }
    let said = &taken.left_out;
    assert!(
        said.files >= 5 && said.bytes >= 5 * 10_000 && !said.is_more,
        "{said:?}"
    );
    let named: Vec<_> = said.largest.iter().map(|place| place.path.as_str()).collect();
    assert!(
        named.contains(&".cache/pip") && named.contains(&".cache/huggingface/hub"),
        "{named:?}"
    );
    assert!(taken.lacks.is_empty(), "{:?}", taken.lacks);
}

#[test]
fn owners_leave_out_what_they_name_and_never_the_gateways_own() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let patterns =
        "# what I can download again\n/downloads/\n*.iso\n/code/**/build\n\n.openclaw\n*.json\n*\u{0}\n";
    write(&fixture.home, ".snapshotignore", patterns.as_bytes());
    let kept = [
        ".snapshotignore",
        "downloads.txt",
        "deep/downloads/mine",
        "code/a/builder/x",
        "build/x",
    ];
    let left_out = [
        "downloads/large",
        "images/debian.iso",
        "code/a/b/build/x",
        "package.json",
    ];
    for path in kept.iter().skip(1).chain(&left_out) {
        write(&fixture.home, path, &[1; 5_000]);
    }
    hand_over(&fixture.home);
    let taken = snapshot(&fixture);
    let (_target, restored) = repository.restored(taken.id.as_str());
    for path in kept.iter().chain(&[".openclaw/openclaw.json"]) {
        assert!(restored.join(path).exists(), "{path} is missing");
    }
    for path in left_out {
        assert!(!restored.join(path).exists(), "{path} is saved");
    }
    let named: Vec<_> = taken
        .left_out
        .largest
        .iter()
        .map(|place| place.path.as_str())
        .collect();
    assert!(
        named.contains(&"downloads") && named.contains(&"images/debian.iso"),
        "{named:?}"
    );
    assert!(taken.left_out.bytes >= 4 * 5_000, "{:?}", taken.left_out);
}
