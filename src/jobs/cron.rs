//! Cron's part: once a minute, look at every bot that ought to be awake and write down how it is.
//! Never starts one.

use std::cell::{Cell, RefCell};
use std::future;
use std::task::Poll;
use std::time::Duration;
use std::vec;

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
struct DueRow {
    user_id: UserId,
}

/// One tick.
pub(super) async fn tick(env: &Env) -> worker::Result<()> {
    let database = database::open(env)?;
    let due = database
        .prepare("SELECT user_id FROM bots WHERE awake = 1 ORDER BY ticked_at LIMIT ?1")
        .bind(&[MAX_PER_TICK.into()])?
        .rows::<DueRow>()
        .await?;
    let tick = Tick {
        env,
        database: &database,
        due: RefCell::new(due.into_iter()),
        seen: RefCell::default(),
        asked: Cell::default(),
        healthy: Cell::default(),
    };
    let mut lanes: Vec<_> = (0..SIDE_BY_SIDE).map(|_| Box::pin(tick.lane())).collect();
    // Each is polled whenever one may go on. They are few, and the library's way to poll only that one is 2 kB of code.
    future::poll_fn(|context| {
        lanes.retain_mut(|lane| lane.as_mut().poll(context).is_pending());
        match lanes.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    tick.write().await;
    if let Err(error) = history::forget_old(&database).await {
        log::line("history-not-trimmed", &[("reason", &error)]);
    }
    let (asked, healthy) = (tick.asked.get(), tick.healthy.get());
    log::line("tick", &[("asked", &asked), ("healthy", &healthy)]);
    Ok(())
}

struct Tick<'a> {
    env: &'a Env,
    database: &'a D1Database,
    due: RefCell<vec::IntoIter<DueRow>>,
    /// What is not written down yet.
    seen: RefCell<Vec<Seen>>,
    asked: Cell<usize>,
    healthy: Cell<usize>,
}

impl Tick<'_> {
    /// Looks at one bot after the other, until all were looked at.
    async fn lane(&self) {
        while let Some(user) = self.next() {
            let bot = look_at(self.env, user).await;
            if self.add(bot) >= WRITTEN_AT_ONCE {
                self.write().await;
            }
        }
    }

    fn next(&self) -> Option<UserId> {
        Some(self.due.borrow_mut().next()?.user_id)
    }

    /// Takes note of one; how many are noted.
    fn add(&self, bot: Seen) -> usize {
        self.asked.set(self.asked.get() + 1);
        self.healthy
            .set(self.healthy.get() + usize::from(bot.health == Health::Healthy));
        let mut seen = self.seen.borrow_mut();
        seen.push(bot);
        seen.len()
    }

    async fn write(&self) {
        let seen = self.seen.take();
        if seen.is_empty() {
            return;
        }
        if let Err(error) = record_state(self.database, &seen).await {
            log::line("tick-not-recorded", &[("bots", &seen.len()), ("reason", &error)]);
        }
    }
}

/// What cron saw of one bot.
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
