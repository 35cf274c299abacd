//! `cargo xtask bench`: what is measured, printed with ratios. Nothing here passes or fails.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::toolchain::{Detail, Part, Toolchain};

pub(crate) fn bench(root: &Path) -> Result<ExitCode> {
    let tools = Toolchain::prepare(root, &[Part::Worker, Part::Docker], Detail::OnlyWork)?;
    println!("{}", tools.build_worker()?);
    let status = tools
        .node()?
        .arg("bench/chain.mjs")
        .current_dir(root)
        .status()
        .context("node cannot be started")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
