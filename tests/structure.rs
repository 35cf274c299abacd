//! The rooms of the crates: which file may import which. ARCHITECTURE.md tells the layers; this holds the code to them.

#![expect(clippy::expect_used, clippy::panic, reason = "a test reports by failing")]

#[path = "shared/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sources::{files, root};

/// A crate's wings from the bottom: each imports only from those before it, and from itself.
const CRATES: [(&str, &[&str]); 3] = [
    (
        "core/src",
        &[
            "base64", "hex", "json", "secret", "user_id", "wire", "http", "identity", "cost", "bot",
            "backup", "alerts", "settings", "jobs", "api", "metrics",
        ],
    ),
    (
        "src",
        &[
            "platform",
            "http",
            "identity",
            "alerts",
            "bulk",
            "repository",
            "sandbox",
            "proxy",
            "api",
            "jobs",
            "router",
        ],
    ),
    (
        "container/src",
        &[
            "settings",
            "output",
            "beneath",
            "confinement",
            "http",
            "ingress",
            "backup",
            "supervisor",
            "control",
        ],
    ),
];

/// Crates and programs that are not divided into wings.
const WITHOUT_WINGS: [&str; 2] = ["xtask/src", "container/fake-gateway"];

/// The admin UI, which is TypeScript.
const ADMIN_UI: &str = "admin-ui/src";

/// A module by its path (`backup::state`; the crate's root is empty), and what it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// `container/src/backup/mod.rs` → `backup`, `src/lib.rs` → the empty path.
fn module_of(path: &Path, source: &Path) -> String {
    let inside = path
        .strip_prefix(source)
        .expect("a file of the crate")
        .with_extension("");
    let mut parts: Vec<_> = inside
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts.join("::")
}

/// Tests may look at anything.
fn is_test(module: &str) -> bool {
    module
        .split("::")
        .any(|part| matches!(part, "tests" | "properties" | "diagram"))
}

/// The code without comments and without the tests at the end of a file.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    product
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every path the code names that begins with `crate`, `super` or `self`, braces taken apart.
fn named_paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let starts = matches!(token.as_str(), "crate" | "super" | "self");
        if starts && tokens.get(at).is_some_and(|next| next == "::") {
            at = read_path(&tokens, at - 1, &[], &mut paths);
        }
    }
    paths
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() || character == '_' {
            let mut word = String::from(character);
            while let Some(next) = characters
                .peek()
                .filter(|next| next.is_alphanumeric() || **next == '_')
            {
                word.push(*next);
                characters.next();
            }
            tokens.push(word);
        } else if character == ':' && characters.peek() == Some(&':') {
            characters.next();
            tokens.push("::".into());
        } else if !character.is_whitespace() {
            tokens.push(character.into());
        }
    }
    tokens
}

/// Reads one path from `at`; answers where it ends.
fn read_path(tokens: &[String], mut at: usize, before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = read_path(tokens, at, &path, paths);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            word if word.starts_with(|c: char| c.is_alphanumeric() || c == '_') => {
                path.push(word.to_owned());
                at += 1;
                if tokens.get(at).is_some_and(|token| token == "::") {
                    at += 1;
                    continue;
                }
                // `use a as b`
                if tokens.get(at).is_some_and(|token| token == "as") {
                    at += 2;
                }
                break;
            }
            _ => {
                at += 1;
                break;
            }
        }
    }
    paths.push(path);
    at
}

fn imports(source: &str) -> Imports {
    let source = root().join(source);
    let mut found = Vec::new();
    files(&source, &mut found);
    let modules: BTreeSet<String> = found.iter().map(|path| module_of(path, &source)).collect();
    let mut all = Imports::new();
    for path in found {
        let module = module_of(&path, &source);
        if is_test(&module) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let named = named_paths(&code(&text)).into_iter();
        let imported = named
            .filter_map(|named| resolve(&module, &named, &modules))
            .filter(|other| *other != module && !is_test(other));
        all.insert(module.clone(), imported.collect());
    }
    all
}

/// The module a path leads into.
fn resolve(module: &str, named: &[String], modules: &BTreeSet<String>) -> Option<String> {
    let mut absolute: Vec<String> = module
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    for part in named {
        match part.as_str() {
            "crate" => absolute.clear(),
            "super" => drop(absolute.pop()),
            "self" => {}
            other => absolute.push(other.to_owned()),
        }
    }
    while !absolute.is_empty() {
        let path = absolute.join("::");
        if modules.contains(&path) {
            return Some(path);
        }
        absolute.pop();
    }
    None
}

/// Whether one is the other's parent.
fn are_family(one: &str, other: &str) -> bool {
    is_part(one, other) || is_part(other, one)
}

/// Whether one is a part of the other, at whatever depth.
fn is_part(one: &str, other: &str) -> bool {
    !other.is_empty() && one.starts_with(&format!("{other}::"))
}

/// The modules of one circle of imports, the first one again at the end; nothing where there is none. A module and its parts
/// are a family: that they name each other is no circle.
fn circle(imports: &Imports) -> Option<Vec<&str>> {
    let mut finished = BTreeSet::new();
    imports
        .keys()
        .find_map(|module| circle_from(module, imports, &mut Vec::new(), &mut finished))
}

fn circle_from<'a>(
    module: &'a str,
    imports: &'a Imports,
    way: &mut Vec<&'a str>,
    finished: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = way.iter().position(|earlier| *earlier == module) {
        let circle = way.iter().skip(start).copied();
        return Some(circle.chain([module]).collect());
    }
    if !finished.insert(module) {
        return None;
    }
    way.push(module);
    let imported = imports.get(module).into_iter().flatten();
    // A module and its parts may name each other. Whoever imports the module gets what its parts import as well.
    let parts = imports.keys().filter(|other| is_part(other, module));
    let found = imported
        .filter(|other| !are_family(module, other))
        .chain(parts)
        .find_map(|other| circle_from(other, imports, way, finished));
    way.pop();
    found
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = CRATES.iter().map(|(source, _)| *source);
    for source in sources.chain(WITHOUT_WINGS) {
        let imports = imports(source);
        assert!(imports.len() > 1, "{source}: the imports are read no more");
        assert_eq!(circle(&imports), None, "{source}");
    }
}

/// A module of the admin UI by its path without an ending, and what it imports of the others. What is imported for its type alone
/// is gone from what is built, and makes no circle there; what is imported when it is wanted does.
fn ui_imports() -> Imports {
    let folder = root().join(ADMIN_UI);
    let modules: BTreeMap<String, String> = ui_files(&folder)
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&folder).expect("a file of the UI");
            let module = inside.with_extension("").display().to_string();
            (module, fs::read_to_string(&path).expect("a source file is UTF-8"))
        })
        .filter(|(module, _)| !module.ends_with(".test") && !module.ends_with(".d"))
        .collect();
    let resolved = |module: &str, text: &str| {
        let imported = ui_specifiers(text).into_iter();
        let paths = imported.filter_map(|specifier| ui_module(module, &specifier));
        paths.filter(|path| modules.contains_key(path)).collect()
    };
    let all = modules.iter();
    all.map(|(module, text)| (module.clone(), resolved(module, text)))
        .collect()
}

fn ui_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the UI has its folders") {
        let path = entry.expect("a directory can be read").path();
        if path.is_dir() {
            found.extend(ui_files(&path));
        } else if path
            .extension()
            .is_some_and(|ending| ending == "ts" || ending == "tsx")
        {
            found.push(path);
        }
    }
    found
}

/// What a file names behind `from`, `import` or `import(`, where it begins with a dot.
fn ui_specifiers(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for statement in code.split(';') {
        for word in ["from", "import(", "import"] {
            for (at, _) in statement.match_indices(word) {
                // The statement before may have no semicolon at its end.
                let before = statement.get(..at).unwrap_or_default();
                let begins = before.rfind("import ").max(before.rfind("export "));
                let begins = begins.and_then(|begins| before.get(begins + "import ".len()..));
                if word == "from" && begins.is_some_and(|rest| rest.starts_with("type ")) {
                    continue;
                }
                let behind = statement.get(at + word.len()..).unwrap_or_default().trim_start();
                let quoted = behind
                    .strip_prefix(['"', '\''])
                    .filter(|path| path.starts_with('.'));
                found.extend(
                    quoted
                        .and_then(|path| path.split(['"', '\'']).next())
                        .map(str::to_owned),
                );
            }
        }
    }
    found
}

/// `pages/Bot` and `../ui/parts` → `ui/parts`; nothing for what lies outside.
fn ui_module(module: &str, specifier: &str) -> Option<String> {
    let mut path: Vec<&str> = module.split('/').collect();
    path.pop();
    for part in specifier.split('/') {
        match part {
            "." => {}
            ".." => drop(path.pop()?),
            other => path.push(other),
        }
    }
    let path = path.join("/");
    let ending = path.strip_suffix(".tsx").or_else(|| path.strip_suffix(".ts"));
    Some(ending.unwrap_or(&path).to_owned())
}

#[test]
fn no_files_of_the_admin_ui_import_each_other_in_a_circle() {
    let imports = ui_imports();
    let edges: usize = imports.values().map(BTreeSet::len).sum();
    assert!(imports.len() > 20 && edges > 50, "the imports are read no more");
    assert!(
        imports
            .get("router")
            .is_some_and(|router| router.contains("pages/Bots")),
        "a page that is loaded when it is wanted is imported"
    );
    assert_eq!(circle(&imports), None, "{ADMIN_UI}");
}

#[test]
fn imports_of_the_admin_ui_are_read_as_its_bundler_reads_them() {
    let code = "import { a,\n  b } from './a';\nfunction x() {}\nimport type { C } from \"./c\";\nexport { d } from \"../d\";\nimport \"./e.css\";\n\
         const f = () => import(\n  \"./f\");\n// import g from \"./g\";\nimport React from \"react\";";
    assert_eq!(ui_specifiers(code), ["./a", "../d", "./e.css", "./f"]);
    assert_eq!(
        ui_module("pages/bot/Actions", "../../api/client.ts"),
        Some("api/client".to_owned())
    );
    assert_eq!(ui_module("router", "../runbooks"), None);
}

#[test]
fn a_wing_imports_only_what_lies_below_it() {
    for (source, wings) in CRATES {
        let height = |module: &str| {
            let wing = module.split("::").next().unwrap_or_default();
            wings.iter().position(|known| *known == wing)
        };
        let imports = imports(source);
        for (module, imported) in imports.iter().filter(|(module, _)| !module.is_empty()) {
            let own =
                height(module).unwrap_or_else(|| panic!("{source}: {module} is in no wing this test knows"));
            for other in imported {
                assert!(
                    height(other) <= Some(own),
                    "{source}: {module} imports {other}, which lies above it"
                );
            }
        }
        assert!(
            imports.len() > wings.len(),
            "{source}: the imports are read no more"
        );
    }
}

#[test]
fn a_circle_of_any_length_is_found_and_a_family_is_none() {
    let all = |edges: &[(&str, &[&str])]| -> Imports {
        let edges = edges.iter();
        edges
            .map(|(module, imported)| {
                let imported = imported.iter().map(|other| (*other).to_owned());
                ((*module).to_owned(), imported.collect())
            })
            .collect()
    };
    let family = all(&[("a", &["a::part", "b"]), ("a::part", &["a", "b"]), ("b", &[])]);
    assert_eq!(circle(&family), None);
    let two = all(&[("a", &["b"]), ("b", &["a"])]);
    assert_eq!(circle(&two), Some(vec!["a", "b", "a"]));
    let three = all(&[("a", &["b"]), ("b", &["c"]), ("c", &["d"]), ("d", &["b"])]);
    assert_eq!(circle(&three), Some(vec!["b", "c", "d", "b"]));
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let code = "use crate::a::{b, c::{self, d}, e as f}; fn x() { super::g::h(); crate::a::i() }";
    let named: BTreeSet<_> = named_paths(code)
        .into_iter()
        .map(|path| path.join("::"))
        .collect();
    let expected = [
        "crate::a::b",
        "crate::a::c::self",
        "crate::a::c::d",
        "crate::a::e",
        "super::g::h",
        "crate::a::i",
    ];
    assert_eq!(named, expected.into_iter().map(str::to_owned).collect());
}
