//! What a supervisor's status means for its bot.

use serde::{Deserialize, Serialize};

use super::{BotState, BotStatus, Health};
use crate::backup::state::MAX_NAMED;
use crate::bot::history::truncate_detail;
use crate::bot::lifecycle::{Desired, GatewayCondition, Lifecycle, LifecycleState, SupervisorReport};
use crate::wire::control::{BackupStatus, EndReason, GatewayPhase, StartTimes, Status};
use crate::wire::job::JobKind;

/// Ends of gateways that are taken from one report: a supervisor keeps ten.
const MAX_ENDINGS: usize = 10;

/// How far a start is, as far as it can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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

/// What a Sandbox last observed of its container in the current run.
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

fn endings(status: &Status) -> Vec<(u64, EndReason)> {
    let skipped = status.endings.len().saturating_sub(MAX_ENDINGS);
    let last = status.endings.iter().skip(skipped);
    last.map(|ending| (ending.at_ms, ending.reason)).collect()
}

fn done(status: &Status) -> u64 {
    let under_way = status
        .backup
        .as_ref()
        .and_then(|backup| backup.under_way.as_ref());
    let restore = under_way.filter(|progress| progress.job == JobKind::Restore);
    restore.map_or(0, |progress| {
        progress.done.files.saturating_add(progress.done.bytes)
    })
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
                    Some(words) => truncate_detail(&format!("{}: {words}", given_up.reason.as_str())),
                    None => given_up.reason.as_str().to_owned(),
                },
            )),
        };
        Self {
            gateway,
            idle_ms: idle_ms(status),
            done: done(status),
            outlived: status.outlived,
            endings: endings(status),
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

    /// The state in words, with what the Sandbox last observed of the container.
    pub fn status(&self, observed: ObservedStatus) -> BotStatus {
        let backup = observed.backup.unwrap_or_default();
        let (reason, retry_at) = match &self.state {
            LifecycleState::BackingOff { until, reason } => (Some(reason.clone()), Some(*until)),
            LifecycleState::CrashLooped { until, reason } => (Some(reason.clone()), *until),
            // It is tried again by itself; what stands in the way is shown meanwhile.
            LifecycleState::Restoring { .. } => {
                let held_up = backup.held_up.map(|held_up| held_up.message);
                (held_up.or(backup.error.map(|error| error.message)), None)
            }
            _ => (None, None),
        };
        let phase = match self.state {
            LifecycleState::Starting { .. } => Some(observed.phase.unwrap_or(StartPhase::Allocating)),
            LifecycleState::Restoring { .. } => Some(StartPhase::Restoring),
            _ => None,
        };
        let under_way = backup.under_way.filter(|_| self.is_awake());
        let restoring = under_way.clone().filter(|_| phase == Some(StartPhase::Restoring));
        BotStatus {
            state: self.bot_state(),
            run: self.run,
            since: self.since,
            health: observed.health,
            healthy_at: None,
            restarts: Vec::new(),
            memory: None,
            disk: None,
            pinned: self.pinned,
            idle_ms: observed.idle_ms,
            phase,
            start: observed.start,
            restoring,
            under_way,
            restored: backup.restored.map(|mut report| {
                // `choice` says how many there are.
                report.passed_over.truncate(MAX_NAMED);
                report
            }),
            backups: None,
            reason,
            retry_at,
            failures: self.failures,
            ignored: self.ignored,
            incidents: self.incidents.open_kinds().collect(),
        }
    }
}
