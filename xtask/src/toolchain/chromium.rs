//! A Chromium for the browser tests.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::apt;
use super::cache::Cache;
use super::command::on_path;
use super::report::Report;

const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
const MACOS: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<PathBuf> {
    report.step("chromium", |say| {
        if let Some(path) = installed() {
            let outcome = path.display().to_string();
            return Ok((path, outcome));
        }
        apt::install(cache, say, "the browser tests need Chromium", &["chromium"])?;
        let path = installed().context("chromium was installed but is not on PATH")?;
        let outcome = format!("{} installed", path.display());
        Ok((path, outcome))
    })
}

fn installed() -> Option<PathBuf> {
    NAMES
        .into_iter()
        .find_map(on_path)
        .or_else(|| Some(PathBuf::from(MACOS)).filter(|path| path.is_file()))
}
