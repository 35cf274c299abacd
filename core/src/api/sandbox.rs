//! What the Worker and the Sandbox say to each other, and what both tell the owner about a bot.

use serde::Serialize;

use super::snapshots::SnapshotCall;

use crate::backup::repository::object::ObjectId;
use crate::backup::repository::scope::Scope;
use crate::bot::lifecycle::{Authority, Desired, LifecycleEvent};
use crate::wire::run::Run;

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
    /// Make room for another bot if nothing runs, answer the [`BotStatus`]. Never wakes it.
    MakeRoom,
    /// Do what somebody ordered, answer the [`BotStatus`].
    Order(Authority, Order),
    /// One of the person's browser sessions; the body says what about it ([`crate::identity::session::Ask`]). Never
    /// wakes the bot.
    Session,
    /// Something about the bot's snapshots; the body is a [`SnapshotAsk`]. Of these only a restore wakes the bot.
    Snapshots(SnapshotCall),
    /// Tell the last so many lines of the gateway's output. Never wakes the bot.
    Logs(u16),
    /// A run wants a new token for its repository: answer a [`RenewedToken`] if it is the current one.
    RenewToken(Run, Scope),
    /// A run wants to delete a snapshot by policy: whether it is the current one, and nobody holds that snapshot.
    MayForget(Run, ObjectId),
}

/// A new token for a repository, as the run that asked gets it.
#[derive(Clone, Serialize)]
pub struct RenewedToken {
    /// The token.
    pub token: String,
    /// Until when it holds, in milliseconds since 1970.
    pub expires_at: u64,
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
    /// Start afresh now: the gateway if its container is up, else the container. Forgets earlier failures.
    Restart,
    /// Stop, and stay stopped until an admin says start. Admins only.
    Suspend,
}

impl Order {
    /// Every order an owner can give.
    pub const OWNERS: [Self; 6] = [
        Self::Sleep,
        Self::Stop,
        Self::Start,
        Self::Pin,
        Self::Unpin,
        Self::Restart,
    ];
    /// Every order there is.
    pub const ALL: [Self; 7] = [
        Self::Sleep,
        Self::Stop,
        Self::Start,
        Self::Pin,
        Self::Unpin,
        Self::Restart,
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
            Self::Restart => "restart",
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

    /// Whether the platform's pages have a button for it, which a session's cookie is enough for. A bot's own
    /// page shares the platform's origin and could press it: these two cost its owner nothing they did not ask
    /// for by opening the page.
    pub fn has_a_button(self) -> bool {
        matches!(self, Self::Start | Self::Restart)
    }

    /// What it means for the bot's life.
    pub fn event(self, by: Authority) -> LifecycleEvent {
        match self {
            Self::Sleep => LifecycleEvent::SleepWanted,
            Self::Stop => LifecycleEvent::Desired(by, Desired::Stopped),
            Self::Start => LifecycleEvent::Desired(by, Desired::Available),
            Self::Pin => LifecycleEvent::Pinned(true),
            Self::Unpin => LifecycleEvent::Pinned(false),
            Self::Restart => LifecycleEvent::RestartWanted,
            Self::Suspend => LifecycleEvent::Desired(by, Desired::Suspended),
        }
    }
}

const OWNER_PREFIX: &str = "owner-";
const ADMIN_PREFIX: &str = "admin-";
const RENEW_PREFIX: &str = "renew-";
const SNAPSHOTS_PREFIX: &str = "snapshots-";
const LOGS_PREFIX: &str = "logs-";
const FORGET_PREFIX: &str = "forget-";
/// Lines of output told at once: some 200 KB, of which somebody who looks for something reads the end.
pub const MAX_LOG_LINES: u16 = 1_000;

impl Intent {
    /// Its text in [`INTENT_HEADER`].
    pub fn to_header(self) -> String {
        match self {
            Self::Serve => "serve".into(),
            Self::Status => "status".into(),
            Self::Tick => "tick".into(),
            Self::MakeRoom => "make-room".into(),
            Self::Session => "session".into(),
            Self::Order(Authority::Owner, order) => format!("{OWNER_PREFIX}{}", order.as_str()),
            Self::Order(Authority::Admin, order) => format!("{ADMIN_PREFIX}{}", order.as_str()),
            Self::RenewToken(run, scope) => format!("{RENEW_PREFIX}{}-{run}", scope.as_str()),
            Self::MayForget(run, snapshot) => format!("{FORGET_PREFIX}{run}-{snapshot}"),
            Self::Logs(lines) => format!("{LOGS_PREFIX}{lines}"),
            Self::Snapshots(call) => format!("{SNAPSHOTS_PREFIX}{}", call.as_str()),
        }
    }

    /// The intent of that text.
    pub fn parse(text: &str) -> Option<Self> {
        let order = |by, name| Order::parse(by, name).map(|order| Self::Order(by, order));
        if let Some((scope, run)) = text
            .strip_prefix(RENEW_PREFIX)
            .and_then(|rest| rest.split_once('-'))
        {
            return Some(Self::RenewToken(Run(run.parse().ok()?), Scope::parse(scope)?));
        }
        if let Some((run, snapshot)) = text
            .strip_prefix(FORGET_PREFIX)
            .and_then(|rest| rest.split_once('-'))
        {
            return Some(Self::MayForget(Run(run.parse().ok()?), snapshot.parse().ok()?));
        }
        if let Some(call) = text.strip_prefix(SNAPSHOTS_PREFIX) {
            return SnapshotCall::parse(call).map(Self::Snapshots);
        }
        if let Some(lines) = text.strip_prefix(LOGS_PREFIX) {
            return lines.parse().ok().map(Self::Logs);
        }
        match text {
            "serve" => Some(Self::Serve),
            "status" => Some(Self::Status),
            "tick" => Some(Self::Tick),
            "make-room" => Some(Self::MakeRoom),
            "session" => Some(Self::Session),
            _ => match (text.strip_prefix(OWNER_PREFIX), text.strip_prefix(ADMIN_PREFIX)) {
                (Some(name), _) => order(Authority::Owner, name),
                (_, Some(name)) => order(Authority::Admin, name),
                (None, None) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_header_round_trips() {
        let owners = Order::OWNERS.map(|order| Intent::Order(Authority::Owner, order));
        let admins = Order::ALL.map(|order| Intent::Order(Authority::Admin, order));
        for intent in [
            Intent::Serve,
            Intent::Status,
            Intent::Tick,
            Intent::MakeRoom,
            Intent::Session,
            Intent::Logs(200),
            Intent::MayForget(Run(7), "ab".repeat(32).parse().unwrap()),
        ]
        .into_iter()
        .chain(owners)
        .chain(admins)
        .chain(Scope::ALL.map(|scope| Intent::RenewToken(Run(7), scope)))
        .chain(SnapshotCall::ALL.map(Intent::Snapshots))
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
            "renew-append",
            "renew-append--1",
            "renew-admin-1",
            "snapshots-",
            "snapshots-delete",
            "logs-",
            "logs--1",
            "forget-1",
            "forget-1-ab",
            "logs-70000",
        ] {
            assert_eq!(Intent::parse(text), None, "{text}");
        }
    }
}
