//! Log lines: one JSON object each, so that Workers Logs can be searched by field. Never a secret, and never longer than it has to be:
//! they are billed by bytes (`tests/worker/log-budget.test.mjs`).

use std::cell::RefCell;
use std::fmt::Display;
use std::future;
use std::rc::Rc;

use moltworker_core::json::object;
use wasm_bindgen_futures::spawn_local;

/// Characters kept of a value. Containers and the runtime have a part in some of them.
const MAX_VALUE: usize = 1_000;

/// What lines are about that somebody writes on the way of one request, or of one Sandbox: the name of a field, and its value.
#[derive(Clone)]
pub(crate) struct Subject {
    name: &'static str,
    value: Rc<str>,
}

impl Subject {
    /// A request, by its id.
    pub(crate) fn request(id: &str) -> Self {
        Self {
            name: "request",
            value: id.into(),
        }
    }

    /// The bot of this user.
    pub(crate) fn user(user: impl Display) -> Self {
        Self {
            name: "user",
            value: user.to_string().into(),
        }
    }
}

thread_local! {
    static SUBJECT: RefCell<Option<Subject>> = const { RefCell::new(None) };
}

/// Has every line name the subject that is written while this future runs. Others may run in between: they have their own.
pub(crate) async fn about<T>(subject: Option<Subject>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    future::poll_fn(|context| {
        let before = SUBJECT.replace(subject.clone());
        let polled = work.as_mut().poll(context);
        SUBJECT.replace(before);
        polled
    })
    .await
}

/// Goes on with a future without waiting for it; its lines are about what this is about.
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    spawn_local(about(SUBJECT.with_borrow(Clone::clone), work));
}

/// Writes one line. `event` is a stable name; values are turned to text.
pub(crate) fn line(event: &str, fields: &[(&str, &dyn Display)]) {
    write(&[("event", event)], fields);
}

/// Writes one line about what no request can cause: something of the platform's own could not be read, written or done.
pub(crate) fn fault(event: &str, fields: &[(&str, &dyn Display)]) {
    write(&[("event", event), ("level", "error")], fields);
}

fn write(first: &[(&str, &str)], fields: &[(&str, &dyn Display)]) {
    let shortened = |value: &dyn Display| -> String { value.to_string().chars().take(MAX_VALUE).collect() };
    let texts: Vec<String> = fields.iter().map(|(_, value)| shortened(*value)).collect();
    let subject = SUBJECT.with_borrow(Clone::clone);
    // Whoever names it under another name, or as a part of more, has said it.
    let unsaid = subject.filter(|subject| !texts.iter().any(|text| **text == *subject.value));
    let names = fields.iter().map(|(name, _)| *name);
    let mut members = first.to_vec();
    members.extend(unsaid.iter().map(|subject| (subject.name, &*subject.value)));
    members.extend(names.zip(texts.iter().map(String::as_str)));
    worker::console_log!("{}", object(&members));
}
