//! Runs the whole system on this machine.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub(crate) struct DevArgs {}

#[derive(Args)]
pub(crate) struct TokenArgs {
    /// Whose token: dev-1, dev-2, ...
    name: String,
}

pub(crate) fn dev(_root: &Path, _args: &DevArgs) -> Result<ExitCode> {
    anyhow::bail!("dev is being built")
}

pub(crate) fn token(_root: &Path, args: &TokenArgs) -> Result<ExitCode> {
    anyhow::bail!("token for {} is being built", args.name)
}
