//! Where the local project keeps its keys, and the issuer its provider last ran as.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where the provider listens unless that port is taken: the real server's own.
pub(crate) const PREFERRED_PORT: u16 = 9999;
const FILE: &str = "issuer";

/// Where the local project keeps its keys.
pub(crate) fn default_dir(root: &Path) -> PathBuf {
    root.join(".dev/identity")
}

/// The issuer the provider with these keys last ran as, so that a token can be made while it does not run.
pub(crate) fn last(dir: &Path) -> Result<String> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(of(&url(PREFERRED_PORT)));
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// The issuer of the provider at this address, which is the last one from now on.
pub(crate) fn record(dir: &Path, url: &str) -> Result<String> {
    let issuer = of(url);
    let path = dir.join(FILE);
    fs::write(&path, &issuer).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(issuer)
}

/// The address of a provider on this machine.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn of(url: &str) -> String {
    format!("{url}/auth/v1")
}
