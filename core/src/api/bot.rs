//! A bot's state in words, and what a supervisor's status means for it.

use serde::{Deserialize, Serialize};

use crate::backup::state::BackupSummary;
use crate::bot::lifecycle::{Desired, GatewayCondition, Lifecycle, LifecycleState, SupervisorReport};
use crate::wire::control::{BackupStatus, GatewayPhase, Progress, RestoreReport, StartTimes, Status};
use crate::wire::run::Run;

/// Three-valued: what could not be found out is neither good nor bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The gateway answers its own probe.
    Healthy,
    /// The supervisor says it does not.
    Unhealthy,
    /// Nobody could be asked, or there is nothing to ask.
    Unknown,
}

/// What the clock and other Sandboxes read of a [`BotStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BotStatusSummary {
    /// See [`BotStatus::state`].
    pub state: BotState,
    /// See [`BotStatus::health`].
    pub health: Health,
    /// See [`BotStatus::idle_ms`].
    pub idle_ms: Option<u64>,
}

/// A bot's state in words for owners, admins and the waking page. Free of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BotStatus {
    /// Where it is in its life.
    pub state: BotState,
    /// The current run, or the last one.
    pub run: Run,
    /// Milliseconds since 1970 at which the state was entered.
    pub since: u64,
    /// What the gateway's own probe says.
    pub health: Health,
    /// It is never put to sleep for being idle.
    pub pinned: bool,
    /// Milliseconds since the owner's traffic last did something, when the supervisor could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// While starting: how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<StartPhase>,
    /// How long the gateway's parts took to start in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartTimes>,
    /// While restoring: how far that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restoring: Option<Progress>,
    /// From what the home of this run was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<RestoreReport>,
    /// How its backups are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<BackupSummary>,
    /// Backing off, crash-looped, or held up while restoring: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Backing off or crash-looped: milliseconds since 1970 from when the next request starts it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// Runs that failed with no stable one in between.
    pub failures: u32,
    /// Events its Sandbox could make nothing of.
    pub ignored: u64,
}

/// The name of a [`LifecycleState`], without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BotState {
    /// No container; the next request starts one.
    Asleep,
    /// On its way up.
    Starting,
    /// On its way up, and its home is being brought back first.
    Restoring,
    /// Answering.
    Running,
    /// Up and not answering; its supervisor brings it back.
    Unhealthy,
    /// On its way down.
    Stopping,
    /// A run failed; the next one waits.
    BackingOff,
    /// It failed so often that it is left alone for a while, or until it is told to start again.
    CrashLooped,
    /// Its owner stopped it; nothing wakes it.
    Stopped,
    /// An admin suspended it; nothing wakes it.
    Suspended,
}

impl BotState {
    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Starting => "starting",
            Self::Restoring => "restoring",
            Self::Running => "running",
            Self::Unhealthy => "unhealthy",
            Self::Stopping => "stopping",
            Self::BackingOff => "backing-off",
            Self::CrashLooped => "crash-looped",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
        }
    }
}

/// How far a start is, as far as it can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartPhase {
    /// A machine for the container is being found; nothing in it answers yet.
    Allocating,
    /// The supervisor brings back the home.
    Restoring,
    /// The supervisor answers, the gateway is starting.
    StartingGateway,
    /// The gateway ended while starting and is started again.
    RestartingGateway,
}

impl StartPhase {
    /// What a supervisor's answer means for the start; `None` when the start is over.
    pub fn of(phase: GatewayPhase) -> Option<Self> {
        match phase {
            // Given up is an end of the start as well: the ingress answers, with the reason.
            GatewayPhase::Ready | GatewayPhase::Suspect | GatewayPhase::CrashLooped => None,
            GatewayPhase::Restoring => Some(Self::Restoring),
            GatewayPhase::Starting => Some(Self::StartingGateway),
            GatewayPhase::Restarting | GatewayPhase::Draining | GatewayPhase::Unknown => {
                Some(Self::RestartingGateway)
            }
        }
    }
}

/// What a Sandbox last heard from its container in the current run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedStatus {
    /// What the supervisor says about the gateway.
    pub health: Health,
    /// How far the start is.
    pub phase: Option<StartPhase>,
    /// How long the gateway's parts took to start.
    pub start: Option<StartTimes>,
    /// Milliseconds since the last activity.
    pub idle_ms: Option<u64>,
    /// What it says of the bot's snapshots.
    pub backup: Option<BackupStatus>,
}

impl ObservedStatus {
    /// Nothing yet.
    pub const NOTHING: Self = Self {
        health: Health::Unknown,
        phase: None,
        start: None,
        idle_ms: None,
        backup: None,
    };

    /// What a supervisor's answer says.
    pub fn from(status: &Status) -> Self {
        let health = match status.phase {
            GatewayPhase::Ready => Health::Healthy,
            // Neither well nor dead yet, or of a supervisor newer than this Worker.
            GatewayPhase::Suspect | GatewayPhase::Unknown => Health::Unknown,
            _ => Health::Unhealthy,
        };
        Self {
            health,
            phase: StartPhase::of(status.phase),
            start: Some(status.start),
            idle_ms: Some(idle_ms(status)),
            backup: status.backup.clone(),
        }
    }
}

/// Milliseconds since the last activity. A request that is being answered is activity, however long it takes.
fn idle_ms(status: &Status) -> u64 {
    if status.open.requests > 0 {
        0
    } else {
        status.idle_ms
    }
}

impl From<&Status> for SupervisorReport {
    fn from(status: &Status) -> Self {
        let gateway = match status.phase {
            GatewayPhase::Restoring => GatewayCondition::Restoring,
            GatewayPhase::Starting => GatewayCondition::Starting,
            // One failed probe is not yet a reason to do anything about it.
            GatewayPhase::Ready | GatewayPhase::Suspect => GatewayCondition::Answering,
            GatewayPhase::Restarting | GatewayPhase::Draining | GatewayPhase::Unknown => {
                GatewayCondition::Troubled
            }
            GatewayPhase::CrashLooped => GatewayCondition::GivenUp(status.crash_loop.as_ref().map_or_else(
                || "it did not say why".to_owned(),
                |given_up| match &given_up.message {
                    Some(words) => format!("{}: {words}", given_up.reason.as_str()),
                    None => given_up.reason.as_str().to_owned(),
                },
            )),
        };
        Self {
            gateway,
            idle_ms: idle_ms(status),
        }
    }
}

impl Lifecycle {
    /// The name of the state.
    pub fn bot_state(&self) -> BotState {
        match self.state {
            LifecycleState::Asleep => match self.desired {
                Desired::Available => BotState::Asleep,
                Desired::Stopped => BotState::Stopped,
                Desired::Suspended => BotState::Suspended,
            },
            LifecycleState::Starting { .. } => BotState::Starting,
            LifecycleState::Restoring { .. } => BotState::Restoring,
            LifecycleState::Running => BotState::Running,
            LifecycleState::Unhealthy { .. } => BotState::Unhealthy,
            LifecycleState::Stopping { .. } => BotState::Stopping,
            LifecycleState::BackingOff { .. } => BotState::BackingOff,
            LifecycleState::CrashLooped { .. } => BotState::CrashLooped,
        }
    }

    /// The state in words, with what the Sandbox last heard from the container.
    pub fn status(&self, observed: ObservedStatus) -> BotStatus {
        let backup = observed.backup.unwrap_or_default();
        let (reason, retry_at) = match &self.state {
            LifecycleState::BackingOff { until, reason } => (Some(reason.clone()), Some(*until)),
            LifecycleState::CrashLooped { until, reason } => (Some(reason.clone()), *until),
            // It is tried again by itself; what stands in the way is shown meanwhile.
            LifecycleState::Restoring { .. } => (backup.error.map(|error| error.message), None),
            _ => (None, None),
        };
        let phase = match self.state {
            LifecycleState::Starting { .. } => Some(observed.phase.unwrap_or(StartPhase::Allocating)),
            LifecycleState::Restoring { .. } => Some(StartPhase::Restoring),
            _ => None,
        };
        let restoring = backup.under_way.filter(|_| phase == Some(StartPhase::Restoring));
        BotStatus {
            state: self.bot_state(),
            run: self.run,
            since: self.since,
            health: observed.health,
            pinned: self.pinned,
            idle_ms: observed.idle_ms,
            phase,
            start: observed.start,
            restoring,
            restored: backup.restored,
            backups: None,
            reason,
            retry_at,
            failures: self.failures,
            ignored: self.ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_names_match_their_serialized_form() {
        for state in [
            BotState::Asleep,
            BotState::Starting,
            BotState::Restoring,
            BotState::Running,
            BotState::Unhealthy,
            BotState::Stopping,
            BotState::BackingOff,
            BotState::CrashLooped,
            BotState::Stopped,
            BotState::Suspended,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
