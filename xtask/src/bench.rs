//! `cargo xtask bench`: what is measured, printed with ratios. Nothing here passes or fails.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use crate::toolchain::{Detail, Part, Toolchain};

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Only these, in their usual order; all of them when none is named
    subjects: Vec<Subject>,
}

/// In the order they run: the quick ones first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Subject {
    /// A warm request beside the smallest JavaScript Worker: CPU, calls from wasm, billed operations, a profile
    Request,
    /// Verifying an access token, the first time and again
    Verification,
    /// Saving and restoring 1 GB beside restic and tar; restoring on half a processor
    Home,
    /// What a repository with 10, 100 and 1,000 snapshots is asked for
    History,
    /// The whole chain in Docker: cold start, a warm request, the supervisor at rest
    Chain,
}

impl Subject {
    const fn scripts(self) -> &'static [&'static str] {
        match self {
            Self::Request => &["bench/request.mjs"],
            Self::Verification => &["bench/verification.mjs"],
            Self::Home => &["bench/home.mjs", "bench/half-cpu.mjs"],
            Self::History => &["bench/history.mjs"],
            Self::Chain => &["bench/chain.mjs"],
        }
    }

    /// What it needs beside the Worker.
    const fn part(self) -> Option<Part> {
        match self {
            Self::Request | Self::Verification | Self::History => None,
            Self::Home => Some(Part::Restic),
            Self::Chain => Some(Part::Docker),
        }
    }
}

pub(crate) fn bench(root: &Path, args: &BenchArgs) -> Result<ExitCode> {
    let asked = |subject: &&Subject| args.subjects.is_empty() || args.subjects.contains(*subject);
    let subjects: Vec<_> = Subject::value_variants().iter().filter(asked).collect();
    let mut parts = vec![Part::Worker];
    parts.extend(subjects.iter().filter_map(|subject| subject.part()));
    let tools = Toolchain::prepare(root, &parts, Detail::OnlyWork)?;
    println!("{}", tools.build_worker()?);
    let programs = subjects
        .iter()
        .any(|subject| matches!(subject, Subject::Home | Subject::History))
        .then(|| build_supervisor(&tools, root))
        .transpose()?;
    let mut code = ExitCode::SUCCESS;
    for name in subjects.iter().flat_map(|subject| subject.scripts()) {
        let mut script = tools.node()?;
        script.arg(name).current_dir(root);
        if let Some(programs) = &programs {
            script
                .env("SUPERVISOR_BIN", programs.join("test-supervisor"))
                .env("FAKE_GATEWAY_BIN", programs.join("fake-gateway"));
        }
        if !script.status().context("node cannot be started")?.success() {
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
