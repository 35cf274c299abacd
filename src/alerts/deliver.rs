//! Brings what is to be told to its sinks.

use std::collections::BTreeMap;

use moltworker_core::alerts::delivery::{LEASE_MS, MAX_AT_ONCE, Tried};
use moltworker_core::alerts::incident::Notice;
use moltworker_core::metrics::table::DELIVERIES;
use moltworker_core::settings::Settings;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::{D1Database, Env, Result};

use super::sinks;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::{clock, configuration, json, log, metrics, tasks};

#[derive(Deserialize)]
struct DueRow {
    num: u64,
    message_id: String,
    sink: String,
    notice: String,
    attempts: u32,
    created_at: u64,
}

/// Sends what is due, sinks side by side. A row is taken in the statement that reads it, so that of two who deliver at once one
/// has it; whoever is killed leaves it to be taken again, with the same message id.
///
/// # Errors
/// D1 does not answer.
pub(crate) async fn deliver_due(env: &Env) -> Result<()> {
    let Ok(settings) = configuration::read(env) else {
        return Ok(());
    };
    let database = database::open(env)?;
    let mut lanes: BTreeMap<String, Vec<DueRow>> = BTreeMap::new();
    for row in take(&database).await? {
        lanes.entry(row.sink.clone()).or_default().push(row);
    }
    let lanes = lanes
        .into_iter()
        .map(|(sink, rows)| lane(&database, &settings, sink, rows));
    tasks::all(lanes).await;
    metrics::write_counted(env).await;
    Ok(())
}

/// What is due, of each sink the oldest first, so that no sink with many waits before another; that an incident is over never before that it began.
async fn take(database: &D1Database) -> Result<Vec<DueRow>> {
    let now = clock::now_ms();
    let mut rows = database
        .prepare(
            "UPDATE alert_deliveries SET next_at = ?1 WHERE num IN (SELECT num FROM alert_deliveries AS due \
             WHERE done_at IS NULL AND next_at <= ?2 AND NOT EXISTS (SELECT 1 FROM alert_deliveries AS earlier \
             WHERE earlier.done_at IS NULL AND earlier.sink = due.sink AND earlier.incident = due.incident \
             AND earlier.num < due.num) ORDER BY row_number() OVER (PARTITION BY sink ORDER BY next_at, num), num LIMIT ?3) \
             RETURNING num, message_id, sink, notice, attempts, created_at",
        )
        .bind(&[
            d1_timestamp(now.saturating_add(LEASE_MS)),
            d1_timestamp(now),
            MAX_AT_ONCE.into(),
        ])?
        .rows::<DueRow>()
        .await?;
    rows.sort_by_key(|row| row.num);
    Ok(rows)
}

/// One after the other to one sink, until it fails: then the rest waits for the next tick.
async fn lane(database: &D1Database, settings: &Settings, sink: String, rows: Vec<DueRow>) {
    if let Err(error) = try_lane(database, settings, &sink, &rows).await {
        log::line("alerts-not-delivered", &[("sink", &sink), ("reason", &error)]);
    }
}

async fn try_lane(database: &D1Database, settings: &Settings, sink: &str, rows: &[DueRow]) -> Result<()> {
    let access = sinks::access(database, settings, sink).await?;
    let mut rows = rows.iter();
    let mut failed = 0;
    for row in rows.by_ref() {
        let tried = match json::read::<Notice>(&row.notice) {
            Ok(notice) => sinks::tell(settings, &access, &notice, &row.message_id).await,
            // Of a newer version, before somebody went back: what is behind it does not wait for that.
            Err(_) => Tried::Refused("this version cannot read the message".to_owned()),
        };
        record(database, sink, row, &tried).await?;
        metrics::count(DELIVERIES.count(&[tried.as_str()], 1));
        if let Some(reason) = tried.error() {
            log::line(
                "alert-not-delivered",
                &[("sink", &sink), ("message", &row.message_id), ("reason", &reason)],
            );
        }
        if matches!(tried, Tried::Failed { .. }) {
            failed = row.num;
            break;
        }
    }
    let left: Vec<u64> = rows.map(|row| row.num).collect();
    if left.is_empty() {
        return Ok(());
    }
    // The one that failed says when: the others would only be in the way of other sinks' until then.
    database
        .prepare(
            "UPDATE alert_deliveries SET next_at = coalesce((SELECT next_at FROM alert_deliveries WHERE num = ?1 \
             AND done_at IS NULL), ?2) WHERE done_at IS NULL AND num IN (SELECT value FROM json_each(?3))",
        )
        .bind(&[
            d1_timestamp(failed),
            d1_timestamp(clock::now_ms()),
            serde_json::to_string(&left)?.into(),
        ])?
        .run()
        .await
        .map(drop)
}

async fn record(database: &D1Database, sink: &str, row: &DueRow, tried: &Tried) -> Result<()> {
    let now = clock::now_ms();
    let next_at = tried.next_at(row.created_at, row.attempts.saturating_add(1), now);
    let done = database
        .prepare(
            "UPDATE alert_deliveries SET attempts = attempts + 1, next_at = coalesce(?2, next_at), done_at = ?3, \
             delivered = ?4, last_error = ?5 WHERE num = ?1",
        )
        .bind(&[
            d1_timestamp(row.num),
            next_at.map_or(JsValue::NULL, d1_timestamp),
            next_at.map_or_else(|| d1_timestamp(now), |_| JsValue::NULL),
            u32::from(*tried == Tried::Delivered).into(),
            text_or_null(tried.error()),
        ])?;
    database
        .batch(vec![done, sinks::tried(database, sink, tried)?])
        .await
        .map(drop)
}
