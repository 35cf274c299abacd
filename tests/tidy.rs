//! What the compiler cannot see: the layers, the names that must agree between files, and that what the pages
//! about the code say of this repository is there.

#![expect(clippy::expect_used, clippy::panic, reason = "a test reports by failing")]

#[path = "shared/texts.rs"]
mod texts;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use moltworker_core::alerts::rules::Rule;
use moltworker_core::settings::{OPTIONAL, REQUIRED};

use texts::{read, root, toml};

/// Every file git knows or would add: what a clone has.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "git ls-files failed");
    let listed = String::from_utf8(output.stdout).expect("file names are UTF-8");
    listed
        .lines()
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect()
}

fn files_under(folder: &str, ending: &str) -> Vec<String> {
    files()
        .into_iter()
        .filter(|path| path.starts_with(folder) && path.ends_with(ending))
        .collect()
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest = toml(manifest);
    let names = |table: Option<&toml::Value>| -> Vec<String> {
        table
            .and_then(toml::Value::as_table)
            .map(|table| table.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut all = names(manifest.get("dependencies"));
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        all.extend(
            targets
                .values()
                .flat_map(|target| names(target.get("dependencies"))),
        );
    }
    all.into_iter().collect()
}

#[test]
fn crate_dependencies_follow_the_layers() {
    let core = dependencies("core/Cargo.toml");
    for effect in [
        "worker",
        "tokio",
        "wasm-bindgen",
        "js-sys",
        "rand",
        "getrandom",
        "chrono",
        "hyper",
        "nix",
        "rustix",
    ] {
        assert!(!core.contains(effect), "core must not depend on {effect}");
    }
    for (layer, manifest) in [
        ("the Worker", "Cargo.toml"),
        ("the supervisor", "container/Cargo.toml"),
    ] {
        let dependencies = dependencies(manifest);
        assert!(dependencies.contains("moltworker-core"), "{layer} stands on core");
        for other in ["moltworker", "moltbot-supervisor", "xtask"] {
            assert!(
                !dependencies.contains(other),
                "{layer} must not depend on {other}"
            );
        }
    }
}

#[test]
fn core_uses_no_clock_randomness_or_io() {
    for path in files_under("core/src/", ".rs") {
        let text = read(&path);
        for effect in [
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "::now()",
            "std::io",
            "async fn",
            "println!",
        ] {
            assert!(
                !text.contains(effect),
                "{path} uses {effect}: time, randomness and I/O come in as arguments"
            );
        }
    }
}

/// The pages that name files of the code.
const PAGES: [&str; 10] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "docs/limits.md",
    "docs/operations.md",
    "docs/recovery.md",
    "docs/invariants.md",
    "docs/security.md",
    "docs/snapshots.md",
    "docs/state-machines.md",
];

/// What a build makes, and a fresh clone does not have.
const GENERATED: [&str; 1] = ["admin-ui/dist"];

/// What a page has in backticks; blocks of code are not read.
fn quoted(page: &str) -> Vec<String> {
    let text = read(page);
    let outside = text.split("```").step_by(2);
    outside
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Paths stand in backticks; whatever looks like one has to be there.
#[test]
fn every_path_named_by_a_page_exists() {
    let folders = [
        "core/",
        "src/",
        "container/",
        "xtask/",
        "tests/",
        "bench/",
        "docs/",
        "migrations/",
        "admin-ui/",
        ".ci/",
        ".github/",
    ];
    for page in PAGES {
        let mut checked = 0;
        for quoted in quoted(page) {
            let path = quoted.split("::").next().unwrap_or_default();
            let is_made = GENERATED.iter().any(|made| path.starts_with(made));
            if folders.iter().any(|folder| path.starts_with(folder))
                && !is_made
                && !path.contains(['*', '<', ' '])
            {
                assert!(root().join(path).exists(), "{page} names {path}");
                checked += 1;
            }
        }
        assert!(
            checked > 0,
            "{page}: no path was found; is the format still the one this test reads?"
        );
    }
}

#[test]
fn architecture_md_can_be_read_in_one_go() {
    const MAX_LINES: usize = 250;
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= MAX_LINES, "ARCHITECTURE.md has {lines} lines");
}

/// Each invariant names the test that fails when it is broken: `path::name of the test`.
#[test]
fn every_test_named_by_an_invariant_exists() {
    let mut checked = 0;
    for quoted in PAGES.into_iter().flat_map(quoted) {
        let Some((path, test)) = quoted.split_once("::") else {
            continue;
        };
        if !Path::new(path)
            .extension()
            .is_some_and(|ending| ending == "rs" || ending == "mjs")
        {
            continue;
        }
        let source = read(path);
        let found = source.contains(&format!("fn {test}(")) || source.contains(&format!("test(\"{test}\""));
        assert!(found, "{path} has no test {test:?}");
        checked += 1;
    }
    assert!(checked >= 100, "only {checked} tests are named");
}

/// The names of the tests a file defines.
fn test_names(path: &str) -> Vec<String> {
    let text = read(path);
    let attributes = ["#[test]", "#[tokio::test]", "#[tokio::test("];
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        let script = ["test(\"", "await t.test(\"", "t.test(\"", "it(\""];
        if let Some(quoted) = script.iter().find_map(|begin| line.strip_prefix(begin)) {
            names.extend(quoted.split('"').next().map(str::to_owned));
        } else if attributes.iter().any(|attribute| line.starts_with(attribute)) {
            is_test = true;
        } else if is_test && let Some((_, signature)) = line.split_once("fn ") {
            names.extend(signature.split('(').next().map(str::to_owned));
            is_test = false;
        }
    }
    names
}

#[test]
fn test_names_are_short_enough_for_a_report() {
    const MAX_CHARACTERS: usize = 70;
    let mut checked = 0;
    let endings = [".rs", ".mjs", ".ts", ".tsx"];
    for path in files()
        .iter()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
    {
        for name in test_names(path) {
            let length = name.chars().count();
            assert!(
                length <= MAX_CHARACTERS,
                "{path}: {name:?} has {length} characters"
            );
            checked += 1;
        }
    }
    assert!(checked > 500, "only {checked} names were found");
}

#[test]
fn every_alert_says_what_to_do() {
    let page = read("docs/operations.md");
    for rule in Rule::ALL {
        let name = rule.as_str();
        let section = page.split(&format!("\n### `{name}`\n\n")).nth(1);
        let section = section.unwrap_or_else(|| panic!("docs/operations.md has no section {name}"));
        let steps = section
            .split("\n#")
            .next()
            .expect("a text")
            .matches("\n1. ")
            .count();
        assert_eq!(steps, 1, "{name}: its section says in steps what to do");
        let facts = rule.facts();
        let time = |ms: u64| match ms {
            0 => "at once".to_owned(),
            ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
            ms => format!("{} s", ms / 1_000),
        };
        let (opens, closes) = (time(facts.opens_after_ms), time(facts.closes_after_ms));
        let row = format!("| `{name}` | {} | {opens} | {closes} |", facts.severity.as_str());
        assert!(page.contains(&row), "docs/operations.md lacks {row}");
    }
}

#[test]
fn secrets_and_refusals_are_documented() {
    let page = read("docs/security.md");
    for setting in REQUIRED.iter().chain(&OPTIONAL) {
        let is_secret = setting.how.contains("secret put");
        let named = page.contains(&format!("| `{}`", setting.name));
        assert!(
            !is_secret || named,
            "docs/security.md does not say what {} opens",
            setting.name
        );
    }
    let page = read("docs/operations.md");
    for setting in REQUIRED.iter().chain(&OPTIONAL) {
        let name = format!("`{}`", setting.name);
        // Its name, its kind, its default and why, what it is.
        let mut rows = page.lines().map(|line| line.split(" | ").collect::<Vec<_>>());
        let has_row =
            rows.any(|cells| cells.len() == 4 && cells.first().is_some_and(|cell| cell.contains(&name)));
        assert!(
            has_row,
            "docs/operations.md does not say what {name} is when it is left out, and why"
        );
    }
    let source: String = read("core/src/http/problem/facts.rs")
        .split_whitespace()
        .collect();
    let codes: Vec<_> = source
        .split("=>(")
        .skip(1)
        .filter_map(|facts| facts.split('"').nth(1))
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .collect();
    assert!(codes.len() > 50, "the refusals are written in another way now");
    for code in codes {
        assert!(
            page.contains(&format!("`{code}`")),
            "docs/operations.md does not explain {code}"
        );
    }
}

#[test]
fn the_start_script_is_short_and_ends_in_the_supervisor() {
    let script = read("start-moltbot.sh");
    assert!(script.lines().count() <= 30);
    assert!(
        script
            .trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("exec ") && line.contains("moltbot-supervisor"))
    );
}

#[test]
fn no_file_names_a_registry_or_a_path_of_one_machine() {
    let hosts = [
        ["registry", "npmjs", "org"].join("."),
        ["static", "crates", "io"].join("."),
        ["index", "crates", "io"].join("."),
        ["deb", "debian", "org"].join("."),
        ["files", "pythonhosted", "org"].join("."),
    ];
    for path in files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for host in &hosts {
            assert!(
                !text.contains(host.as_str()),
                "{path} names {host}: name packages, not hosts"
            );
        }
        for (number, line) in text.lines().enumerate() {
            let home = ["/home", "/root", "/Users"]
                .iter()
                .any(|home| line.contains(&format!("{home}/")));
            assert!(
                !home || path.starts_with("xtask/") || path == "tests/tidy.rs",
                "{path}:{}: {line}",
                number + 1
            );
        }
    }
}

#[test]
fn files_stay_within_the_line_limit() {
    /// Past this a file is hard to hold in one's head; a longer one is two things.
    const MAX_LINES: usize = 450;
    for path in files() {
        let code = [".rs", ".mjs", ".ts", ".tsx", ".sh"]
            .iter()
            .any(|ending| path.ends_with(ending));
        let lines = if code { read(&path).lines().count() } else { 0 };
        assert!(lines <= MAX_LINES, "{path} has {lines} lines");
    }
}
