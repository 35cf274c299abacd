//! Runs the whole system on this machine, and what stands in for the world around it.

mod bridge;
mod environment;
mod flows;
mod identity;
mod issuer;
mod keys;
mod listen;
mod model;
mod people;
mod screen;
mod sessions;
mod signals;
mod stack;
mod token;
mod totp;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use moltworker_core::settings::BOT_DOMAIN;
use tokio::io::AsyncReadExt as _;

use crate::toolchain::{Detail, Part, Toolchain};
use environment::RealModel;
pub(crate) use identity::IdentityArgs;
pub(crate) use model::ModelArgs;
use stack::{Output, Plan, Stack};
pub(crate) use token::TokenArgs;

/// Each bot has an origin of its own, as is recommended, and the admin UI is there: browsers take names below `localhost` to
/// this machine.
const LOCAL_BOT_DOMAIN: &str = "bots.localhost";

/// Options of `cargo xtask dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Port of the Worker; 0 for any free one
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Where to keep what outlives a run, if not in .dev/state
    #[arg(long)]
    state: Option<PathBuf>,
    /// Milliseconds between two pieces of a canned answer
    #[arg(long, default_value_t = model::DEFAULT_PACE_MS)]
    pace_ms: u64,
    /// Seconds for which the local identity provider's access tokens are valid
    #[arg(long, default_value_t = token::LIFETIME_SECONDS)]
    token_lifetime: i64,
    /// For tests: one line of JSON on stdout once it runs, nothing else there; stops when stdin closes
    #[arg(long, hide = true)]
    json_ready: bool,
    /// For tests: run another image than the product's
    #[arg(long, hide = true)]
    dockerfile: Option<PathBuf>,
    /// For tests: one more setting of the Worker, as NAME=VALUE; may be given several times
    #[arg(long = "set", hide = true, value_parser = setting)]
    more: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting looks like NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `cargo xtask dev`
pub(crate) fn dev(root: &Path, args: &DevArgs) -> Result<ExitCode> {
    let detail = if args.json_ready {
        Detail::OnlyWork
    } else {
        Detail::EveryStep
    };
    let tools = Toolchain::prepare(root, &[Part::Worker, Part::Docker], detail)?;
    eprintln!("  {}", tools.build_worker()?);
    let state = std::path::absolute(args.state.clone().unwrap_or_else(|| root.join(".dev/state")))?;
    let mut more = args.more.clone();
    // Tests say themselves which hosts bots have.
    if !args.json_ready {
        more.insert(0, (BOT_DOMAIN.name.to_owned(), LOCAL_BOT_DOMAIN.to_owned()));
    }
    let plan = Plan {
        root,
        tools: &tools,
        keys: if args.state.is_some() {
            state.join("identity")
        } else {
            issuer::default_dir(root)
        },
        state,
        port: args.port,
        usual_ports: !args.json_ready,
        dockerfile: args.dockerfile.as_ref().map(std::path::absolute).transpose()?,
        token_lifetime: args.token_lifetime,
        more: &more,
        // Tests must not depend on whose machine they run on, nor spend its owner's money.
        real_model: if args.json_ready {
            None
        } else {
            RealModel::from_environment()?
        },
        pace: Duration::from_millis(args.pace_ms),
        cron: !args.json_ready,
        output: if args.json_ready {
            Output::LogOnly
        } else {
            Output::Terminal
        },
    };
    let keys = plan.keys.clone();
    run(live(plan, &keys, args.json_ready))
}

/// Starts the system, says so, and stops it when asked to or when a part of it fails.
async fn live(plan: Plan<'_>, keys: &Path, json_ready: bool) -> Result<ExitCode> {
    // Listens from the start: being told to stop while starting must stop what was started so far.
    let mut stop = Box::pin(signals::asked_to_stop());
    let state = plan.state.clone();
    let default_keys = issuer::default_dir(plan.root);
    let mut stack = tokio::select! {
        stack = Stack::start(plan) => stack?,
        signal = &mut stop => {
            eprintln!("\n{}: stopped while starting", signal?);
            stack::sweep(&state).await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    if json_ready {
        println!("{}", screen::json(&stack, keys));
    } else {
        let options = if keys == default_keys {
            String::new()
        } else {
            format!(" --keys {}", keys.display())
        };
        eprintln!("{}", screen::text(&stack, &options));
    }
    let failure = tokio::select! {
        signal = &mut stop => {
            eprintln!("\n{}: stopping", signal?);
            None
        }
        () = stdin_closed(), if json_ready => None,
        failure = stack.failed() => Some(failure),
    };
    stack.stop().await?;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Resolves when whoever started this is gone.
async fn stdin_closed() {
    let mut ignored = [0; 64];
    let mut stdin = tokio::io::stdin();
    while stdin.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

/// `cargo xtask token`
pub(crate) fn print_token(root: &Path, args: &TokenArgs) -> Result<ExitCode> {
    token::print(root, args)
}

/// `cargo xtask identity`
pub(crate) fn identity(root: &Path, args: &IdentityArgs) -> Result<ExitCode> {
    run(identity::run(root, args))
}

/// `cargo xtask model`
pub(crate) fn model(args: &ModelArgs) -> Result<ExitCode> {
    let real = RealModel::from_environment()?;
    run(model::run(args, real))
}

/// Lets HTTPS requests be made. An error means that a provider is installed already, which is all it takes.
fn install_tls() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    let result = runtime.block_on(work);
    // A read of stdin cannot be interrupted; waiting for it would keep a stopped command from ending.
    runtime.shutdown_background();
    result
}
