//! Asks what the platform stands on how it is, once a minute: one read of the bucket, the identity provider's keys, and how the
//! last starts of containers went.

use std::time::Duration;

use moltworker_core::bot::history::HistoryKind;
use moltworker_core::jobs::watch::{self, Component, ComponentState, STARTS_MS, Verdict};
use moltworker_core::settings::BUCKET_BINDING;
use serde::Deserialize;
use worker::{D1Database, Env, Error, Result};

use crate::identity::jwks;
use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::watch as health;
use crate::platform::{clock, configuration};

/// How long a part may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// An object that is not there, and whose absence is the answer: no user's key begins so.
const ABSENT: &str = "platform/health";

#[derive(Deserialize)]
struct Starts {
    ready: u32,
    failed: u32,
}

/// Asks, and writes down what was answered.
pub(super) async fn probe(env: &Env) -> Result<()> {
    let database = database::open(env)?;
    let verdicts = [
        answered(Component::Bucket, bucket(env).await),
        answered(Component::IdentityProvider, identity_provider(env).await),
        containers(&database).await?,
    ];
    health::record(&database, &verdicts).await
}

fn answered(component: Component, outcome: Result<()>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::new(component, ComponentState::Ok, ""),
        Err(error) => Verdict::new(component, ComponentState::Down, error.to_string()),
    }
}

async fn bucket(env: &Env) -> Result<()> {
    let bucket = env.bucket(BUCKET_BINDING)?;
    clock::within(DEADLINE, bucket.head(ABSENT)).await.map(drop)
}

async fn identity_provider(env: &Env) -> Result<()> {
    let settings =
        configuration::read(env).map_err(|_| Error::RustError("the Worker is not configured".into()))?;
    jwks::answers(&settings).await
}

async fn containers(database: &D1Database) -> Result<Verdict> {
    let starts = database
        .prepare(
            "SELECT count(DISTINCT CASE WHEN kind = ?2 THEN user_id END) AS ready, \
             count(DISTINCT CASE WHEN kind = ?3 THEN user_id END) AS failed FROM events WHERE at > ?1",
        )
        .bind(&[
            d1_timestamp(clock::now_ms().saturating_sub(STARTS_MS)),
            HistoryKind::Ready.as_str().into(),
            HistoryKind::StartFailed.as_str().into(),
        ])?
        .row::<Starts>()
        .await?;
    let starts = starts.unwrap_or(Starts { ready: 0, failed: 0 });
    Ok(watch::container_platform(starts.ready, starts.failed))
}
