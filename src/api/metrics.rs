//! A scrape of the metrics: what was counted, and what D1 says of the fleet at this moment. Three questions, whose rows grow with the
//! bots that are awake and with what is wrong, never with those that are registered.

use std::collections::BTreeMap;

use moltworker_core::api::bot::BotState;
use moltworker_core::api::health::HealthReport;
use moltworker_core::metrics::count::{StoredCount, StoredCounts};
use moltworker_core::metrics::scrape::{MAX_BOTS, Scrape};
use serde::Deserialize;
use worker::D1Database;

use super::health;
use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::error::{Result, directory_unavailable};
use crate::platform::database::{self, Rows};
use crate::platform::{clock, json, queue, sql};

/// A row of the one question: of which kind it is, which one, and how many.
#[derive(Deserialize)]
struct Row {
    kind: String,
    name: String,
    value: Option<u64>,
}

/// The page.
///
/// # Errors
/// D1 does not answer: a scrape without what was counted would look like a fleet without bots.
pub(super) async fn read(ctx: &Context<'_>) -> Result<Answer> {
    let asked = async {
        let database = database::open(ctx.env)?;
        Ok((rows(&database).await?, health::read(&database).await?))
    };
    let (rows, parts) = clock::within(health::DEADLINE, asked)
        .await
        .map_err(directory_unavailable)?;
    let now = clock::now_ms();
    let report = HealthReport::of(
        &parts.rows,
        &parts.ticks,
        parts.dead,
        queue::is_bound(ctx.env),
        now,
    );
    let mut counted = Vec::new();
    let mut observed = Scrape {
        now,
        stored: StoredCounts::default(),
        registered: 0,
        bots: BTreeMap::new(),
        max_awake: ctx.settings.max_awake.map(u64::from),
        snapshots_at: Vec::new(),
        incidents: BTreeMap::new(),
        waiting: 0,
        health: &report,
        ticks: &parts.ticks,
        last_tick: 0,
        last_dead: 0,
    };
    for Row { kind, name, value } in rows {
        let value = value.unwrap_or_default();
        match kind.as_str() {
            "count" => counted.push(StoredCount { series: name, value }),
            "incidents" => drop(observed.incidents.insert(name, value)),
            "waiting" => observed.waiting = value,
            "awake" => {
                let (state, snapshots_at) = name.split_once(' ').unwrap_or((&name, "[]"));
                observed
                    .snapshots_at
                    .extend(json::read::<Vec<Option<u64>>>(snapshots_at)?);
                *observed.bots.entry(state.to_owned()).or_default() += value;
            }
            "resting" => *observed.bots.entry(name).or_default() += value,
            "registered" => observed.registered = value,
            "tick" => observed.last_tick = value,
            _ => observed.last_dead = value,
        }
    }
    observed.stored = StoredCounts::new(counted);
    Ok(Answer::Metrics(observed.to_text()))
}

async fn rows(database: &D1Database) -> worker::Result<Vec<Row>> {
    // As the index has them, in its order.
    let stopped = sql::list(
        &[
            BotState::Stopped,
            BotState::Suspended,
            BotState::BackingOff,
            BotState::CrashLooped,
        ]
        .map(BotState::as_str),
    );
    database
        .prepare(format!(
            // In two halves: D1 takes five terms in one.
            "SELECT * FROM (SELECT 'count' AS kind, series AS name, value FROM metric_counts \
             UNION ALL SELECT 'resting', state, count(*) FROM (SELECT state FROM bots WHERE awake = 0 \
               AND state IN {stopped} LIMIT ?1) GROUP BY state \
             UNION ALL SELECT 'incidents', rule, count(*) FROM incidents WHERE settled = 0 AND opened_at IS NOT NULL \
               AND closed_at IS NULL GROUP BY rule \
             UNION ALL SELECT 'waiting', '', count(*) FROM alert_deliveries WHERE done_at IS NULL) \
             UNION ALL SELECT * FROM (SELECT 'awake', state || ' ' || json_group_array(snapshot_at), count(*) \
               FROM (SELECT state, snapshot_at FROM bots WHERE awake = 1 LIMIT ?1) GROUP BY state \
             UNION ALL SELECT 'registered', '', max(rowid) FROM bots \
             UNION ALL SELECT 'tick', '', max(id) FROM cron_ticks \
             UNION ALL SELECT 'dead', '', max(id) FROM dead_jobs)",
        ))
        .bind(&[MAX_BOTS.into()])?
        .rows()
        .await
}
