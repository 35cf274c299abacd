//! Debian packages, where the machine is a Debian one and the caller may install.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::command::{command, is_root, logged, on_path};
use super::report::Say;

/// Installs packages with apt, or says in one sentence what the user is to install instead.
pub(crate) fn install(cache: &Cache, say: &Say<'_>, why: &str, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if on_path("apt-get").is_none() {
        bail!(
            "{why}, and there is no apt-get to install it with: install {list} (or what your system calls it) and run again"
        );
    }
    if !is_root() {
        bail!("{why}: run `sudo apt-get install {list}` and run again");
    }
    say.doing(format!("{why}: apt-get install {list}"));
    let log = cache.path("apt.log");
    let attempt = || {
        logged(
            command("apt-get")
                .args(["install", "--yes", "--quiet", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
            &log,
        )
    };
    // The lists of a fresh machine are empty or old; asking for them first would cost every other machine.
    if attempt().is_ok() {
        return Ok(());
    }
    logged(command("apt-get").args(["update", "--quiet"]), &log)?;
    attempt()
}

/// Unpacks a package into `dir` and installs nothing: neither root nor what it depends on is needed.
pub(crate) fn unpack(cache: &Cache, say: &Say<'_>, why: &str, package: &str, dir: &Path) -> Result<()> {
    say.doing(format!("{why}: apt-get download {package}"));
    let log = cache.path("apt.log");
    let scratch = cache.scratch()?;
    let download = || {
        logged(
            command("apt-get")
                .args(["download", "--quiet", package])
                .current_dir(scratch.path()),
            &log,
        )
    };
    if let Err(refused) = download() {
        if !is_root() {
            return Err(refused.context(format!(
                "{why}: run `sudo apt-get update` and run again, or install {package}"
            )));
        }
        logged(command("apt-get").args(["update", "--quiet"]), &log)?;
        download()?;
    }
    let mut files = fs::read_dir(scratch.path())?;
    let archive = files.next().context("apt-get has downloaded nothing")??.path();
    logged(command("dpkg-deb").arg("--extract").arg(archive).arg(dir), &log)
}
