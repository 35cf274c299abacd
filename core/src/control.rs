//! What the supervisor says on its control port: the wire between a container and its Sandbox.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::run::Run;

/// `GET`: a [`Status`] as JSON.
pub const STATUS_PATH: &str = "/v1/status";
/// `GET`: the last lines of the gateway's output as text; `?lines=N` bounds them.
pub const LOGS_PATH: &str = "/v1/logs";
/// Lines of output [`LOGS_PATH`] answers with when the caller does not say.
pub const DEFAULT_LOG_LINES: usize = 200;

/// Where a bot's gateway is in its life, as its supervisor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayPhase {
    /// The process runs and does not answer its start-up probe yet.
    Starting,
    /// The start-up probe answered: requests are served.
    Ready,
    /// The process ended; the next one starts after a pause.
    Restarting,
    /// The supervisor was told to stop and lets the gateway finish.
    Draining,
}

/// How long each part of a gateway's start took, in milliseconds since its process was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StartTimes {
    /// Until the gateway's port accepted a connection.
    pub tcp_ms: Option<u64>,
    /// Until the start-up probe said "started".
    pub ready_ms: Option<u64>,
}

/// How a gateway process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum ExitReason {
    /// It returned this exit code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be spawned at all; the text says why.
    NotSpawned(String),
}

/// The answer to [`STATUS_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whose bot this container runs.
    pub user: UserId,
    /// Which life of the container answers; the Sandbox drops an answer of another run.
    pub run: Run,
    /// Version of the supervisor.
    pub supervisor_version: String,
    /// Milliseconds since the supervisor started.
    pub uptime_ms: u64,
    /// Where the gateway is in its life.
    pub phase: GatewayPhase,
    /// Process id of the gateway, while there is one.
    pub gateway_pid: Option<u32>,
    /// How long the current (or last) gateway process took to start.
    pub start: StartTimes,
    /// How many times the gateway was started again in this run.
    pub restarts: u32,
    /// Why the last gateway process ended, if one did.
    pub last_exit: Option<ExitReason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The supervisor and the Worker may be of different versions during a rollout: the text is a contract.
    #[test]
    fn the_wire_form_is_fixed() {
        let status = Status {
            user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            run: Run(3),
            supervisor_version: "0.1.0".into(),
            uptime_ms: 15_000,
            phase: GatewayPhase::Ready,
            gateway_pid: Some(42),
            start: StartTimes {
                tcp_ms: Some(11_000),
                ready_ms: Some(14_800),
            },
            restarts: 1,
            last_exit: Some(ExitReason::Signal(9)),
        };
        let golden = include_str!("../../tests/contract/status.json");
        assert_eq!(serde_json::from_str::<Status>(golden).unwrap(), status);
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            serde_json::from_str::<serde_json::Value>(golden).unwrap()
        );
    }
}
