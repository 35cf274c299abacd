//! How the platform is. D1 is asked, which is its own probe; everything else was looked at within the last minute, by cron.

use std::time::Duration;

use moltworker_core::api::bot::Health;
use moltworker_core::api::health::{ALERT_SINKS, ALWAYS_OK, HealthReport, HealthRow};
use moltworker_core::http::problem::Refusal;
use moltworker_core::jobs::watch::{ComponentState, Tick};
use worker::{D1Database, Request};

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::address::Address;
use crate::http::error::{Error, Result};
use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::{clock, log, queue, watch};

/// How long D1 may take: who asks asks again in a minute.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The report, or while something is wrong 503 with what that is, which any monitor understands.
pub(super) async fn report(ctx: &Context<'_>, request: &Request) -> Result<Answer> {
    let asked = async { read(&database::open(ctx.env)?).await };
    let report = match clock::within(DEADLINE, asked).await {
        Ok(found) => HealthReport::of(
            &found.rows,
            &found.ticks,
            found.dead,
            queue::is_bound(ctx.env),
            clock::now_ms(),
        ),
        Err(error) => {
            log::fault("database-unanswered", &[("reason", &error)]);
            HealthReport::without_database(clock::now_ms())
        }
    };
    let always = Address::of(request)?.query_value("status").as_deref() == Some(ALWAYS_OK);
    if report.health == Health::Unhealthy && !always {
        return Err(Error::detailed(Refusal::PlatformUnhealthy, report.faults()));
    }
    Answer::of(&report)
}

/// What is written of the parts.
pub(super) struct HealthRecords {
    pub(super) rows: Vec<HealthRow>,
    /// The last ticks.
    pub(super) ticks: Vec<Tick>,
    /// Dead letters of the last hour.
    pub(super) dead: u32,
}

pub(super) async fn read(database: &D1Database) -> worker::Result<HealthRecords> {
    Ok(HealthRecords {
        rows: rows(database).await?,
        ticks: watch::ticks(database).await?,
        dead: watch::dead(database).await?,
    })
}

async fn rows(database: &D1Database) -> worker::Result<Vec<HealthRow>> {
    database
        .prepare(
            "SELECT component, state, since, reason, checked_at FROM platform_health UNION ALL \
             SELECT ?2, CASE WHEN count(*) = 0 THEN ?3 WHEN count(failing_since) > 0 THEN ?4 ELSE ?5 END, \
             min(failing_since), CASE WHEN count(*) = 0 THEN 'no sink is set up' \
             ELSE group_concat(CASE WHEN failing_since IS NOT NULL THEN name || ': ' || last_error END, '; ') END, ?1 \
             FROM alert_sinks",
        )
        .bind(&[
            d1_timestamp(clock::now_ms()),
            ALERT_SINKS.into(),
            ComponentState::Unknown.as_str().into(),
            ComponentState::Degraded.as_str().into(),
            ComponentState::Ok.as_str().into(),
        ])?
        .rows()
        .await
}
