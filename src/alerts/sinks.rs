//! Sinks in D1: what opens one is sealed, and leaves this module only towards the sink.

use moltworker_core::alerts::delivery::DeliveryOutcome;
use moltworker_core::alerts::incident::Notice;
use moltworker_core::alerts::sink::{MAX_SINKS, SinkAccess, SinkKind};
use moltworker_core::api::alerts::ListedSink;
use moltworker_core::settings::Settings;
use serde::Deserialize;
use worker::{D1Database, Env, Result};

use super::access::OpenedSink;
use crate::identity::sealed;
use crate::platform::clock;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};

/// One that was sealed for a sink opens for no other.
fn purpose(name: &str) -> String {
    format!("alert-sink:{name}")
}

/// All of them, without what opens them.
pub(crate) async fn list(env: &Env) -> Result<Vec<ListedSink>> {
    database::open(env)?
        .prepare(
            "SELECT name, kind, host, changed_by, changed_at, delivered_at, failing_since, last_error, \
             (SELECT count(*) FROM alert_deliveries WHERE sink = name AND done_at IS NULL) AS waiting \
             FROM alert_sinks ORDER BY name",
        )
        .rows()
        .await
}

/// Adds or replaces one; whether there was room.
pub(crate) async fn set(
    env: &Env,
    settings: &Settings,
    name: &str,
    host: &str,
    access: &SinkAccess,
    by: &str,
) -> Result<bool> {
    let sealed = sealed::seal(settings, &purpose(name), access).await?;
    // Counted and added in one statement, so that two requests at once add not one too many.
    let written = database::open(env)?
        .prepare(
            "INSERT INTO alert_sinks (name, kind, host, sealed, changed_by, changed_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
             WHERE (SELECT count(*) FROM alert_sinks WHERE name <> ?1) < ?7 \
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, host = excluded.host, sealed = excluded.sealed, \
             changed_by = excluded.changed_by, changed_at = excluded.changed_at, failing_since = NULL, \
             last_error = NULL RETURNING name",
        )
        .bind(&[
            name.into(),
            access.kind.as_str().into(),
            host.into(),
            sealed.into(),
            by.into(),
            d1_timestamp(clock::now_ms()),
            MAX_SINKS.into(),
        ])?
        .row::<Named>()
        .await?;
    Ok(written.is_some_and(|written| written.name == name))
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Removes one, with what waits for it; whether there was one.
pub(crate) async fn remove(env: &Env, name: &str) -> Result<bool> {
    let database = database::open(env)?;
    let removed = database
        .prepare("DELETE FROM alert_sinks WHERE name = ?1 RETURNING name")
        .bind(&[name.into()])?
        .row::<Named>()
        .await?;
    database
        .prepare("DELETE FROM alert_deliveries WHERE sink = ?1 AND done_at IS NULL")
        .bind(&[name.into()])?
        .run()
        .await?;
    Ok(removed.is_some())
}

#[derive(Deserialize)]
struct SealedRow {
    sealed: String,
}

/// What opens an admin's sink.
pub(super) async fn access(database: &D1Database, settings: &Settings, name: &str) -> Result<OpenedSink> {
    let row = database
        .prepare("SELECT sealed FROM alert_sinks WHERE name = ?1")
        .bind(&[name.into()])?
        .row::<SealedRow>()
        .await?;
    let Some(row) = row else {
        return Ok(OpenedSink::Absent);
    };
    let opened = sealed::open(settings, &purpose(name), &row.sealed).await;
    Ok(opened.map_or(OpenedSink::Sealed, OpenedSink::Admins))
}

/// The names of all sinks of a kind.
pub(super) async fn of_kind(database: &D1Database, kind: SinkKind) -> Result<Vec<String>> {
    let rows = database
        .prepare("SELECT name FROM alert_sinks WHERE kind = ?1")
        .bind(&[kind.as_str().into()])?
        .rows::<Named>()
        .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Writes down what came of a try: since when a sink fails, or that it does not any more.
pub(super) fn tried(
    database: &D1Database,
    name: &str,
    tried: &DeliveryOutcome,
) -> Result<worker::D1PreparedStatement> {
    let now = d1_timestamp(clock::now_ms());
    let statement = match tried {
        DeliveryOutcome::Delivered => {
            "UPDATE alert_sinks SET delivered_at = ?2, failing_since = NULL, last_error = ?3 WHERE name = ?1"
        }
        _ => {
            "UPDATE alert_sinks SET failing_since = coalesce(failing_since, ?2), last_error = ?3 WHERE name = ?1"
        }
    };
    database
        .prepare(statement)
        .bind(&[name.into(), now, text_or_null(tried.error())])
}

/// Tries one now; `None` if there is none of this name.
pub(crate) async fn test(env: &Env, settings: &Settings, name: &str) -> Result<Option<DeliveryOutcome>> {
    let database = database::open(env)?;
    let access = access(&database, settings, name).await?;
    if matches!(access, OpenedSink::Absent) {
        return Ok(None);
    }
    let notice = Notice::test(super::new_id()?, name, clock::now_ms());
    let tried = access.send(settings, &notice, &notice.message_id(name)).await;
    self::tried(&database, name, &tried)?.run().await?;
    Ok(Some(tried))
}
