//! Counts the operations of R2 in bots' repositories, by whose they are. Each isolate keeps its own count and adds it to D1 a few
//! times a minute at most, beside a request: so what an isolate that is thrown away had not written is lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use moltworker_core::cost::calendar::Day;
use moltworker_core::user_id::UserId;
use serde::Serialize;
use worker::{Delay, Env, Result};

use crate::platform::database::{self, d1_timestamp};
use crate::platform::tasks::{self, Invocation};
use crate::platform::{clock, log};

/// How long operations are gathered before they are written: a snapshot's come within seconds, and the runtime lets what stands beside
/// a request go on for thirty.
const GATHERED: Duration = Duration::from_secs(20);
/// When somebody who was to write has not come to it.
const OVERDUE_MS: u64 = 30_000;

/// What an operation is billed as.
#[derive(Debug, Clone, Copy)]
pub(super) enum OperationClass {
    /// It writes or lists.
    A,
    /// It reads.
    B,
}

thread_local! {
    static COUNTED: RefCell<BTreeMap<UserId, Counts>> = const { RefCell::new(BTreeMap::new()) };
    /// When somebody was last sent to write.
    static SENT_AT: Cell<u64> = const { Cell::new(0) };
}

#[derive(Default, Clone, Copy)]
struct Counts {
    class_a: u64,
    class_b: u64,
}

#[derive(Serialize)]
struct Row {
    user: UserId,
    a: u64,
    b: u64,
}

/// Counts one.
pub(super) fn count(user: UserId, class: OperationClass) {
    COUNTED.with_borrow_mut(|counted| {
        let counts = counted.entry(user).or_default();
        match class {
            OperationClass::A => counts.class_a += 1,
            OperationClass::B => counts.class_b += 1,
        }
    });
}

/// Has what was counted written in a while, if nobody else is to.
pub(crate) fn write_soon(env: &Env, invocation: &Invocation) {
    let now = clock::now_ms();
    let is_empty = COUNTED.with_borrow(BTreeMap::is_empty);
    if is_empty || now.abs_diff(SENT_AT.get()) < OVERDUE_MS {
        return;
    }
    SENT_AT.set(now);
    let env = env.clone();
    tasks::beside(invocation, async move {
        Delay::from(GATHERED).await;
        SENT_AT.set(0);
        flush(&env).await;
    });
}

/// Writes what was counted. What D1 does not take is not tried again: it may have been.
pub(crate) async fn flush(env: &Env) {
    let counted = COUNTED.take();
    if counted.is_empty() {
        return;
    }
    if let Err(error) = write(env, counted).await {
        log::fault("operations-not-counted", &[("reason", &error)]);
    }
}

async fn write(env: &Env, counted: BTreeMap<UserId, Counts>) -> Result<()> {
    let rows = counted.into_iter().map(|(user, counts)| Row {
        user,
        a: counts.class_a,
        b: counts.class_b,
    });
    let rows = serde_json::to_string(&rows.collect::<Vec<_>>())?;
    database::open(env)?
        .prepare(
            "INSERT INTO bot_usage (user_id, day, class_a, class_b) \
             SELECT value ->> 'user', ?2, value ->> 'a', value ->> 'b' FROM json_each(?1) WHERE TRUE \
             ON CONFLICT (day, user_id) DO UPDATE SET class_a = class_a + excluded.class_a, \
             class_b = class_b + excluded.class_b",
        )
        .bind(&[rows.into(), d1_timestamp(Day::of(clock::now_ms()).0.into())])?
        .run()
        .await
        .map(drop)
}
