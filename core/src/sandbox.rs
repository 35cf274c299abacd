//! What the Worker and the Sandbox say to each other, and what both tell the owner about a bot.

use serde::{Deserialize, Serialize};

use crate::control::{GatewayPhase, StartTimes};
use crate::life::{Life, State};
use crate::run::Run;

/// The Worker says in this header what it wants of a Sandbox. It drops a client's own (the name starts
/// like every internal header), so a Sandbox believes it.
pub const INTENT_HEADER: &str = "x-moltbot-intent";

/// What the Worker wants of a Sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Hand this request to the bot, and wake it for that.
    Serve,
    /// Tell its [`BotStatus`]. Never wakes it.
    Status,
    /// Put it to sleep.
    Sleep,
    /// The clock looks in: notice what nobody noticed, answer the [`BotStatus`]. Never wakes it.
    Tick,
}

impl Intent {
    /// Its text in [`INTENT_HEADER`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Status => "status",
            Self::Sleep => "sleep",
            Self::Tick => "tick",
        }
    }

    /// The intent of that text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Serve, Self::Status, Self::Sleep, Self::Tick]
            .into_iter()
            .find(|intent| intent.as_str() == text)
    }
}

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

/// A bot's state in words for owners, admins and the waking page. Free of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotStatus {
    /// `asleep`, `starting`, `running`, `stopping` or `backing-off`.
    pub state: BotState,
    /// The current run, or the last one.
    pub run: Run,
    /// Milliseconds since 1970 at which the state was entered.
    pub since: u64,
    /// What the gateway's own probe says.
    pub health: Health,
    /// While starting: how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<StartPhase>,
    /// How long the gateway's parts took to start in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<StartTimes>,
    /// When the last start failed: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the last start failed: milliseconds since 1970 from when the next request starts it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
}

/// The name of a [`State`], without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BotState {
    /// No container; the next request starts one.
    Asleep,
    /// On its way up.
    Starting,
    /// Answering.
    Running,
    /// On its way down.
    Stopping,
    /// A start failed; the next one waits.
    BackingOff,
}

impl BotState {
    /// Its text in JSON and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::BackingOff => "backing-off",
        }
    }
}

/// How far a start is, as far as it can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartPhase {
    /// A machine for the container is being found; nothing in it answers yet.
    Allocating,
    /// The supervisor answers, the gateway is starting.
    StartingGateway,
    /// The gateway ended while starting and is started again.
    RestartingGateway,
}

impl StartPhase {
    /// What a supervisor's answer means for the start; `None` when the gateway is ready.
    pub fn of(phase: GatewayPhase) -> Option<Self> {
        match phase {
            GatewayPhase::Ready | GatewayPhase::Suspect => None,
            GatewayPhase::Starting => Some(Self::StartingGateway),
            GatewayPhase::Restarting
            | GatewayPhase::CrashLooped
            | GatewayPhase::Draining
            | GatewayPhase::Unknown => Some(Self::RestartingGateway),
        }
    }
}

impl Life {
    /// The name of the state.
    pub fn bot_state(&self) -> BotState {
        match self.state {
            State::Asleep => BotState::Asleep,
            State::Starting { .. } => BotState::Starting,
            State::Running => BotState::Running,
            State::Stopping { .. } => BotState::Stopping,
            State::BackingOff { .. } => BotState::BackingOff,
        }
    }

    /// The state in words; `health`, `phase` and `start` are what the Sandbox last heard from the container.
    pub fn status(&self, health: Health, phase: Option<StartPhase>, start: Option<StartTimes>) -> BotStatus {
        let (reason, retry_at) = match &self.state {
            State::BackingOff { until, reason } => (Some(reason.clone()), Some(*until)),
            _ => (None, None),
        };
        let phase = match self.state {
            State::Starting { .. } => Some(phase.unwrap_or(StartPhase::Allocating)),
            _ => None,
        };
        BotStatus {
            state: self.bot_state(),
            run: self.run,
            since: self.since,
            health,
            phase,
            start,
            reason,
            retry_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_read_as_it_was_written() {
        for intent in [Intent::Serve, Intent::Status, Intent::Sleep, Intent::Tick] {
            assert_eq!(Intent::parse(intent.as_str()), Some(intent));
        }
        assert_eq!(Intent::parse("SERVE"), None);
    }

    #[test]
    fn a_state_has_one_name_everywhere() {
        for state in [
            BotState::Asleep,
            BotState::Starting,
            BotState::Running,
            BotState::Stopping,
            BotState::BackingOff,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
