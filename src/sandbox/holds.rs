//! Pins and holds outlive the Sandbox's storage: they lie in the bucket as well, beside the repository.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::lock::Mutex;
use wasm_bindgen_futures::spawn_local;
use worker::Result;

use super::Inner;
use super::store::Store;
use crate::platform::{clock, log};
use crate::repository;

/// What is written where nothing is held.
const NOTHING: &str = "[]";

/// What this object wrote or read last, and whose turn it is: two writes must not overtake each other on the way.
#[derive(Default)]
pub(super) struct KeptHolds {
    turn: Mutex<()>,
    written: RefCell<Option<String>>,
    /// The bucket has not said yet what was held.
    unread: Cell<bool>,
}

impl Inner {
    /// Has the bucket follow, without waiting for it. What could not be written is with the next change, or when the
    /// supervisor says something.
    pub(super) fn keep_holds(self: &Rc<Self>) {
        let inner = Rc::clone(self);
        spawn_local(async move {
            let _turn = inner.kept_holds.turn.lock().await;
            if let Err(error) = inner.write_holds().await {
                log::line(
                    "holds-not-kept",
                    &[("run", &inner.life().run), ("reason", &error)],
                );
            }
        });
    }

    async fn write_holds(&self) -> Result<()> {
        if self.kept_holds.unread.get() {
            self.read_holds().await?;
        }
        let holds = Store::open(&self.state)?.holds_record(clock::now_ms())?;
        // Where nothing was ever held nothing is written.
        if self.kept_holds.written.borrow().as_deref().unwrap_or(NOTHING) == holds {
            return Ok(());
        }
        repository::keep_holds(&self.env, self.user()?, holds.clone()).await?;
        self.kept_holds.written.replace(Some(holds));
        Ok(())
    }

    /// Takes up what was held: a Sandbox without a life is a new one, or has lost what it had stored. A bucket that does not
    /// say keeps nobody from their bot's status, or an admin from suspending it: it is asked again before anything is written.
    pub(super) async fn recover_holds(&self) {
        if let Err(error) = self.read_holds().await {
            self.kept_holds.unread.set(true);
            log::line("holds-not-read", &[("reason", &error)]);
        }
    }

    async fn read_holds(&self) -> Result<()> {
        let Some(holds) = repository::holds(&self.env, self.user()?).await? else {
            self.kept_holds.unread.set(false);
            return Ok(());
        };
        if let Err(error) = Store::open(&self.state)?.take_holds(&holds) {
            log::line("holds-unreadable", &[("user", &self.user()?), ("reason", &error)]);
        }
        self.kept_holds.written.replace(Some(holds));
        self.kept_holds.unread.set(false);
        Ok(())
    }
}
