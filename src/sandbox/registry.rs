//! The bot's row in the registry (D1): what cron, other Sandboxes and the list of the fleet know of it.
//!
//! The Sandbox's own store is the truth. When D1 is away the bot goes on, and the next change writes the row again, as does the
//! next alarm. Of a bot that is awake the row is written every few minutes though nothing changes: cron looks at those of
//! which it is not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::lock::Mutex;
use moltworker_core::api::bot::{BotState, Health, ObservedStatus};
use moltworker_core::bot::heartbeat::{self, Heartbeat};
use moltworker_core::bot::lifecycle::Lifecycle;
use moltworker_core::wire::run::Run;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::Result;

use super::store::{Store, sql_integer};
use super::vitals::{self, BotNow, News};
use super::{Inner, has_health};
use crate::platform::database::{self, d1_timestamp};
use crate::platform::{clock, log};

/// How long D1 may take for a row; it gives up on a statement itself after 30 seconds.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// What was written last, and whose turn it is: two writes must not overtake each other on the way.
#[derive(Default)]
pub(super) struct Registry {
    turn: Mutex<()>,
    written: RefCell<Written>,
}

/// What the registry was told last, as far as this object knows.
#[derive(Default)]
enum Written {
    /// The object has just come into memory: its store knows. An alarm a minute may find it evicted each time.
    #[default]
    Stored,
    /// Whatever it was, it is to be written again.
    Unknown,
    /// As this object wrote it.
    Known(WrittenRow),
}

impl Registry {
    /// Whatever was written, the next time it is written again.
    pub(super) fn forget(&self) {
        self.written.replace(Written::Unknown);
    }
}

/// A row as it was written.
#[derive(Clone, Deserialize)]
struct WrittenRow {
    /// All of it but what follows, as JSON.
    said: String,
    health: Option<String>,
    at: u64,
    active_at: u64,
}

impl WrittenRow {
    fn beat(&self) -> Heartbeat {
        Heartbeat {
            at: self.at,
            active_at: self.active_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct RegistryRow {
    state: BotState,
    awake: bool,
    run: u64,
    since: u64,
    pinned: bool,
    snapshot_at: Option<u64>,
    backup_key: Option<u32>,
    /// The kinds of the open ones, as a JSON list.
    incidents: String,
    /// How its gateway is; nothing while nobody has asked, as after an eviction.
    health: Option<Health>,
    news: News,
}

impl RegistryRow {
    /// As it is remembered.
    fn written(&self, beat: Heartbeat) -> Result<WrittenRow> {
        let said = (
            self.state,
            self.awake,
            self.run,
            self.since,
            self.pinned,
            self.snapshot_at,
            self.backup_key,
            &self.incidents,
            &self.news,
        );
        Ok(WrittenRow {
            said: serde_json::to_string(&said)?,
            health: self.health.map(|health| health.as_str().to_owned()),
            at: beat.at,
            active_at: beat.active_at,
        })
    }
}

impl Inner {
    /// Has the registry follow, if it is behind, without waiting for it.
    pub(super) fn update_registry(self: &Rc<Self>) {
        let inner = Rc::clone(self);
        log::spawn(async move {
            let _turn = inner.registry.turn.lock().await;
            // With a deadline: one that never settled would hold the turn of all that come after it.
            if let Err(error) = clock::within(WRITE_DEADLINE, inner.write_row()).await {
                log::fault(
                    "registry-not-written",
                    &[("run", &inner.life().run), ("reason", &error)],
                );
            }
        });
    }

    async fn write_row(&self) -> Result<()> {
        let (row, beat) = (self.row()?, self.heartbeat());
        let before = self.written()?;
        let mut now = row.written(beat)?;
        let mut is_news = true;
        if let Some(before) = before {
            // What nobody has asked for since the object came into memory stays as it was.
            now.health = now.health.or(before.health.clone());
            now.active_at = now.active_at.max(before.active_at);
            let is_same = (&now.said, &now.health) == (&before.said, &before.health);
            is_news = !is_same || heartbeat::is_due(before.beat(), row.awake, now.active_at, now.at);
        }
        let bot = BotNow {
            state: row.state,
            awake: row.awake,
            run: row.run,
            health: row.health,
        };
        let point = self.point_due(bot, is_news)?;
        if !is_news && point.is_none() {
            return Ok(());
        }
        let database = database::open(&self.env)?;
        let mut statements = vec![database
            // An object that was evicted may still have a write under way: only newer news counts.
            .prepare(format!(
                "INSERT INTO bots (user_id, state, awake, run, since, pinned, active_at, snapshot_at, incidents, \
                 backup_key, health, heartbeat_at, {}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?11, ?7, ?8, ?9, coalesce(?10, ?14), ?12, {}) \
                 ON CONFLICT (user_id) DO UPDATE SET state = excluded.state, awake = excluded.awake, \
                 run = excluded.run, since = excluded.since, pinned = excluded.pinned, \
                 active_at = max(bots.active_at, excluded.active_at), health = coalesce(?10, bots.health), \
                 snapshot_at = excluded.snapshot_at, incidents = excluded.incidents, \
                 backup_key = excluded.backup_key, heartbeat_at = excluded.heartbeat_at, {} \
                 WHERE (excluded.run, excluded.since, excluded.heartbeat_at) >= (bots.run, bots.since, bots.heartbeat_at)",
                vitals::COLUMNS,
                vitals::values(),
                vitals::UPDATES,
            ))
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
                database::text_or_null(row.health.map(Health::as_str)),
                d1_timestamp(beat.active_at),
                d1_timestamp(beat.at),
                self.vital_columns(Run(row.run), row.awake)?.into(),
                Health::Unknown.as_str().into(),
            ])?];
        if let Some(point) = &point {
            statements.push(point.statement(&database)?);
        }
        database.batch(statements).await?;
        if let Some(point) = &point {
            self.point_written(point);
        }
        self.remember(now)
    }

    /// What the registry was told last.
    fn written(&self) -> Result<Option<WrittenRow>> {
        if let Written::Stored = *self.registry.written.borrow() {
            let stored: Option<WrittenRow> = Store::open(&self.state)?
                .one("SELECT said, health, at, active_at FROM registry_row", vec![])?;
            if let Some(row) = &stored {
                self.vitals.resume(row.at);
            }
            return Ok(stored);
        }
        Ok(match &*self.registry.written.borrow() {
            Written::Known(row) => Some(row.clone()),
            _ => None,
        })
    }

    fn remember(&self, row: WrittenRow) -> Result<()> {
        Store::open(&self.state)?.exec(
            "INSERT OR REPLACE INTO registry_row (only, said, health, at, active_at) VALUES (1, ?, ?, ?, ?)",
            vec![
                row.said.clone().into(),
                row.health.clone().into(),
                sql_integer(row.at)?,
                sql_integer(row.active_at)?,
            ],
        )?;
        self.registry.written.replace(Written::Known(row));
        Ok(())
    }

    /// When this is, and when the owner's traffic last did something, as far as its supervisor has said.
    fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            at: clock::now_ms(),
            active_at: self.memory.borrow().active_at,
        }
    }

    fn health(&self, life: &Lifecycle) -> Option<Health> {
        if !has_health(life) {
            return Some(Health::Unknown);
        }
        match self.said_by(life.run) {
            Some(status) => Some(ObservedStatus::from(&status).health),
            None => (self.memory.borrow().silent == Some(life.run)).then_some(Health::Unknown),
        }
    }

    fn row(&self) -> Result<RegistryRow> {
        let life = self.life();
        let backups = Store::open(&self.state)?.backup_state()?;
        let all = life.incidents.iter().chain(backups.incidents().iter());
        let open: Vec<&str> = all
            .filter(|incident| incident.is_open())
            .map(|incident| incident.kind.as_str())
            .collect();
        Ok(RegistryRow {
            state: life.bot_state(),
            awake: life.is_awake(),
            run: life.run.0,
            since: life.since,
            pinned: life.pinned,
            snapshot_at: backups.newest_at(),
            backup_key: backups.backup_key(),
            incidents: serde_json::to_string(&open)?,
            health: self.health(&life),
            news: self.vital_news(life.is_awake(), &backups)?,
        })
    }
}
