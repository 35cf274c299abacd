//! The stock restic: what says that our repositories are restic's.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::apt;
use super::cache::Cache;
use super::command::on_path;
use super::report::Report;

const NAME: &str = "restic";

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<PathBuf> {
    report.step(NAME, |say| {
        if let Some(path) = on_path(NAME) {
            let outcome = path.display().to_string();
            return Ok((path, outcome));
        }
        apt::install(cache, say, "the tests of backups need restic", &[NAME])?;
        let path = on_path(NAME).context("restic was installed but is not on PATH")?;
        let outcome = format!("{} installed", path.display());
        Ok((path, outcome))
    })
}
