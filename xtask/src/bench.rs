//! `cargo xtask bench`: what is measured, printed with ratios. Nothing here passes or fails.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::toolchain::{Detail, Part, Toolchain};

pub(crate) fn bench(root: &Path) -> Result<ExitCode> {
    let tools = Toolchain::prepare(
        root,
        &[Part::Worker, Part::Docker, Part::Restic],
        Detail::OnlyWork,
    )?;
    println!("{}", tools.build_worker()?);
    let mut code = ExitCode::SUCCESS;
    // The quick ones first.
    for part in [
        "bench/verification.mjs",
        "bench/repository.mjs",
        "bench/chain.mjs",
    ] {
        let status = tools
            .node()?
            .arg(part)
            .current_dir(root)
            .status()
            .context("node cannot be started")?;
        if !status.success() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
