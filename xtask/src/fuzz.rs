//! `cargo xtask fuzz [seconds]`: random input against what a stranger can reach first, in `fuzz/`.
//!
//! `cargo xtask fuzz-api`: schemathesis against the API of the built Worker, in `tests/api/`.
//!
//! No cargo-fuzz and no nightly compiler: libFuzzer's own main function, and coverage by flags every compiler has.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::toolchain::{Detail, Part, Toolchain};

/// Options of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// Seconds for each target
    #[arg(default_value_t = 60)]
    seconds: u64,
}

/// Options of `cargo xtask fuzz-api`.
#[derive(Debug, Args)]
pub(crate) struct FuzzApiArgs {
    /// Seconds in all, half of them as an owner and half as an admin
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Another seed than the tests' own
    #[arg(long)]
    seed: Option<u64>,
}

/// Seconds the tests take for it: two minutes, as long as all other phases leave room.
pub(crate) const API_SECONDS: u64 = 120;

/// Each with the bytes its longest input has: beyond the limits of what it reads there is nothing to find.
const TARGETS: [(&str, u32); 2] = [("token", 4096), ("route", 512)];
/// What tells libFuzzer which way an input went, and what it was compared with.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Builds and runs every target. What was found lies in `target/fuzz`; inputs worth keeping stay there for the
/// next run.
pub(crate) fn fuzz(root: &Path, args: &FuzzArgs) -> Result<ExitCode> {
    let home = root.join("target/fuzz");
    let mut code = ExitCode::SUCCESS;
    for (target, longest) in TARGETS {
        let corpus = home.join("corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| format!("cannot create {}", corpus.display()))?;
        println!("\n== {target}");
        let ended = Command::new("cargo")
            .args([
                "run",
                "--release",
                "--locked",
                "--manifest-path",
                "fuzz/Cargo.toml",
                "--bin",
                target,
            ])
            // A folder of its own, because the flags are other ones than everybody else's. With a target named,
            // they are not for build scripts.
            .args(["--target", "host-tuple", "--target-dir"])
            .arg(&home)
            .env("RUSTFLAGS", COVERAGE)
            .current_dir(root)
            .arg("--")
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-max_len={longest}"))
            .args(["-print_final_stats=1", "-verbosity=0"])
            .arg(format!("-artifact_prefix={}/{target}-", home.display()))
            .args([&corpus, &root.join("fuzz/seeds").join(target)])
            .status()
            .context("cargo cannot be started")?;
        if !ended.success() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// Calls every operation of the API with good and bad input for some time.
pub(crate) fn fuzz_api(root: &Path, args: &FuzzApiArgs) -> Result<ExitCode> {
    let tools = Toolchain::prepare(root, &[Part::Worker, Part::Schemathesis], Detail::OnlyWork)?;
    println!("{}", tools.build_worker()?);
    let mut command = api_command(&tools, args.seconds)?;
    if let Some(seed) = args.seed {
        command.env("FUZZ_SEED", seed.to_string());
    }
    let ended = command.status().context("node cannot be started")?;
    Ok(if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What does so; it closes as node's spec reporter does.
pub(crate) fn api_command(tools: &Toolchain, seconds: u64) -> Result<Command> {
    let mut command = tools.node()?;
    command
        .arg("tests/api/run.mjs")
        .env("FUZZ_SECONDS", seconds.to_string());
    Ok(command)
}
