//! Looks at Sandboxes whose heartbeat is late: side by side, each with a deadline of its own.

use std::cell::{Cell, RefCell};
use std::time::Duration;
use std::vec;

use moltworker_core::api::bot::Health;
use moltworker_core::bot::heartbeat;
use moltworker_core::user_id::UserId;
use worker::Env;

use crate::platform::database::{self, d1_timestamp};
use crate::platform::sandbox_client;
use crate::platform::{clock, log, tasks};

/// Sandboxes asked side by side. Six connections may wait for headers at once (Workers limits); more would
/// only queue behind them with their deadlines running.
const SIDE_BY_SIDE: usize = 6;
/// How long one Sandbox may take: it asks its container how it is, which gets five seconds, and an idle one
/// whether it may sleep, which gets fifteen.
const LOOK_DEADLINE: Duration = Duration::from_secs(25);

/// Looks at all of them. What a Sandbox finds it writes into the registry itself; here only those that did not answer are
/// written down.
pub(super) async fn look_at(env: &Env, users: Vec<UserId>) {
    let look = Look {
        env,
        left: RefCell::new(users.into_iter()),
        silent: RefCell::default(),
        asked: Cell::default(),
    };
    tasks::all((0..SIDE_BY_SIDE).map(|_| look.lane())).await;
    let silent = look.silent.take();
    log::line(
        "looked",
        &[("asked", &look.asked.get()), ("silent", &silent.len())],
    );
    if let Err(error) = record_silent(env, &silent).await {
        log::fault("silence-not-recorded", &[("reason", &error)]);
    }
}

struct Look<'a> {
    env: &'a Env,
    left: RefCell<vec::IntoIter<UserId>>,
    /// Those that did not answer.
    silent: RefCell<Vec<UserId>>,
    asked: Cell<usize>,
}

impl Look<'_> {
    /// Looks at one bot after the other, until all were looked at.
    async fn lane(&self) {
        while let Some(user) = self.next() {
            self.asked.set(self.asked.get() + 1);
            let answer = async { Ok(sandbox_client::poll(self.env, user).await?) };
            if let Err(error) = clock::within(LOOK_DEADLINE, answer).await {
                log::line("sandbox-unanswered", &[("user", &user), ("reason", &error)]);
                self.silent.borrow_mut().push(user);
            }
        }
    }

    fn next(&self) -> Option<UserId> {
        self.left.borrow_mut().next()
    }
}

/// Nobody knows how these are. Their heartbeats stay late.
async fn record_silent(env: &Env, silent: &[UserId]) -> worker::Result<()> {
    if silent.is_empty() {
        return Ok(());
    }
    database::open(env)?
        .prepare(
            "UPDATE bots SET health = ?1 WHERE awake = 1 AND heartbeat_at <= ?3 AND user_id IN (SELECT value FROM json_each(?2))",
        )
        .bind(&[
            Health::Unknown.as_str().into(),
            serde_json::to_string(silent)?.into(),
            // One that has spoken since is not silent.
            d1_timestamp(heartbeat::late_before(clock::now_ms())),
        ])?
        .run()
        .await
        .map(drop)
}
