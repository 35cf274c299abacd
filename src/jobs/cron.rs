//! Cron's part: the dead man's switch. A bot that is awake is looked after by its own Sandbox, which says so in the registry; once a
//! minute those whose heartbeat is late are put on the queue. Never starts a bot.

use std::cell::Cell;

use moltworker_core::bot::{heartbeat, history};
use moltworker_core::cost::account::KEPT_DAYS;
use moltworker_core::cost::calendar::Day;
use moltworker_core::jobs::message::{Job, MAX_PER_TICK, MAX_WITHOUT_QUEUE};
use moltworker_core::jobs::watch::{self, ComponentState, Verdict};
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Env, Error, Result};

use super::limits::Review;
use super::{consumer, order, series};
use crate::alerts;
use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::queue;
use crate::platform::watch as health;
use crate::platform::{clock, log};

/// Ticks that are remembered: those of a day, and up to an hour more.
const KEPT_TICKS: u32 = 24 * 60;
/// What is old is deleted at every so many ticks: once an hour.
const FORGETS_EVERY_TICKS: u64 = 60;
/// Entries of a kind that are deleted at once: more than 2,000 awake bots leave in an hour, and little enough for one statement.
const FORGOTTEN_AT_ONCE: u32 = 20_000;

/// How long a tick without a queue begins to look at bots: the fifty it has begun with may take three and a half minutes more, and four
/// the alerts that come after them, of the quarter of an hour that cron has.
const LOOKS_MS: u64 = 2 * 60_000;

thread_local! {
    /// Since when ticks of this isolate could not write to D1. Nothing else could say so afterwards.
    static AWAY_SINCE: Cell<Option<u64>> = const { Cell::new(None) };
}

#[derive(Deserialize)]
struct BegunRow {
    id: u64,
}

#[derive(Deserialize)]
struct ClaimedRow {
    user_id: UserId,
}

/// What cron does once a minute.
pub(super) async fn tick(env: &Env) -> Result<()> {
    let database = database::open(env)?;
    let began_at = clock::now_ms();
    let tick = begin(&database, began_at).await.inspect_err(|error| {
        AWAY_SINCE.set(AWAY_SINCE.get().or(Some(began_at)));
        log::fault("database-unanswered", &[("reason", error)]);
    })?;
    let now = clock::now_ms();
    let database_is = watch::database(now.saturating_sub(began_at), AWAY_SINCE.take(), now);
    let has_queue = queue::is_bound(env);
    let watched = watch_itself(&database, has_queue, database_is).await;
    let queue_is_well = watched.unwrap_or_else(|error| {
        log::fault("health-not-recorded", &[("reason", &error)]);
        false
    });
    let most = if has_queue {
        MAX_PER_TICK
    } else {
        MAX_WITHOUT_QUEUE
    };
    let late = claim(&database, began_at, most).await?;
    let room = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .saturating_sub(late.len());
    let review = Review::of_tick(env, &database, room).await;
    let jobs = Job::of_tick(tick, &[late.as_slice(), &review.users].concat());
    let queued = if has_queue {
        match queue::send(env, &jobs).await {
            Ok(()) => {
                review.remember(&database).await;
                jobs.len()
            }
            Err(error) => {
                log::fault("jobs-not-queued", &[("bots", &late.len()), ("reason", &error)]);
                release(&database, &late).await?;
                0
            }
        }
    } else {
        0
    };
    finish(&database, tick, late.len(), queued).await?;
    log::line("tick", &[("late", &late.len()), ("queued", &queued)]);
    if let Err(error) = series::write(env, &database, began_at).await {
        log::fault("series-not-written", &[("reason", &error)]);
    }
    if tick.is_multiple_of(FORGETS_EVERY_TICKS)
        && let Err(error) = forget_old(&database, tick).await
    {
        log::fault("history-not-trimmed", &[("reason", &error)]);
    }
    // Without a queue bots come first, then sinks, and last what nobody waits for.
    let is_due = alerts::judge(env).await;
    match has_queue {
        true => resume_orders(env, has_queue).await,
        false => perform(env, &database, jobs, &review).await,
    }
    if is_due {
        deliver(env, has_queue && queue_is_well).await;
    }
    if !has_queue {
        resume_orders(env, has_queue).await;
    }
    Ok(())
}

async fn resume_orders(env: &Env, has_queue: bool) {
    if let Err(error) = order::resume(env, has_queue).await {
        log::fault("orders-not-resumed", &[("reason", &error)]);
    }
}

/// Does what otherwise is put on the queue, for as long as it may take.
async fn perform(env: &Env, database: &D1Database, jobs: Vec<Job>, review: &Review) {
    let until = clock::now_ms().saturating_add(LOOKS_MS);
    let mut left = Vec::new();
    for job in jobs {
        match job {
            Job::Tick { users, .. } if clock::now_ms() >= until => left.extend(users),
            job => consumer::perform(env, job).await,
        }
    }
    if left.is_empty() {
        return review.remember(database).await;
    }
    log::line("looks-left", &[("bots", &left.len())]);
    if let Err(error) = release(database, &left).await {
        log::fault("looks-not-released", &[("reason", &error)]);
    }
}

/// What is to be told is sent by the consumer, so that a slow sink holds up nothing else. Where the queue is not known to work it is
/// sent here: that a queue fails is to be told too.
async fn deliver(env: &Env, by_queue: bool) {
    if by_queue {
        match queue::send(env, &[Job::Deliver]).await {
            Ok(()) => return,
            Err(error) => log::fault("alerts-not-queued", &[("reason", &error)]),
        }
    }
    consumer::perform(env, Job::Deliver).await;
}

/// Concludes from the last ticks how cron and the queue are; whether the queue does what it should.
async fn watch_itself(database: &D1Database, has_queue: bool, database_is: Verdict) -> Result<bool> {
    let ticks = health::ticks(database).await?;
    let dead = match has_queue {
        true => health::dead(database).await?,
        false => 0,
    };
    let now = clock::now_ms();
    let queue = watch::queue(has_queue, &ticks, dead, now);
    let is_well = queue.state == ComponentState::Ok;
    health::record(database, &[watch::cron(&ticks, now), database_is, queue]).await?;
    Ok(is_well)
}

async fn begin(database: &D1Database, now: u64) -> Result<u64> {
    let begun = database
        .prepare("INSERT INTO cron_ticks (started_at) VALUES (?1) RETURNING id")
        .bind(&[d1_timestamp(now)])?
        .row::<BegunRow>()
        .await?;
    let missing = || Error::RustError("D1 numbered no tick".into());
    Ok(begun.ok_or_else(missing)?.id)
}

/// The bots whose heartbeat is late, those first that are silent longest. In the same statement they are taken from every other
/// tick, for as long as a look may take: a tick that is cut short loses none of them for longer.
async fn claim(database: &D1Database, now: u64, most: u32) -> Result<Vec<UserId>> {
    let claimed = database
        .prepare(
            "UPDATE bots SET ticked_at = ?1 WHERE user_id IN (SELECT user_id FROM bots WHERE awake = 1 \
             AND heartbeat_at <= ?2 AND ticked_at <= ?3 ORDER BY heartbeat_at LIMIT ?4) RETURNING user_id",
        )
        .bind(&[
            d1_timestamp(now),
            d1_timestamp(heartbeat::late_before(now)),
            d1_timestamp(heartbeat::claimed_before(now)),
            most.into(),
        ])?
        .rows::<ClaimedRow>()
        .await?;
    Ok(claimed.into_iter().map(|row| row.user_id).collect())
}

/// Nobody looks at them: the next tick may.
async fn release(database: &D1Database, users: &[UserId]) -> Result<()> {
    database
        .prepare("UPDATE bots SET ticked_at = 0 WHERE user_id IN (SELECT value FROM json_each(?1))")
        .bind(&[serde_json::to_string(users)?.into()])?
        .run()
        .await
        .map(drop)
}

async fn finish(database: &D1Database, tick: u64, late: usize, queued: usize) -> Result<()> {
    let count = |count: usize| d1_timestamp(u64::try_from(count).unwrap_or(u64::MAX));
    database
        .prepare("UPDATE cron_ticks SET finished_at = ?2, late = ?3, queued = ?4 WHERE id = ?1")
        .bind(&[
            d1_timestamp(tick),
            d1_timestamp(clock::now_ms()),
            count(late),
            count(queued),
        ])?
        .run()
        .await
        .map(drop)
}

/// Forgets what is older than it has to be kept.
async fn forget_old(database: &D1Database, tick: u64) -> Result<()> {
    let now = clock::now_ms();
    let over = d1_timestamp(now.saturating_sub(history::KEPT_MS));
    for (statement, oldest) in [
        (
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)",
            over.clone(),
        ),
        (
            "DELETE FROM dead_jobs WHERE id IN (SELECT id FROM dead_jobs WHERE at < ?1 ORDER BY id LIMIT ?2)",
            over.clone(),
        ),
        (
            "DELETE FROM bulk_bots WHERE (order_id, user_id) IN (SELECT order_id, user_id FROM bulk_bots \
             WHERE order_id IN (SELECT id FROM bulk_orders WHERE ordered_at < ?1) LIMIT ?2)",
            over.clone(),
        ),
        // After the last of its bots.
        (
            "DELETE FROM bulk_orders WHERE id IN (SELECT id FROM bulk_orders WHERE ordered_at < ?1 AND NOT EXISTS \
             (SELECT 1 FROM bulk_bots WHERE order_id = bulk_orders.id) LIMIT ?2)",
            over,
        ),
        (
            "DELETE FROM cron_ticks WHERE id IN (SELECT id FROM cron_ticks WHERE id <= ?1 ORDER BY id LIMIT ?2)",
            d1_timestamp(tick.saturating_sub(KEPT_TICKS.into())),
        ),
        (
            "DELETE FROM bot_usage WHERE (day, user_id) IN (SELECT day, user_id FROM bot_usage WHERE day < ?1 LIMIT ?2)",
            Day::of(now).before(KEPT_DAYS).0.into(),
        ),
    ] {
        let bound = [oldest, FORGOTTEN_AT_ONCE.into()];
        database.prepare(statement).bind(&bound)?.run().await?;
    }
    series::forget_old(database, now).await
}
