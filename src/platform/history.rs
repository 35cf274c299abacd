//! The history of bots in D1, as it is written. Owners and admins read it through `api::history`.

use moltworker_core::bot::history::{Actor, HistoryKind, KEPT_MS, truncate_detail};
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::Run;
use wasm_bindgen::JsValue;
use worker::{D1Database, Env, Result};

use crate::platform::database::{self, d1_timestamp, text_or_null};
use crate::platform::{clock, log};

/// One entry to be written.
#[derive(Debug)]
pub(crate) struct HistoryEntry {
    /// Whose bot.
    pub(crate) bot: UserId,
    pub(crate) run: Option<Run>,
    pub(crate) kind: HistoryKind,
    pub(crate) actor: Actor,
    /// Why, or which. Never a secret.
    pub(crate) detail: Option<String>,
}

/// Writes an entry. It is a log line as well: when D1 is away, that one remains.
pub(crate) async fn record(env: &Env, entry: &HistoryEntry) {
    let HistoryEntry { bot, kind, actor, .. } = entry;
    let detail = entry.detail.as_deref().map(truncate_detail);
    let words = detail.as_deref().unwrap_or_default();
    let run = entry.run.map_or_else(String::new, |run| run.to_string());
    log::line(
        "bot-event",
        &[
            ("bot", bot),
            ("run", &run),
            ("kind", &kind.as_str()),
            ("actor", &actor.to_text()),
            ("detail", &words),
        ],
    );
    let written = async {
        database::open(env)?
            .prepare(
                "INSERT INTO events (at, user_id, run, kind, actor, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .bind(&[
                d1_timestamp(clock::now_ms()),
                bot.to_string().into(),
                entry.run.map_or(JsValue::NULL, |run| d1_timestamp(run.0)),
                kind.as_str().into(),
                actor.to_text().into(),
                text_or_null(detail.as_deref()),
            ])?
            .run()
            .await
    };
    if let Err(error) = written.await {
        log::line(
            "event-not-written",
            &[("bot", bot), ("kind", &kind.as_str()), ("reason", &error)],
        );
    }
}

/// Forgets what is older than it has to be kept.
pub(crate) async fn forget_old(database: &D1Database) -> Result<()> {
    database
        .prepare("DELETE FROM events WHERE at < ?1")
        .bind(&[d1_timestamp(clock::now_ms().saturating_sub(KEPT_MS))])?
        .run()
        .await
        .map(drop)
}
