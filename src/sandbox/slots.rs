//! A free place for a bot that wants to wake: the platform runs a limited number of containers. When all are
//! taken the bot that has been idle longest is put to sleep first.

use std::rc::Rc;

use moltworker_core::api::bot::BotState;
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::bot::incidents::{IncidentKind, Incidents};
use moltworker_core::settings::DATABASE_BINDING;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Result};

use super::Inner;
use super::store::Store;
use crate::platform::database::Rows;
use crate::platform::sandbox_client;
use crate::platform::{clock, log};

/// Idle for less than this, a bot keeps its place: its owner may be reading the last answer.
const MIN_IDLE_MS: u64 = 2 * 60 * 1_000;

/// How long the answer that there is no place is good for. Who waits is told to ask again after twice as long, but
/// a page may ask every second, and each question costs queries and other bots' time.
const NO_SLOT_CACHED_MS: u64 = 5_000;

/// Idle bots asked for their place on behalf of one that waits. Each answer takes up to fifteen seconds, and
/// the caller's patience ends after ninety.
const MAX_ASKED: u32 = 3;

#[derive(Deserialize)]
struct Awake {
    awake: u32,
    /// Of these, the ones on their way down: their places are being freed already.
    stopping: u32,
}

#[derive(Deserialize)]
struct Row {
    user_id: UserId,
}

impl Inner {
    /// Whether this bot may wake now. If not, a place is being freed, where one can be.
    ///
    /// The count is the registry's and can be a moment old; the platform's own limit is the one that holds,
    /// and a start beyond it fails and is tried again. So when the registry is away, the answer is yes.
    pub(super) async fn has_slot(self: &Rc<Self>) -> bool {
        let now = clock::now_ms();
        let life = self.life();
        let lacking = life.incidents.open(IncidentKind::NoCapacity);
        if lacking.is_some_and(|lack| now.saturating_sub(lack.last_seen_at) < NO_SLOT_CACHED_MS) {
            return false;
        }
        match self.find_slot(now).await {
            Ok(found) => found,
            Err(error) => {
                log::line("capacity-unknown", &[("reason", &error)]);
                true
            }
        }
    }

    async fn find_slot(self: &Rc<Self>, now: u64) -> Result<bool> {
        let no_capacity = IncidentKind::NoCapacity;
        let Some(most) = self.settings()?.max_awake else {
            self.update_incidents(|incidents| incidents.close(now, no_capacity))?;
            return Ok(true);
        };
        let database = self.env.d1(DATABASE_BINDING)?;
        let user = self.user()?;
        let awake = database
            .prepare(
                "SELECT count(*) AS awake, coalesce(sum(state = 'stopping'), 0) AS stopping FROM bots \
                 WHERE awake = 1 AND user_id <> ?1",
            )
            .bind(&[user.to_string().into()])?
            .row::<Awake>()
            .await?
            .unwrap_or(Awake {
                awake: 0,
                stopping: 0,
            });
        let Awake { awake, stopping } = awake;
        if awake < most {
            self.update_incidents(|incidents| incidents.close(now, no_capacity))?;
            return Ok(true);
        }
        // A page that waits asks every second, and a stop takes longer: each question must not cost one more
        // bot its place.
        if awake.saturating_sub(stopping) < most {
            let room = Some("a place is being freed");
            self.update_incidents(|incidents| incidents.observe(now, no_capacity, room))?;
            return Ok(false);
        }
        let freed = self.free_slot(&database).await?;
        let room = freed.map_or_else(|| "none is idle".to_owned(), |user| format!("{user} makes room"));
        let observed = self.update_incidents(|incidents| incidents.observe(now, no_capacity, Some(&room)))?;
        if observed.is_opened() || freed.is_some() {
            self.record_history_event(HistoryKind::NoCapacity, self.life().run, Some(room))?;
        }
        Ok(false)
    }

    /// Changes the incidents of the bot's life, without an await in between, and stores it if it is another one afterwards.
    fn update_incidents<T>(&self, change: impl FnOnce(&mut Incidents) -> T) -> Result<T> {
        let before = self.life();
        let mut life = before.clone();
        let answer = change(&mut life.incidents);
        if life != before {
            Store::open(&self.state)?.save_lifecycle(&life)?;
            self.memory.borrow_mut().life = Some(life);
        }
        Ok(answer)
    }

    async fn free_slot(&self, database: &D1Database) -> Result<Option<UserId>> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "D1 numbers are doubles; milliseconds since 1970 need 41 bits"
        )]
        let idle_since = clock::now_ms().saturating_sub(MIN_IDLE_MS) as f64;
        let longest_idle = database
            .prepare(
                "SELECT user_id FROM bots WHERE awake = 1 AND state = 'running' AND pinned = 0 AND active_at <= ?1 \
                 ORDER BY active_at LIMIT ?2",
            )
            .bind(&[idle_since.into(), MAX_ASKED.into()])?
            .rows::<Row>()
        .await?;
        for Row { user_id } in longest_idle {
            // One with an agent's turn under way stays awake; the next one may not have any.
            let summary = sandbox_client::free_slot(&self.env, user_id).await?;
            if summary.state != BotState::Running {
                return Ok(Some(user_id));
            }
        }
        Ok(None)
    }
}
