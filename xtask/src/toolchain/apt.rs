//! Debian packages, where the machine is a Debian one and the caller may install.

use anyhow::{Result, bail};

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
