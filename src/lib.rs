//! The Worker: thin adapters around `moltworker-core`, in the order a request travels.
//!
//! A request: `router` → `identity` → `proxy` → `sandbox` → the container, or `router` → `identity` → `api` where the
//! platform itself answers. A container or an operator at a bot's snapshots: `repository`. The cron trigger and the queue: `jobs`,
//! and what is told of what is wrong: `alerts`.
//! What all of them stand on: `http` and `platform`.

mod alerts;
mod api;
mod bulk;
mod http;
mod identity;
mod jobs;
mod platform;
mod proxy;
mod repository;
mod router;
#[expect(missing_docs, reason = "wasm_bindgen exports methods of its own making")]
mod sandbox;

use crate::platform::queue::MessageBatch;
use crate::platform::{log, tasks};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::{Env, Error, Response, event, web_sys};

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

/// Every HTTP request. Exported by hand and not by `#[event(fetch)]`: a bot's answer goes on as the object it came as,
/// and `worker::Request` reads on arrival what most requests are never asked.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: Env, invocation: tasks::Invocation) -> Promise {
    tasks::promise(async move {
        let answer = router::answer(request, &env, &invocation).await;
        Ok(answer.or_else(unanswered)?.into())
    })
}

/// Every batch of a queue. Exported by hand as well: what `#[event(queue)]` is given may fail, and then it panics.
#[wasm_bindgen]
pub fn queue(batch: MessageBatch, env: Env, _invocation: tasks::Invocation) -> Promise {
    tasks::promise(async move {
        jobs::consume(&batch, &env).await;
        Ok(JsValue::UNDEFINED)
    })
}

/// Not even an error could be answered.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `or_else`")]
fn unanswered(error: Error) -> worker::Result<web_sys::Response> {
    log::fault("unanswered", &[("reason", &error)]);
    Ok(Response::error("INTERNAL SERVER ERROR", 500)?.into())
}
