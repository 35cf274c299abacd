//! A free slot for a bot that wants to wake: asks the registry and, where all are taken, the bots that may make room.
//! Who may wake and who makes room is decided in `core::bot::slots`.

use std::rc::Rc;

use moltworker_core::api::bot::BotState;
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::bot::incidents::{IncidentKind, Incidents};
use moltworker_core::bot::slots::{self, AwakeBot, Occupancy, Slot};
use moltworker_core::settings::DATABASE_BINDING;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Result};

use super::Inner;
use super::store::Store;
use crate::platform::database::Rows;
use crate::platform::sandbox_client;
use crate::platform::{clock, log};

/// Where a bot is that is on its way down.
const STOPPING: &str = BotState::Stopping.as_str();

#[derive(Deserialize)]
struct Others {
    awake: u32,
    stopping: u32,
}

#[derive(Deserialize)]
struct Row {
    user_id: UserId,
    state: String,
    pinned: u32,
    active_at: u64,
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
        if slots::is_still_full(lacking.map(|lack| lack.last_seen_at), now) {
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
        let others = database
            .prepare(
                "SELECT count(*) AS awake, coalesce(sum(state = ?2), 0) AS stopping FROM bots \
                 WHERE awake = 1 AND user_id <> ?1",
            )
            .bind(&[self.user()?.to_string().into(), STOPPING.into()])?
            .row::<Others>()
            .await?;
        let others = others.map_or_else(Occupancy::default, |others| Occupancy {
            awake: others.awake,
            stopping: others.stopping,
        });
        match slots::slot(most, others) {
            Slot::Free => {
                self.update_incidents(|incidents| incidents.close(now, no_capacity))?;
                return Ok(true);
            }
            Slot::BeingFreed => {
                let room = Some("a slot is being freed");
                self.update_incidents(|incidents| incidents.observe(now, no_capacity, room))?;
                return Ok(false);
            }
            Slot::Full => {}
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
        let awake = database
            .prepare("SELECT user_id, state, pinned, active_at FROM bots WHERE awake = 1")
            .rows::<Row>()
            .await?;
        let awake = awake.into_iter().map(|row| AwakeBot {
            user: row.user_id,
            state: row.state,
            pinned: row.pinned != 0,
            active_at: row.active_at,
        });
        for user in slots::who_makes_room(awake.collect(), clock::now_ms()) {
            if slots::made_room(sandbox_client::free_slot(&self.env, user).await?.state) {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }
}
