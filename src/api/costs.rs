//! What bots cost, from what their Sandboxes wrote down, and what each may.

use moltworker_core::api::costs::{
    Basis, BotCosts, CostCall, Costs, FleetCosts, LimitRequest, ListedCosts, SpendLimit,
};
use moltworker_core::api::fleet::CostCursor;
use moltworker_core::api::page::{self, PAGE_ROWS};
use moltworker_core::cost::account::{Account, first_day};
use moltworker_core::cost::calendar::{Day, Month};
use moltworker_core::cost::forecast::{forecast, window};
use moltworker_core::cost::limit::LimitChoice;
use moltworker_core::cost::money::Money;
use moltworker_core::cost::usage::{Rates, Usage};
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::{D1Database, Request};

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::address::Address;
use crate::http::body;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::{clock, log, sandbox_client};

/// Answers one of these calls.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: CostCall) -> Result<Answer> {
    match call {
        CostCall::Own | CostCall::OfBot => Answer::of(&of_bot(ctx).await?),
        CostCall::Fleet => Answer::of(&fleet(ctx, cursor(request)?).await?),
        CostCall::SetLimit => {
            let request: LimitRequest = body::json(ctx.endpoint, request).await?;
            let choice = request
                .choice()
                .map_err(|wrong| Error::detailed(Refusal::BadRequest, wrong.to_string()))?;
            Answer::of(&set_limit(ctx, choice).await?)
        }
        CostCall::ClearLimit => Answer::of(&set_limit(ctx, LimitChoice::Default).await?),
    }
}

/// A cursor that [`check_query`](super::input::check_query) let pass; nothing for the beginning.
fn cursor(request: &Request) -> Result<Option<CostCursor>> {
    let cursor = Address::of(request)?.query_value("cursor");
    Ok(cursor.and_then(|cursor| cursor.parse().ok()))
}

/// What was used in a day.
#[derive(Deserialize)]
struct DayRow {
    day: Day,
    running_ms: u64,
    cpu_ms: u64,
    unmeasured_ms: u64,
    requests: u64,
    class_a: u64,
    class_b: u64,
}

impl From<DayRow> for (Day, Usage) {
    fn from(row: DayRow) -> Self {
        let usage = Usage {
            running_ms: row.running_ms,
            cpu_ms: row.cpu_ms,
            unmeasured_ms: row.unmeasured_ms,
            requests: row.requests,
            class_a: row.class_a,
            class_b: row.class_b,
        };
        (row.day, usage)
    }
}

/// The days an account of `now` is made of: of one bot, or of all together.
async fn days(database: &D1Database, now: u64, user: Option<UserId>) -> worker::Result<Vec<(Day, Usage)>> {
    let whose = user.map(|user| user.to_string());
    let rows: Vec<DayRow> = database
        .prepare(match user {
            Some(_) => {
                "SELECT day, running_ms, cpu_ms, unmeasured_ms, requests, class_a, class_b FROM bot_usage \
                 WHERE user_id = ?2 AND day >= ?1"
            }
            None => {
                "SELECT day, sum(running_ms) AS running_ms, sum(cpu_ms) AS cpu_ms, sum(unmeasured_ms) AS unmeasured_ms, \
                 sum(requests) AS requests, sum(class_a) AS class_a, sum(class_b) AS class_b FROM bot_usage \
                 WHERE day >= ?1 AND ?2 IS NULL GROUP BY day"
            }
        })
        .bind(&[first_day(now).0.into(), text_or_null(whose.as_deref())])?
        .rows()
        .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

#[derive(Deserialize)]
struct LimitRow {
    limit_microdollars: Option<u64>,
}

impl LimitRow {
    fn choice(self) -> LimitChoice {
        self.limit_microdollars.map_or(LimitChoice::Unlimited, |micro| {
            LimitChoice::At(Money::of_micro(micro))
        })
    }
}

async fn of_bot(ctx: &Context<'_>) -> Result<BotCosts> {
    let (user, now, settings) = (ctx.subject()?, clock::now_ms(), &ctx.settings.cost);
    let read = async {
        let database = database::open(ctx.env)?;
        let limit = database
            .prepare("SELECT limit_microdollars FROM bot_limits WHERE user_id = ?1")
            .bind(&[user.to_string().into()])?
            .row::<LimitRow>()
            .await?;
        Ok((limit, days(&database, now, Some(user)).await?))
    };
    let (limit, days) = read.await.map_err(directory_unavailable)?;
    let account = Account::of(now, &days, &Rates::of(settings.instance));
    let choice = limit.map_or(LimitChoice::Default, LimitRow::choice);
    Ok(BotCosts {
        user_id: user,
        basis: Basis::of(now, settings),
        costs: Costs::from(account),
        limit: SpendLimit::of(now, account.parts.total(), choice, settings),
    })
}

/// A bot in the list; amounts are microdollars.
#[derive(Deserialize)]
struct BotRow {
    user_id: UserId,
    email: Option<String>,
    month: u64,
    today: u64,
    recent: u64,
    running_ms: u64,
    first: Day,
    has_limit: u32,
    limit_microdollars: Option<u64>,
}

async fn fleet(ctx: &Context<'_>, after: Option<CostCursor>) -> Result<FleetCosts> {
    if let Some(after) = after {
        ctx.audit.note(format!("after {}", after.user));
    }
    let (now, settings) = (clock::now_ms(), &ctx.settings.cost);
    let rates = Rates::of(settings.instance);
    let read = async {
        let database = database::open(ctx.env)?;
        let days = days(&database, now, None).await?;
        Ok((days, most_expensive(&database, now, &rates, after).await?))
    };
    let (days, rows) = read.await.map_err(directory_unavailable)?;
    let (rows, next) = page::cut(rows, |last| CostCursor {
        micro: last.month,
        user: last.user_id,
    });
    let bots = rows.into_iter().map(|row| {
        let month = Money::of_micro(row.month);
        let foretold = forecast(now, month, Money::of_micro(row.recent), row.first);
        let limit = LimitRow {
            limit_microdollars: row.limit_microdollars,
        };
        let choice = match row.has_limit {
            0 => LimitChoice::Default,
            _ => limit.choice(),
        };
        ListedCosts {
            user_id: row.user_id,
            email: row.email,
            today_microdollars: row.today,
            month_microdollars: row.month,
            forecast_microdollars: foretold.micro(),
            running_ms: row.running_ms,
            limit: SpendLimit::of(now, month, choice, settings),
        }
    });
    Ok(FleetCosts {
        basis: Basis::of(now, settings),
        costs: Costs::from(Account::of(now, &days, &rates)),
        bots: bots.collect(),
        next: next.map(|cursor| cursor.to_string()),
    })
}

/// Added up in SQL, so that only a page of them comes here. The rates stand in the statement, because D1 would take them for
/// fractions, and what they are multiplied with as well.
async fn most_expensive(
    database: &D1Database,
    now: u64,
    rates: &Rates,
    after: Option<CostCursor>,
) -> worker::Result<Vec<BotRow>> {
    let cost = format!(
        "running_ms * {} + cpu_ms * {} + unmeasured_ms * {} + requests * {} + class_a * {} + class_b * {}",
        (rates.container_ms + rates.clock_ms).pico(),
        rates.cpu_ms.pico(),
        rates.unmeasured_ms.pico(),
        rates.request.pico(),
        rates.class_a.pico(),
        rates.class_b.pico(),
    );
    let (month, today, recent) = (Month::of(now).first_day().0, Day::of(now).0, window(now).0);
    let (micro, user) = after.map(|after| (after.micro, after.user.to_string())).unzip();
    database
        .prepare(format!(
            "SELECT bots.user_id, email, month, today, recent, running_ms, first, \
             bot_limits.user_id IS NOT NULL AS has_limit, limit_microdollars FROM (SELECT user_id, \
             sum(iif(day >= {month}, {cost}, 0)) / 1000000 AS month, sum(iif(day = {today}, {cost}, 0)) / 1000000 AS today, \
             sum(iif(day >= {recent}, {cost}, 0)) / 1000000 AS recent, sum(iif(day >= {month}, running_ms, 0)) AS running_ms, \
             min(day) AS first FROM bot_usage WHERE day >= {} GROUP BY user_id) AS bots \
             LEFT JOIN users ON users.user_id = bots.user_id LEFT JOIN bot_limits ON bot_limits.user_id = bots.user_id \
             WHERE ?1 IS NULL OR (month, bots.user_id) < (?1, ?2) ORDER BY month DESC, bots.user_id DESC LIMIT ?3",
            first_day(now).0
        ))
        .bind(&[
            micro.map_or(JsValue::NULL, d1_timestamp),
            text_or_null(user.as_deref()),
            PAGE_ROWS.into(),
        ])?
        .rows()
        .await
}

/// The bot is told first: it goes by what it was told, and what is written here is for whoever asks.
async fn set_limit(ctx: &Context<'_>, choice: LimitChoice) -> Result<BotCosts> {
    let (user, admin) = (ctx.subject()?, ctx.admin()?);
    ctx.audit.note(match choice {
        LimitChoice::Default => "the operator's limit".to_owned(),
        LimitChoice::Unlimited => "no limit".to_owned(),
        LimitChoice::At(limit) => format!("a limit of {limit} a month"),
    });
    super::users::get(ctx).await?;
    ctx.audit.begin().await;
    sandbox_client::set_limit(ctx.env, user, choice)
        .await
        .map_err(|error| {
            log::line("bot-not-told", &[("user", &user), ("reason", &error)]);
            let detail = "nothing was changed, because the bot could not be told; do it again";
            Error::detailed(Refusal::Internal, detail)
        })?;
    let write = async {
        let database = database::open(ctx.env)?;
        let user = JsValue::from(user.to_string());
        let statement = match choice {
            LimitChoice::Default => database
                .prepare("DELETE FROM bot_limits WHERE user_id = ?1")
                .bind(&[user])?,
            LimitChoice::Unlimited | LimitChoice::At(_) => database
                .prepare(
                    "INSERT INTO bot_limits (user_id, limit_microdollars, set_by, set_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (user_id) DO UPDATE SET limit_microdollars = excluded.limit_microdollars, \
                     set_by = excluded.set_by, set_at = excluded.set_at",
                )
                .bind(&[
                    user,
                    match choice {
                        LimitChoice::At(limit) => d1_timestamp(limit.micro()),
                        _ => JsValue::NULL,
                    },
                    admin.to_string().into(),
                    d1_timestamp(clock::now_ms()),
                ])?,
        };
        statement.run().await
    };
    write.await.map_err(directory_unavailable)?;
    of_bot(ctx).await
}
