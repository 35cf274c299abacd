//! What is on the queue of jobs is done here. Nothing in here fails: an error that got out would end the instance and with it
//! what every other caller of the isolate has in memory. What cannot be done is said in the log and left to the next tick.

use moltworker_core::jobs::message::{DEAD_LETTERS, Job, RETRY_AFTER_S};
use worker::{Env, Result};

use super::{look, order, probe};
use crate::alerts;
use crate::platform::database::{self, d1_timestamp};
use crate::platform::queue::{MessageBatch, QueueMessage};
use crate::platform::{clock, log};

/// Characters kept of a dead letter: enough to see which job it was, and for whom first.
const KEPT_OF_BODY: usize = 500;

/// Does what is in a batch.
pub(crate) async fn consume(batch: &MessageBatch, env: &Env) {
    let messages = batch.all();
    if batch.name().ends_with(DEAD_LETTERS) {
        return bury(env, &messages).await;
    }
    for message in messages {
        match Job::read(&message.text()) {
            Some(job) => {
                perform(env, job).await;
                message.done();
            }
            None => {
                log::line("job-unreadable", &[("tries", &message.tries())]);
                message.again(RETRY_AFTER_S);
            }
        }
    }
}

/// Does one job. To be called without a queue as well.
pub(super) async fn perform(env: &Env, job: Job) {
    let tick = match job {
        Job::Tick { tick, users } => {
            look::look_at(env, users).await;
            tick
        }
        Job::Probe { tick } => {
            if let Err(error) = probe::probe(env).await {
                log::line("probe-failed", &[("reason", &error)]);
            }
            tick
        }
        Job::Order { order, users } => return order::carry_out(env, order, users).await,
        Job::Deliver => {
            if let Err(error) = alerts::deliver_due(env).await {
                log::fault("alerts-not-sent", &[("reason", &error)]);
            }
            return;
        }
    };
    if let Err(error) = mark_done(env, tick).await {
        log::fault("job-not-marked", &[("tick", &tick), ("reason", &error)]);
    }
}

/// A message of this tick was done: the queue moves.
async fn mark_done(env: &Env, tick: u64) -> Result<()> {
    database::open(env)?
        .prepare("UPDATE cron_ticks SET consumed = consumed + 1, consumed_at = ?2 WHERE id = ?1")
        .bind(&[d1_timestamp(tick), d1_timestamp(clock::now_ms())])?
        .run()
        .await
        .map(drop)
}

/// Counts what was given up. Without D1 the letters stay where they are.
async fn bury(env: &Env, messages: &[QueueMessage]) {
    let bodies: Vec<String> = messages
        .iter()
        .map(|message| message.text().chars().take(KEPT_OF_BODY).collect())
        .collect();
    for body in &bodies {
        log::line("job-dead", &[("body", body)]);
    }
    let counted = count_dead(env, &bodies).await;
    if let Err(error) = &counted {
        log::fault("dead-job-not-counted", &[("reason", error)]);
    }
    for message in messages {
        match counted {
            Ok(()) => message.done(),
            Err(_) => message.again(RETRY_AFTER_S),
        }
    }
}

async fn count_dead(env: &Env, bodies: &[String]) -> Result<()> {
    database::open(env)?
        .prepare("INSERT INTO dead_jobs (at, body) SELECT ?1, value FROM json_each(?2)")
        .bind(&[
            d1_timestamp(clock::now_ms()),
            serde_json::to_string(bodies)?.into(),
        ])?
        .run()
        .await
        .map(drop)
}
