//! `cargo xtask bench`: what is measured, printed with ratios. Nothing here passes or fails.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::toolchain::{Detail, Part, Toolchain};

pub(crate) fn bench(root: &Path) -> Result<ExitCode> {
    let tools = Toolchain::prepare(
        root,
        &[Part::Worker, Part::Docker, Part::Restic],
        Detail::OnlyWork,
    )?;
    println!("{}", tools.build_worker()?);
    let programs = build_supervisor(&tools, root)?;
    let mut code = ExitCode::SUCCESS;
    // The quick ones first.
    for part in ["bench/verification.mjs", "bench/home.mjs", "bench/chain.mjs"] {
        let status = tools
            .node()?
            .arg(part)
            .env("SUPERVISOR_BIN", programs.join("test-supervisor"))
            .env("FAKE_GATEWAY_BIN", programs.join("fake-gateway"))
            .current_dir(root)
            .status()
            .context("node cannot be started")?;
        if !status.success() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Builds the supervisor as it ships, but with settings that can be set, and the gateway of its tests; where they are.
fn build_supervisor(tools: &Toolchain, root: &Path) -> Result<PathBuf> {
    let target = root.join("target");
    let status = tools
        .command("cargo")?
        .args(["build", "--release", "--quiet", "--package", "moltbot-supervisor"])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "the supervisor does not build");
    Ok(target.join("release"))
}
