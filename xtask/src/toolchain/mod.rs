//! Finds or installs the tools: the ordinary way first, the offline fallback second.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

pub(crate) fn setup(_root: &Path) -> Result<ExitCode> {
    anyhow::bail!("setup is being built")
}
pub(crate) fn worker_build(_root: &Path) -> Result<ExitCode> {
    anyhow::bail!("worker-build is being built")
}
pub(crate) fn wrangler(_root: &Path, _args: &[String]) -> Result<ExitCode> {
    anyhow::bail!("wrangler is being built")
}
