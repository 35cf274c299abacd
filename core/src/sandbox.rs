//! What the Worker and the Sandbox say to each other, and what both tell the owner about a bot.

use serde::{Deserialize, Serialize};

use crate::control::{GatewayPhase, StartTimes, Status};
use crate::life::{Authority, Desired, Event, Life, State};
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
    /// The clock looks in: notice what nobody noticed, answer the [`BotStatus`]. Never wakes it.
    Tick,
    /// Do what somebody ordered, answer the [`BotStatus`].
    Order(Authority, Order),
    /// One of the person's browser sessions; the body says what about it ([`crate::session::Ask`]). Never
    /// wakes the bot.
    Session,
}

/// What an owner or an admin can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go to sleep now; the next request wakes it.
    Sleep,
    /// Stop, and stay stopped whoever asks.
    Stop,
    /// Be available again; the next request wakes it. From an admin it also ends a suspension.
    Start,
    /// Never sleep for being idle.
    Pin,
    /// Sleep when idle, like the others.
    Unpin,
    /// Stop, and stay stopped until an admin says start. Admins only.
    Suspend,
}

impl Order {
    /// Every order an owner can give.
    pub const OWNERS: [Self; 5] = [Self::Sleep, Self::Stop, Self::Start, Self::Pin, Self::Unpin];
    /// Every order there is.
    pub const ALL: [Self; 6] = [
        Self::Sleep,
        Self::Stop,
        Self::Start,
        Self::Pin,
        Self::Unpin,
        Self::Suspend,
    ];

    /// Its name in paths and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sleep => "sleep",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Suspend => "suspend",
        }
    }

    /// The order of that name that this authority may give.
    pub fn parse(by: Authority, name: &str) -> Option<Self> {
        let allowed: &[Self] = match by {
            Authority::Owner => &Self::OWNERS,
            Authority::Admin => &Self::ALL,
        };
        allowed.iter().copied().find(|order| order.as_str() == name)
    }

    /// What it means for the bot's life.
    pub fn event(self, by: Authority) -> Event {
        match self {
            Self::Sleep => Event::SleepWanted,
            Self::Stop => Event::Desired(by, Desired::Stopped),
            Self::Start => Event::Desired(by, Desired::Available),
            Self::Pin => Event::Pinned(true),
            Self::Unpin => Event::Pinned(false),
            Self::Suspend => Event::Desired(by, Desired::Suspended),
        }
    }
}

const OWNER_PREFIX: &str = "owner-";
const ADMIN_PREFIX: &str = "admin-";

impl Intent {
    /// Its text in [`INTENT_HEADER`].
    pub fn to_header(self) -> String {
        match self {
            Self::Serve => "serve".into(),
            Self::Status => "status".into(),
            Self::Tick => "tick".into(),
            Self::Session => "session".into(),
            Self::Order(Authority::Owner, order) => format!("{OWNER_PREFIX}{}", order.as_str()),
            Self::Order(Authority::Admin, order) => format!("{ADMIN_PREFIX}{}", order.as_str()),
        }
    }

    /// The intent of that text.
    pub fn parse(text: &str) -> Option<Self> {
        let order = |by, name| Order::parse(by, name).map(|order| Self::Order(by, order));
        match text {
            "serve" => Some(Self::Serve),
            "status" => Some(Self::Status),
            "tick" => Some(Self::Tick),
            "session" => Some(Self::Session),
            _ => match (text.strip_prefix(OWNER_PREFIX), text.strip_prefix(ADMIN_PREFIX)) {
                (Some(name), _) => order(Authority::Owner, name),
                (_, Some(name)) => order(Authority::Admin, name),
                (None, None) => None,
            },
        }
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
    /// When the last start failed, or the supervisor gave the gateway up: why.
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
    /// Its owner stopped it; nothing wakes it.
    Stopped,
    /// An admin suspended it; nothing wakes it.
    Suspended,
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
            GatewayPhase::Restoring | GatewayPhase::Starting => Some(Self::StartingGateway),
            GatewayPhase::Restarting | GatewayPhase::Draining | GatewayPhase::Unknown => {
                Some(Self::RestartingGateway)
            }
        }
    }
}

/// What a Sandbox last heard from its container in the current run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What the supervisor says about the gateway.
    pub health: Health,
    /// How far the start is.
    pub phase: Option<StartPhase>,
    /// How long the gateway's parts took to start.
    pub start: Option<StartTimes>,
    /// Milliseconds since the last activity.
    pub idle_ms: Option<u64>,
    /// Why the supervisor gave the gateway up, if it did.
    pub given_up: Option<String>,
}

impl Heard {
    /// Nothing yet.
    pub const NOTHING: Self = Self {
        health: Health::Unknown,
        phase: None,
        start: None,
        idle_ms: None,
        given_up: None,
    };

    /// What a supervisor's answer says.
    pub fn from(status: &Status) -> Self {
        let health = match status.phase {
            GatewayPhase::Ready => Health::Healthy,
            // Neither well nor dead yet, or of a supervisor newer than this Worker.
            GatewayPhase::Suspect | GatewayPhase::Unknown => Health::Unknown,
            _ => Health::Unhealthy,
        };
        // A request that is being answered is activity, however long it takes.
        let idle_ms = if status.open.requests > 0 {
            0
        } else {
            status.idle_ms
        };
        Self {
            health,
            phase: StartPhase::of(status.phase),
            start: Some(status.start),
            idle_ms: Some(idle_ms),
            given_up: status.crash_loop.as_ref().map(|given_up| {
                let words = given_up.message.as_deref().unwrap_or("no message");
                format!("{}: {words}", given_up.reason.as_str())
            }),
        }
    }
}

impl Life {
    /// The name of the state.
    pub fn bot_state(&self) -> BotState {
        match self.state {
            State::Asleep => match self.desired {
                Desired::Available => BotState::Asleep,
                Desired::Stopped => BotState::Stopped,
                Desired::Suspended => BotState::Suspended,
            },
            State::Starting { .. } => BotState::Starting,
            State::Running => BotState::Running,
            State::Stopping { .. } => BotState::Stopping,
            State::BackingOff { .. } => BotState::BackingOff,
        }
    }

    /// The state in words, with what the Sandbox last heard from the container.
    pub fn status(&self, heard: Heard) -> BotStatus {
        let (reason, retry_at) = match &self.state {
            State::BackingOff { until, reason } => (Some(reason.clone()), Some(*until)),
            State::Running => (heard.given_up, None),
            _ => (None, None),
        };
        let phase = match self.state {
            State::Starting { .. } => Some(heard.phase.unwrap_or(StartPhase::Allocating)),
            _ => None,
        };
        BotStatus {
            state: self.bot_state(),
            run: self.run,
            since: self.since,
            health: heard.health,
            pinned: self.pinned,
            idle_ms: heard.idle_ms,
            phase,
            start: heard.start,
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
        let owners = Order::OWNERS.map(|order| Intent::Order(Authority::Owner, order));
        let admins = Order::ALL.map(|order| Intent::Order(Authority::Admin, order));
        for intent in [Intent::Serve, Intent::Status, Intent::Tick, Intent::Session]
            .into_iter()
            .chain(owners)
            .chain(admins)
        {
            assert_eq!(Intent::parse(&intent.to_header()), Some(intent));
        }
        for text in [
            "SERVE",
            "",
            "sleep",
            "owner-suspend",
            "owner-release",
            "admin-",
            "admin-serve",
        ] {
            assert_eq!(Intent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_state_has_one_name_everywhere() {
        for state in [
            BotState::Asleep,
            BotState::Starting,
            BotState::Running,
            BotState::Stopping,
            BotState::BackingOff,
            BotState::Stopped,
            BotState::Suspended,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
