//! `cargo xtask fuzz [seconds]`: random input against what a stranger can reach first, in `fuzz/`.
//!
//! No cargo-fuzz and no nightly compiler: libFuzzer's own main function, and coverage by flags every compiler has.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

/// Options of `cargo xtask fuzz`.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// Seconds for each target
    #[arg(default_value_t = 60)]
    seconds: u64,
}

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
