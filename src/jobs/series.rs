//! Cron's part of the time series: how many bots are where, once in five minutes, and each hour once it is over as a point for
//! each bot. Every statement may be done twice, and by two ticks at once, and leaves the same.

use moltworker_core::api::bot::{BotState, Health};
use moltworker_core::bot::incidents::IncidentKind;
use moltworker_core::bot::series::{HOUR_MS, HOURS_KEPT_MS, KEPT_MS, STEP_MS, hour_due, step_of};
use serde::Deserialize;
use worker::{D1Database, Env, Result};

use crate::platform::database::{Rows, d1_timestamp};
use crate::platform::{analytics, sql};

/// Hours of points that are deleted at once: each hour one goes, and after a long absence of cron the rest follows. With 2,000
/// bots awake these are 72,000 rows.
const FORGOTTEN_HOURS: u64 = 3;

#[derive(Deserialize)]
struct Progress {
    counted: u32,
    hour: Option<u64>,
}

#[derive(Deserialize)]
struct Counted {
    registered: u64,
    awake: u64,
    waiting: u64,
    incidents: u64,
}

/// Writes what is due at this time.
pub(super) async fn write(env: &Env, database: &D1Database, now: u64) -> Result<()> {
    let step = step_of(now, STEP_MS);
    let progress = database
        .prepare(
            "SELECT EXISTS (SELECT 1 FROM fleet_series WHERE step = ?1) AS counted, \
             (SELECT hour FROM series_progress) AS hour",
        )
        .bind(&[d1_timestamp(step)])?
        .row::<Progress>()
        .await?;
    let Some(progress) = progress else { return Ok(()) };
    if progress.counted == 0 {
        count(env, database, step).await?;
    }
    match progress.hour {
        Some(next) => match hour_due(next, now) {
            Some(hour) => sum_up(database, hour, next).await,
            None => Ok(()),
        },
        None => database
            .prepare("INSERT OR IGNORE INTO series_progress (only, hour) VALUES (1, ?1)")
            .bind(&[d1_timestamp(step_of(now, HOUR_MS))])?
            .run()
            .await
            .map(drop),
    }
}

/// Counts the fleet. Read are the bots that are awake and those that rest in another state than asleep, by the indexes of each:
/// however many sleep, they are what is left. No row of `bots` is ever deleted, so that the last one's number is how many
/// there are.
async fn count(env: &Env, database: &D1Database, step: u64) -> Result<()> {
    let asleep = sql::text(BotState::Asleep.as_str());
    let no_capacity = IncidentKind::NoCapacity.as_str();
    let columns = of_counted(column);
    let counts = of_counted(|state| {
        let name = sql::text(state.as_str());
        format!("count(*) FILTER (WHERE state = {name}) AS {}", column(state))
    });
    let counted = database
        .prepare(format!(
            "INSERT INTO fleet_series (step, registered, awake, waiting, incidents, asleep, {columns}) \
             SELECT ?1, registered, awake, waiting, incidents, max(0, registered - looked_at), {columns} FROM (SELECT \
             (SELECT coalesce(max(rowid), 0) FROM bots) AS registered, \
             (SELECT count(*) FROM bots INDEXED BY bots_wrong WHERE incidents <> '[]' \
               AND instr(incidents, '\"{no_capacity}\"') > 0) AS waiting, \
             (SELECT count(*) FROM incidents WHERE settled = 0 AND opened_at IS NOT NULL AND closed_at IS NULL) AS incidents, \
             count(*) AS looked_at, coalesce(sum(awake), 0) AS awake, {counts} \
             FROM (SELECT state, awake FROM bots INDEXED BY bots_awake WHERE awake = 1 UNION ALL \
             SELECT state, awake FROM bots INDEXED BY bots_resting WHERE awake = 0 AND state <> {asleep})) \
             WHERE true ON CONFLICT (step) DO NOTHING RETURNING registered, awake, waiting, incidents",
        ))
        .bind(&[d1_timestamp(step)])?
        .row::<Counted>()
        .await?;
    // Another tick was faster.
    let Some(counted) = counted else { return Ok(()) };
    let numbers = [
        step,
        counted.registered,
        counted.awake,
        counted.waiting,
        counted.incidents,
    ];
    analytics::write(env, "fleet", &["fleet"], &numbers.map(Some));
    Ok(())
}

/// The column of a state in the series of the fleet.
fn column(state: BotState) -> String {
    state.as_str().replace('-', "_")
}

/// Of every state whose bots are counted, as a list. How many are asleep follows from how many there are.
fn of_counted(part: impl Fn(BotState) -> String) -> String {
    let counted = BotState::ALL
        .into_iter()
        .filter(|state| *state != BotState::Asleep);
    counted.map(part).collect::<Vec<_>>().join(", ")
}

/// Makes points of an hour from those of its steps, all of them or none. `next` is which hour was to be the next: where it is
/// another one by now, a tick beside this one has done it.
async fn sum_up(database: &D1Database, hour: u64, next: u64) -> Result<()> {
    let bound = [
        d1_timestamp(hour),
        d1_timestamp(hour.saturating_add(HOUR_MS)),
        d1_timestamp(next),
    ];
    let healthy = sql::text(Health::Healthy.as_str());
    let columns = of_counted(column);
    let most = of_counted(|state| format!("max({})", column(state)));
    let statements = [
        format!(
            "INSERT INTO bot_series_hourly (hour, user_id, looks, healthy, memory, memory_max, disk, cpu, cpu_max, latency, \
         latency_max, restarts) SELECT ?1, user_id, count(*), sum(health = {healthy}), cast(avg(memory) AS INTEGER), max(memory), \
         max(disk), cast(avg(cpu) AS INTEGER), max(cpu), cast(avg(latency) AS INTEGER), max(latency), sum(restarts) \
         FROM bot_series WHERE step >= ?1 AND step < ?2 AND EXISTS (SELECT 1 FROM series_progress WHERE hour = ?3) \
         GROUP BY user_id ON CONFLICT (hour, user_id) DO NOTHING"
        ),
        format!(
            "INSERT INTO fleet_series_hourly (hour, looks, registered, awake, awake_max, waiting, incidents, asleep, {columns}) \
         SELECT ?1, count(*), max(registered), cast(avg(awake) AS INTEGER), max(awake), max(waiting), max(incidents), \
         max(asleep), {most} FROM fleet_series WHERE step >= ?1 AND step < ?2 \
         AND EXISTS (SELECT 1 FROM series_progress WHERE hour = ?3) HAVING count(*) > 0 ON CONFLICT (hour) DO NOTHING"
        ),
        "UPDATE series_progress SET hour = ?2 WHERE hour = ?3 AND ?1 <> ?2".to_owned(),
    ];
    let statements = statements
        .into_iter()
        .map(|statement| database.prepare(statement).bind(&bound))
        .collect::<Result<Vec<_>>>()?;
    database.batch(statements).await.map(drop)
}

/// Deletes the points that are older than they are kept, the oldest first.
pub(super) async fn forget_old(database: &D1Database, now: u64) -> Result<()> {
    let statements = [
        (
            "DELETE FROM bot_series WHERE step < ?1 AND step < (SELECT min(step) FROM bot_series) + ?2",
            KEPT_MS,
        ),
        (
            "DELETE FROM fleet_series WHERE step < ?1 AND step < (SELECT min(step) FROM fleet_series) + ?2",
            KEPT_MS,
        ),
        (
            "DELETE FROM bot_series_hourly WHERE hour < ?1 AND hour < (SELECT min(hour) FROM bot_series_hourly) + ?2",
            HOURS_KEPT_MS,
        ),
        (
            "DELETE FROM fleet_series_hourly WHERE hour < ?1 AND hour < (SELECT min(hour) FROM fleet_series_hourly) + ?2",
            HOURS_KEPT_MS,
        ),
    ];
    let statements = statements
        .into_iter()
        .map(|(statement, kept)| {
            database.prepare(statement).bind(&[
                d1_timestamp(now.saturating_sub(kept)),
                d1_timestamp(FORGOTTEN_HOURS * HOUR_MS),
            ])
        })
        .collect::<Result<Vec<_>>>()?;
    database.batch(statements).await.map(drop)
}
