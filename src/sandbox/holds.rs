//! Pins and holds outlive the Sandbox's storage: they lie in the bucket as well, beside the repository.
//!
//! What the bucket has of them is remembered in the Sandbox's storage and not in its memory, which goes at any moment: as
//! unknown from before a write until the bucket has confirmed it. A write that is unanswered may have arrived all the same.

use std::rc::Rc;

use futures::lock::Mutex;
use worker::Result;

use super::Inner;
use super::store::Store;
use crate::platform::{clock, log};
use crate::repository;

/// What is written where nothing is held, and what a bucket without a record says.
const NOTHING: &str = "[]";

/// Whose turn it is: two writes must not overtake each other on the way.
pub(super) type HoldsTurn = Mutex<()>;

impl Inner {
    /// Has the bucket follow, without waiting for it. What could not be written is with the next change, or when the
    /// supervisor says something.
    pub(super) fn keep_holds(self: &Rc<Self>) {
        let inner = Rc::clone(self);
        log::spawn(async move {
            let _turn = inner.holds_turn.lock().await;
            if let Err(error) = inner.write_holds().await {
                log::fault(
                    "holds-not-kept",
                    &[("run", &inner.life().run), ("reason", &error)],
                );
            }
        });
    }

    async fn write_holds(&self) -> Result<()> {
        let store = Store::open(&self.state)?;
        if store.kept_holds()?.is_none() {
            self.read_holds().await?;
        }
        let holds = store.holds_record(clock::now_ms())?;
        // Where nothing was ever held nothing is written.
        if store.kept_holds()?.flatten().is_some_and(|kept| kept == holds) {
            return Ok(());
        }
        store.set_kept_holds(None)?;
        repository::keep_holds(&self.env, self.user()?, holds.clone()).await?;
        store.set_kept_holds(Some(&holds))
    }

    /// Takes up what was held: a Sandbox without a life is a new one, or has lost what it had stored. A bucket that does not
    /// say keeps nobody from their bot's status, or an admin from suspending it: it is asked again before anything is written.
    pub(super) async fn recover_holds(&self) {
        if let Err(error) = self.read_holds().await {
            log::fault("holds-not-read", &[("reason", &error)]);
        }
    }

    async fn read_holds(&self) -> Result<()> {
        let holds = repository::holds(&self.env, self.user()?).await?;
        let store = Store::open(&self.state)?;
        if let Some(holds) = &holds
            && let Err(error) = store.take_holds(holds)
        {
            log::fault("holds-unreadable", &[("user", &self.user()?), ("reason", &error)]);
        }
        store.set_kept_holds(Some(holds.as_deref().unwrap_or(NOTHING)))
    }
}
