//! Prometheus Alertmanager: what says that our alerts are ones it takes.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::apt;
use super::cache::Cache;
use super::command::on_path;
use super::report::Report;

/// As Debian calls both the program and its package.
const NAME: &str = "prometheus-alertmanager";

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<PathBuf> {
    report.step("alertmanager", |say| {
        if let Some(path) = on_path(NAME) {
            let outcome = path.display().to_string();
            return Ok((path, outcome));
        }
        apt::install(cache, say, "the tests of alerts need Alertmanager", &[NAME])?;
        let path = on_path(NAME).context("Alertmanager was installed but is not on PATH")?;
        let outcome = format!("{} installed", path.display());
        Ok((path, outcome))
    })
}
