//! A bot's state, orders to it, and the list of all bots.

use moltworker_core::api::bot::{BotPage, BotState, BotStatus, FleetQuery, Health, ListedBot};
use moltworker_core::api::fleet::FleetOrder;
use moltworker_core::api::page::{self, PAGE_ROWS};
use moltworker_core::api::sandbox::Order;
use moltworker_core::backup::state::{Drill, DrillOutcome};
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::bot::restarts::Restarts;
use moltworker_core::bot::usage::ResourceUsage;
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::Request;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::bulk::FLEET_FILTER;
use crate::http::address::Address;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::http::reply::Page;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::{clock, json, sandbox_client};
use crate::sandbox::VITAL_COLUMNS;

/// Never wakes the bot.
pub(super) async fn status(ctx: &Context<'_>) -> Result<Answer> {
    let status = sandbox_client::status(ctx.env, ctx.subject()?).await?;
    Ok(Answer::raw::<BotStatus>(status))
}

/// Gives an order; a button of a page leads back to the bot.
pub(super) async fn order(ctx: &Context<'_>, by: Authority, order: Order, force: bool) -> Result<Answer> {
    let lost = if force { ", whatever is lost" } else { "" };
    ctx.audit.note(format!("{}{lost}", order.as_str()));
    ctx.audit.begin().await;
    let status = sandbox_client::order(ctx.env, ctx.subject()?, by, order, force).await?;
    Ok(if ctx.by_button() {
        Page::elsewhere("/")?.into()
    } else {
        Answer::raw::<BotStatus>(status)
    })
}

/// A row of the registry. Its incidents are a JSON list in one column.
#[derive(Deserialize)]
struct BotRow {
    user_id: UserId,
    email: Option<String>,
    state: BotState,
    since: u64,
    run: u64,
    health: Health,
    pinned: u32,
    active_at: u64,
    snapshot_at: Option<u64>,
    backup_key: Option<u32>,
    incidents: String,
    healthy_at: Option<u64>,
    restarts: String,
    memory: Option<u64>,
    memory_peak: Option<u64>,
    memory_limit: Option<u64>,
    disk: Option<u64>,
    disk_size: Option<u64>,
    unsaved_since: Option<u64>,
    drilled_at: Option<u64>,
    drill: Option<DrillOutcome>,
}

/// What a query that [`check_query`](super::input::check_query) let pass wants to see of the fleet.
pub(super) fn query(request: &Request) -> Result<FleetQuery> {
    let address = Address::of(request)?;
    let query = address.with_pairs(|pairs| FleetQuery::read(pairs));
    query.map_err(|wrong| Error::detailed(Refusal::BadRequest, wrong.to_string()))
}

/// A page of the fleet, from the registry alone.
pub(super) async fn list(ctx: &Context<'_>, query: &FleetQuery) -> Result<BotPage> {
    if let Some(detail) = query.history_detail() {
        ctx.audit.note(detail);
    }
    let rows = read(ctx, query).await.map_err(directory_unavailable)?;
    let found = rows.into_iter().map(listed).collect::<worker::Result<Vec<_>>>()?;
    let (bots, next) = page::cut(found, |last| query.cursor(last));
    Ok(BotPage { bots, next })
}

async fn read(ctx: &Context<'_>, query: &FleetQuery) -> worker::Result<Vec<BotRow>> {
    // By a time both columns descend, so that one comparison of both finds what is behind the last one.
    let (order, behind) = match query.order {
        FleetOrder::User => ("bots.user_id".to_owned(), "bots.user_id > ?5".to_owned()),
        FleetOrder::Active => by_time("active_at"),
        FleetOrder::Since => by_time("since"),
        FleetOrder::Snapshot => by_time("coalesce(snapshot_at, 0)"),
    };
    let (after_key, after_user) = query.after.unzip();
    let after_user = after_user.map(|user| user.to_string());
    let health = query.health.map(Health::as_str);
    let newest_key = ctx.settings.backups.keys.newest().version;
    let older_than = query.needs_older_key.then_some(newest_key);
    database::open(ctx.env)?
        .prepare(format!(
            "SELECT bots.user_id, email, state, since, run, health, pinned, active_at, snapshot_at, backup_key, \
             incidents, {VITAL_COLUMNS} \
             FROM bots LEFT JOIN users ON users.user_id = bots.user_id \
             WHERE {FLEET_FILTER} AND (?7 IS NULL OR (run > 0 AND coalesce(backup_key, -1) < ?7)) \
             AND (?5 IS NULL OR {behind}) ORDER BY {order} LIMIT ?6"
        ))
        .bind(&[
            text_or_null(query.state.map(BotState::as_str)),
            text_or_null(health),
            text_or_null(query.search.as_deref()),
            after_key.map_or(JsValue::NULL, d1_timestamp),
            text_or_null(after_user.as_deref()),
            PAGE_ROWS.into(),
            older_than.map_or(JsValue::NULL, JsValue::from),
        ])?
        .rows()
        .await
}

/// The order by a column of the latest first, and what is behind the last one in it.
fn by_time(column: &str) -> (String, String) {
    (
        format!("{column} DESC, bots.user_id DESC"),
        format!("({column}, bots.user_id) < (?4, ?5)"),
    )
}

fn listed(row: BotRow) -> worker::Result<ListedBot> {
    let usage = ResourceUsage {
        memory: row.memory,
        memory_peak: row.memory_peak,
        memory_limit: row.memory_limit,
        disk: row.disk,
        disk_size: row.disk_size,
        ..ResourceUsage::default()
    };
    let drill = row.drilled_at.zip(row.drill);
    Ok(ListedBot {
        user_id: row.user_id,
        email: row.email,
        state: row.state,
        since: row.since,
        run: row.run,
        health: row.health,
        pinned: row.pinned != 0,
        active_at: row.active_at,
        snapshot_at: row.snapshot_at,
        backup_key: row.backup_key,
        incidents: json::read(&row.incidents)?,
        healthy_at: row.healthy_at,
        // A list that cannot be read is no reason to show none of the bots.
        restarts: Restarts::of(json::read(&row.restarts).unwrap_or_default()).counts(clock::now_ms()),
        memory: usage.memory_share(),
        disk: usage.disk_share(),
        unsaved_since: row.unsaved_since,
        drill: drill.map(|(at, outcome)| Drill { at, outcome }),
    })
}
