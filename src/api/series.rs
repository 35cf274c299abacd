//! How a bot, and the fleet, was over time: what D1 has of it. Asks no Sandbox.

use moltworker_core::api::bot::Health;
use moltworker_core::api::series::{BotSeries, FleetSeries, SeriesQuery, Window};
use moltworker_core::http::problem::Refusal;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, Request};

use crate::api::context::Context;
use crate::http::address::Address;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::platform::clock;
use crate::platform::database::{self, Rows, d1_timestamp};

/// The steps of a window. The points lie by time first: each step is looked up by itself, at most 576 of five minutes or 2,160
/// of hours.
const STEPS: &str =
    "WITH RECURSIVE steps (step) AS (SELECT ?1 UNION ALL SELECT step + ?3 FROM steps WHERE step + ?3 < ?2)";
const BOT: &str = "SELECT kept.step AS at, 1 AS looks, kept.health = ?5 AS healthy, kept.state, kept.memory, \
     kept.memory AS memory_max, kept.disk, kept.cpu, kept.cpu AS cpu_max, kept.latency, kept.latency AS latency_max, kept.restarts \
     FROM steps CROSS JOIN bot_series AS kept WHERE kept.step = steps.step AND kept.user_id = ?4 ORDER BY at";
const BOT_HOURLY: &str = "SELECT kept.hour AS at, kept.looks, kept.healthy, NULL AS state, kept.memory, kept.memory_max, kept.disk, \
     kept.cpu, kept.cpu_max, kept.latency, kept.latency_max, kept.restarts \
     FROM steps CROSS JOIN bot_series_hourly AS kept WHERE kept.hour = steps.step AND kept.user_id = ?4 ORDER BY at";
const FLEET: &str = "SELECT *, step AS at, 1 AS looks, awake AS awake_max FROM fleet_series WHERE step >= ?1 AND step < ?2 \
     ORDER BY step";
const FLEET_HOURLY: &str =
    "SELECT *, hour AS at FROM fleet_series_hourly WHERE hour >= ?1 AND hour < ?2 ORDER BY hour";

/// What a query that [`check_query`](super::input::check_query) let pass wants to see.
pub(super) fn query(request: &Request) -> Result<SeriesQuery> {
    let address = Address::of(request)?;
    let query = address.with_pairs(|pairs| SeriesQuery::read(pairs));
    query.map_err(|unfit| Error::detailed(Refusal::BadRequest, unfit.to_string()))
}

/// Of one bot.
pub(super) async fn bot(ctx: &Context<'_>, query: &SeriesQuery) -> Result<BotSeries> {
    let window = query.window(clock::now_ms());
    let user = ctx.subject()?.to_string();
    let read = async {
        let mut bound = times(&window);
        bound.extend([d1_timestamp(window.kept_step), user.into()]);
        let points = if window.is_hourly {
            BOT_HOURLY
        } else {
            bound.push(Health::Healthy.as_str().into());
            BOT
        };
        open(ctx)?
            .prepare(format!("{STEPS} {points}"))
            .bind(&bound)?
            .rows()
            .await
    };
    Ok(window.bot(&read.await.map_err(directory_unavailable)?))
}

/// Of the fleet.
pub(super) async fn fleet(ctx: &Context<'_>, query: &SeriesQuery) -> Result<FleetSeries> {
    let window = query.window(clock::now_ms());
    let read = async {
        let points = if window.is_hourly { FLEET_HOURLY } else { FLEET };
        open(ctx)?.prepare(points).bind(&times(&window))?.rows().await
    };
    Ok(window.fleet(&read.await.map_err(directory_unavailable)?))
}

fn open(ctx: &Context<'_>) -> worker::Result<D1Database> {
    database::open(ctx.env)
}

fn times(window: &Window) -> Vec<JsValue> {
    vec![d1_timestamp(window.from), d1_timestamp(window.to)]
}
