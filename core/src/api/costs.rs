//! What bots cost, as owners and admins see it. Money is in microdollars (millionths of a dollar), beyond what Workers Paid includes;
//! days and months are those of UTC.

use serde::{Deserialize, Serialize};

use super::parameter::{Parameter, Takes};
use crate::cost::account::Account;
use crate::cost::calendar::Month;
use crate::cost::limit::{LimitChoice, MAX_LIMIT, MIN_LIMIT, SpendLevel, Spending};
use crate::cost::money::Money;
use crate::cost::prices::AS_OF;
use crate::cost::usage::{Parts, Usage};
use crate::settings::CostSettings;
use crate::user_id::UserId;

/// What can be asked of costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostCall {
    /// What the caller's bot costs.
    Own,
    /// What all cost, and the most expensive.
    Fleet,
    /// What somebody's bot costs.
    OfBot,
    /// Sets the limit of somebody's bot.
    SetLimit,
    /// Goes back to the operator's.
    ClearLimit,
}

/// What the list of the most expensive bots takes in its query.
pub static COST_QUERY: [Parameter; 1] = [Parameter {
    name: "cursor",
    takes: Takes::CostCursor,
    meaning: "the `next` of the page before",
    required: false,
}];

/// By what costs are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Basis {
    /// The month that is told, as `2026-11`.
    pub month: String,
    /// The day Cloudflare's price lists were read, as `2026-11-26`.
    pub prices_as_of: String,
    /// The instance type by which containers are priced.
    pub instance_type: String,
}

impl Basis {
    /// That of `now`.
    pub fn of(now: u64, settings: &CostSettings) -> Self {
        Self {
            month: Month::of(now).to_string(),
            prices_as_of: AS_OF.to_owned(),
            instance_type: settings.instance_type.clone(),
        }
    }
}

/// What something costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Costs {
    /// What today has cost until now.
    pub today_microdollars: u64,
    /// This month, so far.
    pub month_microdollars: u64,
    /// This month, when it is over.
    pub forecast_microdollars: u64,
    /// For how long containers ran today, in milliseconds.
    pub running_today_ms: u64,
    /// What was used this month.
    pub used: UsedThisMonth,
    /// What that cost.
    pub parts: CostParts,
}

impl From<Account> for Costs {
    fn from(account: Account) -> Self {
        Self {
            today_microdollars: account.today.micro(),
            month_microdollars: account.parts.total().micro(),
            forecast_microdollars: account.forecast.micro(),
            running_today_ms: account.running_today_ms,
            used: account.used.into(),
            parts: account.parts.into(),
        }
    }
}

/// What was used in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UsedThisMonth {
    /// Milliseconds for which there was a container, from the order to start it to its end.
    pub running_ms: u64,
    /// Milliseconds of a core that were used, as supervisors say.
    pub cpu_ms: u64,
    /// Milliseconds of running in which nobody said how much of the processor was used; priced as if it was all of it.
    pub unmeasured_ms: u64,
    /// Requests to the bot.
    pub requests: u64,
    /// Operations in the repository that write or list (class A).
    pub class_a: u64,
    /// Operations in the repository that read (class B).
    pub class_b: u64,
}

impl From<Usage> for UsedThisMonth {
    fn from(usage: Usage) -> Self {
        Self {
            running_ms: usage.running_ms,
            cpu_ms: usage.cpu_ms,
            unmeasured_ms: usage.unmeasured_ms,
            requests: usage.requests,
            class_a: usage.class_a,
            class_b: usage.class_b,
        }
    }
}

/// What a month cost so far, by what it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CostParts {
    /// Memory and disk of containers.
    pub container_microdollars: u64,
    /// Their processors.
    pub processor_microdollars: u64,
    /// Requests to bots.
    pub requests_microdollars: u64,
    /// Operations in repositories.
    pub repository_microdollars: u64,
    /// Alarms and heartbeats of awake bots, derived from how long they ran.
    pub clock_microdollars: u64,
}

impl From<Parts> for CostParts {
    fn from(parts: Parts) -> Self {
        Self {
            container_microdollars: parts.container.micro(),
            processor_microdollars: parts.processor.micro(),
            requests_microdollars: parts.requests.micro(),
            repository_microdollars: parts.repository.micro(),
            clock_microdollars: parts.clock.micro(),
        }
    }
}

/// Who set a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum LimitSource {
    /// The operator, for every bot; or nobody, where there is none.
    Setting,
    /// An admin, for this one.
    Admin,
}

/// What a bot may cost in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SpendLimit {
    /// How much; null for no limit.
    pub limit_microdollars: Option<u64>,
    /// Who set it.
    pub source: LimitSource,
    /// Whether it is nearly or wholly spent; null while there is enough left.
    pub level: Option<SpendLevel>,
    /// When a new month begins, in milliseconds since 1970: a bot that has spent its limit may run again then.
    pub renewed_at: u64,
}

impl SpendLimit {
    /// The limit of a bot that has cost `spent` this month.
    pub fn of(now: u64, spent: Money, choice: LimitChoice, settings: &CostSettings) -> Self {
        let limit = choice.or(settings.monthly_limit);
        Self {
            limit_microdollars: limit.map(Money::micro),
            source: match choice {
                LimitChoice::Default => LimitSource::Setting,
                LimitChoice::Unlimited | LimitChoice::At(_) => LimitSource::Admin,
            },
            level: Spending::of(now, spent, limit).map(|spending| spending.level),
            renewed_at: Month::of(now).ends(),
        }
    }
}

/// What one bot costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotCosts {
    /// Whose it is.
    pub user_id: UserId,
    /// By what this is told.
    pub basis: Basis,
    /// How much.
    pub costs: Costs,
    /// What it may.
    pub limit: SpendLimit,
}

/// A bot in the list of the most expensive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedCosts {
    /// Whose it is.
    pub user_id: UserId,
    /// Its owner's address, as their last token said it.
    pub email: Option<String>,
    /// What today has cost until now.
    pub today_microdollars: u64,
    /// This month, so far.
    pub month_microdollars: u64,
    /// This month, when it is over.
    pub forecast_microdollars: u64,
    /// Milliseconds for which it had a container this month.
    pub running_ms: u64,
    /// What it may.
    pub limit: SpendLimit,
}

/// What all bots cost, and a page of them, the most expensive of this month first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FleetCosts {
    /// By what this is told.
    pub basis: Basis,
    /// How much all of them cost, whichever are on this page.
    pub costs: Costs,
    /// One page of them.
    pub bots: Vec<ListedCosts>,
    /// What `cursor` has to be for those that follow; null where there are none.
    pub next: Option<String>,
}

/// What a bot may cost in a month: an amount, or no limit at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LimitRequest {
    /// Microdollars a month, from 10000 (a cent) to 1000000000000 (a million dollars).
    pub limit_microdollars: Option<u64>,
    /// No limit for this bot, whatever the operator's setting.
    pub unlimited: Option<bool>,
}

/// A limit that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("send either limit_microdollars, from 10000 (a cent) to 1000000000000, or unlimited: true")]
pub struct NotALimit;

impl LimitRequest {
    /// What it means.
    ///
    /// # Errors
    /// It names both, neither, or an amount that is none.
    pub fn choice(self) -> Result<LimitChoice, NotALimit> {
        match (self.limit_microdollars, self.unlimited) {
            (None, Some(true)) => Ok(LimitChoice::Unlimited),
            (Some(micro), None | Some(false)) => {
                let limit = Money::of_micro(micro);
                let is_limit = (MIN_LIMIT..=MAX_LIMIT).contains(&limit);
                is_limit.then_some(LimitChoice::At(limit)).ok_or(NotALimit)
            }
            _ => Err(NotALimit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_an_amount_or_none_at_all() {
        let read = |text: &str| {
            crate::json::exactly::<LimitRequest>(text.as_bytes())
                .ok()?
                .choice()
                .ok()
        };
        assert_eq!(
            read(r#"{"limit_microdollars":25000000}"#),
            Some(LimitChoice::At(Money::of_micro(25_000_000)))
        );
        assert_eq!(read(r#"{"unlimited":true}"#), Some(LimitChoice::Unlimited));
        for wrong in [
            "{}",
            r#"{"unlimited":false}"#,
            r#"{"limit_microdollars":null}"#,
            r#"{"limit_microdollars":0}"#,
            r#"{"limit_microdollars":9999}"#,
            r#"{"limit_microdollars":1000000000001}"#,
            r#"{"limit_microdollars":-5}"#,
            r#"{"limit_microdollars":12.5}"#,
            r#"{"limit_microdollars":25000000,"unlimited":true}"#,
            r#"{"dollars":25}"#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
