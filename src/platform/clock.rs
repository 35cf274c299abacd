//! The one place that reads the clock, and gives up in time. In workerd the clock stands still between two I/O
//! operations.

use std::cell::Cell;
use std::pin::Pin;
use std::time::Duration;

use futures::future::{self, Either};
use worker::Delay;

thread_local! {
    static KNOWN_MS: Cell<u64> = const { Cell::new(0) };
}

/// Milliseconds since 1970.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds since 1970 are whole and need 41 bits"
)]
pub(crate) fn now_ms() -> u64 {
    let now = js_sys::Date::now() as u64;
    KNOWN_MS.set(now);
    now
}

/// The time that was last read in this isolate, where that is good enough: it costs no call.
pub(crate) fn known_ms() -> u64 {
    KNOWN_MS.get()
}

/// Milliseconds since 1970, as JavaScript counts.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 need 41 of a double's 53 bits"
)]
pub(crate) fn to_js(ms: u64) -> f64 {
    ms as f64
}

/// Seconds since 1970, as tokens count them.
pub(crate) fn now_seconds() -> u64 {
    now_ms() / 1_000
}

/// `work`, unless it takes longer than `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = worker::Result<T>>,
) -> worker::Result<T> {
    in_time(deadline, std::pin::pin!(work)).await
}

// By what comes of it, and not by what it is: each kind of work would have a race of its own.
async fn in_time<T>(
    deadline: Duration,
    work: Pin<&mut dyn Future<Output = worker::Result<T>>>,
) -> worker::Result<T> {
    match future::select(work, Delay::from(deadline)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(worker::Error::RustError(format!(
            "no answer within {} seconds",
            deadline.as_secs()
        ))),
    }
}
