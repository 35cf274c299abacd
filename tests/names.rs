//! One name for one thing: a state's name is written in its enum alone, no two types that other files can name share a name, and a comment says more than
//! the name does.

#![expect(clippy::expect_used, clippy::panic, reason = "a test reports by failing")]

#[path = "shared/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use moltworker_core::alerts::incident::NoticeKind;
use moltworker_core::alerts::rules::Rule;
use moltworker_core::api::bot::{BotState, Health};
use moltworker_core::api::table::endpoints;
use moltworker_core::bot::incidents::IncidentKind;
use moltworker_core::identity::domain::DomainState;
use moltworker_core::identity::users::UserStatus;
use moltworker_core::jobs::bulk::BulkOutcome;
use moltworker_core::jobs::watch::ComponentState;

use sources::{files, root};

/// The product's crates, and the tool.
const CRATES: [&str; 4] = ["core/src", "src", "container/src", "xtask/src"];

/// A file's path from the root, and its text without the tests at its end. Files of tests alone are left out.
fn product(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root().join(source), &mut found);
    let mut texts = Vec::new();
    for path in found {
        let inside = path.strip_prefix(root()).expect("a file of this repository");
        let inside = inside.display().to_string();
        if inside.contains("/tests") || inside.ends_with("/properties.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        texts.push((inside, product.to_owned()));
    }
    texts
}

/// The names that D1 has of states.
fn state_names() -> BTreeSet<&'static str> {
    let kinds = [NoticeKind::Opened, NoticeKind::Escalated, NoticeKind::Recovered];
    BotState::ALL
        .map(BotState::as_str)
        .into_iter()
        .chain(Health::ALL.map(Health::as_str))
        .chain(UserStatus::ALL.map(UserStatus::as_str))
        .chain(ComponentState::ALL.map(ComponentState::as_str))
        .chain(BulkOutcome::ALL.map(BulkOutcome::as_str))
        .chain(IncidentKind::ALL.map(IncidentKind::as_str))
        .chain(Rule::ALL.map(Rule::as_str))
        .chain(kinds.map(NoticeKind::as_str))
        .chain([DomainState::Pending, DomainState::Verified].map(DomainState::as_str))
        .collect()
}

/// The names of states in a line of SQL. A member of a JSON document is none: what `->>` reads, and what a document is made
/// of, which stands before a value of the same name.
fn states_in(line: &str, names: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let mut found = Vec::new();
    for name in names {
        let quoted = format!("'{name}'");
        for (at, _) in line.match_indices(&quoted) {
            let before = line.get(..at).unwrap_or_default().trim_end();
            let after = line.get(at + quoted.len()..).unwrap_or_default();
            let value = after.strip_prefix(", ").and_then(|rest| rest.split(',').next());
            let is_member = before.ends_with("->") || before.ends_with("->>");
            if !is_member && !value.is_some_and(|value| value.contains(name)) {
                found.push(*name);
            }
        }
    }
    found
}

#[test]
fn no_statement_spells_the_name_of_a_state() {
    let names = state_names();
    for (path, text) in product("src") {
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            let found = states_in(line, &names);
            assert!(
                found.is_empty(),
                "{path}:{} spells {found:?}: bind it, or take it from its enum by platform::sql",
                number + 1
            );
        }
    }
    let sql = "WHERE state = 'running' AND said ->> 'failed' AND json_object('stopped', sum(stopped))";
    assert_eq!(states_in(sql, &names), ["running"]);
}

/// `src/jobs/series.rs` writes the count of each state into the column of its name.
#[test]
fn each_state_has_its_column_in_the_series_of_the_fleet() {
    let migration =
        fs::read_to_string(root().join("migrations/0013_status.sql")).expect("the migration of the series");
    for table in ["fleet_series", "fleet_series_hourly"] {
        let begin = format!("CREATE TABLE {table} (");
        let columns = migration
            .split(&begin)
            .nth(1)
            .and_then(|rest| rest.split(");").next());
        let columns = columns.unwrap_or_else(|| panic!("{table} is not in the migration"));
        for state in BotState::ALL {
            let column = format!("\n  {:<12} INTEGER", state.as_str().replace('-', "_"));
            assert!(
                columns.contains(&column),
                "{table} has no column for {}: add a migration, and read it here",
                state.as_str()
            );
        }
    }
}

/// Where a path of the table of endpoints may stand, and why.
const PATHS: [(&str, &str); 5] = [
    (
        "core/src/http/paths.rs",
        "the one place of those that pages lead to",
    ),
    ("core/src/api/table", "the table"),
    (
        "core/src/alerts/sink.rs",
        "Telegram's own addresses begin like the owner's page",
    ),
    ("core/src/api/openapi.rs", "how the document groups them"),
    (
        "core/src/wire/run/access.rs",
        "a supervisor is told this one in its environment",
    ),
];

/// Whether a string in this line begins with the path, or has it behind a host that is put in.
fn spells(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + path.len()..).and_then(|after| after.chars().next());
        matches!(before, Some('"' | '}')) && matches!(after, Some('"' | '/' | '?' | '{'))
    })
}

#[test]
fn paths_of_endpoints_are_written_in_one_place() {
    let paths: BTreeSet<&str> = endpoints()
        .map(|endpoint| endpoint.path().split('{').next().unwrap_or_default())
        .map(|path| path.trim_end_matches('/'))
        .filter(|path| !path.is_empty())
        .collect();
    assert!(paths.len() > 40, "only {} paths were found", paths.len());
    for (file, text) in ["core/src", "src"].into_iter().flat_map(product) {
        if PATHS.iter().any(|(place, _)| file.starts_with(place)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            let spelled = paths.iter().find(|path| spells(line, path));
            assert_eq!(
                spelled,
                None,
                "{file}:{}: take it from core::http::paths",
                number + 1
            );
        }
    }
    assert!(spells(
        "format!(\"{host}/auth/hand-over?code={code}\")",
        "/auth/hand-over"
    ));
    assert!(!spells("(\"it is at /auth/hand-over\")", "/auth/hand-over"));
}

/// Types that share their name, and why that misleads nobody.
const TWINS: [(&str, &str); 3] = [
    (
        "Error",
        "read with its module: `json::Error`; the Worker's own is what handlers fail with",
    ),
    (
        "Result",
        "an alias with the error of its module, as `std::io::Result` is",
    ),
    (
        "Settings",
        "of the Worker and of the supervisor, which never meet",
    ),
];

/// The types that other files can name, with where they are.
fn types() -> BTreeMap<String, BTreeSet<String>> {
    let mut types = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in CRATES.iter().flat_map(|source| product(source)) {
        // The tool's types meet nothing of the product's.
        if path.starts_with("xtask/") {
            continue;
        }
        for line in text.lines().map(str::trim_start) {
            let Some(declared) = line.strip_prefix("pub") else {
                continue;
            };
            // `pub(in crate::api)` has a space in it.
            let visibility = declared.strip_prefix('(').and_then(|rest| rest.split_once(')'));
            let words = visibility.map_or(declared, |(_, words)| words).trim_start();
            let mut words = words.split(|c: char| !c.is_alphanumeric() && c != '_');
            if matches!(words.next(), Some("struct" | "enum" | "trait" | "type" | "union")) {
                // A macro's has its name where the macro is used.
                let name = words.next().unwrap_or_default();
                if name.is_empty() {
                    continue;
                }
                types.entry(name.to_owned()).or_default().insert(path.clone());
            }
        }
    }
    types
}

#[test]
fn no_two_types_share_a_name() {
    let types = types();
    assert!(types.len() > 400, "only {} types were found", types.len());
    let twins = types.iter().filter(|(_, paths)| paths.len() > 1);
    for (name, paths) in twins.clone() {
        let is_accepted = TWINS.iter().any(|(twin, _)| twin == name);
        assert!(
            is_accepted,
            "{name} is in {paths:?}: say in the name which one it is"
        );
    }
    let twins: BTreeSet<_> = twins.map(|(name, _)| name.as_str()).collect();
    for (name, _) in TWINS {
        assert!(
            twins.contains(name),
            "{name} is there once: take it from the list"
        );
    }
}

/// A comment is missing where it says nothing; one of a single word says nothing.
#[test]
fn no_doc_comment_is_a_single_word() {
    let mut checked = 0;
    for (path, text) in CRATES.iter().flat_map(|source| product(source)) {
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(comment) = line.strip_prefix("/// ") else {
                continue;
            };
            checked += 1;
            let goes_on = |at: Option<usize>| {
                at.and_then(|at| lines.get(at))
                    .is_some_and(|line| line.starts_with("///"))
            };
            let is_alone = !goes_on(at.checked_sub(1)) && !goes_on(Some(at + 1));
            assert!(
                !is_alone || comment.split_whitespace().count() > 1,
                "{path}:{}: {comment:?} says nothing that the name does not",
                at + 1
            );
        }
    }
    assert!(checked > 5_000, "only {checked} lines of comments were found");
}
