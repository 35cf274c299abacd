//! The local model server: an OpenAI-compatible endpoint for the bots on this machine.
//!
//! Without a key it answers by itself, and says so. With the developer's key it forwards and adds the key
//! here, on the host, so that no container ever holds it.

mod canned;
mod forward;
mod guard;

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::middleware;
use clap::Args;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::bridge::{self, HOST_SEEN_FROM_CONTAINERS};
use super::environment::RealModel;
use super::listen;

/// Where the server listens unless that port is taken.
const PREFERRED_PORT: u16 = 8799;

/// What answers a bot's questions.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// Fixed answers, so that a conversation works without a key and without the internet.
    Canned {
        /// Pause between two pieces of a streamed answer, so that streaming can be seen.
        pace: Duration,
    },
    /// The real API, with the developer's key.
    Forward(RealModel),
}

impl Mode {
    /// The id a bot is told to ask for.
    pub(crate) fn model_id(&self) -> &str {
        match self {
            Self::Canned { .. } => canned::MODEL_ID,
            Self::Forward(real) => &real.model_id,
        }
    }

    /// One line for the developer. Never shows the key.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Canned { .. } => {
                format!(
                    "{} (canned answers; set OPENAI_API_KEY to talk to a real model)",
                    canned::MODEL_ID
                )
            }
            Self::Forward(real) => {
                format!(
                    "{} at {}, with the key from OPENAI_API_KEY",
                    real.model_id, real.base_url
                )
            }
        }
    }
}

/// A model server that has its port, on loopback and where containers reach this machine.
pub(crate) struct Model {
    listeners: Vec<TcpListener>,
    mode: Mode,
    port: u16,
}

impl Model {
    /// Takes a port: the wanted one, else the usual one if it is free, else any.
    ///
    /// Never listens on all addresses: a forwarder with a key must not be reachable from the network.
    pub(crate) async fn bind(mode: Mode, port: Option<u16>) -> Result<Self> {
        let loopback = match port {
            Some(port) => listen::on(Ipv4Addr::LOCALHOST, port).await?,
            None => listen::preferring(Ipv4Addr::LOCALHOST, PREFERRED_PORT).await?,
        };
        let port = loopback.local_addr()?.port();
        let mut listeners = vec![loopback];
        if let Some(gateway) = bridge::gateway().await {
            listeners.extend(listen::if_ours(gateway, port).await?);
        }
        Ok(Self {
            listeners,
            mode,
            port,
        })
    }

    /// Base of the API as a program on this machine reaches it.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Base of the API as a container reaches it: what the Worker is told as `MODEL_BASE_URL`.
    pub(crate) fn url_for_containers(&self) -> String {
        format!("http://{HOST_SEEN_FROM_CONTAINERS}:{}/v1", self.port)
    }

    /// What answers.
    pub(crate) fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Answers until the process ends or the caller drops this.
    pub(crate) async fn serve(self) -> Result<()> {
        let mut hosts = vec![HOST_SEEN_FROM_CONTAINERS.to_owned(), "localhost".to_owned()];
        for listener in &self.listeners {
            hosts.push(listener.local_addr()?.ip().to_string());
        }
        let routes: Router = match self.mode {
            Mode::Canned { pace } => canned::router(pace),
            Mode::Forward(real) => forward::router(&real)?,
        };
        let app = routes.layer(middleware::from_fn_with_state(
            Arc::new(hosts),
            guard::programs_only,
        ));
        let mut servers = JoinSet::new();
        for listener in self.listeners {
            let app = app.clone();
            servers.spawn(async move { axum::serve(listener, app).await });
        }
        match servers.join_next().await {
            Some(ended) => ended?.context("the model server stopped"),
            None => Ok(()),
        }
    }
}

/// Options of `cargo xtask model`.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Port to listen on; 0 for any free one
    #[arg(long, default_value_t = PREFERRED_PORT)]
    port: u16,
    /// Milliseconds between two pieces of a canned answer
    #[arg(long, default_value_t = DEFAULT_PACE_MS)]
    pace_ms: u64,
}

/// Slow enough to be seen, fast enough not to be waited for.
pub(crate) const DEFAULT_PACE_MS: u64 = 40;

/// Runs the server alone until a signal, after one line of JSON that says where it is.
pub(crate) async fn run(args: &ModelArgs, real: Option<RealModel>) -> Result<ExitCode> {
    let mode = real.map_or(
        Mode::Canned {
            pace: Duration::from_millis(args.pace_ms),
        },
        Mode::Forward,
    );
    let model = Model::bind(mode, Some(args.port)).await?;
    eprintln!("model: {}", model.mode().describe());
    let addresses: Vec<IpAddr> = model
        .listeners
        .iter()
        .filter_map(|listener| Some(listener.local_addr().ok()?.ip()))
        .collect();
    println!(
        "{}",
        serde_json::json!({
            "baseUrl": model.url(),
            "baseUrlForContainers": model.url_for_containers(),
            "addresses": addresses,
            "model": model.mode().model_id(),
        })
    );
    tokio::select! {
        ended = model.serve() => ended?,
        signal = super::signals::asked_to_stop() => { signal?; }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
