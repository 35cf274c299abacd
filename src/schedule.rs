//! The clock's part: once a minute, look at every bot that ought to be awake and write down how it is.
//! Never starts one.

use std::time::Duration;

use futures::StreamExt as _;
use moltworker_core::id::UserId;
use moltworker_core::sandbox::{Glance, Health, Intent};
use moltworker_core::settings::DATABASE_BINDING;
use serde::Deserialize;
use worker::{D1Database, Env};

use crate::{clock, events, hand_over, json, log};

/// Sandboxes asked per tick. A Worker may make 1,000 subrequests per invocation; each bot costs one, and
/// those asked longest ago come first, so a larger fleet is covered over a few minutes.
const MOST_PER_TICK: u32 = 500;
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
pub(crate) async fn tick(env: &Env) -> worker::Result<()> {
    let database = env.d1(DATABASE_BINDING)?;
    let due = database
        .prepare("SELECT user_id FROM bots WHERE awake = 1 ORDER BY ticked_at LIMIT ?1")
        .bind(&[MOST_PER_TICK.into()])?
        .all()
        .await?
        .results::<Row>()?;
    let mut answers = futures::stream::iter(due)
        .map(|row| async move { (row.user_id, ask(env, row.user_id).await) })
        .buffer_unordered(SIDE_BY_SIDE);
    let (mut asked, mut healthy) = (0u32, 0u32);
    while let Some((user, status)) = answers.next().await {
        asked = asked.saturating_add(1);
        let health = status.as_ref().map_or(Health::Unknown, |status| status.health);
        healthy = healthy.saturating_add(u32::from(health == Health::Healthy));
        let idle_ms = status.and_then(|status| status.idle_ms);
        if let Err(error) = write_down(&database, user, health, idle_ms).await {
            log::line("tick-not-recorded", &[("user", &user), ("reason", &error)]);
        }
    }
    if let Err(error) = events::forget_old(&database).await {
        log::line("history-not-trimmed", &[("reason", &error)]);
    }
    log::line("tick", &[("asked", &asked), ("healthy", &healthy)]);
    Ok(())
}

async fn ask(env: &Env, user: UserId) -> Option<Glance> {
    let answer = clock::within(TICK_DEADLINE, hand_over::ask(env, user, Intent::Tick)).await;
    let status = match answer {
        Ok(mut response) => json::of(&mut response).await,
        Err(error) => Err(error),
    };
    status
        .map_err(|error| log::line("tick-unanswered", &[("user", &user), ("reason", &error)]))
        .ok()
}

/// Health, and when the bot was last active; what nobody knows stays as it was.
async fn write_down(
    database: &D1Database,
    user: UserId,
    health: Health,
    idle_ms: Option<u64>,
) -> worker::Result<()> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "D1 numbers are doubles; milliseconds since 1970 need 41 bits"
    )]
    let at = |ms: u64| ms as f64;
    let now = clock::now_ms();
    let active_at = idle_ms.map_or(0, |idle| now.saturating_sub(idle));
    let health = serde_json::to_value(health)?;
    database
        .prepare(
            "UPDATE bots SET ticked_at = ?2, health = ?3, active_at = max(active_at, ?4) WHERE user_id = ?1",
        )
        .bind(&[
            user.to_string().into(),
            at(now).into(),
            health.as_str().unwrap_or_default().into(),
            at(active_at).into(),
        ])?
        .run()
        .await?;
    Ok(())
}
