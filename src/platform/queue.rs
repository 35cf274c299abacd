//! The queue of jobs, in our own words: `worker`'s has a reader of its own for what is in a message, does not know how often one was
//! tried, and its event ends the instance when a handler fails.

use js_sys::{Array, Object, Promise, Reflect};
use moltworker_core::jobs::message::Job;
use moltworker_core::settings::JOBS_BINDING;
use wasm_bindgen::prelude::*;
use worker::{Env, Result};

use crate::platform::{bindings, tasks};

/// Messages in one call of the queue (Queues limits).
const MAX_MESSAGES: usize = 100;

#[wasm_bindgen]
extern "C" {
    type Queue;

    #[wasm_bindgen(method, catch, js_name = sendBatch)]
    fn send_batch(this: &Queue, messages: &Array) -> std::result::Result<Promise, JsValue>;

    /// Messages of one queue, as the runtime hands them out.
    pub type MessageBatch;

    #[wasm_bindgen(method, getter)]
    fn queue(this: &MessageBatch) -> String;

    #[wasm_bindgen(method, getter)]
    fn messages(this: &MessageBatch) -> Array;

    /// One of them.
    pub type QueueMessage;

    #[wasm_bindgen(method, getter)]
    fn body(this: &QueueMessage) -> JsValue;

    #[wasm_bindgen(method, getter)]
    fn attempts(this: &QueueMessage) -> JsValue;

    #[wasm_bindgen(method, js_name = ack)]
    fn acknowledge(this: &QueueMessage);

    #[wasm_bindgen(method)]
    fn retry(this: &QueueMessage, options: &JsValue);
}

/// Whether there is one.
pub(crate) fn is_bound(env: &Env) -> bool {
    bindings::get::<JsValue>(env, JOBS_BINDING).is_ok()
}

/// Puts jobs on the queue. Where that breaks off, what was put there before is done all the same: every job may be done twice.
///
/// # Errors
/// There is no queue, or it does not take them.
pub(crate) async fn send(env: &Env, jobs: &[Job]) -> Result<()> {
    let queue: Queue = bindings::get(env, JOBS_BINDING)?;
    for jobs in jobs.chunks(MAX_MESSAGES) {
        let messages = Array::new();
        for job in jobs {
            let message = Object::new();
            Reflect::set(&message, &"body".into(), &serde_json::to_string(job)?.into())?;
            // A text: anything else would be read by the runtime's readers and not by ours.
            Reflect::set(&message, &"contentType".into(), &"text".into())?;
            messages.push(&message);
        }
        tasks::settled(&queue.send_batch(&messages)?).await?;
    }
    Ok(())
}

impl MessageBatch {
    /// From which queue it is.
    pub(crate) fn name(&self) -> String {
        self.queue()
    }

    /// What is in it.
    pub(crate) fn all(&self) -> Vec<QueueMessage> {
        let messages = self.messages();
        messages.iter().map(JsCast::unchecked_into).collect()
    }
}

impl QueueMessage {
    /// What it says; nothing if that is no text.
    pub(crate) fn text(&self) -> String {
        self.body().as_string().unwrap_or_default()
    }

    /// How often it was handed out, this time included.
    pub(crate) fn tries(&self) -> String {
        let tries = self.attempts().as_f64();
        tries.map_or_else(String::new, |tries| tries.to_string())
    }

    /// It is done.
    pub(crate) fn done(&self) {
        self.acknowledge();
    }

    /// It is to come again, or to go among the dead letters if it came often enough.
    pub(crate) fn again(&self, after_seconds: u32) {
        let options = Object::new();
        // An object of our own takes any member; without it the queue's own delay holds.
        let _set = Reflect::set(&options, &"delaySeconds".into(), &after_seconds.into());
        self.retry(&options);
    }
}
