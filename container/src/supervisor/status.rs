//! The supervisor's account of itself, its gateway and its container.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltworker_core::bot::gateway::GatewayView;
use moltworker_core::wire::control::{BackupStatus, Status};
use moltworker_core::wire::run::RunSettings;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::activity::Activity;
use crate::supervisor::cgroup::Cgroup;
use crate::supervisor::disk::disk_of;
use crate::supervisor::probe::Latency;
use crate::supervisor::processes;

/// Where the account comes from.
pub(crate) struct StatusSources {
    /// What the Sandbox said at the start.
    pub(crate) run: RunSettings,
    /// What the gateway's life looks like now.
    pub(crate) view: watch::Receiver<GatewayView>,
    /// When the supervisor started.
    pub(crate) since: Instant,
    /// What the owner does.
    pub(crate) activity: Arc<Activity>,
    /// The gateway's version, once one has said it.
    pub(crate) version: Arc<OnceLock<String>>,
    /// How long the gateway takes to answer.
    pub(crate) latency: Latency,
    /// Where the homes lie: the one above it, which a restore replaces.
    pub(crate) place: PathBuf,
    /// How the bot's snapshots are; nothing without a repository.
    pub(crate) backup: watch::Receiver<Option<BackupStatus>>,
}

impl StatusSources {
    /// How things are now.
    pub(crate) fn status(&self) -> Status {
        let view = self.view.borrow().clone();
        let uptime = self.since.elapsed();
        let ready_for = view.ready_since.map(|since| uptime.saturating_sub(since));
        Status {
            user: self.run.user,
            run: self.run.run,
            supervisor_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: millis(uptime),
            phase: view.phase,
            gateway_pid: view.pid,
            start: view.start,
            restarts: view.restarts,
            last_exit: view.endings.back().map(|ending| ending.exit.clone()),
            gateway_version: self.version.get().cloned(),
            ready_for_ms: ready_for.map(millis),
            endings: view.endings.into(),
            crash_loop: view.crash_loop,
            outlived: Some(view.outlived),
            idle_ms: self.activity.idle_ms(),
            open: self.activity.open(),
            memory: Cgroup::here().memory(),
            disk: disk_of(&self.place),
            cpu_ms: Cgroup::here().cpu_ms(),
            probe_ms: self.latency.millis(),
            processes: processes::count(),
            backup: self.backup.borrow().clone(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
