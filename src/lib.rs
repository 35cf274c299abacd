//! The Worker: thin adapters around `moltworker-core`, in the order a request travels.
//!
//! A request: `router` → `identity` → `proxy` → `sandbox` → the container, or `router` → `identity` → `api` where the
//! platform itself answers. A container or an operator at a bot's snapshots: `repository`. The cron trigger: `jobs`.
//! What all of them stand on: `http` and `platform`.

mod api;
mod http;
mod identity;
mod jobs;
mod platform;
mod proxy;
mod repository;
mod router;
#[expect(missing_docs, reason = "durable_object exports methods of its own making")]
mod sandbox;

use crate::jobs::cron;
use crate::platform::log;
use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

pub use sandbox::Sandbox;

/// A panic is a defect that costs every caller of this isolate its memory; its place has to be findable.
#[event(start)]
fn start() {
    // worker's own hook marks the instance for re-initialisation and must stay behind ours.
    let reinitialise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        console_error_panic_hook::hook(info);
        reinitialise(info);
    }));
}

/// Every HTTP request.
#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    router::answer(request, &env).await
}

/// Every cron trigger.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    if let Err(error) = cron::tick(&env).await {
        log::line("tick-failed", &[("reason", &error)]);
    }
}
