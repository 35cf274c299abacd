//! The bot's row in the registry (D1): what cron, other Sandboxes and the list of the fleet know of it.
//!
//! The Sandbox's own store is the truth. When D1 is away the bot goes on, and the next change writes the row again.

use std::cell::RefCell;
use std::rc::Rc;

use futures::lock::Mutex;
use moltworker_core::api::bot::BotState;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use worker::Result;

use super::Inner;
use super::store::Store;
use crate::platform::database::{self, d1_timestamp};
use crate::platform::log;

/// What this object wrote last, and whose turn it is: two writes must not overtake each other on the way.
#[derive(Default)]
pub(super) struct Registry {
    turn: Mutex<()>,
    written: RefCell<Option<Row>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    state: BotState,
    awake: bool,
    run: u64,
    since: u64,
    pinned: bool,
    snapshot_at: Option<u64>,
    backup_key: Option<u32>,
    /// The kinds of the open ones, as a JSON list.
    incidents: String,
}

impl Inner {
    /// Has the registry follow, without waiting for it.
    pub(super) fn update_registry(self: &Rc<Self>) {
        let inner = Rc::clone(self);
        spawn_local(async move {
            let _turn = inner.registry.turn.lock().await;
            if let Err(error) = inner.write_row().await {
                log::line(
                    "registry-not-written",
                    &[("run", &inner.life().run), ("reason", &error)],
                );
            }
        });
    }

    async fn write_row(&self) -> Result<()> {
        let row = self.row()?;
        if self.registry.written.borrow().as_ref() == Some(&row) {
            return Ok(());
        }
        database::open(&self.env)?
            // An object that was evicted may still have a write under way: only newer news counts.
            .prepare(
                "INSERT INTO bots (user_id, state, awake, run, since, pinned, active_at, snapshot_at, incidents, \
                 backup_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9) \
                 ON CONFLICT (user_id) DO UPDATE SET state = excluded.state, awake = excluded.awake, \
                 run = excluded.run, since = excluded.since, pinned = excluded.pinned, \
                 health = CASE WHEN excluded.awake THEN bots.health ELSE 'unknown' END, \
                 snapshot_at = excluded.snapshot_at, incidents = excluded.incidents, backup_key = excluded.backup_key \
                 WHERE (excluded.run, excluded.since) >= (bots.run, bots.since)",
            )
            .bind(&[
                self.user()?.to_string().into(),
                row.state.as_str().into(),
                u32::from(row.awake).into(),
                d1_timestamp(row.run),
                d1_timestamp(row.since),
                u32::from(row.pinned).into(),
                row.snapshot_at.map_or(JsValue::NULL, d1_timestamp),
                row.incidents.as_str().into(),
                row.backup_key.map_or(JsValue::NULL, JsValue::from),
            ])?
            .run()
            .await?;
        self.registry.written.replace(Some(row));
        Ok(())
    }

    fn row(&self) -> Result<Row> {
        let life = self.life();
        let backups = Store::open(&self.state)?.backup_state()?;
        let all = life.incidents.iter().chain(backups.incidents().iter());
        let open: Vec<&str> = all
            .filter(|incident| incident.is_open())
            .map(|incident| incident.kind.as_str())
            .collect();
        Ok(Row {
            state: life.bot_state(),
            awake: life.is_awake(),
            run: life.run.0,
            since: life.since,
            pinned: life.pinned,
            snapshot_at: backups.newest_at(),
            backup_key: backups.backup_key(),
            incidents: serde_json::to_string(&open)?,
        })
    }
}
