//! The Worker: thin adapters around `moltworker-core`, in the order a request travels.
//!
//! A request: [`entry`] → [`configuration`] → `core::route` → [`identify`] (→ [`keys`], [`webcrypto`]) →
//! [`hand_over`] → [`sandbox`] → the container. A person without a session: [`sign_in`] (→ [`auth_api`],
//! [`sealed`]). A container or an operator at a bot's snapshots: [`repository`]. The clock: [`schedule`]. What the
//! platform itself says: [`reply`] and [`pages`].

mod address;
mod admin;
mod auth_api;
mod body;
mod clock;
mod configuration;
mod crossing;
mod custom_hostname;
mod database;
mod domains;
mod entry;
mod events;
mod hand_over;
mod identify;
mod json;
mod keys;
mod limits;
mod log;
mod logs;
mod pages;
mod reply;
mod repository;
#[expect(missing_docs, reason = "durable_object exports methods of its own making")]
mod sandbox;
mod schedule;
mod sealed;
mod sign_in;
mod sites;
mod snapshots;
mod users;
mod webcrypto;

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
    entry::answer(request, &env).await
}

/// Every cron trigger.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    if let Err(error) = schedule::tick(&env).await {
        log::line("tick-failed", &[("reason", &error)]);
    }
}
