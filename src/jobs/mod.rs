//! Work that no request asks for: what the runtime calls by itself.

mod consumer;
mod cron;
mod limits;
mod look;
mod order;
mod probe;
mod series;

use worker::{Env, ScheduleContext, ScheduledEvent, event};

use crate::platform::log;
pub(crate) use consumer::consume;

/// Every cron trigger.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    if let Err(error) = cron::tick(&env).await {
        log::fault("tick-failed", &[("reason", &error)]);
    }
}
