//! Looks after the bot's backups: takes note of what a supervisor says of them, where somebody polls it asks it for what
//! is due, and knows what a run is to be started from. What follows from what is decided in `core::backup_state`.

use std::rc::Rc;

use moltworker_core::api::snapshots::Details;
use moltworker_core::backup::repository::scope::Scope;
use moltworker_core::backup::state::{BackupState, Errand, HELD_FOR_MS, PARTS};
use moltworker_core::wire::control::{
    MAINTAIN_PATH, MaintenanceOrder, RESTORE_PATH, RestoreOrder, SNAPSHOT_PATH, SnapshotOrder,
    SnapshotReason, Status,
};
use moltworker_core::wire::run::{RestorePoint, Run, SnapshotId};
use worker::Result;

use super::Inner;
use super::container::require_success;
use super::store::Store;
use crate::platform::{clock, log};
use crate::repository::{self, Stored};

impl Inner {
    /// Asks the supervisor of `run` for what is due by what it last said.
    pub(super) async fn order_backup_jobs(&self, run: Run) {
        let Some(status) = self.said_by(run) else {
            return;
        };
        let status = &*status;
        let outcome = async {
            let store = Store::open(&self.state)?;
            let Some(errand) = store.backup_state()?.errand(clock::now_ms(), run, status) else {
                return Ok(());
            };
            self.run_errand(run, &errand).await?;
            self.update_backup_state(|backup_state| {
                backup_state.mark_ordered(clock::now_ms(), run, status, &errand)
            })
        };
        if let Err(error) = outcome.await {
            log::line("backup-jobs-not-ordered", &[("run", &run), ("reason", &error)]);
        }
    }

    /// Takes note of what the supervisor of `run` says of its backups.
    pub(super) fn record_backup_status(self: &Rc<Self>, run: Run, status: &Status) -> Result<()> {
        let now = clock::now_ms();
        let changes = self.update_backup_state(|backup_state| backup_state.observe(now, run, status))?;
        let store = Store::open(&self.state)?;
        for snapshot in changes.snapshots {
            if snapshot.reason == Some(SnapshotReason::BeforeRestore) {
                store.hold(&snapshot.id, Some(now.saturating_add(HELD_FOR_MS)))?;
            }
            store.describe(&snapshot.id.clone(), &Details::from(snapshot))?;
        }
        if let Some(id) = &changes.verified {
            store.verified(id, now)?;
        }
        for id in &changes.forgotten {
            store.forget(id)?;
        }
        for (kind, detail) in changes.history_events {
            self.record_history_event(kind, run, detail)?;
        }
        Ok(())
    }

    async fn run_errand(&self, run: Run, errand: &Errand) -> Result<()> {
        log::line(
            "backup-errand",
            &[("run", &run), ("errand", &format!("{errand:?}"))],
        );
        let done = match errand {
            Errand::Restore(order) => {
                let token = self.fresh_token(run).await?;
                let order = RestoreOrder {
                    token,
                    ..order.clone()
                };
                self.ask_control_with(run, RESTORE_PATH, &order).await
            }
            Errand::Snapshot(order) => {
                let token = self.fresh_token(run).await?;
                let order = SnapshotOrder {
                    token,
                    ..order.clone()
                };
                self.ask_control_with(run, SNAPSHOT_PATH, &order).await
            }
            Errand::Maintain { part, drill } => {
                let order = self.maintenance(run, *part, *drill).await?;
                self.ask_control_with(run, MAINTAIN_PATH, &order).await
            }
        };
        require_success(done?).map(drop)
    }

    async fn maintenance(&self, run: Run, part: u32, drill: bool) -> Result<MaintenanceOrder> {
        let store = Store::open(&self.state)?;
        let (pinned, verified) = (
            store.held(clock::now_ms())?,
            store.backup_state()?.verified().cloned(),
        );
        let (token, _) = self.mint(run, Scope::Maintain).await?;
        Ok(MaintenanceOrder {
            token,
            pinned,
            verified,
            part,
            parts: PARTS,
            drill,
            now: i64::try_from(clock::now_ms()).unwrap_or_default(),
        })
    }

    /// What `run` makes its home from.
    ///
    /// # Errors
    /// The inner one: a snapshot that was there and is not any more.
    pub(super) async fn restore_point(&self, run: Run) -> Result<Result<RestorePoint, SnapshotId>> {
        let store = Store::open(&self.state)?;
        let stored = match store.backup_state()?.needs_bucket_listing() {
            true => store.in_bucket(self.stored().await?)?,
            false => Vec::new(),
        };
        self.update_backup_state(|backup_state| backup_state.restore_point_for(run, &stored))
    }

    /// `run` is over: what it saved last, only the bucket knows.
    pub(super) async fn reconcile_exit(self: &Rc<Self>, run: Run) {
        let outcome = async {
            let stored = Store::open(&self.state)?.in_bucket(self.stored().await?)?;
            match self.update_backup_state(|backup_state| backup_state.ended(run, &stored))? {
                Some((kind, detail)) => self.record_history_event(kind, run, detail),
                None => Ok(()),
            }
        };
        if let Err(error) = outcome.await {
            log::line("run-not-accounted-for", &[("run", &run), ("reason", &error)]);
        }
    }

    /// The snapshots in the bucket.
    pub(super) async fn stored(&self) -> Result<Vec<Stored>> {
        repository::snapshots(&self.env, self.user()?).await
    }

    /// Changes the ledger, without an await in between, and stores it if it is another one afterwards.
    pub(super) fn update_backup_state<T>(&self, change: impl FnOnce(&mut BackupState) -> T) -> Result<T> {
        let store = Store::open(&self.state)?;
        let before = store.backup_state()?;
        let mut backup_state = before.clone();
        let answer = change(&mut backup_state);
        if backup_state != before {
            store.save_backup_state(&backup_state)?;
        }
        Ok(answer)
    }
}
