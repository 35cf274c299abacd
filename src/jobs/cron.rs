//! The clock's part: once a minute, look at every bot that ought to be awake and write down how it is.
//! Never starts one.

use std::time::Duration;

use futures::StreamExt as _;
use moltworker_core::api::bot::{BotStatusSummary, Health};
use moltworker_core::user_id::UserId;
use serde::{Deserialize, Serialize};
use worker::{D1Database, Env};

use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::history;
use crate::platform::sandbox_client;
use crate::platform::{clock, log};

/// Sandboxes asked per tick. A Worker may make 1,000 subrequests per invocation; each bot costs one, and what it
/// said a fiftieth ([`WRITTEN_AT_ONCE`]). Those asked longest ago come first, so a larger fleet is covered over a
/// few minutes.
const MAX_PER_TICK: u32 = 500;
/// Answers written down with one statement. Each is about 120 bytes of JSON, and D1 takes 2 MB; a tick that is cut
/// short loses no more than these.
const WRITTEN_AT_ONCE: usize = 50;
/// Sandboxes asked side by side. Six connections may wait for headers at once (Workers limits); more would
/// only queue behind them with their deadlines running.
const SIDE_BY_SIDE: usize = 6;
/// How long one Sandbox may take: it asks its container how it is, which gets five seconds, and an idle one
/// whether it may sleep, which gets fifteen.
const TICK_DEADLINE: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
struct Row {
    user_id: UserId,
}

/// One tick.
pub(super) async fn tick(env: &Env) -> worker::Result<()> {
    let database = database::open(env)?;
    let due = database
        .prepare("SELECT user_id FROM bots WHERE awake = 1 ORDER BY ticked_at LIMIT ?1")
        .bind(&[MAX_PER_TICK.into()])?
        .rows::<Row>()
        .await?;
    let mut answers = futures::stream::iter(due)
        .map(|row| look_at(env, row.user_id))
        .buffer_unordered(SIDE_BY_SIDE)
        .chunks(WRITTEN_AT_ONCE);
    let (mut asked, mut healthy) = (0, 0);
    while let Some(seen) = answers.next().await {
        asked += seen.len();
        healthy += seen.iter().filter(|bot| bot.health == Health::Healthy).count();
        if let Err(error) = record_state(&database, &seen).await {
            log::line("tick-not-recorded", &[("bots", &seen.len()), ("reason", &error)]);
        }
    }
    if let Err(error) = history::forget_old(&database).await {
        log::line("history-not-trimmed", &[("reason", &error)]);
    }
    log::line("tick", &[("asked", &asked), ("healthy", &healthy)]);
    Ok(())
}

/// What the clock saw of one bot.
#[derive(Serialize)]
struct Seen {
    user: UserId,
    health: Health,
    /// When the owner's traffic last did something; 0 where nobody knows.
    active_at: u64,
}

async fn look_at(env: &Env, user: UserId) -> Seen {
    let summary = ask(env, user).await;
    let idle_ms = summary.as_ref().and_then(|summary| summary.idle_ms);
    Seen {
        user,
        health: summary.map_or(Health::Unknown, |summary| summary.health),
        active_at: idle_ms.map_or(0, |idle| clock::now_ms().saturating_sub(idle)),
    }
}

async fn ask(env: &Env, user: UserId) -> Option<BotStatusSummary> {
    let answer = async { Ok(sandbox_client::poll(env, user).await?) };
    clock::within(TICK_DEADLINE, answer)
        .await
        .map_err(|error| log::line("tick-unanswered", &[("user", &user), ("reason", &error)]))
        .ok()
}

/// Health, and when each bot was last active; what nobody knows stays as it was.
async fn record_state(database: &D1Database, seen: &[Seen]) -> worker::Result<()> {
    database
        .prepare(
            "UPDATE bots SET ticked_at = ?1, health = seen.value ->> 'health',
                 active_at = max(active_at, seen.value ->> 'active_at')
             FROM json_each(?2) AS seen WHERE user_id = seen.value ->> 'user'",
        )
        .bind(&[d1_timestamp(clock::now_ms()), serde_json::to_string(seen)?.into()])?
        .run()
        .await
        .map(drop)
}
