//! How the bot is, beside its state: when it was last healthy, its restarts, and what it uses. Part of it outlives the Sandbox's
//! memory; all of it goes into the registry with the row, together with a point of the bot's series.

use std::cell::{Cell, RefCell};

use moltworker_core::api::bot::{BotState, BotStatus, Health};
use moltworker_core::backup::state::{BackupState, Drill, DrillOutcome};
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::bot::restarts::{Restart, RestartReason, Restarts};
use moltworker_core::bot::series::{self, STEP_MS, step_of};
use moltworker_core::bot::usage::{ResourceUsage, cpu_between};
use moltworker_core::wire::control::{GatewayPhase, Status};
use moltworker_core::wire::run::Run;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, Result};

use super::Inner;
use super::store::Store;
use crate::platform::database::d1_timestamp;
use crate::platform::{analytics, clock, json, log};

/// The registry's columns of it, for whoever writes or reads them.
pub(crate) const COLUMNS: &str = "healthy_at, restarts, memory, memory_peak, memory_limit, disk, disk_size, unsaved_since, \
     drilled_at, drill";
/// What replaces what is there. Who does not know when it was last healthy, or what it used, leaves that as it was; and a time
/// that lies ahead was of a clock that was wrong.
pub(super) const UPDATES: &str = "healthy_at = min(max(coalesce(excluded.healthy_at, bots.healthy_at), \
     coalesce(bots.healthy_at, excluded.healthy_at)), excluded.heartbeat_at), restarts = excluded.restarts, \
     memory = excluded.memory, memory_peak = coalesce(excluded.memory_peak, bots.memory_peak), \
     memory_limit = coalesce(excluded.memory_limit, bots.memory_limit), disk = coalesce(excluded.disk, bots.disk), \
     disk_size = coalesce(excluded.disk_size, bots.disk_size), unsaved_since = excluded.unsaved_since, \
     drilled_at = excluded.drilled_at, drill = excluded.drill";

/// Their values: members of the one text that is bound as ?13.
pub(super) fn values() -> String {
    let members = COLUMNS.split(", ").map(|column| format!("?13 ->> '{column}'"));
    members.collect::<Vec<_>>().join(", ")
}

/// What the object has in memory of it.
#[derive(Default)]
pub(super) struct Vitals {
    known: RefCell<Option<StoredVitals>>,
    /// When it was last healthy, as the store has it.
    stored_healthy_at: Cell<Option<u64>>,
    /// The last point that was written.
    last: Cell<Option<Looked>>,
}

/// What is in the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredVitals {
    healthy_at: Option<u64>,
    restarts: Restarts,
}

/// What a point was made of that the next one is compared with.
#[derive(Debug, Clone, Copy)]
struct Looked {
    at: u64,
    run: Run,
    cpu_ms: Option<u64>,
}

/// What of it is worth a row as soon as it changes. What a bot uses changes all the time, and while it is awake something is
/// not saved every other minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct News {
    restarts: Vec<Restart>,
    drill: Option<Drill>,
    left_unsaved: Option<u64>,
}

/// The registry's text of it.
#[derive(Serialize)]
struct Columns<'a> {
    healthy_at: Option<u64>,
    restarts: &'a [Restart],
    memory: Option<u64>,
    memory_peak: Option<u64>,
    memory_limit: Option<u64>,
    disk: Option<u64>,
    disk_size: Option<u64>,
    unsaved_since: Option<u64>,
    drilled_at: Option<u64>,
    drill: Option<&'static str>,
}

/// What a point takes from the registry's row.
#[derive(Debug, Clone, Copy)]
pub(super) struct BotNow {
    pub(super) state: BotState,
    pub(super) awake: bool,
    pub(super) run: u64,
    pub(super) health: Option<Health>,
}

/// A point of the bot's series that is to be written.
pub(super) struct DuePoint {
    user: String,
    bot: BotNow,
    step: u64,
    looked: Looked,
    usage: ResourceUsage,
    cpu: Option<u64>,
    restarts: u32,
}

impl Vitals {
    /// Before it left memory the object wrote its row at this time, and a point of that step with it: an object that is evicted each
    /// minute does not write both again at the end of every step.
    pub(super) fn resume(&self, at: u64) {
        if self.last.get().is_none() {
            self.last.set(Some(Looked {
                at,
                run: Run(0),
                cpu_ms: None,
            }));
        }
    }
}

impl Inner {
    /// Takes note of what the supervisor of `run` said.
    pub(super) fn note_vitals(&self, run: Run, status: &Status) {
        let now = clock::now_ms();
        let is_healthy = status.phase == GatewayPhase::Ready;
        let noted = self.change_vitals(|known| {
            known.restarts.observe(now, run, status);
            if is_healthy {
                known.healthy_at = Some(now);
            }
        });
        // While it is healthy that changes each minute, and the registry has it.
        let noted = noted.and_then(|()| {
            if is_healthy {
                Ok(())
            } else {
                self.store_healthy_at()
            }
        });
        if let Err(error) = noted {
            log::fault("vitals-not-stored", &[("run", &run), ("reason", &error)]);
        }
    }

    /// Takes note of an entry of the history, and stores what is known when a bot gets from one state to another.
    pub(super) fn note_history(&self, kind: HistoryKind) {
        let now = clock::now_ms();
        let noted = match RestartReason::of_history(kind) {
            Some(reason) => self.change_vitals(|known| known.restarts.push(now, now, reason)),
            None => Ok(()),
        };
        if let Err(error) = noted.and_then(|()| self.store_healthy_at()) {
            log::fault("vitals-not-stored", &[("reason", &error)]);
        }
    }

    /// Adds to a status how it is beside what the lifecycle knows.
    pub(super) fn add_vitals(&self, status: &mut BotStatus, is_awake: bool) {
        match self.known_vitals() {
            Ok(known) => {
                status.healthy_at = known.healthy_at;
                status.restarts = known.restarts.counts(clock::now_ms());
            }
            Err(error) => log::fault("vitals-unreadable", &[("reason", &error)]),
        }
        if is_awake && let Some(said) = self.said_by(status.run) {
            let usage = ResourceUsage::from(&*said);
            (status.memory, status.disk) = (usage.memory_share(), usage.disk_share());
        }
    }

    /// What of it is news.
    pub(super) fn vital_news(&self, is_awake: bool, backups: &BackupState) -> Result<News> {
        Ok(News {
            restarts: self.known_vitals()?.restarts.list().to_vec(),
            drill: backups.drill(),
            left_unsaved: backups.unsaved_since().filter(|_| !is_awake),
        })
    }

    /// What the registry's row says of it.
    pub(super) fn vital_columns(&self, run: Run, is_awake: bool) -> Result<String> {
        let known = self.known_vitals()?;
        let backups = Store::open(&self.state)?.backup_state()?;
        let usage = self.usage(run, is_awake);
        let drill = backups.drill();
        let columns = Columns {
            healthy_at: known.healthy_at,
            restarts: known.restarts.list(),
            memory: usage.memory,
            memory_peak: usage.memory_peak,
            memory_limit: usage.memory_limit,
            disk: usage.disk,
            disk_size: usage.disk_size,
            unsaved_since: backups.unsaved_since(),
            drilled_at: drill.map(|drill| drill.at),
            drill: drill.map(|drill| DrillOutcome::as_str(drill.outcome)),
        };
        Ok(serde_json::to_string(&columns)?)
    }

    /// The point that is to be written now, if one is; `is_written` says whether the row is.
    pub(super) fn point_due(&self, bot: BotNow, is_written: bool) -> Result<Option<DuePoint>> {
        let now = clock::now_ms();
        let last = self.vitals.last.get();
        let run = Run(bot.run);
        // One that has said nothing yet, or is on its way up, may have more to say within the step.
        let is_up = !matches!(bot.state, BotState::Starting | BotState::Restoring);
        let goes_along = is_written && is_up && self.said_by(run).is_some();
        let last_step = last.map(|last| step_of(last.at, STEP_MS));
        if !bot.awake || !series::is_due(last_step, goes_along, now) {
            return Ok(None);
        }
        let step = step_of(now, STEP_MS);
        let usage = self.usage(run, true);
        let cpu = last
            .filter(|last| last.run == run)
            .and_then(|last| cpu_between((last.at, last.cpu_ms?), (now, usage.cpu_ms?)));
        let since = last.map_or(step, |last| last.at.min(now));
        Ok(Some(DuePoint {
            user: self.user()?.to_string(),
            bot,
            step,
            looked: Looked {
                at: now,
                run,
                cpu_ms: usage.cpu_ms,
            },
            usage,
            cpu,
            restarts: self.known_vitals()?.restarts.after(since),
        }))
    }

    /// It was written, and goes to Analytics Engine as well.
    pub(super) fn point_written(&self, point: &DuePoint) {
        self.vitals.last.set(Some(point.looked));
        let usage = &point.usage;
        analytics::write(
            &self.env,
            &point.user,
            &["bot", point.bot.state.as_str(), point.health().as_str()],
            &[
                Some(point.step),
                usage.memory,
                usage.memory_limit,
                usage.disk,
                usage.disk_size,
                point.cpu,
                usage.probe_ms,
                Some(point.restarts.into()),
                Some(point.bot.run),
            ],
        );
    }

    fn usage(&self, run: Run, is_awake: bool) -> ResourceUsage {
        let said = self.said_by(run).filter(|_| is_awake);
        said.map_or_else(ResourceUsage::default, |said| ResourceUsage::from(&*said))
    }

    fn known_vitals(&self) -> Result<StoredVitals> {
        if let Some(known) = &*self.vitals.known.borrow() {
            return Ok(known.clone());
        }
        let known = Store::open(&self.state)?.vitals()?;
        self.vitals.stored_healthy_at.set(known.healthy_at);
        self.vitals.known.replace(Some(known.clone()));
        Ok(known)
    }

    /// Changes what is known, and stores it if there is another restart.
    fn change_vitals(&self, change: impl FnOnce(&mut StoredVitals)) -> Result<()> {
        let before = self.known_vitals()?;
        let mut known = before.clone();
        change(&mut known);
        let is_news = known.restarts.list() != before.restarts.list();
        self.vitals.known.replace(Some(known));
        if is_news { self.store_vitals() } else { Ok(()) }
    }

    fn store_healthy_at(&self) -> Result<()> {
        if self.known_vitals()?.healthy_at == self.vitals.stored_healthy_at.get() {
            return Ok(());
        }
        self.store_vitals()
    }

    fn store_vitals(&self) -> Result<()> {
        let known = self.known_vitals()?;
        Store::open(&self.state)?.save_vitals(&known)?;
        self.vitals.stored_healthy_at.set(known.healthy_at);
        Ok(())
    }
}

impl DuePoint {
    fn health(&self) -> Health {
        self.bot.health.unwrap_or(Health::Unknown)
    }

    /// What writes it. The first one of a step stays: another object may have written it.
    pub(super) fn statement(&self, database: &D1Database) -> Result<D1PreparedStatement> {
        let number = |number: Option<u64>| number.map_or(JsValue::NULL, d1_timestamp);
        database
            .prepare(
                "INSERT INTO bot_series (step, user_id, state, health, memory, disk, cpu, latency, restarts) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (step, user_id) DO NOTHING",
            )
            .bind(&[
                d1_timestamp(self.step),
                self.user.as_str().into(),
                self.bot.state.as_str().into(),
                self.health().as_str().into(),
                number(self.usage.memory),
                number(self.usage.disk),
                number(self.cpu),
                number(self.usage.probe_ms),
                self.restarts.into(),
            ])
    }
}

#[derive(Deserialize)]
struct Record {
    record: String,
}

impl Store {
    fn vitals(&self) -> Result<StoredVitals> {
        let row: Option<Record> = self.one("SELECT record FROM vitals", vec![])?;
        row.map_or_else(|| Ok(StoredVitals::default()), |row| json::read(&row.record))
    }

    fn save_vitals(&self, known: &StoredVitals) -> Result<()> {
        let record = serde_json::to_string(known)?;
        self.exec(
            "INSERT OR REPLACE INTO vitals (only, record) VALUES (1, ?)",
            vec![record.into()],
        )
    }
}
