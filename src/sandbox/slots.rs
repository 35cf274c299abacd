//! A free slot for a bot that wants to wake: asks the registry and, where all are taken, the bots that may make room.
//! Who may wake and who makes room is decided in `core::bot::slots`.

use std::rc::Rc;

use moltworker_core::api::bot::BotState;
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::bot::incidents::{IncidentKind, Incidents, Observation};
use moltworker_core::bot::lifecycle::LifecycleEffect;
use moltworker_core::bot::slots::{self, Candidates, Occupancy, Slot};
use moltworker_core::settings::DATABASE_BINDING;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Result};

use super::Inner;
use super::store::Store;
use crate::platform::database::{Rows, d1_timestamp};
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
struct IdleRow {
    user_id: UserId,
}

impl Inner {
    /// Whether this bot may wake now. If not, a slot is being freed, where one can be.
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
                log::fault("capacity-unknown", &[("reason", &error)]);
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
                self.observe_lack(now, "a slot is being freed").await?;
                return Ok(false);
            }
            Slot::Full => {}
        }
        let freed = self.free_slot(&database).await?;
        let room = slots::room(freed);
        let observed = self.observe_lack(now, &room).await?;
        if observed.is_opened() || freed.is_some() {
            self.record_history_event(HistoryKind::NoCapacity, self.life().run, Some(room))?;
        }
        Ok(false)
    }

    /// Takes note of the lack of a slot. Who wants to wake the bot may give up, and nothing looks at one that sleeps: the
    /// alarm rings when the lack is over.
    async fn observe_lack(self: &Rc<Self>, now: u64, detail: &str) -> Result<Observation> {
        let observed = self
            .update_incidents(|incidents| incidents.observe(now, IncidentKind::NoCapacity, Some(detail)))?;
        if let Some(at) = self.life().lapse_alarm() {
            self.carry_out(LifecycleEffect::SetAlarm(at)).await;
        }
        Ok(observed)
    }

    /// Changes the incidents of the bot's life, without an await in between, and stores it if it is another one afterwards.
    fn update_incidents<T>(self: &Rc<Self>, change: impl FnOnce(&mut Incidents) -> T) -> Result<T> {
        let before = self.life();
        let mut life = before.clone();
        let answer = change(&mut life.incidents);
        if life != before {
            Store::open(&self.state)?.save_lifecycle(&life)?;
            self.memory.borrow_mut().life = Some(life);
            self.update_registry();
        }
        Ok(answer)
    }

    /// Asks those that may make room, one after the other, until one does. The query walks the bots that are awake, no
    /// more than there may be (index `bots_awake`), and hands out the few that are asked. Activity has no index: it
    /// changes every minute, and each change would be one more row written.
    async fn free_slot(&self, database: &D1Database) -> Result<Option<UserId>> {
        let Candidates {
            state,
            pinned,
            idle_since,
            most,
        } = slots::candidates(clock::now_ms());
        let longest_idle = database
            .prepare(
                "SELECT user_id FROM bots WHERE awake = 1 AND state = ?1 AND pinned = ?2 AND max(active_at, since) <= ?3 \
                 ORDER BY max(active_at, since) LIMIT ?4",
            )
            .bind(&[
                state.as_str().into(),
                u32::from(pinned).into(),
                d1_timestamp(idle_since),
                most.into(),
            ])?
            .rows::<IdleRow>()
            .await?;
        for IdleRow { user_id } in longest_idle {
            if slots::made_room(sandbox_client::free_slot(&self.env, user_id).await?.state) {
                return Ok(Some(user_id));
            }
        }
        Ok(None)
    }
}
