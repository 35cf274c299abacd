//! What a Sandbox asks its supervisor before it answers somebody: the answer says how the bot is now, and nothing is ended by
//! a report of a minute ago.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::sandbox::Order;
use moltworker_core::wire::run::Run;
use worker::Result;

use super::store::Store;
use super::{Inner, has_health};
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
            if let Some(run) = self.run_that_answers() {
                self.ask_now(run).await;
            }
        }
    }

    /// Whether it answered.
    async fn ask_now(self: &Rc<Self>, run: Run) -> bool {
        match clock::within(DEADLINE, self.ask_supervisor(run)).await {
            // It may have ended meanwhile, and another one begun.
            Ok(status) if self.life().is_of(run) => {
                self.note(run, status);
                true
            }
            Ok(_) => true,
            Err(error) => {
                log::line("supervisor-unanswered", &[("run", &run), ("reason", &error)]);
                false
            }
        }
    }

    /// What would be lost by an order, in words, if it is one that must not lose anything.
    pub(super) async fn would_lose(self: &Rc<Self>, order: Order) -> Result<Option<String>> {
        self.load().await?;
        let Some(run) = self.run_that_answers().filter(|_| order.spares_changes()) else {
            return Ok(None);
        };
        // Before a gateway has run there is nothing to lose, and nobody who could say so yet.
        if !self.ask_now(run).await && has_health(&self.life()) {
            return Ok(Some(
                "the bot does not say whether everything is saved".to_owned(),
            ));
        }
        Ok(Store::open(&self.state)?.backup_state()?.would_lose())
    }
}
