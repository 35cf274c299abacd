//! Runs the whole system on this machine, and what stands in for the world around it.

mod bridge;
mod environment;
mod identity;
mod keys;
mod listen;
mod model;
mod people;
mod sessions;
mod signals;
mod token;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;

use environment::RealModel;
pub(crate) use identity::IdentityArgs;
pub(crate) use model::ModelArgs;
pub(crate) use token::TokenArgs;

#[derive(Args)]
pub(crate) struct DevArgs {}

pub(crate) fn dev(_root: &Path, _args: &DevArgs) -> Result<ExitCode> {
    anyhow::bail!("dev is being built")
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

fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new()
        .context("cannot start the async runtime")?
        .block_on(work)
}
