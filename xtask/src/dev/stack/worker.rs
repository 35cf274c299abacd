//! The Worker, run by `wrangler dev`.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, sleep};

use super::process::{Group, Output};
use super::state::State;
use crate::dev::listen;
use crate::toolchain::Toolchain;

/// How long the first start may take: it builds the container image, most of it downloads.
const START_DEADLINE: Duration = Duration::from_secs(20 * 60);
const PROBE_PAUSE: Duration = Duration::from_millis(100);

/// What to run wrangler with.
pub(super) struct Launch<'a> {
    pub(super) tools: &'a Toolchain,
    pub(super) root: &'a Path,
    pub(super) config: &'a Path,
    pub(super) settings: &'a Path,
    pub(super) state: &'a State,
    pub(super) port: u16,
    pub(super) output: Output,
}

/// A `wrangler dev` that was started.
pub(super) struct Worker {
    group: Group,
}

impl Worker {
    /// Brings the local database up to date, then starts wrangler.
    pub(super) async fn start(launch: &Launch<'_>) -> Result<Self> {
        let log = launch.state.log();
        std::fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        migrate(launch).await?;

        let inspector = listen::on(Ipv4Addr::LOCALHOST, 0).await?.local_addr()?.port();
        let mut command = wrangler(launch)?;
        command
            .arg("dev")
            .args(["--ip", "127.0.0.1", "--port", &launch.port.to_string()])
            .args(["--inspector-port", &inspector.to_string()])
            .args(["--local-protocol", "http"])
            .args(["--name", launch.state.worker_name()])
            .arg("--env-file")
            .arg(launch.settings)
            .arg("--show-interactive-dev-session=false");
        common(&mut command, launch);
        Ok(Self {
            group: Group::start(command, &log, launch.output, "worker")?,
        })
    }

    /// Waits until the Worker answers a health request.
    pub(super) async fn answers(&mut self, port: u16) -> Result<()> {
        let client = super::local_client()?;
        let url = format!("http://127.0.0.1:{port}/healthz");
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            // While it builds, wrangler takes a request and answers it later: one probe is enough until then.
            let left = deadline.saturating_duration_since(Instant::now());
            let probe = client.get(&url).timeout(left).send();
            let why_not = tokio::select! {
                status = self.group.ended() => {
                    bail!("wrangler dev ended ({}); it said last:\n{}", status?, self.group.last_lines());
                }
                answer = probe => match answer {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => format!("{url} answers {}", answer.status()),
                    Err(_) => format!("{url} does not answer"),
                },
            };
            if Instant::now() >= deadline {
                let minutes = START_DEADLINE.as_secs() / 60;
                bail!("{why_not} after {minutes} minutes\n{}", self.group.last_lines());
            }
            sleep(PROBE_PAUSE).await;
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.group.pid()
    }

    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        self.group.ended().await
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        self.group.stop().await
    }
}

async fn migrate(launch: &Launch<'_>) -> Result<()> {
    let mut command = wrangler(launch)?;
    // Without a terminal wrangler asks nothing and applies what is missing.
    command.args([
        "d1",
        "migrations",
        "apply",
        moltworker_core::settings::DATABASE_BINDING,
        "--local",
    ]);
    common(&mut command, launch);
    let mut group = Group::start(command, &launch.state.log(), Output::LogOnly, "migrations")?;
    let status = group.ended().await?;
    if !status.success() {
        bail!(
            "the local database could not be migrated ({status}):\n{}",
            group.last_lines()
        );
    }
    Ok(())
}

fn wrangler(launch: &Launch<'_>) -> Result<std::process::Command> {
    let mut command = launch.tools.wrangler()?;
    command
        .current_dir(launch.root)
        .env("WRANGLER_LOG_PATH", launch.state.wrangler_logs())
        .env("WRANGLER_HIDE_BANNER", "true")
        .env("CI", "1")
        .env("NO_COLOR", "1");
    for name in crate::dev::environment::KEPT_FROM_THE_WORKER {
        command.env_remove(name);
    }
    Ok(command)
}

fn common(command: &mut std::process::Command, launch: &Launch<'_>) {
    command
        .arg("--config")
        .arg(launch.config)
        .arg("--persist-to")
        .arg(launch.state.bindings());
}
