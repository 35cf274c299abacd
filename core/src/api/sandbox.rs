//! What the Worker and the Sandbox say to each other, and what both tell the owner about a bot.

use serde::{Deserialize, Serialize};

use super::bot::BotState;
use super::channels::ChannelCommand;
use super::config::ConfigCommand;
use super::devices::DeviceCommand;
use super::snapshots::SnapshotCommand;

use crate::backup::repository::scope::Scope;
use crate::bot::lifecycle::{Authority, Desired, Lifecycle, LifecycleEvent};
use crate::cost::limit::LimitChoice;
use crate::http::problem::Refusal;
use crate::identity::mfa::{SecondFactor, SecondFactorCommand};
use crate::identity::session::{Proven, Renewal, SessionCommand};
use crate::identity::users::UserStatus;
use crate::jobs::bulk::BulkVerb;
use crate::json;
use crate::wire::home_path::HomePath;
use crate::wire::run::{Run, SnapshotId};

pub use super::raw_document::RawDocument;

/// Beside a stream, the Worker says in this header what it wants of a Sandbox. It drops a client's own (the name starts
/// like every internal header), so a Sandbox believes it.
pub const COMMAND_HEADER: &str = "x-moltbot-command";

/// Lines of output told at once: some 200 KB, of which somebody who looks for something reads the end.
pub const MAX_LOG_LINES: u16 = 1_000;
/// Characters of a text that is looked for in them.
pub const MAX_LOG_TEXT: usize = 200;

/// What the Worker wants of a Sandbox: the body of a call, or beside the body that goes on to the bot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SandboxCommand {
    /// Hand this request to the bot, and wake it for that. Answered by the bot, or in its place.
    Serve,
    /// Tell its state: [`SandboxAnswer::Status`]. Never wakes it.
    Status,
    /// Cron looks in: ask the supervisor now, notice what nobody noticed: [`SandboxAnswer::Status`]. Never wakes it.
    Poll,
    /// Make room for another bot if nothing runs: [`SandboxAnswer::Status`]. Never wakes it.
    FreeSlot,
    /// Do what somebody ordered: [`SandboxAnswer::Status`].
    Order(Authority, Order),
    /// The same, whatever is lost by it: [`SandboxAnswer::Status`].
    Force(Authority, Order),
    /// What an admin orders of many bots, with when it was first tried here: [`SandboxAnswer::Status`] of a bot that was
    /// ordered it, [`SandboxAnswer::Done`] where an earlier try has done it, or [`SandboxAnswer::Skipped`].
    Bulk(BulkVerb, Option<u64>),
    /// One of the person's browser sessions: [`SandboxAnswer::Renewal`], or [`SandboxAnswer::Done`]. Never wakes the bot.
    Session(SessionCommand),
    /// The second factor of one of those sessions: [`SandboxAnswer::SecondFactor`]. Never wakes the bot.
    SecondFactor(SecondFactorCommand),
    /// Something about the bot's snapshots: [`SandboxAnswer::Snapshots`], [`SandboxAnswer::Status`] of a bot that
    /// was told, or a stream. Of these only a restore wakes the bot.
    Snapshots(SnapshotCommand),
    /// Tell lines of the gateway's output, as a stream. Never wakes the bot.
    Logs(LogRequest),
    /// What runs in the container: [`SandboxAnswer::Document`]. Never wakes the bot.
    Processes,
    /// Something about the gateway's config: [`SandboxAnswer::Document`]. Never wakes the bot.
    Config(ConfigCommand),
    /// Something about the gateway's channels: [`SandboxAnswer::Document`]. Never wakes the bot.
    Channels(ChannelCommand),
    /// Something about the devices that may reach the gateway: [`SandboxAnswer::Document`]. Never wakes the bot.
    Devices(DeviceCommand),
    /// A run wants a new token for its repository: [`SandboxAnswer::Token`] if it is the current one.
    RenewToken(Run, Scope),
    /// A run wants to delete a snapshot by policy: [`SandboxAnswer::Permission`], if it is the current one and
    /// nobody holds that snapshot.
    MayForget(Run, SnapshotId),
    /// An admin decided what the bot may cost in a month: [`SandboxAnswer::Done`]. Never wakes it; one that sleeps for having
    /// spent less may be woken from then on.
    Limit(LimitChoice),
}

impl SandboxCommand {
    /// Its text, in a body and in [`COMMAND_HEADER`].
    ///
    /// # Errors
    /// Never, as far as anybody knows.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The command in [`COMMAND_HEADER`]: the one whose body is somebody else's.
    pub fn from_header(text: &str) -> Option<Self> {
        Self::parse(text).filter(|command| matches!(command, Self::Serve))
    }

    /// The command a body consists of: any other.
    pub fn from_body(text: &str) -> Option<Self> {
        Self::parse(text).filter(|command| match command {
            Self::Serve => false,
            Self::Order(by, order) | Self::Force(by, order) => order.may_come_from(*by),
            _ => true,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        json::exactly(text.as_bytes()).ok()
    }
}

/// What a Sandbox answers to every command that is not answered by a stream; to those, when there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxAnswer {
    /// The bot's state after the command, a [`BotStatus`](super::bot::BotStatus).
    Status(RawDocument),
    /// The bot's snapshots.
    Snapshots(RawDocument),
    /// What became of a session that was to be proven anew.
    Renewal(Renewal),
    /// By what a session is proven.
    Proven(Proven),
    /// What became of a second factor.
    SecondFactor(SecondFactor),
    /// The document that the question is answered with, whichever that is.
    Document(RawDocument),
    /// A token for the bot's repository, a [`RenewedToken`].
    Token(RawDocument),
    /// Whether it may be done.
    Permission(bool),
    /// What there is to say about a file of a snapshot.
    File(FileFacts),
    /// A file of a snapshot has so many bytes, and none of them is in the range that was asked for.
    Unsatisfiable(u64),
    /// It is done, and there is nothing to say about it.
    Done,
    /// There was nothing to be done, and why.
    Skipped(String),
    /// It is not done, why not, and what exactly, when there is more to say.
    Refused(Refusal, Option<String>),
}

impl From<Refusal> for SandboxAnswer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, None)
    }
}

/// What there is to say about a file of a snapshot without its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileFacts {
    /// Bytes in it.
    pub size: u64,
    /// Its `ETag`.
    pub tag: Option<String>,
    /// Its `Content-Disposition`.
    pub disposition: String,
}

/// A new token for a repository, as the run that asked gets it.
#[derive(Clone, Serialize)]
pub struct RenewedToken {
    /// What opens the repository, as HTTP Basic password or as bearer token.
    pub token: String,
    /// Until when it holds, in milliseconds since 1970.
    pub expires_at: u64,
}

/// What an owner or an admin can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

    /// What is ordered of one bot where this is ordered of many; nothing where that is a snapshot.
    pub const fn of_bulk(verb: BulkVerb) -> Option<Self> {
        match verb {
            BulkVerb::Restart => Some(Self::Restart),
            BulkVerb::Sleep => Some(Self::Sleep),
            BulkVerb::Stop => Some(Self::Stop),
            BulkVerb::Suspend => Some(Self::Suspend),
            BulkVerb::Resume => Some(Self::Start),
            BulkVerb::Snapshot => None,
        }
    }

    /// What a bot is ordered when its owner's account gets this status; nothing where it stays as it is. What its owner stopped
    /// is not the account's affair, and stays stopped; nobody has to ask for that when the account is closed.
    pub const fn of_status(status: UserStatus, bot: Option<BotState>) -> Option<Self> {
        match (status, bot) {
            (UserStatus::Suspended | UserStatus::Deleted, _) => Some(Self::Suspend),
            (UserStatus::Active, Some(BotState::Stopped)) => None,
            (UserStatus::Active, _) => Some(Self::Start),
        }
    }

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

    /// Whether it is that authority's to give.
    pub fn may_come_from(self, by: Authority) -> bool {
        by == Authority::Admin || Self::OWNERS.contains(&self)
    }

    /// Whether it is refused while it would lose changes. A suspension cannot wait.
    pub const fn spares_changes(self) -> bool {
        matches!(self, Self::Sleep | Self::Stop)
    }

    /// Why a bot of which that was decided would do nothing about this order, if it would not: a suspension ends by an
    /// admin's start and by nothing else, so not by a stop, after which its owner could start it. What is not to run is not
    /// started afresh, and neither is what has spent its limit, by nobody: who may start it may raise that. In every other state an
    /// order is carried out, or it is so already.
    pub fn refusal(self, by: Authority, life: &Lifecycle, now: u64) -> Option<Refusal> {
        match (self, life.desired) {
            (Self::Start, Desired::Suspended) if by == Authority::Owner => Some(Refusal::BotSuspended),
            (Self::Stop | Self::Restart, Desired::Suspended) => Some(Refusal::BotSuspended),
            (Self::Restart, Desired::Stopped) => Some(Refusal::BotStopped),
            (Self::Restart, _) => life.spent(now).map(|_| Refusal::SpendLimitReached),
            _ => None,
        }
    }

    /// What it can be refused for, beside what follows from who may give it.
    pub const fn problems(self, by: Authority) -> &'static [Refusal] {
        match (self, by) {
            (Self::Sleep, _) => &[Refusal::UnsavedChanges],
            (Self::Stop, _) => &[Refusal::UnsavedChanges, Refusal::BotSuspended],
            (Self::Start, Authority::Owner) => &[Refusal::BotSuspended],
            (Self::Restart, _) => &[
                Refusal::BotStopped,
                Refusal::BotSuspended,
                Refusal::SpendLimitReached,
            ],
            (Self::Start | Self::Pin | Self::Unpin | Self::Suspend, _) => &[],
        }
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

/// Which lines of a log are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRequest {
    /// So many of the last.
    pub lines: u16,
    /// Those alone that have this in them, in whatever case.
    pub contains: Option<HomePath>,
    /// Whether those to come are told as well, until the bot stops or nobody reads them.
    pub follow: bool,
    /// Whether an admin asks, for whom there are places.
    #[serde(default)]
    pub by_admin: bool,
}

/// What goes with an order that would otherwise be refused for what it loses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// Do it even if what has changed cannot be saved and is lost.
    pub force: Option<bool>,
}

#[cfg(test)]
mod tests;
