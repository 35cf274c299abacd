//! Orders as admins give, follow and stop them.

use moltworker_core::api::bot::{BotState, Health};
use moltworker_core::api::bulk::{BulkBot, BulkOrder, BulkResults, BulkSelection};
use moltworker_core::api::page::PAGE_ROWS;
use moltworker_core::jobs::bulk::{BulkOutcome, BulkVerb, CLAIM_MS, FIRST, MAX_BOTS};
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::{Env, Error, Result};

use super::FLEET_FILTER;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::json;

/// An order, with how many of its bots came to which end. Those of a finished one are written down.
const COLUMNS: &str = "id, verb, selection, ordered_by, ordered_at, bots, stopped_by, stopped_at, finished_at, \
    coalesce(results, (SELECT json_group_object(outcome, bots_of) FROM (SELECT outcome, count(*) AS bots_of FROM bulk_bots \
    WHERE order_id = bulk_orders.id AND outcome IS NOT NULL GROUP BY outcome))) AS results";

#[derive(Deserialize)]
struct OrderRow {
    id: u32,
    verb: BulkVerb,
    selection: String,
    ordered_by: UserId,
    ordered_at: u64,
    bots: u32,
    stopped_by: Option<UserId>,
    stopped_at: Option<u64>,
    finished_at: Option<u64>,
    results: String,
}

#[derive(Deserialize)]
struct IdRow {
    id: u32,
}

#[derive(Deserialize)]
struct SelectedRow {
    user_id: UserId,
    bots: u32,
}

/// Whom a selection concerns now.
pub(crate) struct Selected {
    /// How many.
    pub(crate) bots: u32,
    /// The first of them.
    pub(crate) first: Vec<UserId>,
}

/// The values of a selection, as [`selecting`] counts them.
fn values(selection: &BulkSelection) -> Result<[JsValue; 4]> {
    Ok(match selection {
        BulkSelection::Filter(filter) => [
            text_or_null(filter.state.map(BotState::as_str)),
            text_or_null(filter.health.map(Health::as_str)),
            text_or_null(filter.search.as_deref()),
            JsValue::NULL,
        ],
        BulkSelection::Users(users) => [
            JsValue::NULL,
            JsValue::NULL,
            JsValue::NULL,
            serde_json::to_string(users)?.into(),
        ],
    })
}

fn selecting() -> String {
    format!(
        "FROM bots LEFT JOIN users ON users.user_id = bots.user_id WHERE {FLEET_FILTER} \
         AND (?4 IS NULL OR bots.user_id IN (SELECT value FROM json_each(?4)))"
    )
}

/// Whom an order would concern.
pub(crate) async fn select(env: &Env, selection: &BulkSelection) -> Result<Selected> {
    let rows: Vec<SelectedRow> = database::open(env)?
        .prepare(format!(
            "SELECT bots.user_id, count(*) OVER () AS bots {} ORDER BY bots.user_id LIMIT {FIRST}",
            selecting()
        ))
        .bind(&values(selection)?)?
        .rows()
        .await?;
    Ok(Selected {
        bots: rows.first().map_or(0, |row| row.bots),
        first: rows.into_iter().map(|row| row.user_id).collect(),
    })
}

/// Writes an order down with its bots; how many they are. What breaks off in between leaves an order without bots, and nobody is
/// ordered anything.
pub(crate) async fn create(
    env: &Env,
    verb: BulkVerb,
    selection: &BulkSelection,
    admin: UserId,
    now: u64,
) -> Result<BulkOrder> {
    let database = database::open(env)?;
    let made = database
        .prepare(
            "INSERT INTO bulk_orders (verb, ordered_by, ordered_at, selection, bots) VALUES (?1, ?2, ?3, ?4, 0) \
             RETURNING id",
        )
        .bind(&[
            verb.as_str().into(),
            admin.to_string().into(),
            d1_timestamp(now),
            selection.words().into(),
        ])?
        .row::<IdRow>()
        .await?;
    let none = || Error::RustError("D1 numbered no order".into());
    let IdRow { id } = made.ok_or_else(none)?;
    let mut values = values(selection)?.to_vec();
    values.push(id.into());
    database
        .prepare(format!(
            "INSERT INTO bulk_bots (order_id, user_id) SELECT ?5, bots.user_id {} LIMIT {MAX_BOTS}",
            selecting()
        ))
        .bind(&values)?
        .run()
        .await?;
    let order = database
        .prepare(format!(
            // Of one whose bots are all different by now there is nothing to do.
            "UPDATE bulk_orders SET bots = (SELECT count(*) FROM bulk_bots WHERE order_id = ?1), finished_at = \
             CASE WHEN EXISTS (SELECT 1 FROM bulk_bots WHERE order_id = ?1) THEN NULL ELSE ?2 END WHERE id = ?1 \
             RETURNING {COLUMNS}"
        ))
        .bind(&[id.into(), d1_timestamp(now)])?
        .row::<OrderRow>()
        .await?;
    order.ok_or_else(none).and_then(read)
}

/// A page of orders and one more, the latest first, from before this one on.
pub(crate) async fn list(env: &Env, before: Option<u32>) -> Result<Vec<BulkOrder>> {
    let rows: Vec<OrderRow> = database::open(env)?
        .prepare(format!(
            "SELECT {COLUMNS} FROM bulk_orders WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
        ))
        .bind(&[before.unwrap_or(u32::MAX).into(), PAGE_ROWS.into()])?
        .rows()
        .await?;
    rows.into_iter().map(read).collect()
}

/// One order, if there is one of this number.
pub(crate) async fn one(env: &Env, id: u32) -> Result<Option<BulkOrder>> {
    let row = database::open(env)?
        .prepare(format!("SELECT {COLUMNS} FROM bulk_orders WHERE id = ?1"))
        .bind(&[id.into()])?
        .row::<OrderRow>()
        .await?;
    row.map(read).transpose()
}

/// A page of an order's bots and one more, by user id, from behind this one on.
pub(crate) async fn bots(env: &Env, id: u32, outcome: Option<&str>, after: &str) -> Result<Vec<BulkBot>> {
    database::open(env)?
        .prepare(
            "SELECT user_id, outcome, detail, done_at FROM bulk_bots WHERE order_id = ?1 AND user_id > ?2 \
             AND (?3 IS NULL OR outcome = ?3) ORDER BY user_id LIMIT ?4",
        )
        .bind(&[id.into(), after.into(), text_or_null(outcome), PAGE_ROWS.into()])?
        .rows()
        .await
}

/// Stops an order: whoever is tried at this moment comes to their end, and nobody else is. Once stopped it stays so.
pub(crate) async fn stop(env: &Env, id: u32, admin: UserId, now: u64) -> Result<()> {
    let database = database::open(env)?;
    database
        .prepare(
            "UPDATE bulk_orders SET stopped_by = ?2, stopped_at = ?3 \
             WHERE id = ?1 AND stopped_at IS NULL AND finished_at IS NULL",
        )
        .bind(&[id.into(), admin.to_string().into(), d1_timestamp(now)])?
        .run()
        .await?;
    database
        .prepare(
            "UPDATE bulk_bots SET outcome = ?2, done_at = ?3 WHERE order_id = ?1 AND outcome IS NULL AND claimed_at <= ?4 \
             AND EXISTS (SELECT 1 FROM bulk_orders WHERE id = ?1 AND stopped_at IS NOT NULL)",
        )
        .bind(&[
            id.into(),
            BulkOutcome::Stopped.as_str().into(),
            d1_timestamp(now),
            d1_timestamp(now.saturating_sub(CLAIM_MS)),
        ])?
        .run()
        .await
        .map(drop)
}

fn read(row: OrderRow) -> Result<BulkOrder> {
    let results: BulkResults = json::read(&row.results)?;
    Ok(BulkOrder {
        id: row.id,
        verb: row.verb,
        selection: row.selection,
        ordered_by: row.ordered_by,
        ordered_at: row.ordered_at,
        bots: row.bots,
        left: row.bots.saturating_sub(results.total()),
        results,
        stopped_by: row.stopped_by,
        stopped_at: row.stopped_at,
        finished_at: row.finished_at,
    })
}
