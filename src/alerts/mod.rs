//! Alerts: what is wrong by the registry becomes incidents, and what is to be told of them reaches its sinks. The rules are in
//! core (`core::alerts`).

mod access;
mod deliver;
mod send;
mod store;

pub(crate) mod owner;
pub(crate) mod sinks;

pub(crate) use deliver::deliver_due;
pub(crate) use store::{INCIDENT, forget_mute, mute, mutes, set_settings, settings};

use moltworker_core::alerts::evaluate::{Policy, evaluate};
use moltworker_core::alerts::facts::{FleetFacts, facts};
use moltworker_core::alerts::format::is_resent_in;
use moltworker_core::alerts::incident::Incident;
use moltworker_core::alerts::rules::MINUTE_MS;
use moltworker_core::hex;
use worker::{Env, Result};

use crate::platform::{clock, configuration, database, log, watch, webcrypto};

/// Bytes of an incident's id.
const ID_BYTES: u32 = 8;
/// Forgotten is once an hour: in its first minute.
const FORGETS_EVERY_MINUTES: u64 = 60;

/// Looks at what is wrong now, and writes down what that changes. Whether there is something to deliver.
///
/// One question to the registry, and one transaction where something changes. Of two that run at once, what the second one
/// changes is refused by the revision of each incident; one that is killed has changed nothing.
///
/// # Errors
/// D1 does not answer, so that nobody knows what is wrong.
async fn evaluate_due(env: &Env) -> Result<bool> {
    let now = clock::now_ms();
    let Ok(platform) = configuration::read(env) else {
        // Said at every address.
        return Ok(false);
    };
    let database = database::open(env)?;
    let max_awake = platform.max_awake.map(u64::from);
    let read = store::read(&database, now, max_awake.is_some()).await?;
    let components = store::components(&database, now).await;
    let facts = facts(&FleetFacts {
        now,
        outages: read.outages,
        bots: &read.bots,
        spent: &read.spent,
        components: components.as_deref(),
        sinks: &read.failing,
        answers: &read.answers,
        awake: read.awake,
        max_awake,
    });
    let left_out = [&facts.bots_known_to, &facts.spent_known_to];
    for last in left_out.into_iter().flatten() {
        log::line("bots-left-out", &[("behind", last)]);
    }
    let goes_on = |incident: &Incident| incident.is_open() && incident.told_at.is_some();
    let resends = read.has_alertmanager && is_resent_in(now) && read.incidents.iter().any(goes_on);
    let policy = Policy {
        settings: &read.settings,
        mutes: &read.mutes,
    };
    // Made before, because making them may fail.
    let mut ids = store::ids(facts.sightings.len())?.into_iter();
    let changes = evaluate(&facts, read.incidents, policy, now, || {
        ids.next().unwrap_or_default()
    });
    let told = changes.notices.len().saturating_add(changes.owners_notices.len());
    for notice in &changes.notices {
        let kind = notice.kind.as_str();
        let rule = notice.rule.map_or("", |rule| rule.as_str());
        log::line(
            "alert",
            &[
                ("kind", &kind),
                ("rule", &rule),
                ("subject", &notice.subject),
                ("incident", &notice.incident),
            ],
        );
    }
    if changes.left > 0 {
        log::line("incidents-left", &[("incidents", &changes.left)]);
    }
    store::write(&database, &changes, &read.sinks, now).await?;
    if (now / MINUTE_MS).is_multiple_of(FORGETS_EVERY_MINUTES) {
        store::forget_old(&database, now).await?;
    }
    Ok(read.due || resends || told > 0)
}

/// Judges what there is, and sends what is due by now even where that fails.
async fn judge_and_deliver(env: &Env) {
    if judge(env).await
        && let Err(error) = deliver_due(env).await
    {
        log::fault("alerts-not-sent", &[("reason", &error)]);
    }
}

/// Judges what there is; whether there may be something to deliver.
pub(crate) async fn judge(env: &Env) -> bool {
    evaluate_due(env).await.unwrap_or_else(|error| {
        log::fault("alerts-failed", &[("reason", &error)]);
        true
    })
}

/// Judges and delivers in place of a cron that does not come any more, its absence among the rest.
pub(crate) async fn look_for_cron(env: &Env) {
    if watch::is_cron_missing(env).await {
        judge_and_deliver(env).await;
    }
}

fn new_id() -> Result<String> {
    Ok(hex::encode(&webcrypto::random_bytes(ID_BYTES)?))
}
