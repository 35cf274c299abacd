//! What a Sandbox keeps in its own SQLite: its life, and the secrets of the current run. The tables about snapshots are
//! read and written in `snapshot_index`, those about sessions in `sessions`, what was used in `usage`.
//!
//! SQL in a Durable Object is synchronous, and the runtime holds every outgoing message back until the
//! writes before it are on disk: what was answered was stored.

use moltworker_core::bot::lifecycle::Lifecycle;
use moltworker_core::wire::run::{ControlToken, IngressSecret, Run};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::worker_sys::types::{SqlStorage, SqlStorageCursor};
use worker::{Error, Result, SqlStorageValue, State};

use crate::platform::{database, json};

/// Applied in order, each once. Never edited, only added to: objects of every age are out there.
const MIGRATIONS: [&str; 10] = [
    // One row each; `record` is the JSON of `core::bot::lifecycle::Lifecycle`.
    "CREATE TABLE life (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT NOT NULL);
     CREATE TABLE run_secret (only INTEGER PRIMARY KEY CHECK (only = 1), run INTEGER NOT NULL, control_token TEXT NOT NULL);",
    // The person's browser sessions. `identity` is the JSON of `core::identity::token::Identity`, `tokens` a sealed
    // `core::identity::session::Tokens`, `renewed_at` in seconds since 1970.
    "CREATE TABLE sessions (id TEXT PRIMARY KEY, identity TEXT NOT NULL, tokens TEXT NOT NULL, renewed_at INTEGER NOT NULL);",
    // `ledger.record` is the JSON of `core::backup::state::BackupState`, `snapshots.details` that of
    // `core::api::snapshots::Details`. A hold without an end is somebody's pin.
    "CREATE TABLE ledger (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT NOT NULL);
     CREATE TABLE snapshots (id TEXT PRIMARY KEY, details TEXT, verified_at INTEGER);
     CREATE TABLE holds (id TEXT NOT NULL, until INTEGER, PRIMARY KEY (id, until));
     CREATE UNIQUE INDEX pins ON holds (id) WHERE until IS NULL;",
    // When a wrong code of the second factor was typed, in seconds since 1970.
    "CREATE TABLE wrong_codes (at INTEGER NOT NULL);",
    // NULL: a run that was started before there was this secret.
    "ALTER TABLE run_secret ADD COLUMN ingress_secret TEXT;",
    // What the bucket has of `holds`; NULL while nobody knows, and no row while it was not asked. Of an object that lived
    // before there was this table nobody knows.
    "CREATE TABLE kept_holds (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT);
     INSERT INTO kept_holds (only) SELECT 1 FROM life;",
    // What the registry was last told, so that an object that comes back into memory does not tell it again.
    "CREATE TABLE registry_row (only INTEGER PRIMARY KEY CHECK (only = 1), said TEXT NOT NULL, health TEXT, at INTEGER NOT NULL, active_at INTEGER NOT NULL);",
    // The JSON of `core::cost::meter::Meter`.
    "CREATE TABLE usage (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT NOT NULL);",
    // One row: when the bot was last healthy, and its restarts (`vitals`).
    "CREATE TABLE vitals (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT NOT NULL);",
    // Changes of the gateway's config. `author` is the JSON of `core::api::config::ConfigAuthor`, `paths` a list, `before` the
    // sealed text of the config before it, NULL where nobody could read that.
    "CREATE TABLE config_changes (id INTEGER PRIMARY KEY AUTOINCREMENT, made_at INTEGER NOT NULL, author TEXT NOT NULL, paths TEXT NOT NULL, rolled_back INTEGER, before TEXT);",
];

/// The runtime's own, because `worker`'s brings a second reader of every type.
pub(super) struct Store(SqlStorage);

impl Store {
    /// Opens the object's database and brings it up to date.
    pub(super) fn open(state: &State) -> Result<Self> {
        let store = Self(state.as_raw().storage()?.sql());
        store.exec(
            "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)",
            vec![],
        )?;
        let applied: Option<Version> = store.one(
            "SELECT coalesce(max(version), 0) AS version FROM migrations",
            vec![],
        )?;
        let applied = applied.map_or(0, |row| row.version);
        for (version, migration) in (1u32..)
            .zip(MIGRATIONS)
            .skip_while(|(version, _)| *version <= applied)
        {
            store.exec(migration, vec![])?;
            store.exec(
                "INSERT INTO migrations (version) VALUES (?)",
                vec![i64::from(version).into()],
            )?;
        }
        Ok(store)
    }

    pub(super) fn life(&self) -> Result<Option<Lifecycle>> {
        let row: Option<Record> = self.one("SELECT record FROM life", vec![])?;
        row.map(|row| json::read(&row.record)).transpose()
    }

    pub(super) fn save_lifecycle(&self, life: &Lifecycle) -> Result<()> {
        let record = serde_json::to_string(life)?;
        self.exec(
            "INSERT OR REPLACE INTO life (only, record) VALUES (1, ?)",
            vec![record.into()],
        )
    }

    /// The control token of `run`; `None` when another run's is stored.
    pub(super) fn control_token(&self, run: Run) -> Result<Option<ControlToken>> {
        let row: Option<RunSecret> = self.one(
            "SELECT control_token FROM run_secret WHERE run = ?",
            vec![number(run)?],
        )?;
        Ok(row.and_then(|row| ControlToken::new(row.control_token).ok()))
    }

    /// The ingress secret of `run`; `None` when it was started without one, or another run's is stored.
    pub(super) fn ingress_secret(&self, run: Run) -> Result<Option<IngressSecret>> {
        let row: Option<StoredIngressSecret> = self.one(
            "SELECT ingress_secret FROM run_secret WHERE run = ?",
            vec![number(run)?],
        )?;
        Ok(row.and_then(|row| IngressSecret::new(row.ingress_secret?).ok()))
    }

    pub(super) fn save_run_secrets(
        &self,
        run: Run,
        token: &ControlToken,
        ingress: &IngressSecret,
    ) -> Result<()> {
        self.exec(
            "INSERT OR REPLACE INTO run_secret (only, run, control_token, ingress_secret) VALUES (1, ?, ?, ?)",
            vec![number(run)?, token.reveal().into(), ingress.reveal().into()],
        )
    }

    pub(super) fn exec(&self, statement: &str, bindings: Vec<SqlStorageValue>) -> Result<()> {
        self.run(statement, bindings).map(drop)
    }

    pub(super) fn one<T: serde::de::DeserializeOwned>(
        &self,
        statement: &str,
        bindings: Vec<SqlStorageValue>,
    ) -> Result<Option<T>> {
        Ok(self.all(statement, bindings)?.into_iter().next())
    }

    pub(super) fn all<T: serde::de::DeserializeOwned>(
        &self,
        statement: &str,
        bindings: Vec<SqlStorageValue>,
    ) -> Result<Vec<T>> {
        database::read_rows(&self.run(statement, bindings)?.to_array())
    }

    fn run(&self, statement: &str, bindings: Vec<SqlStorageValue>) -> Result<SqlStorageCursor> {
        let bindings = bindings.into_iter().map(JsValue::from).collect();
        Ok(self.0.exec(statement, bindings)?)
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Record {
    record: String,
}

#[derive(Deserialize)]
struct RunSecret {
    control_token: String,
}

#[derive(Deserialize)]
struct StoredIngressSecret {
    ingress_secret: Option<String>,
}

fn number(run: Run) -> Result<SqlStorageValue> {
    sql_integer(run.0)
}

/// A number as SQLite takes it.
pub(super) fn sql_integer(number: u64) -> Result<SqlStorageValue> {
    let number = i64::try_from(number).map_err(|_| Error::RustError("a number is out of range".into()))?;
    SqlStorageValue::try_from_i64(number)
}
