//! Prometheus' own judge of metrics, rules and expressions.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::apt;
use super::cache::Cache;
use super::command::on_path;
use super::report::Report;

const NAME: &str = "promtool";
/// What a package of 20 MB unpacks to.
const MEGABYTES: u64 = 150;

/// From the machine, or out of Debian's package: installed, that would run a server for which nobody has asked.
pub(crate) fn find(cache: &Cache, report: &Report) -> Result<PathBuf> {
    report.step(NAME, |say| {
        if let Some(path) = on_path(NAME) {
            let outcome = path.display().to_string();
            return Ok((path, outcome));
        }
        if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
            bail!(
                "the tests of metrics need promtool, which is part of Prometheus: install prometheus (or what your system \
                 calls it) and run again"
            );
        }
        let dir = cache.entry(NAME, MEGABYTES, |dir| {
            apt::unpack(cache, say, "the tests of metrics need promtool", "prometheus", dir)
        })?;
        let path = dir.join("usr/bin").join(NAME);
        if !path.is_file() {
            bail!("the package prometheus has no {NAME}: put one on PATH and run again");
        }
        let outcome = path.display().to_string();
        Ok((path, outcome))
    })
}
