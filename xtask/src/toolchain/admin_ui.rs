//! Builds and checks the admin UI and the owner's own page: what is deployed beside the Worker, in `admin-ui/dist`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::cache::{self, Cache, fingerprint};
use super::command::{command, path_with};
use super::js_tools::{self, JsTools};
use super::node::Node;
use super::report::Report;

/// Where it is, relative to the repository.
const FOLDER: &str = "admin-ui";
/// What it is built from, relative to that.
const INPUTS: [&str; 7] = [
    "bot.html",
    "index.html",
    "package-lock.json",
    "runbooks.ts",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];
/// The types of the API, which the checks write.
const TYPES: &str = "src/api/schema.d.ts";
/// What was built, to the last file: the build writes the page when all it names is there.
const PAGE: &str = "dist/admin/index.html";

/// Its packages, as locked.
pub(super) fn find(root: &Path, cache: &Cache, report: &Report, node: &Node) -> Result<JsTools> {
    js_tools::installed(
        &root.join(FOLDER),
        cache,
        report,
        node,
        ("admin UI", "react, kumo, vite, vitest"),
    )
}

/// Builds it, unless nothing changed.
pub(super) fn build(root: &Path, node: &Node, js: &JsTools) -> Result<()> {
    let folder = root.join(FOLDER);
    let stamp_file = root.join("target/worker/admin-ui.stamp");
    // The page shows what to do about an incident as the operations say it.
    let mut files = vec![root.join("docs/operations.md")];
    for input in INPUTS {
        cache::collect(&folder.join(input), &mut files)?;
    }
    // Types do not reach what is built, and the checks write these.
    files.retain(|file| !file.ends_with(TYPES));
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        parts.push(file.as_os_str().as_encoded_bytes().to_vec());
        parts.push(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let stamp = fingerprint(parts.iter().map(Vec::as_slice));
    if folder.join(PAGE).is_file() && fs::read_to_string(&stamp_file).is_ok_and(|last| last == stamp) {
        return Ok(());
    }
    // One that is cut short is none.
    fs::remove_file(&stamp_file).ok();
    let status = command(&node.node)
        .arg(js.program("vite"))
        .args(["build", "--logLevel", "warn"])
        .env("PATH", path_with(&node.bin)?)
        .current_dir(&folder)
        .status()
        .context("vite cannot be started")?;
    ensure!(
        status.success(),
        "the admin UI does not build ({status}); the reason is above"
    );
    fs::write(&stamp_file, stamp)?;
    Ok(())
}

/// Its checks: types against the API's document, lints, tests.
pub(super) fn checks(root: &Path, node: &Node) -> Result<Command> {
    let mut npm = node.npm()?;
    npm.args(["run", "--silent", "verify"])
        .current_dir(root.join(FOLDER));
    Ok(npm)
}
