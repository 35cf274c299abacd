//! How the platform is, in D1: what was concluded is written here, and whoever comes by notices that cron does not.

use std::cell::Cell;

use moltworker_core::jobs::watch::{self, ComponentState, DEAD_MS, LOOKED_AT, MAX_DEAD, Tick, Verdict};
use serde::Deserialize;
use worker::{D1Database, Env, Result};

use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::{clock, log, sql};

/// How often an isolate looks whether cron still comes.
const LOOK_AGAIN_MS: u64 = 60_000;

thread_local! {
    static LOOKED_AT_MS: Cell<u64> = const { Cell::new(0) };
}

/// Whether this isolate is to look for cron now; said once a minute, so that looking costs one read a minute at most, however
/// many come by.
pub(crate) fn is_due() -> bool {
    let now = clock::now_ms();
    let is_due = now.saturating_sub(LOOKED_AT_MS.get()) >= LOOK_AGAIN_MS;
    if is_due {
        LOOKED_AT_MS.set(now);
    }
    is_due
}

/// Looks whether cron still comes, and writes down if it does not; whether it does not. When it does it says so itself.
pub(crate) async fn is_cron_missing(env: &Env) -> bool {
    let looked = async {
        let database = database::open(env)?;
        let verdict = watch::cron(&ticks(&database).await?, clock::now_ms());
        let is_missing = verdict.state == ComponentState::Down;
        if is_missing {
            let reason = verdict.reason.clone().unwrap_or_default();
            log::line("cron-missing", &[("reason", &reason)]);
            record(&database, &[verdict]).await?;
        }
        Ok::<_, worker::Error>(is_missing)
    };
    looked.await.unwrap_or_else(|error| {
        log::fault("cron-unknown", &[("reason", &error)]);
        false
    })
}

/// The last ticks, the newest first.
pub(crate) async fn ticks(database: &D1Database) -> Result<Vec<Tick>> {
    database
        .prepare("SELECT started_at, finished_at, queued, consumed FROM cron_ticks ORDER BY id DESC LIMIT ?1")
        .bind(&[LOOKED_AT.into()])?
        .rows()
        .await
}

#[derive(Deserialize)]
struct Counted {
    n: u32,
}

/// How many messages were given up lately.
pub(crate) async fn dead(database: &D1Database) -> Result<u32> {
    let counted = database
        .prepare(
            "SELECT count(*) AS n FROM (SELECT at FROM dead_jobs ORDER BY id DESC LIMIT ?1) WHERE at > ?2",
        )
        .bind(&[
            MAX_DEAD.into(),
            d1_timestamp(clock::now_ms().saturating_sub(DEAD_MS)),
        ])?
        .row::<Counted>()
        .await?;
    Ok(counted.map_or(0, |counted| counted.n))
}

/// Writes down what was concluded, and since when it has been so.
pub(crate) async fn record(database: &D1Database, verdicts: &[Verdict]) -> Result<()> {
    let wrong = sql::list(&[ComponentState::Degraded, ComponentState::Down].map(ComponentState::as_str));
    database
        .prepare(format!(
            "INSERT INTO platform_health (component, state, since, reason, checked_at) \
             SELECT value ->> 'component', value ->> 'state', ?1, value ->> 'reason', ?1 FROM json_each(?2) WHERE true \
             ON CONFLICT (component) DO UPDATE SET state = excluded.state, reason = excluded.reason, \
             checked_at = excluded.checked_at, \
             since = CASE WHEN platform_health.state = excluded.state OR (platform_health.state IN {wrong} \
             AND excluded.state IN {wrong}) THEN platform_health.since ELSE excluded.since END",
        ))
        .bind(&[
            d1_timestamp(clock::now_ms()),
            serde_json::to_string(verdicts)?.into(),
        ])?
        .run()
        .await
        .map(drop)
}
