//! Starts the gateway's process and reaches it with signals.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use moltworker_core::wire::control::EndReason;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::output::Logs;
use crate::settings::Settings;
use crate::supervisor::cgroup::Cgroup;
use crate::supervisor::confined_config::{self, NotEdited};
use crate::supervisor::gateway_config;
use crate::supervisor::home::{Fingerprint, HomeError, STATE_DIRECTORY, StateDirectory};
use crate::supervisor::locks;
use crate::supervisor::platform_settings::{self, GatewayPlace};
use crate::supervisor::tenant::Tenant;
use crate::supervisor::tenant::entrance;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Node's compile cache lies below: the image warms it under this path, so it is the same here.
const TEMPORARY: &str = "/tmp";
/// What the gateway calls itself in a `ps` of the container.
const USER: &str = "moltbot";

/// The gateway could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// Its config cannot be made right.
    #[error(transparent)]
    Config(#[from] NotEdited),
    /// Its home cannot be made right.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Somebody out of our reach listens where the gateway would: whatever is below us was ended before.
    #[error("port {0} is held by a process from outside the bot")]
    PortTaken(u16),
    /// The operating system refused.
    #[error("{program}: {error}")]
    Process {
        /// What was to be run.
        program: String,
        /// Why it was not.
        error: io::Error,
    },
}

impl SpawnError {
    /// What it is called in the account of a gateway's life.
    pub(crate) fn reason(&self) -> EndReason {
        match self {
            Self::Config(NotEdited::Refused(_)) => EndReason::ConfigRejected,
            Self::PortTaken(_) => EndReason::PortTaken,
            Self::Config(NotEdited::NotRead(_)) | Self::Home(_) | Self::Process { .. } => {
                EndReason::NotSpawned
            }
        }
    }
}

/// A gateway process. It leads its own process group, so that what it started can be reached too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gateway {
    /// Its process id, and that of its group.
    pub(crate) pid: Pid,
}

/// Those who read what a gateway says; each ends when all has been said.
pub(crate) type Readers = Vec<JoinHandle<()>>;

/// Which version of the config lies in the bot's home.
pub(crate) fn config_fingerprint(settings: &Settings) -> Option<Fingerprint> {
    let state = StateDirectory::open(&settings.home, settings.owner).ok()?;
    state.fingerprint(gateway_config::FILE)
}

impl Gateway {
    /// Puts the config in order, removes what an earlier gateway left and starts the process. Its output goes
    /// to `logs`, its processes are in the control group of `tenant`, if there is one.
    ///
    /// # Errors
    /// The reason, when there is no process afterwards.
    pub(crate) async fn spawn(
        settings: &Settings,
        password: &str,
        logs: &Arc<Logs>,
        tenant: &Tenant,
    ) -> Result<(Self, Readers), SpawnError> {
        let (state, done) =
            StateDirectory::open_without_links(&settings.home, settings.owner, gateway_config::FILE)?;
        for done in done {
            logs.say(&done);
        }
        if let Some(text) = confined_config::edited(&state, settings, logs).await? {
            state.replace(gateway_config::FILE, &text)?;
        }
        let stale = locks::remove_all(&state)?;
        if stale.count > 0 {
            let count = stale.count;
            logs.say(&format!("removed {count} locks of a gateway that is gone"));
        }
        if let Some(reason) = stale.reason {
            let left = stale.left;
            logs.say(&format!(
                "{left} locks of a gateway that is gone cannot be removed: {reason}"
            ));
        }
        if stale.is_partial {
            logs.say("there are more entries beside the locks of gateways than are read: a lock may be left");
        }
        // The gateway itself takes half a minute to find that out.
        if is_taken(settings.gateway) {
            return Err(SpawnError::PortTaken(settings.gateway.port()));
        }
        let failed = |error| SpawnError::Process {
            program: settings.program.display().to_string(),
            error,
        };
        let command = command(settings, password, tenant.group()).map_err(failed)?;
        // In a group that stands still it would begin to stand still, and this would wait for it.
        tenant.go_on();
        let mut child = entrance::start(command).map_err(failed)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(io::Error::other("has no process id")))?;
        let outputs = [
            child.stdout.take().map(OwnedFd::from),
            child.stderr.take().map(OwnedFd::from),
        ];
        let mut readers = Readers::new();
        for output in outputs.into_iter().flatten() {
            match pipe::Receiver::from_owned_fd(output) {
                Ok(output) => readers.push(tokio::spawn(Arc::clone(logs).follow(output))),
                Err(error) => logs.say(&format!("the gateway's output is not readable: {error}")),
            }
        }
        Ok((Self { pid }, readers))
    }

    /// Sends a signal to the gateway alone.
    pub(crate) fn signal(self, signal: Signal) {
        // It may just have ended; its end is collected elsewhere.
        let _ = kill_process(self.pid, signal);
    }

    /// Sends a signal to the gateway and everything in its group.
    pub(crate) fn signal_group(self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }
}

/// Whether the address cannot be had. Connections of an earlier listener that are not forgotten yet do not
/// count: the standard library asks to reuse addresses, as the gateway does.
fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn command(settings: &Settings, password: &str, group: Option<&Path>) -> io::Result<Command> {
    let mut command = entrance::command(settings, group)?;
    let state = settings.home.join(STATE_DIRECTORY);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        // Only what follows: the container's environment holds this run's control token.
        .env_clear()
        .envs(platform_settings::variables(&GatewayPlace {
            home: &settings.home,
            state: &state,
            config: &state.join(gateway_config::FILE),
            address: settings.gateway,
            password,
        }))
        .env("HOME", &settings.home)
        .env("USER", USER)
        .env("LOGNAME", USER)
        .env("SHELL", "/bin/bash")
        .env("LANG", "C.UTF-8")
        .env("PATH", PATH)
        .env("TMPDIR", TEMPORARY)
        // Measured together: a quarter less memory at rest.
        .env("MALLOC_ARENA_MAX", "2")
        .env(
            "NODE_OPTIONS",
            format!(
                "--max-semi-space-size=4 --max-old-space-size={}",
                Cgroup::here().heap_mib()
            ),
        )
        .envs(settings.passed_on.iter().map(|(name, value)| (name, value)));
    Ok(command)
}
