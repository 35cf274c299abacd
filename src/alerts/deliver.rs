//! Brings what is to be told to its sinks.

use std::cell::RefCell;
use std::collections::BTreeMap;

use moltworker_core::alerts::delivery::{DeliveryOutcome, LEASE_MS, MAX_AT_ONCE};
use moltworker_core::alerts::format;
use moltworker_core::alerts::incident::{Notice, NoticeKind};
use moltworker_core::alerts::owner::{self as owners, owner_of};
use moltworker_core::alerts::rules::{MINUTE_MS, Rule};
use moltworker_core::alerts::sink::SinkKind;
use moltworker_core::metrics::table::DELIVERIES;
use moltworker_core::settings::Settings;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, Env, Result};

use super::access::OpenedSink;
use super::{owner, sinks, store};
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

/// How long those of the admins may take, and those of owners after them; a message that is under way then has its own ten seconds
/// more. Together well within the quarter of an hour that cron and a message of the queue have, and within the lease of a message.
const TURN_MS: u64 = 2 * 60_000;

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
    if is_resent_now() {
        resend(&database, &settings).await?;
    }
    let lanes = lanes(take(&database, Whose::Admins).await?);
    let until = clock::now_ms().saturating_add(TURN_MS);
    let lanes = lanes.map(|(sink, rows)| lane(&database, &settings, sink, rows, until));
    tasks::all(lanes).await;
    // Afterwards those of owners, who are many and strangers: they can hold up nothing but one another, and that not for long.
    let left = RefCell::new(lanes_of_owners(&database).await?);
    let until = clock::now_ms().saturating_add(TURN_MS);
    let turns = (0..owners::SIDE_BY_SIDE).map(|_| turn(&database, &settings, &left, until));
    tasks::all(turns).await;
    let left: Vec<u64> = left
        .into_inner()
        .flat_map(|(_, rows)| rows)
        .map(|row| row.num)
        .collect();
    release(&database, &left, None).await?;
    metrics::write_counted(env).await;
    Ok(())
}

type Lanes = std::collections::btree_map::IntoIter<String, Vec<DueRow>>;

fn lanes(rows: Vec<DueRow>) -> Lanes {
    let mut lanes: BTreeMap<String, Vec<DueRow>> = BTreeMap::new();
    for row in rows {
        lanes.entry(row.sink.clone()).or_default().push(row);
    }
    lanes.into_iter()
}

async fn lanes_of_owners(database: &D1Database) -> Result<Lanes> {
    Ok(lanes(take(database, Whose::Owners).await?))
}

/// Sends to one owner's sink after the other, as long as there are any left, and time.
async fn turn(database: &D1Database, settings: &Settings, left: &RefCell<Lanes>, until: u64) {
    while clock::now_ms() < until {
        let next = left.borrow_mut().next();
        let Some((sink, rows)) = next else { return };
        lane(database, settings, sink, rows, until).await;
    }
}

/// Whose sinks.
#[derive(Clone, Copy)]
enum Whose {
    Admins,
    Owners,
}

/// Whoever judges says so in the first of two minutes; what is to be sent may come from the queue in the second.
fn is_resent_now() -> bool {
    let now = clock::now_ms();
    format::is_resent_in(now) || format::is_resent_in(now.saturating_sub(MINUTE_MS))
}

/// Sends Alertmanagers again what goes on. Before what is due: that something is over is the last they hear of it.
async fn resend(database: &D1Database, settings: &Settings) -> Result<()> {
    let names = sinks::of_kind(database, SinkKind::Alertmanager).await?;
    if names.is_empty() {
        return Ok(());
    }
    let going_on = store::going_on(database).await?;
    if going_on.is_empty() {
        return Ok(());
    }
    let notices: Vec<Notice> = going_on
        .iter()
        .map(|incident| Notice::of(NoticeKind::Opened, incident))
        .collect();
    let lanes = names
        .iter()
        .map(|name| resend_to(database, settings, name, &notices));
    tasks::all(lanes).await;
    Ok(())
}

async fn resend_to(database: &D1Database, settings: &Settings, sink: &str, notices: &[Notice]) {
    let sent = async {
        let access = sinks::access(database, settings, sink).await?;
        let told: Vec<Notice> = notices
            .iter()
            .filter(|notice| notice.is_for(sink))
            .cloned()
            .collect();
        let tried = access.resend(settings, &told).await;
        sinks::tried(database, sink, &tried)?.run().await
    };
    if let Err(error) = sent.await {
        log::fault("alerts-not-delivered", &[("sink", &sink), ("reason", &error)]);
    }
}

/// What is due, of each sink the worst first and of that the oldest, so that no sink with many waits before another; that an incident
/// is over never before that it began.
async fn take(database: &D1Database, whose: Whose) -> Result<Vec<DueRow>> {
    let now = clock::now_ms();
    let (glob, most) = match whose {
        Whose::Admins => ("NOT GLOB", MAX_AT_ONCE),
        Whose::Owners => ("GLOB", owners::MAX_AT_ONCE),
    };
    let mut rows = database
        .prepare(format!(
            "UPDATE alert_deliveries SET next_at = ?1 WHERE num IN (SELECT num FROM alert_deliveries AS due \
             WHERE done_at IS NULL AND next_at <= ?2 AND sink {glob} '{}*' AND NOT EXISTS (SELECT 1 FROM alert_deliveries AS earlier \
             WHERE earlier.done_at IS NULL AND earlier.sink = due.sink AND earlier.incident = due.incident \
             AND earlier.num < due.num) ORDER BY row_number() OVER (PARTITION BY sink ORDER BY \
             coalesce((SELECT value FROM json_each(?4) WHERE key = notice ->> 'rule'), 0), next_at, num), num LIMIT ?3) \
             RETURNING num, message_id, sink, notice, attempts, created_at",
            owners::PREFIX,
        ))
        .bind(&[
            d1_timestamp(now.saturating_add(LEASE_MS)),
            d1_timestamp(now),
            most.into(),
            serde_json::to_string(&ranks())?.into(),
        ])?
        .rows::<DueRow>()
        .await?;
    rows.sort_by_key(|row| (rank(row), row.num));
    Ok(rows)
}

/// Of each rule which of what waits goes first.
fn ranks() -> BTreeMap<&'static str, u8> {
    Rule::ALL
        .into_iter()
        .map(|rule| (rule.as_str(), rule.rank()))
        .collect()
}

/// What nobody can read is in nobody's way for long.
fn rank(row: &DueRow) -> u8 {
    let notice = json::read::<Notice>(&row.notice).ok();
    notice.and_then(|notice| notice.rule).map_or(0, Rule::rank)
}

/// What opens a sink, an owner's or the admins'.
async fn access(database: &D1Database, settings: &Settings, sink: &str) -> Result<OpenedSink> {
    match owner_of(sink) {
        Some(user) => owner::access(database, settings, user).await,
        None => sinks::access(database, settings, sink).await,
    }
}

/// Writes down what came of a try, with the sink.
fn came_of(database: &D1Database, sink: &str, tried: &DeliveryOutcome) -> Result<D1PreparedStatement> {
    match owner_of(sink) {
        Some(user) => owner::tried(database, user, tried),
        None => sinks::tried(database, sink, tried),
    }
}

/// One after the other to one sink, until it fails or its time is over: then the rest waits for the next tick.
async fn lane(database: &D1Database, settings: &Settings, sink: String, rows: Vec<DueRow>, until: u64) {
    if let Err(error) = try_lane(database, settings, &sink, &rows, until).await {
        log::fault("alerts-not-delivered", &[("sink", &sink), ("reason", &error)]);
    }
}

async fn try_lane(
    database: &D1Database,
    settings: &Settings,
    sink: &str,
    rows: &[DueRow],
    until: u64,
) -> Result<()> {
    let access = access(database, settings, sink).await?;
    let mut rows = rows.iter();
    let mut failed = None;
    for row in rows.by_ref() {
        let tried = match json::read::<Notice>(&row.notice) {
            Ok(notice) => access.send(settings, &notice, &row.message_id).await,
            // Of a newer version, before somebody went back: what is behind it does not wait for that.
            Err(_) => DeliveryOutcome::Refused("this version cannot read the message".to_owned()),
        };
        record(database, sink, row, &tried).await?;
        metrics::count(DELIVERIES.count(&[tried.as_str()], 1));
        if let Some(reason) = tried.error() {
            log::line(
                "alert-not-delivered",
                &[("sink", &sink), ("message", &row.message_id), ("reason", &reason)],
            );
        }
        failed = matches!(tried, DeliveryOutcome::Failed { .. }).then_some(row.num);
        if failed.is_some() || clock::now_ms() >= until {
            break;
        }
    }
    let left: Vec<u64> = rows.map(|row| row.num).collect();
    release(database, &left, failed).await
}

/// Gives back what was taken and not tried. The one that failed says when: the others would only be in the way of other sinks' until
/// then.
async fn release(database: &D1Database, left: &[u64], failed: Option<u64>) -> Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    database
        .prepare(
            "UPDATE alert_deliveries SET next_at = coalesce((SELECT next_at FROM alert_deliveries WHERE num = ?1 \
             AND done_at IS NULL), ?2) WHERE done_at IS NULL AND num IN (SELECT value FROM json_each(?3))",
        )
        .bind(&[
            d1_timestamp(failed.unwrap_or_default()),
            d1_timestamp(clock::now_ms()),
            serde_json::to_string(left)?.into(),
        ])?
        .run()
        .await
        .map(drop)
}

async fn record(database: &D1Database, sink: &str, row: &DueRow, tried: &DeliveryOutcome) -> Result<()> {
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
            u32::from(*tried == DeliveryOutcome::Delivered).into(),
            text_or_null(tried.error()),
        ])?;
    database
        .batch(vec![done, came_of(database, sink, tried)?])
        .await
        .map(drop)
}
