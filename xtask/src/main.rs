//! The one tool a newcomer types: `cargo xtask dev` runs everything here, `cargo xtask test` proves it.

mod bench;
mod dependencies;
mod deploy;
mod dev;
mod doctor;
mod fuzz;
mod openapi;
mod test;
mod toolchain;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install every tool the other commands need, and say so line by line
    Setup,
    /// Set up, build and run the whole system on this machine until Ctrl-C
    Dev(dev::DevArgs),
    /// Set up, then run every test, fast layers first
    Test(test::TestArgs),
    /// Measure what the chain costs on this machine
    Bench(bench::BenchArgs),
    /// Throw random input at what parses strangers' tokens and paths
    Fuzz(fuzz::FuzzArgs),
    /// Call every operation of the API with good and bad input, as its document describes it
    FuzzApi(fuzz::FuzzApiArgs),
    /// Write what follows from the table of endpoints: docs/openapi.json, docs/admin-api.md, tests/contract/endpoints.json
    Openapi,
    /// Judge what this stands on: licences, sources, duplicates, and known vulnerabilities where their lists can be had
    Dependencies,
    /// Write what the Worker, the supervisor, the gateway and the tools are made of to target/sbom, as CycloneDX
    Sbom,
    /// Check wrangler.toml and the deployment, and say for each finding what to type; changes nothing
    Doctor(doctor::DoctorArgs),
    /// Check, migrate the database, deploy, see whether it works, and go back if it does not
    Deploy(deploy::DeployArgs),
    /// Print an access token of a local user (dev-1, dev-2, ...)
    Token(dev::TokenArgs),
    /// Run the local identity provider alone; `dev` runs it too
    Identity(dev::IdentityArgs),
    /// Run the local model server alone; `dev` runs it too
    Model(dev::ModelArgs),
    /// Build the Worker into build/ (wrangler calls it before it deploys)
    WorkerBuild,
    /// Run the pinned wrangler with the right Node and environment
    Wrangler {
        /// Everything after `wrangler` is passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let root = repository_root()?;
    match command {
        Command::Setup => toolchain::setup(&root),
        Command::Dev(args) => dev::dev(&root, &args),
        Command::Test(args) => test::test(&root, &args),
        Command::Bench(args) => bench::bench(&root, &args),
        Command::Fuzz(args) => fuzz::fuzz(&root, &args),
        Command::FuzzApi(args) => fuzz::fuzz_api(&root, &args),
        Command::Openapi => openapi::write(&root),
        Command::Dependencies => dependencies::judge(&root),
        Command::Sbom => dependencies::sbom(&root),
        Command::Doctor(args) => doctor::doctor(&root, &args),
        Command::Deploy(args) => deploy::deploy(&root, &args),
        Command::Token(args) => dev::print_token(&root, &args),
        Command::Identity(args) => dev::identity(&root, &args),
        Command::Model(args) => dev::model(&args),
        Command::WorkerBuild => toolchain::worker_build(&root),
        Command::Wrangler { args } => toolchain::wrangler(&root, &args),
    }
}

/// The directory of the workspace, wherever inside it the command was typed.
fn repository_root() -> Result<PathBuf> {
    let mut here = std::env::current_dir().context("the current directory is gone")?;
    loop {
        if here.join("wrangler.toml").is_file() || here.join("xtask/Cargo.toml").is_file() {
            return Ok(here);
        }
        anyhow::ensure!(here.pop(), "run this inside the Moltworker repository");
    }
}
