//! Orders to many bots as admins give and follow them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use super::bot::{BotState, Health};
use super::parameter::{Parameter, Takes, texts_of};
use crate::jobs::bulk::{BulkOutcome, BulkVerb, MAX_BOTS, MAX_NAMED};
use crate::user_id::UserId;

/// What can be asked of the orders to many bots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkCall {
    /// Gives one, or says whom it would concern.
    Give,
    /// The orders, the latest first.
    List,
    /// One order, and what became of its bots.
    Get,
    /// Stops one.
    Stop,
}

/// An order to many bots.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkRequest {
    /// What is ordered.
    pub verb: BulkVerb,
    /// Which bots, as `GET /api/admin/bots` finds them: all of them where it says nothing. Either this or `users`.
    #[serde(default)]
    pub filter: Option<BulkFilter>,
    /// Whose bots, at most 400. Either this or `filter`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 400))]
    pub users: Option<Vec<UserId>>,
    /// Only say how many bots that concerns, and which are the first.
    #[serde(default, rename = "dryRun")]
    pub dry_run: Option<bool>,
}

/// Which bots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkFilter {
    /// Only bots in this state.
    #[serde(default)]
    pub state: Option<BotState>,
    /// Only bots of which this was last observed.
    #[serde(default)]
    pub health: Option<Health>,
    /// Only bots whose owner's e-mail address or user id begins so.
    #[serde(default)]
    pub search: Option<String>,
}

/// Whom an order concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkSelection {
    /// What the fleet has of this kind.
    Filter(BulkFilter),
    /// These, each once.
    Users(Vec<UserId>),
}

/// The request names its bots in no way, or in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSelection {
    /// See above.
    #[error("name the bots by `filter` or by `users`, and not by both; an empty filter is every bot")]
    OneOfTwo,
    /// More than a request may name, or none.
    #[error("`users` takes 1 to {MAX_NAMED} ids")]
    Number,
}

impl BulkRequest {
    /// Whom it concerns.
    ///
    /// # Errors
    /// See [`NoSelection`].
    pub fn selection(self) -> Result<BulkSelection, NoSelection> {
        match (self.filter, self.users) {
            (Some(filter), None) => Ok(BulkSelection::Filter(BulkFilter {
                search: filter.search.filter(|search| !search.is_empty()),
                ..filter
            })),
            (None, Some(mut users)) => {
                users.sort_unstable();
                users.dedup();
                if users.is_empty() || users.len() > MAX_NAMED {
                    return Err(NoSelection::Number);
                }
                Ok(BulkSelection::Users(users))
            }
            (None, None) | (Some(_), Some(_)) => Err(NoSelection::OneOfTwo),
        }
    }
}

/// Why nothing is ordered of as many bots as are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBulkSize {
    /// Not one.
    #[error("no bot is meant by that")]
    None,
    /// More than an order is to.
    #[error("{0} bots are meant by that, and an order is to at most {MAX_BOTS}: narrow it")]
    TooMany(u32),
}

impl BulkSelection {
    /// How many of those it names are none, where so many `bots` were found.
    pub fn unknown(&self, bots: u32) -> u32 {
        match self {
            Self::Users(users) => u32::try_from(users.len())
                .unwrap_or(u32::MAX)
                .saturating_sub(bots),
            Self::Filter(_) => 0,
        }
    }

    /// Whether an order to so many bots is given.
    ///
    /// # Errors
    /// See [`BadBulkSize`].
    pub fn check_size(bots: u32) -> Result<(), BadBulkSize> {
        match bots {
            0 => Err(BadBulkSize::None),
            1..=MAX_BOTS => Ok(()),
            _ => Err(BadBulkSize::TooMany(bots)),
        }
    }

    /// In words, for the history and the list of orders.
    pub fn words(&self) -> String {
        match self {
            Self::Users(users) => format!("{} named bots", users.len()),
            Self::Filter(filter) => {
                let told = [
                    filter.state.map(|state| format!("state {}", state.as_str())),
                    filter.health.map(|health| format!("health {}", health.as_str())),
                    filter.search.as_ref().map(|search| format!("search {search}")),
                ];
                let told: Vec<String> = told.into_iter().flatten().collect();
                if told.is_empty() {
                    "every bot".to_owned()
                } else {
                    told.join(", ")
                }
            }
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkReceipt {
    /// By which the order is followed; null after a dry run.
    pub id: Option<u32>,
    /// How many bots it concerns.
    pub bots: u32,
    /// The first of them, by user id.
    pub first: Vec<UserId>,
    /// How many of those that were named are nobody who ever wanted a bot.
    pub unknown: u32,
}

/// How many bots came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkResults {
    /// See [`BulkOutcome::Done`].
    #[serde(default)]
    pub done: u32,
    /// See [`BulkOutcome::Skipped`].
    #[serde(default)]
    pub skipped: u32,
    /// See [`BulkOutcome::Refused`].
    #[serde(default)]
    pub refused: u32,
    /// See [`BulkOutcome::Failed`].
    #[serde(default)]
    pub failed: u32,
    /// See [`BulkOutcome::Stopped`].
    #[serde(default)]
    pub stopped: u32,
}

impl BulkResults {
    /// All that came to an end.
    pub fn total(self) -> u32 {
        let all = [self.done, self.skipped, self.refused, self.failed, self.stopped];
        all.into_iter().fold(0, u32::saturating_add)
    }
}

/// An order, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkOrder {
    /// By which it is followed.
    pub id: u32,
    /// What is ordered.
    pub verb: BulkVerb,
    /// Which bots, in words.
    pub selection: String,
    /// The admin who ordered it.
    pub ordered_by: UserId,
    /// When it was ordered.
    pub ordered_at: u64,
    /// How many bots it concerns.
    pub bots: u32,
    /// How many of them have come to no end yet.
    pub left: u32,
    /// How many came to which end.
    pub results: BulkResults,
    /// The admin who stopped it.
    pub stopped_by: Option<UserId>,
    /// When it was stopped.
    pub stopped_at: Option<u64>,
    /// When the last of its bots came to an end.
    pub finished_at: Option<u64>,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkOrderPage {
    /// The latest first.
    pub orders: Vec<BulkOrder>,
    /// What `before` has to be for those that follow; null where there are none.
    pub next: Option<u32>,
}

/// One bot of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkBot {
    /// Whose it is.
    pub user_id: UserId,
    /// What became of it; null while its turn is still to come, or it is under way.
    pub outcome: Option<BulkOutcome>,
    /// Why, where there is more to say.
    pub detail: Option<String>,
    /// When that was.
    pub done_at: Option<u64>,
}

/// An order with a page of its bots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BulkOrderBots {
    /// What was ordered, and how far it is.
    pub order: BulkOrder,
    /// Its bots, by user id.
    pub bots: Vec<BulkBot>,
    /// What `after` has to be for those that follow; null where there are none.
    pub next: Option<UserId>,
}

/// What the list of orders takes in its query.
pub static BULK_QUERY: [Parameter; 1] = [Parameter {
    name: "before",
    takes: Takes::Number(u32::MAX as u64),
    meaning: "the `next` of the page before",
    required: false,
}];

/// What one order takes in its query.
pub static BULK_BOTS_QUERY: [Parameter; 2] = [
    Parameter {
        name: "outcome",
        takes: Takes::OneOf(texts_of!(BulkOutcome)),
        meaning: "only bots that came to this end",
        required: false,
    },
    Parameter {
        name: "after",
        takes: Takes::Text,
        meaning: "the `next` of the page before",
        required: false,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn user(number: usize) -> UserId {
        format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
    }

    fn read(text: &str) -> Result<BulkSelection, String> {
        let request: BulkRequest = json::exactly(text.as_bytes()).map_err(|error| error.to_string())?;
        request.selection().map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_to_one_bot_at_least_and_to_a_bounded_number() {
        for (bots, expected) in [
            (0, Err(BadBulkSize::None)),
            (1, Ok(())),
            (MAX_BOTS, Ok(())),
            (MAX_BOTS + 1, Err(BadBulkSize::TooMany(MAX_BOTS + 1))),
        ] {
            assert_eq!(BulkSelection::check_size(bots), expected, "{bots}");
        }
        let named = BulkSelection::Users(vec![user(1), user(2), user(3)]);
        assert_eq!((named.unknown(1), named.unknown(3)), (2, 0));
        let every = BulkSelection::Filter(BulkFilter::default());
        assert_eq!(every.unknown(0), 0);
    }

    #[test]
    fn an_order_names_its_bots_in_one_way() {
        for (text, words) in [
            (r#"{"verb":"restart","filter":{}}"#, "every bot"),
            (
                r#"{"verb":"stop","filter":{"state":"running","health":"unknown","search":"a@"}}"#,
                "state running, health unknown, search a@",
            ),
            (
                r#"{"verb":"sleep","filter":{"search":""},"dryRun":true}"#,
                "every bot",
            ),
            (
                r#"{"verb":"snapshot","users":["00000000-0000-4000-8000-000000000001","00000000-0000-4000-8000-000000000001"]}"#,
                "1 named bots",
            ),
        ] {
            assert_eq!(read(text).unwrap().words(), words, "{text}");
        }
        for text in [
            r#"{"verb":"restart"}"#,
            r#"{"verb":"restart","filter":{},"users":[]}"#,
            r#"{"verb":"restart","users":[]}"#,
            r#"{"verb":"dance","filter":{}}"#,
            r#"{"verb":"restart","filter":{"state":"happy"}}"#,
            r#"{"verb":"restart","filter":{"email":"a@"}}"#,
            r#"{"verb":"restart","users":["../x"]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let named = |count| BulkRequest {
            verb: BulkVerb::Stop,
            filter: None,
            users: Some((1..=count).map(user).collect()),
            dry_run: None,
        };
        assert!(named(MAX_NAMED).selection().is_ok());
        assert_eq!(named(MAX_NAMED + 1).selection(), Err(NoSelection::Number));
        let body = format!(
            r#"{{"verb":"snapshot","users":[{}]}}"#,
            vec![format!("\"{}\"", user(1)); MAX_NAMED].join(",")
        );
        assert!(
            body.len() as u64 <= crate::api::contract::MAX_BODY_BYTES,
            "a body has room for them"
        );
    }

    #[test]
    fn results_are_counted_whatever_is_missing() {
        let results: BulkResults = json::read(r#"{"done":3,"failed":1}"#).unwrap();
        assert_eq!((results.done, results.failed, results.total()), (3, 1, 4));
    }
}
