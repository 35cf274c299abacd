//! The whole system on this machine: what is started, in which order, and how all of it ends.

mod containers;
mod cron;
mod process;
mod state;
mod worker;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::bridge;
use super::environment::RealModel;
use super::identity::Identity;
use super::listen;
use super::model::{Mode, Model};
use crate::toolchain::Toolchain;
use containers::Containers;
pub(crate) use process::Output;
use state::State;
use worker::Worker;

/// What to run and where.
pub(crate) struct Plan<'a> {
    pub(crate) root: &'a Path,
    pub(crate) tools: &'a Toolchain,
    /// Where everything is kept that outlives a run.
    pub(crate) state: PathBuf,
    /// Keys of the local identity provider.
    pub(crate) keys: PathBuf,
    /// The Worker's port; 0 for any.
    pub(crate) port: u16,
    /// Takes the usual ports for the identity provider and the model server where they are free.
    pub(crate) usual_ports: bool,
    /// Seconds for which the identity provider's access tokens are valid.
    pub(crate) token_lifetime: i64,
    /// Another Dockerfile than the product's.
    pub(crate) dockerfile: Option<PathBuf>,
    /// Settings of the Worker that usually are those of wrangler.toml.
    pub(crate) more: &'a [(String, String)],
    /// The developer's own model, if there is a key for one.
    pub(crate) real_model: Option<RealModel>,
    /// Pause between two pieces of a canned answer.
    pub(crate) pace: Duration,
    /// Ticks the Worker's cron trigger, which wrangler dev leaves to its user.
    pub(crate) cron: bool,
    /// Where wrangler's output goes besides the log file.
    pub(crate) output: Output,
}

/// A system that answers.
pub(crate) struct Stack {
    pub(crate) url: String,
    pub(crate) supabase_url: String,
    pub(crate) anon_key: String,
    pub(crate) jwt_secret: String,
    pub(crate) model_url: String,
    pub(crate) model: Mode,
    pub(crate) log: PathBuf,
    pub(crate) container_filter: String,
    pub(crate) session_key: String,
    pub(crate) backup_key: String,
    pub(crate) operator_token: String,
    pub(crate) wrangler_pid: u32,
    worker: Worker,
    containers: Containers,
    servers: JoinSet<Result<()>>,
    // Held until everything has ended: two systems must not share one state.
    _state: State,
}

impl Stack {
    /// Starts everything and waits until the Worker answers. What was started ends again if that fails.
    pub(crate) async fn start(plan: Plan<'_>) -> Result<Self> {
        let state = State::open(&plan.state)?;
        // Asked for early, so that nobody waits for a build to hear that the port is taken, and held until
        // wrangler needs it, so that no stand-in takes it.
        let place = listen::on(Ipv4Addr::LOCALHOST, plan.port).await?;
        let port = place.local_addr()?.port();
        let containers = Containers::of(state.worker_name());
        containers.remove_all().await?;

        let stand_in_port = if plan.usual_ports { None } else { Some(0) };
        let identity = Identity::bind(&plan.keys, stand_in_port, plan.token_lifetime).await?;
        let mode = plan
            .real_model
            .map_or(Mode::Canned { pace: plan.pace }, Mode::Forward);
        let model = Model::bind(mode, stand_in_port).await?;

        let url = format!("http://localhost:{port}");
        let (supabase_url, anon_key) = (identity.url().to_owned(), identity.anon_key().to_owned());
        let jwt_secret = identity.jwt_secret().to_owned();
        let (model_url, mode) = (model.url(), model.mode().clone());
        let relay = bridge::Relay::bind(port).await?;
        let settings = state.write_settings(&state::Settings {
            public_url: &url,
            repository_url: &relay.url_for_containers(),
            supabase_url: &supabase_url,
            anon_key: &anon_key,
            jwt_secret: &jwt_secret,
            model_base_url: &model.url_for_containers(),
            model_id: mode.model_id(),
            more: plan.more,
        })?;
        let mut servers = JoinSet::new();
        servers.spawn(identity.serve());
        servers.spawn(model.serve());
        servers.spawn(relay.serve());

        let config = state.config(plan.root, plan.dockerfile.as_deref())?;
        let launch = worker::Launch {
            tools: plan.tools,
            root: plan.root,
            config: &config,
            settings: &settings,
            state: &state,
            port,
            output: plan.output,
        };
        drop(place);
        let worker = Worker::start(&launch).await?;
        if plan.cron {
            servers.spawn(cron::tick(port));
        }
        let mut stack = Self {
            url,
            supabase_url,
            anon_key,
            jwt_secret,
            model_url,
            model: mode,
            log: state.log(),
            container_filter: containers.filter().to_owned(),
            session_key: state.session_key()?,
            backup_key: state.backup_key()?,
            operator_token: state.operator_token()?,
            wrangler_pid: worker.pid(),
            worker,
            containers,
            servers,
            _state: state,
        };
        match stack.worker.answers(port).await {
            Ok(()) => Ok(stack),
            Err(error) => {
                stack.stop().await?;
                Err(error)
            }
        }
    }

    /// Resolves when a part ended that should not have, with the reason.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            status = self.worker.ended() => match status {
                Ok(status) => anyhow::anyhow!("wrangler ended by itself ({status}); see {}", self.log.display()),
                Err(error) => error,
            },
            Some(ended) = self.servers.join_next() => match ended {
                Ok(Ok(())) => anyhow::anyhow!("a local server ended by itself"),
                Ok(Err(error)) => error,
                Err(panic) => panic.into(),
            },
        }
    }

    /// Stops everything this started, and nothing else.
    pub(crate) async fn stop(mut self) -> Result<()> {
        // First the Worker, which would start containers again; then its containers; last what both talk to.
        let worker = self.worker.stop().await;
        let containers = self.containers.remove_all().await;
        containers::rename_image(&self.log).await;
        self.servers.shutdown().await;
        worker?;
        containers
    }
}

/// Removes the containers of a system whose start was broken off.
pub(crate) async fn sweep(state: &Path) -> Result<()> {
    let state = State::open(state)?;
    Containers::of(state.worker_name()).remove_all().await?;
    containers::rename_image(&state.log()).await;
    Ok(())
}

/// A client for this machine only: proxies that the developer's environment names are not asked.
fn local_client() -> Result<reqwest::Client> {
    crate::dev::install_tls();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
