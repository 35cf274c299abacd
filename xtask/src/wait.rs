//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Asks until `met` says yes (true) or the time is over (false).
pub(crate) fn wait_until(limit: Duration, mut met: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(10);
    while !met() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    true
}
