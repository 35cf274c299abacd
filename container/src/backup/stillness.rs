//! The bot stands still for a moment: none of its processes runs while a backup job looks at what they have changed.
//!
//! Who its processes are is known further up ([`crate::supervisor::tenant`]). Whatever becomes of the job, they go on: when
//! it says so, when it ends in any way, and at the latest after [`MAX_HOLD`].

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// A bot never stands still for longer. A job needs a fraction of it; its gateway's callers wait for seconds.
pub(crate) const MAX_HOLD: Duration = Duration::from_secs(1);

/// Says which processes are ours. It is asked for again and again, because one may begin meanwhile.
pub(crate) type Jobs = Box<dyn Fn() -> BTreeSet<u32> + Send>;

/// Whoever can make the bot stand still.
pub(crate) trait Stillness: Send + Sync {
    /// Begins to stop every process of the bot, and none of `jobs`.
    fn hold(&self, jobs: Jobs) -> Hold;

    /// The bot's processes now.
    fn processes(&self, jobs: &Jobs) -> Vec<u32>;
}

/// What a hold has come to, for the one who holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum HoldOperation {
    /// Nothing has been said yet.
    #[default]
    Hold,
    /// It is over, as it should be.
    End,
    /// It is over before anybody ended it.
    Break,
}

/// What a hold is to come to, set by whoever asked for it and by whoever cannot wait for its end.
#[derive(Debug, Default)]
pub(crate) struct HoldOrder {
    operation: Mutex<HoldOperation>,
    changed: Condvar,
}

impl HoldOrder {
    fn set(&self, operation: HoldOperation) {
        let mut now = self.operation.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == HoldOperation::Hold {
            *now = operation;
        }
        drop(now);
        self.changed.notify_all();
    }

    /// The bot is to go on at once, whatever is being looked at.
    pub(crate) fn break_off(&self) {
        self.set(HoldOperation::Break);
    }

    /// Waits until somebody wants the bot to go on, or it has stood still for too long; whether the hold was ended as it
    /// should be.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        let mut now = self.operation.lock().unwrap_or_else(PoisonError::into_inner);
        while *now == HoldOperation::Hold {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                *now = HoldOperation::Break;
                break;
            }
            let waited = self.changed.wait_timeout(now, left);
            now = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *now == HoldOperation::End
    }
}

/// How a hold was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HoldOutcome {
    /// Whether nothing of the bot ran from its beginning to its end.
    pub(crate) throughout: bool,
    /// From the first process that was stopped to the last one that went on.
    pub(crate) pause: Duration,
}

/// The bot stands still, or is about to, until this is ended or dropped.
pub(crate) struct Hold {
    order: Arc<HoldOrder>,
    begun: Option<oneshot::Receiver<Result<(), String>>>,
    over: Option<oneshot::Receiver<HoldOutcome>>,
}

impl Hold {
    /// What `order` holds; `begun` says whether it stands still, `over` how that was.
    pub(crate) fn new(
        order: Arc<HoldOrder>,
        begun: oneshot::Receiver<Result<(), String>>,
        over: oneshot::Receiver<HoldOutcome>,
    ) -> Self {
        Self {
            order,
            begun: Some(begun),
            over: Some(over),
        }
    }

    /// Waits until the bot stands still.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) async fn begun(&mut self) -> Result<(), String> {
        match self.begun.take() {
            Some(begun) => begun.await.unwrap_or_else(|_| Err("it was not tried".to_owned())),
            None => Ok(()),
        }
    }

    /// Lets the bot go on, and says how that was.
    pub(crate) async fn end(mut self) -> Option<HoldOutcome> {
        self.order.set(HoldOperation::End);
        self.over.take()?.await.ok()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.order.break_off();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_by_itself_when_nobody_ends_it() {
        let order = HoldOrder::default();
        assert!(!order.wait(Instant::now() + Duration::from_millis(20)));
        // Too late to be as it should have been.
        order.set(HoldOperation::End);
        assert!(!order.wait(Instant::now() + Duration::from_secs(60)));
    }

    #[test]
    fn a_hold_that_is_dropped_is_broken_off() {
        let order = Arc::new(HoldOrder::default());
        let (_begun, begun) = oneshot::channel();
        let (_over, over) = oneshot::channel();
        drop(Hold::new(Arc::clone(&order), begun, over));
        assert!(!order.wait(Instant::now() + Duration::from_secs(60)));
    }
}
