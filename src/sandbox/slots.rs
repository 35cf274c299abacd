//! A free slot for a bot that wants to wake: asks the registry and, where all are taken, the bots that may make room.
//! Who may wake and who makes room is decided in `core::bot::slots`.

use std::rc::Rc;

use moltworker_core::api::bot::BotState;
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::bot::slots::{self, AwakeBot, Memory, Occupancy, Slot};
use moltworker_core::settings::DATABASE_BINDING;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Result};

use super::Inner;
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
        let before = self.memory.borrow().no_slot_at;
        let is_news = match slots::remembered(before, now) {
            Memory::StillFull => return false,
            Memory::Look { is_news } => is_news,
        };
        match self.find_slot(is_news).await {
            Ok(found) => {
                self.memory.borrow_mut().no_slot_at = (!found).then_some(now);
                found
            }
            Err(error) => {
                log::line("capacity-unknown", &[("reason", &error)]);
                true
            }
        }
    }

    async fn find_slot(self: &Rc<Self>, is_news: bool) -> Result<bool> {
        let Some(most) = self.settings()?.max_awake else {
            return Ok(true);
        };
        let database = self.env.d1(DATABASE_BINDING)?;
        let others = database
            .prepare(
                "SELECT count(*) AS awake, coalesce(sum(state = ?2), 0) AS stopping FROM bots \
                 WHERE awake = 1 AND user_id <> ?1",
            )
            .bind(&[self.user()?.to_string().into(), STOPPING.into()])?
            .first::<Others>(None)
            .await?;
        let others = others.map_or_else(Occupancy::default, |others| Occupancy {
            awake: others.awake,
            stopping: others.stopping,
        });
        match slots::slot(most, others) {
            Slot::Free => return Ok(true),
            Slot::BeingFreed => return Ok(false),
            Slot::Full => {}
        }
        let freed = self.free_slot(&database).await?;
        if is_news || freed.is_some() {
            let room = freed.map_or_else(|| "none is idle".to_owned(), |user| format!("{user} makes room"));
            self.record_history_event(HistoryKind::NoCapacity, self.life().run, Some(room))?;
        }
        Ok(false)
    }

    async fn free_slot(&self, database: &D1Database) -> Result<Option<UserId>> {
        let awake = database
            .prepare("SELECT user_id, state, pinned, active_at FROM bots WHERE awake = 1")
            .all()
            .await?
            .results::<Row>()?;
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
