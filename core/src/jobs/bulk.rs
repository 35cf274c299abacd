//! Orders to many bots at once: what is done about each, how often that is tried, and what it can come to.
//!
//! A bot may be met twice: a message is delivered at least once, and what was lost is put on the queue again. Whatever has come to
//! an end is not ordered again; of what may have been done already the bot's own state says whether it was.

use serde::{Deserialize, Serialize};

use crate::bot::bot_state::BotState;
use crate::bot::lifecycle::Lifecycle;

/// Bots of one order. They are one statement of D1, and no more than three ticks put on the queue.
pub const MAX_BOTS: u32 = 10_000;
/// Bots that are named one by one: what a body has room for.
pub const MAX_NAMED: usize = 400;
/// Bots of an order that a dry run names.
pub const FIRST: u32 = 20;
/// Bots ordered by one tick that has no queue. Each is six subrequests at most, and together with what a tick looks at itself
/// they are fewer than the 1,000 that an invocation has at the least.
pub const MAX_WITHOUT_QUEUE: u32 = 50;
/// A bot that was tried so often and never came to an end takes the Worker with it, or its Sandbox.
pub const MAX_TRIES: u32 = 3;
/// How long a bot is somebody's who tries it, in milliseconds: longer than the deadline of one.
pub const CLAIM_MS: u64 = 2 * 60_000;
/// When a message is taken for lost, in milliseconds. Fifty bots that hang, six side by side, 25 seconds each, take four minutes; the
/// rest is for a queue that is slow. One that comes after all finds its bots done.
pub const LOST_MS: u64 = 10 * 60_000;

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum BulkVerb {
    /// Start afresh what is awake or has failed. What sleeps goes on sleeping.
    Restart,
    /// Put to sleep.
    Sleep,
    /// Stop, until somebody says start.
    Stop,
    /// Stop, until an admin says start.
    Suspend,
    /// Let what is stopped or suspended run again. Nothing is started by it.
    Resume,
    /// Take a snapshot of what is awake.
    Snapshot,
}

impl BulkVerb {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Restart,
        Self::Sleep,
        Self::Stop,
        Self::Suspend,
        Self::Resume,
        Self::Snapshot,
    ];

    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Sleep => "sleep",
            Self::Stop => "stop",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Snapshot => "snapshot",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }

    /// What is to be done about a bot that has been in this state since then. `tried_at` is when it was tried first, if it was.
    fn decide(self, state: BotState, since: u64, tried_at: Option<u64>) -> BulkStep {
        use BotState::{Asleep, Stopped, Stopping, Suspended};
        let is_so = match self {
            // It was tried, and has begun something since.
            Self::Restart => tried_at.is_some_and(|tried_at| since >= tried_at),
            Self::Sleep => matches!(state, Asleep | Stopping),
            Self::Stop => state == Stopped,
            Self::Suspend => state == Suspended,
            Self::Resume => !matches!(state, Stopped | Suspended),
            Self::Snapshot => false,
        };
        match (self, state) {
            // A restart that was tried brings nothing to sleep: that it sleeps now is somebody else's doing.
            (Self::Restart | Self::Snapshot, Asleep | Stopping) => {
                BulkStep::Skip("it sleeps, and is not woken for this")
            }
            (Self::Restart | Self::Sleep | Self::Snapshot, Stopped) => BulkStep::Skip("it is stopped"),
            (Self::Restart | Self::Sleep | Self::Stop | Self::Snapshot, Suspended) => {
                BulkStep::Skip("it is suspended")
            }
            _ if is_so && tried_at.is_some() => BulkStep::IsDone,
            _ if is_so => BulkStep::Skip("it is so already"),
            _ => BulkStep::Do,
        }
    }
}

impl BulkVerb {
    /// What is to be done about the bot of this life. As a single order a restart takes a slot; so many at once would start
    /// what nobody waits for.
    pub fn step(self, life: &Lifecycle, tried_at: Option<u64>) -> BulkStep {
        match self.decide(life.bot_state(), life.since, tried_at) {
            BulkStep::Do if self == Self::Restart && !life.is_awake() => {
                BulkStep::Skip("nothing of it runs; the next request starts it")
            }
            step => step,
        }
    }
}

/// What is to be done about one bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkStep {
    /// It is ordered.
    Do,
    /// An earlier try has done it.
    IsDone,
    /// Nothing, and why.
    Skip(&'static str),
}

/// What became of one bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum BulkOutcome {
    /// It was ordered, and has taken the order.
    Done,
    /// There was nothing to be ordered.
    Skipped,
    /// It refused, and says why.
    Refused,
    /// It did not answer, or something else went wrong.
    Failed,
    /// The order was stopped before its turn.
    Stopped,
}

impl BulkOutcome {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Skipped,
        Self::Refused,
        Self::Failed,
        Self::Stopped,
    ];

    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests;
