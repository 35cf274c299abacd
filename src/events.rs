//! The history of bots in D1: entries are written where something happens and told to owners and admins.

use moltworker_core::event::{Actor, KEPT_MS, Kind, PAGE, in_short};
use moltworker_core::id::UserId;
use moltworker_core::problem::Refusal;
use moltworker_core::run::Run;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use worker::{D1Database, Env, Request, Response, Result};

use crate::address::Address;
use crate::database::{self, moment, text_or_null};
use crate::{clock, log, reply};

/// One entry to be written.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whose bot.
    pub(crate) bot: UserId,
    pub(crate) run: Option<Run>,
    pub(crate) kind: Kind,
    pub(crate) actor: Actor,
    /// Why, or which. Never a secret.
    pub(crate) detail: Option<String>,
}

/// Writes an entry. It is a log line as well: when D1 is away, that one remains.
pub(crate) async fn record(env: &Env, entry: &Entry) {
    let Entry { bot, kind, actor, .. } = entry;
    let detail = entry.detail.as_deref().map(in_short);
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
                moment(clock::now_ms()),
                bot.to_string().into(),
                entry.run.map_or(JsValue::NULL, |run| moment(run.0)),
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

/// An entry as it is told.
#[derive(Serialize, Deserialize)]
struct Told {
    id: u64,
    at: u64,
    user_id: UserId,
    run: Option<u64>,
    kind: String,
    actor: String,
    detail: Option<String>,
}

/// Tells the newest entries, of one bot or of all, before the one named by `?before=`.
pub(crate) async fn list(request: &Request, env: &Env, bot: Option<UserId>) -> Result<Response> {
    let before = Address::of(request)?.asked("before");
    let Ok(before) = before.map(|id| id.parse::<u32>()).transpose() else {
        let detail = "before must be the id of an entry".to_owned();
        return reply::problem(Refusal::BadForm, Some(detail));
    };
    match read(env, bot, before).await {
        Ok(entries) => reply::json(&serde_json::json!({ "events": entries })),
        Err(error) => {
            log::line("directory-unavailable", &[("reason", &error)]);
            reply::problem(Refusal::DirectoryUnavailable, None)
        }
    }
}

async fn read(env: &Env, bot: Option<UserId>, before: Option<u32>) -> Result<Vec<Told>> {
    let mut bindings = vec![
        before.map_or_else(|| moment(u64::from(u32::MAX)), JsValue::from),
        PAGE.into(),
    ];
    let whose = match bot {
        Some(bot) => {
            bindings.push(bot.to_string().into());
            "AND user_id = ?3"
        }
        None => "",
    };
    database::open(env)?
        .prepare(format!(
            "SELECT id, at, user_id, run, kind, actor, detail FROM events WHERE id < ?1 {whose} ORDER BY id DESC LIMIT ?2"
        ))
        .bind(&bindings)?
        .all()
        .await?
        .results()
}

/// Forgets what is older than it has to be kept.
pub(crate) async fn forget_old(database: &D1Database) -> Result<()> {
    database
        .prepare("DELETE FROM events WHERE at < ?1")
        .bind(&[moment(clock::now_ms().saturating_sub(KEPT_MS))])?
        .run()
        .await
        .map(drop)
}
