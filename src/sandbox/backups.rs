//! Looks after the bot's backups: takes note of what a supervisor says of them, where somebody polls it asks it for what
//! is due, and knows what a run is to be started from. What follows from what is decided in `core::backup::state`.

use std::rc::Rc;

use moltworker_core::api::snapshots::Details;
use moltworker_core::backup::repository::scope::Scope;
use moltworker_core::backup::state::{BackupState, Ended, HELD_FOR_MS};
use moltworker_core::wire::control::{SnapshotReason, Status};
use moltworker_core::wire::job::{BackupJob, OrderedJob};
use moltworker_core::wire::run::{RestorePoint, Run, SnapshotId};
use worker::{Error, Response, Result};

use super::Inner;
use super::container::require_success;
use super::store::Store;
use crate::platform::{clock, log};
use crate::repository::{self, BucketSnapshot};

impl Inner {
    /// Asks the supervisor of `run` for what is due by what it last said. For nothing while that could not be stored:
    /// what is due is judged by the stored state, which does not know then what was done, nor keeps what is ordered, and a
    /// restore or a maintenance would be ordered again with every look. Snapshots the supervisor takes by itself.
    pub(super) async fn order_backup_jobs(&self, run: Run) {
        let Some(status) = self.said_by(run).filter(|_| self.memory.borrow().recorded) else {
            return;
        };
        let status = &*status;
        let outcome = async {
            let store = Store::open(&self.state)?;
            let Some(job) = store.backup_state()?.due_job(clock::now_ms(), run, status) else {
                return Ok(());
            };
            log::line("backup-job", &[("run", &run), ("job", &job)]);
            require_success(self.order_job(run, job.clone()).await?)?;
            self.update_backup_state(|backup_state| {
                backup_state.mark_ordered(clock::now_ms(), run, status, &job)
            })
        };
        if let Err(error) = outcome.await {
            log::line("backup-jobs-not-ordered", &[("run", &run), ("reason", &error)]);
        }
    }

    /// Takes note of what the supervisor of `run` says of its backups.
    pub(super) fn record_backup_status(self: &Rc<Self>, run: Run, status: &Status) -> Result<()> {
        let now = clock::now_ms();
        let (changes, restored_at) = self.update_backup_state(|backup_state| {
            (
                backup_state.observe(now, run, status),
                backup_state.ordered_restore_at(),
            )
        })?;
        self.memory.borrow_mut().restored_at = restored_at;
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
        for id in &changes.held {
            store.hold_until(id, changes.held_until)?;
        }
        for id in &changes.forgotten {
            store.forget(id)?;
        }
        for (kind, detail) in changes.history_events {
            self.record_history_event(kind, run, detail)?;
        }
        self.keep_holds();
        self.update_registry();
        Ok(())
    }

    /// Orders a job from the supervisor of `run`, with a fresh token that opens the repository for it; the answer whatever
    /// it is.
    pub(super) async fn order_job(&self, run: Run, mut job: BackupJob) -> Result<Response> {
        let token = match &mut job {
            BackupJob::Maintain(maintenance) => {
                maintenance.pinned = Store::open(&self.state)?.held(clock::now_ms())?;
                Some(self.mint(run, Scope::Maintain).await?.0)
            }
            _ => self.fresh_token(run).await?,
        };
        let order = OrderedJob { job, token }.to_request();
        let (path, body) = order.map_err(|error| Error::RustError(error.to_string()))?;
        self.ask_control_with(run, path, body).await
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
        self.update_backup_state(|backup_state| backup_state.restore_point_for(clock::now_ms(), run, &stored))
    }

    /// `run` has ended like this: what it saved last, only the bucket knows.
    pub(super) async fn reconcile_exit(self: &Rc<Self>, run: Run, how: Ended) {
        let outcome = async {
            let stored = Store::open(&self.state)?.in_bucket(self.stored().await?)?;
            match self
                .update_backup_state(|backup_state| backup_state.ended(clock::now_ms(), run, how, &stored))?
            {
                Some((kind, detail)) => self.record_history_event(kind, run, detail),
                None => Ok(()),
            }
        };
        if let Err(error) = outcome.await {
            log::fault("run-not-accounted-for", &[("run", &run), ("reason", &error)]);
        }
        // Which snapshot is the newest, and what is not saved, may be something else than when the run ended.
        self.update_registry();
    }

    /// The snapshots in the bucket.
    pub(super) async fn stored(&self) -> Result<Vec<BucketSnapshot>> {
        repository::snapshots(&self.env, self.user()?).await
    }

    /// Changes the backup state, without an await in between, and stores it if it is another one afterwards.
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
