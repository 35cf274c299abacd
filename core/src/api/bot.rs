//! A bot's state in words, and what a supervisor's status means for it.

mod observed;

use serde::{Deserialize, Serialize};

use super::fleet::{FleetCursor, FleetOrder};
use super::parameter::{Parameter, Takes, texts_of};
use crate::backup::state::{BackupSummary, Drill};
use crate::bot::incidents::IncidentKind;
use crate::bot::restarts::RestartCount;
use crate::bot::usage::Share;
use crate::user_id::UserId;
use crate::wire::control::{Progress, RestoreReport, StartTimes};
use crate::wire::run::Run;

pub use crate::bot::bot_state::BotState;
pub use observed::{ObservedStatus, StartPhase};

/// Three-valued: what could not be found out is neither good nor bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Health {
    /// The gateway answers its own probe.
    Healthy,
    /// The supervisor says it does not.
    Unhealthy,
    /// Nobody could be asked, or there is nothing to ask.
    Unknown,
}

impl Health {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Unhealthy, Self::Unknown];

    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// What cron and other Sandboxes read of a [`BotStatus`].
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotStatus {
    /// Where it is in its life.
    pub state: BotState,
    /// The current run, or the last one.
    pub run: Run,
    /// Milliseconds since 1970 at which the state was entered.
    pub since: u64,
    /// What the gateway's own probe says.
    pub health: Health,
    /// When its gateway was last observed healthy, in milliseconds since 1970; left out where it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub healthy_at: Option<u64>,
    /// How often it was restarted in the last 24 hours, by reason; left out where it was not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub restarts: Vec<RestartCount>,
    /// Its memory, while it is awake and its supervisor has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub memory: Option<Share>,
    /// Its disk, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub disk: Option<Share>,
    /// It is never put to sleep for being idle.
    pub pinned: bool,
    /// Milliseconds since the owner's traffic last did something, when the supervisor could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub idle_ms: Option<u64>,
    /// While starting: how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub phase: Option<StartPhase>,
    /// How long the gateway's parts took to start in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub start: Option<StartTimes>,
    /// While restoring: how far that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub restoring: Option<Progress>,
    /// What is being done with its snapshots, and how far that is: a snapshot, a restore, maintenance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub under_way: Option<Progress>,
    /// From what the home of this run was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub restored: Option<RestoreReport>,
    /// How its backups are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub backups: Option<BackupSummary>,
    /// Backing off, crash-looped, or held up while restoring: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub reason: Option<String>,
    /// Backing off or crash-looped: milliseconds since 1970 from when the next request starts it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub retry_at: Option<u64>,
    /// Runs that failed with no stable one in between.
    pub failures: u32,
    /// Events its Sandbox could make nothing of.
    pub ignored: u64,
    /// What is wrong with it: the kinds of its open incidents; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub incidents: Vec<IncidentKind>,
}

/// A bot in the list of the fleet, as the registry knows it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedBot {
    /// Whose it is.
    pub user_id: UserId,
    /// Its owner's address, as their last token said it.
    pub email: Option<String>,
    /// Where it is in its life.
    pub state: BotState,
    /// Since when.
    pub since: u64,
    /// The current run, or the last one.
    pub run: u64,
    /// What was last observed of its gateway.
    pub health: Health,
    /// It is never put to sleep for being idle.
    pub pinned: bool,
    /// When its owner's traffic last did something; zero where that was never seen.
    pub active_at: u64,
    /// When its newest snapshot was taken, as far as that is known.
    pub snapshot_at: Option<u64>,
    /// The version of the newest `BACKUP_KEY` that is known to open its repository; null until a run has opened it.
    pub backup_key: Option<u32>,
    /// What is wrong with it: the kinds of its open incidents.
    pub incidents: Vec<IncidentKind>,
    /// When its gateway was last observed healthy; null where it never was.
    pub healthy_at: Option<u64>,
    /// How often it was restarted in the last 24 hours, by reason.
    pub restarts: Vec<RestartCount>,
    /// Its memory, at most five minutes ago: in use while it is awake, the rest as it was last.
    pub memory: Option<Share>,
    /// Its disk, likewise.
    pub disk: Option<Share>,
    /// Since when something is not saved, as of five minutes ago at most.
    pub unsaved_since: Option<u64>,
    /// The last restore drill.
    pub drill: Option<Drill>,
}

/// A page of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotPage {
    /// One page of them.
    pub bots: Vec<ListedBot>,
    /// What `cursor` has to be for those that follow; null where there are none.
    pub next: Option<String>,
}

/// The one thing `key` takes.
const OLDER_KEY: &str = "older";

/// What the list of the fleet takes in its query.
pub static FLEET_QUERY: [Parameter; 6] = [
    Parameter {
        name: "state",
        takes: Takes::OneOf(texts_of!(BotState)),
        meaning: "only bots in this state",
        required: false,
    },
    Parameter {
        name: "health",
        takes: Takes::OneOf(texts_of!(Health)),
        meaning: "only bots of which this was last observed",
        required: false,
    },
    Parameter {
        name: "key",
        takes: Takes::OneOf(&[OLDER_KEY]),
        meaning: "only bots that have run and whose repository is not known to open with the newest `BACKUP_KEY`",
        required: false,
    },
    Parameter {
        name: "search",
        takes: Takes::Text,
        meaning: "only bots whose owner's e-mail address or user id begins so",
        required: false,
    },
    Parameter {
        name: "sort",
        takes: Takes::OneOf(texts_of!(FleetOrder)),
        meaning: "by user id (as it is without this), or by a time, the latest first",
        required: false,
    },
    Parameter {
        name: "cursor",
        takes: Takes::FleetCursor,
        meaning: "the `next` of the page before, with all else the same",
        required: false,
    },
];

/// What somebody wants to see of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetQuery {
    /// Only bots in this state.
    pub state: Option<BotState>,
    /// Only bots of which this was last observed.
    pub health: Option<Health>,
    /// Only bots whose owner's address or user id begins so.
    pub search: Option<String>,
    /// Only bots that need an older key than the newest.
    pub needs_older_key: bool,
    /// In this order.
    pub order: FleetOrder,
    /// Only those behind this one: what it was sorted by, and whose it is.
    pub after: Option<(u64, UserId)>,
}

/// A cursor of the list in another order than the one that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cursor is of the list with sort={}: ask with that, or leave the cursor out", .0.as_str())]
pub struct ForeignCursor(FleetOrder);

impl FleetQuery {
    /// Reads the names and values of a query that [`FLEET_QUERY`] allows.
    ///
    /// # Errors
    /// Its cursor is of the list in another order.
    pub fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, ForeignCursor> {
        let mut query = Self::default();
        let mut cursor: Option<FleetCursor> = None;
        for (name, value) in pairs {
            match name {
                "state" => query.state = BotState::ALL.into_iter().find(|state| state.as_str() == value),
                "health" => query.health = Health::ALL.into_iter().find(|health| health.as_str() == value),
                "key" => query.needs_older_key = value == OLDER_KEY,
                "search" => query.search = (!value.is_empty()).then(|| value.to_owned()),
                "sort" => query.order = FleetOrder::parse(value).unwrap_or_default(),
                "cursor" => cursor = value.parse().ok(),
                _ => {}
            }
        }
        if let Some(foreign) = cursor.filter(|cursor| cursor.order != query.order) {
            return Err(ForeignCursor(foreign.order));
        }
        query.after = cursor.map(|cursor| (cursor.key, cursor.user));
        Ok(query)
    }

    /// The cursor behind the last bot of a page.
    pub fn cursor(&self, last: &ListedBot) -> String {
        let key = match self.order {
            FleetOrder::User => 0,
            FleetOrder::Active => last.active_at,
            FleetOrder::Since => last.since,
            FleetOrder::Snapshot => last.snapshot_at.unwrap_or(0),
        };
        let cursor = FleetCursor {
            order: self.order,
            key,
            user: last.user_id,
        };
        cursor.to_string()
    }

    /// What was looked for, in the history's words: the names of the query with their values, whom it names last. Nothing,
    /// where it was the first page of all.
    pub fn history_detail(&self) -> Option<String> {
        let after = self.after.map(|(_, user)| format!("after {user}"));
        let told = [
            self.state.map(|state| format!("state {}", state.as_str())),
            self.health.map(|health| format!("health {}", health.as_str())),
            self.needs_older_key.then(|| format!("key {OLDER_KEY}")),
            self.search.as_ref().map(|search| format!("search {search}")),
            after,
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

#[cfg(test)]
mod tests;
