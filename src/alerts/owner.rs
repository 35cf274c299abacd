//! Owners' own sinks in D1. What opens one is sealed, and only what concerns the owner's bot is ever sent there.

use moltworker_core::alerts::delivery::DeliveryOutcome;
use moltworker_core::alerts::incident::Notice;
use moltworker_core::alerts::owner::{HOUR_MS, MAX_TESTS_AN_HOUR, sink_of};
use moltworker_core::alerts::sink::SinkAccess;
use moltworker_core::api::owner_sink::OwnerSinkStatus;
use moltworker_core::identity::users::UserStatus;
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, D1PreparedStatement, Env, Result};

use super::access::OpenedSink;
use crate::identity::sealed;
use crate::platform::clock;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};

/// One that was sealed for an owner opens for no other.
fn purpose(user: UserId) -> String {
    format!("owner-sink:{user}")
}

/// What it is and how it does; nothing where there is none.
pub(crate) async fn show(env: &Env, user: UserId) -> Result<Option<OwnerSinkStatus>> {
    database::open(env)?
        .prepare(
            "SELECT kind, host, changed_at, delivered_at, failing_since, last_error, \
             (SELECT count(*) FROM alert_deliveries WHERE sink = ?2 AND done_at IS NULL) AS waiting \
             FROM owner_sinks WHERE user_id = ?1 AND sealed IS NOT NULL",
        )
        .bind(&[user.to_string().into(), sink_of(user).into()])?
        .row()
        .await
}

/// Sets it up, or another one in its place. How often it was tried within the hour stays.
pub(crate) async fn set(
    env: &Env,
    settings: &Settings,
    user: UserId,
    host: &str,
    access: &SinkAccess,
) -> Result<()> {
    let sealed = sealed::seal(settings, &purpose(user), access).await?;
    database::open(env)?
        .prepare(
            "INSERT INTO owner_sinks (user_id, kind, host, sealed, changed_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (user_id) DO UPDATE SET kind = excluded.kind, host = excluded.host, sealed = excluded.sealed, \
             changed_at = excluded.changed_at, delivered_at = NULL, failing_since = NULL, last_error = NULL",
        )
        .bind(&[
            user.to_string().into(),
            access.kind.as_str().into(),
            host.into(),
            sealed.into(),
            d1_timestamp(clock::now_ms()),
        ])?
        .run()
        .await
        .map(drop)
}

#[derive(Deserialize)]
struct Removed {
    #[expect(dead_code, reason = "that there is a row says it")]
    user_id: String,
}

/// Removes it, with what waits for it; whether there was one.
pub(crate) async fn remove(env: &Env, user: UserId) -> Result<bool> {
    let database = database::open(env)?;
    let removed = database
        .prepare(
            "UPDATE owner_sinks SET kind = NULL, host = NULL, sealed = NULL, delivered_at = NULL, failing_since = NULL, \
             last_error = NULL WHERE user_id = ?1 AND sealed IS NOT NULL RETURNING user_id",
        )
        .bind(&[user.to_string().into()])?
        .row::<Removed>()
        .await?;
    database
        .prepare("DELETE FROM alert_deliveries WHERE sink = ?1 AND done_at IS NULL")
        .bind(&[sink_of(user).into()])?
        .run()
        .await?;
    Ok(removed.is_some())
}

#[derive(Deserialize)]
struct SealedRow {
    sealed: Option<String>,
}

/// What opens an owner's sink, as long as their account is active.
pub(super) async fn access(database: &D1Database, settings: &Settings, user: UserId) -> Result<OpenedSink> {
    let row = database
        .prepare(
            "SELECT sealed FROM owner_sinks JOIN users USING (user_id) WHERE user_id = ?1 AND status = ?2",
        )
        .bind(&[user.to_string().into(), UserStatus::Active.as_str().into()])?
        .row::<SealedRow>()
        .await?;
    open(settings, user, row).await
}

async fn open(settings: &Settings, user: UserId, row: Option<SealedRow>) -> Result<OpenedSink> {
    let Some(sealed) = row.and_then(|row| row.sealed) else {
        return Ok(OpenedSink::Absent);
    };
    let opened = sealed::open(settings, &purpose(user), &sealed).await;
    Ok(opened.map_or(OpenedSink::Sealed, OpenedSink::Owners))
}

/// Writes down what came of a try.
pub(super) fn tried(
    database: &D1Database,
    user: UserId,
    tried: &DeliveryOutcome,
) -> Result<D1PreparedStatement> {
    let statement = match tried {
        DeliveryOutcome::Delivered => {
            "UPDATE owner_sinks SET delivered_at = ?2, failing_since = NULL, last_error = ?3 WHERE user_id = ?1"
        }
        _ => {
            "UPDATE owner_sinks SET failing_since = coalesce(failing_since, ?2), last_error = ?3 \
             WHERE user_id = ?1 AND sealed IS NOT NULL"
        }
    };
    database.prepare(statement).bind(&[
        user.to_string().into(),
        d1_timestamp(clock::now_ms()),
        text_or_null(tried.error()),
    ])
}

/// What came of wanting to try one.
pub(crate) enum Test {
    /// It was tried.
    Tried(DeliveryOutcome),
    /// There is none.
    Absent,
    /// It was tried too often within the hour.
    TooOften,
}

/// Tries it now, if it was not tried too often. Counted in the statement that asks, so that many at once are not one too many.
pub(crate) async fn test(env: &Env, settings: &Settings, user: UserId) -> Result<Test> {
    if show(env, user).await?.is_none() {
        return Ok(Test::Absent);
    }
    let database = database::open(env)?;
    let now = clock::now_ms();
    let row = database
        .prepare(
            "UPDATE owner_sinks SET tests = CASE WHEN tests_since <= ?2 THEN 1 ELSE tests + 1 END, \
             tests_since = CASE WHEN tests_since <= ?2 THEN ?3 ELSE tests_since END \
             WHERE user_id = ?1 AND sealed IS NOT NULL AND (tests_since <= ?2 OR tests < ?4) RETURNING sealed",
        )
        .bind(&[
            user.to_string().into(),
            d1_timestamp(now.saturating_sub(HOUR_MS)),
            d1_timestamp(now),
            MAX_TESTS_AN_HOUR.into(),
        ])?
        .row::<SealedRow>()
        .await?;
    if row.is_none() {
        return Ok(Test::TooOften);
    }
    let access = open(settings, user, row).await?;
    let sink = sink_of(user);
    let notice = Notice::test(super::new_id()?, &user.to_string(), now);
    let came_of_it = access.send(settings, &notice, &notice.message_id(&sink)).await;
    tried(&database, user, &came_of_it)?.run().await?;
    Ok(Test::Tried(came_of_it))
}
