//! What a Sandbox asks its supervisor before it answers somebody: the answer says how the bot is now, and nothing is ended by
//! a report of a minute ago.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::sandbox::Order;
use worker::Result;

use super::Inner;
use super::store::Store;
use crate::platform::{clock, log};

/// A report is as good as new for so long: a page asks once a second.
const FRESH_MS: u64 = 5_000;
/// A supervisor that takes longer is not waited for: it answers from memory.
const DEADLINE: Duration = Duration::from_secs(2);

impl Inner {
    /// Asks how the bot is, if that is not known. Reading changes nothing else: neither wakes it nor keeps it awake.
    pub(super) async fn observe(self: &Rc<Self>) {
        let now = clock::now_ms();
        if now.saturating_sub(self.memory.borrow().asked_at) >= FRESH_MS {
            self.memory.borrow_mut().asked_at = now;
            self.ask_now().await;
        }
    }

    async fn ask_now(self: &Rc<Self>) {
        let Some(run) = self.run_that_answers() else {
            return;
        };
        match clock::within(DEADLINE, self.ask_supervisor(run)).await {
            // It may have ended meanwhile, and another one begun.
            Ok(status) if self.life().is_of(run) => drop(self.note(run, status)),
            Ok(_) => {}
            Err(error) => log::line("supervisor-unanswered", &[("run", &run), ("reason", &error)]),
        }
    }

    /// What would be lost by an order, in words, if it is one that must not lose anything.
    pub(super) async fn would_lose(self: &Rc<Self>, order: Order) -> Result<Option<String>> {
        self.load().await?;
        if !order.spares_changes() || self.run_that_answers().is_none() {
            return Ok(None);
        }
        self.ask_now().await;
        Ok(Store::open(&self.state)?.backup_state()?.would_lose())
    }
}
