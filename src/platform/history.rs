//! The history of bots and accounts in D1, as it is written. Owners and admins read it through `api::history`.

use moltworker_core::api::audit::Outcome;
use moltworker_core::bot::history::{Actor, HistoryKind, truncate_detail};
use moltworker_core::metrics::count::Count;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::Run;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::{D1Database, D1PreparedStatement, Env, Error, Result};

use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::{clock, log, metrics};

/// One event to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryEntry<'a> {
    /// Whose bot or account it is about.
    pub(crate) user: Option<UserId>,
    pub(crate) run: Option<Run>,
    pub(crate) kind: HistoryKind,
    pub(crate) actor: Actor,
    /// Why, or which. Never a secret.
    pub(crate) detail: Option<&'a str>,
    /// The call it came from, if it came from one.
    pub(crate) call: Option<&'a Call>,
    /// How that ended, if it is over.
    pub(crate) outcome: Option<Outcome>,
}

/// The call of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The name of the endpoint.
    pub(crate) action: &'static str,
    pub(crate) request_id: String,
    pub(crate) address: Option<String>,
    pub(crate) agent: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
}

/// Writes an event, and says by which number it is known. It is a log line as well: when D1 is away, that one remains.
pub(crate) async fn record(env: &Env, entry: &HistoryEntry<'_>) -> Option<u64> {
    log_entry(entry);
    match insert(env, entry).await {
        Ok(written) => written.map(|row| row.id),
        Err(error) => {
            not_written(entry, &error);
            None
        }
    }
}

/// The same, and beside it what is counted of it, in one transaction.
pub(crate) async fn record_counted(env: &Env, entry: &HistoryEntry<'_>, counts: &[Count]) {
    log_entry(entry);
    let written = async {
        let database = database::open(env)?;
        let statements = vec![
            inserted(&database, entry)?,
            metrics::statement(&database, counts)?,
        ];
        database.batch(statements).await.map(drop)
    };
    let Err(error) = written.await else { return };
    log::fault("metrics-not-written", &[("reason", &error)]);
    // What happened is worth more than its count.
    if let Err(error) = insert(env, entry).await {
        not_written(entry, &error);
    }
}

fn not_written(entry: &HistoryEntry<'_>, error: &Error) {
    let kind = entry.kind.as_str();
    log::fault("event-not-written", &[("kind", &kind), ("reason", error)]);
}

/// Logs an event that is not worth a row of its own.
pub(crate) fn log_entry(entry: &HistoryEntry<'_>) {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let user = entry.user.map_or_else(String::new, |user| user.to_string());
    let run = entry.run.map_or_else(String::new, |run| run.to_string());
    let status = entry
        .outcome
        .map_or_else(String::new, |outcome| outcome.status.to_string());
    let code = text(entry.outcome.and_then(|outcome| outcome.code));
    let detail = truncate_detail(entry.detail.unwrap_or_default());
    let actor = entry.actor.to_text();
    let mut fields: Vec<(&str, &dyn std::fmt::Display)> = vec![("bot", &user), ("run", &run)];
    let kind = entry.kind.as_str();
    fields.extend([
        ("kind", &kind as &dyn std::fmt::Display),
        ("actor", &actor),
        ("detail", &detail),
    ]);
    if let Some(call) = entry.call {
        fields.extend([
            ("action", &call.action as &dyn std::fmt::Display),
            ("request", &call.request_id),
            ("status", &status),
            ("code", &code),
        ]);
    }
    log::line("bot-event", &fields);
}

async fn insert(env: &Env, entry: &HistoryEntry<'_>) -> Result<Option<Written>> {
    inserted(&database::open(env)?, entry)?.row().await
}

fn inserted(database: &D1Database, entry: &HistoryEntry<'_>) -> Result<D1PreparedStatement> {
    let call = entry.call;
    let user = entry.user.map(|user| user.to_string());
    let detail = entry.detail.map(truncate_detail);
    database
        .prepare(
            "INSERT INTO events (at, user_id, run, kind, actor, detail, action, request_id, address, agent, status, code) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) RETURNING id",
        )
        .bind(&[
            d1_timestamp(clock::now_ms()),
            text_or_null(user.as_deref()),
            entry.run.map_or(JsValue::NULL, |run| d1_timestamp(run.0)),
            entry.kind.as_str().into(),
            entry.actor.to_text().into(),
            text_or_null(detail.as_deref()),
            text_or_null(call.map(|call| call.action)),
            text_or_null(call.map(|call| call.request_id.as_str())),
            text_or_null(call.and_then(|call| call.address.as_deref())),
            text_or_null(call.and_then(|call| call.agent.as_deref())),
            entry.outcome.map_or(JsValue::NULL, |outcome| outcome.status.into()),
            text_or_null(entry.outcome.and_then(|outcome| outcome.code)),
        ])
}

/// Says how the call ended whose event was written before it began.
pub(crate) async fn complete(env: &Env, id: u64, outcome: Outcome) {
    let updated = async {
        database::open(env)?
            .prepare("UPDATE events SET status = ?2, code = ?3 WHERE id = ?1")
            .bind(&[
                d1_timestamp(id),
                outcome.status.into(),
                text_or_null(outcome.code),
            ])?
            .run()
            .await
    };
    if let Err(error) = updated.await {
        log::fault(
            "event-not-completed",
            &[("event", &id), ("status", &outcome.status), ("reason", &error)],
        );
    }
}
