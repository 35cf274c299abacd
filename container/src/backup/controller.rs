//! The backup controller: restores the bot's home, takes snapshots of it, maintains its repository, one job at a time.
//!
//! What is to be done when is decided by [`GatewayLifecycle`](moltworker_core::bot::gateway::GatewayLifecycle) and [`Schedule`]; here it is
//! carried out and accounted for.

mod failures;
mod listen;
mod outcome;
mod uncopied;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltworker_core::backup::schedule::Schedule;
use moltworker_core::bot::gateway::{GatewayEvent, GatewayView, HomeState};
use moltworker_core::wire::control::{BackupStatus, GatewayPhase, SnapshotReason};
use moltworker_core::wire::job::{BackupJob, OrderedJob, SnapshotJob};
use moltworker_core::wire::run::{RestorePoint, SnapshotId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::backup::launcher::{JobLauncher, JobProcess, Stalled};
use crate::backup::watch::{Totals, Watch};
use crate::backup::worker::wire::{JobContext, Line};
use crate::output::Logs;
use crate::settings::Settings;
use failures::Failures;
use listen::listen;
use uncopied::Uncopied;

/// Snapshots of this run that are in its status.
const MAX_REPORTED_SNAPSHOTS: usize = 10;

/// The job under way.
struct Current {
    job: BackupJob,
    /// Whether the gateway's lifecycle waits for its end.
    awaited: bool,
    process: JobProcess,
    /// What it said at last.
    outcome: Option<Line>,
    /// Whether it left the home alone, as far as is known.
    intact: bool,
}

/// Something that makes this look again.
pub(crate) enum BackupActivity {
    /// The job under way has said something.
    Said(Box<Line>),
    /// It makes no progress.
    Stalled(Stalled),
    /// It is over.
    Over,
    /// Something in the home has changed.
    Changed,
    /// It is time for something.
    Due,
}

/// What is done with the home, and what came of it.
pub(crate) struct BackupController {
    launcher: Arc<JobLauncher>,
    logs: Arc<Logs>,
    since: Instant,
    run: u64,
    version: Arc<OnceLock<String>>,
    /// The gateway that is installed, where that can be read.
    installed: Option<String>,
    schedule: Schedule,
    status: watch::Sender<Option<BackupStatus>>,
    /// Whether something is known not to be saved now.
    unsaved: watch::Sender<bool>,
    failures: Failures,
    current: Option<Current>,
    /// What the gateway's lifecycle waits for, as soon as the job under way is over.
    next: Option<BackupJob>,
    /// Maintenance that was ordered.
    maintenance: Option<OrderedJob>,
    /// What the home was made from, or the last good snapshot of it since: what is gone is judged by that.
    base: Option<SnapshotId>,
    uncopied: Uncopied,
    said: (mpsc::Sender<BackupActivity>, mpsc::Receiver<BackupActivity>),
    changes: (mpsc::Sender<()>, mpsc::Receiver<()>),
    watching: Option<Watch>,
    /// What had been seen of deletions when the base was taken, and when the job under way began.
    deleted: (Totals, Totals),
    /// Whether a last snapshot was wanted and is not taken.
    is_left_unsaved: bool,
    /// Whether snapshots of the running bot may be taken now.
    may: bool,
    was_ready: bool,
    renew_every: Duration,
    renew_again: Duration,
    /// When the token is to be renewed, should nothing else do it.
    renew_at: Instant,
}

impl BackupController {
    /// None where there is no repository.
    pub(crate) fn new(
        settings: &Settings,
        launcher: Option<Arc<JobLauncher>>,
        logs: &Arc<Logs>,
        since: Instant,
        version: &Arc<OnceLock<String>>,
        status: watch::Sender<Option<BackupStatus>>,
        unsaved: watch::Sender<bool>,
    ) -> Option<Self> {
        let launcher = launcher?;
        status.send_replace(Some(BackupStatus::default()));
        Some(Self {
            launcher,
            logs: Arc::clone(logs),
            since,
            run: settings.run.run.0,
            version: Arc::clone(version),
            installed: settings.installed_version(),
            schedule: Schedule::new(settings.snapshots),
            status,
            unsaved,
            failures: Failures::default(),
            current: None,
            next: None,
            maintenance: None,
            base: None,
            uncopied: Uncopied::default(),
            said: mpsc::channel(16),
            changes: mpsc::channel(1),
            watching: None,
            deleted: Default::default(),
            is_left_unsaved: false,
            may: false,
            was_ready: false,
            renew_every: settings.renew_every,
            renew_again: settings.renew_again,
            renew_at: since + settings.renew_every,
        })
    }

    /// Waits until there is something to look at.
    pub(crate) async fn next_activity(&mut self) -> BackupActivity {
        let due = self.due();
        tokio::select! {
            Some(said) = self.said.1.recv() => said,
            Some(()) = self.changes.1.recv() => BackupActivity::Changed,
            () = at(due) => BackupActivity::Due,
        }
    }

    /// When something is to begin; never while nothing may, or this would be asked again and again.
    fn due(&self) -> Option<Instant> {
        let snapshot = self.schedule.due().map(|due| self.since + due);
        let first = snapshot.map_or(self.renew_at, |due| self.renew_at.min(due));
        self.is_free().then_some(first)
    }

    fn is_free(&self) -> bool {
        self.may && self.current.is_none() && self.next.is_none()
    }

    /// Looks at it; the event for the gateway's lifecycle that follows.
    pub(crate) fn take(&mut self, activity: BackupActivity, jitter: f64) -> Option<GatewayEvent> {
        let event = match activity {
            BackupActivity::Said(line) => {
                self.handle_line(*line);
                None
            }
            BackupActivity::Stalled(stalled) => {
                self.end(&stalled);
                None
            }
            BackupActivity::Over => self.over(jitter),
            BackupActivity::Changed => {
                self.schedule.changed(self.since.elapsed());
                self.update_status(|_| {});
                None
            }
            BackupActivity::Due => None,
        };
        self.start_due_work();
        event
    }

    /// Takes note of how the gateway is.
    pub(crate) fn look(&mut self, view: &GatewayView) {
        let gone = matches!(view.phase, GatewayPhase::Restoring | GatewayPhase::Draining);
        self.may = view.home == HomeState::Confirmed && !gone;
        let starting = view.phase == GatewayPhase::Starting;
        self.schedule.starts(self.since.elapsed(), starting);
        if view.phase == GatewayPhase::Ready && !self.was_ready {
            self.was_ready = true;
            // The first restore point comes soon after the first start, whether something changes or not.
            self.schedule.changed(self.since.elapsed());
        }
        self.start_due_work();
    }

    /// Somebody has ordered a job; it begins when its turn comes.
    pub(crate) fn order(&mut self, order: OrderedJob) {
        match order.job {
            BackupJob::Snapshot(job) => self.schedule.order(job),
            BackupJob::Maintain(_) => self.maintenance = Some(order),
            BackupJob::RenewToken => self.renew_at = Instant::now(),
            // Restores are the gateway's lifecycle's to begin, and what only reads does not wait for its turn here.
            BackupJob::Restore(_) | BackupJob::Read(_) => {}
        }
        self.start_due_work();
    }

    /// Where our processes are started, and known.
    pub(crate) fn jobs(&self) -> Arc<JobLauncher> {
        Arc::clone(&self.launcher)
    }

    /// The gateway's lifecycle wants the home restored.
    pub(crate) fn restore(&mut self, point: &RestorePoint) -> Option<GatewayEvent> {
        self.require(BackupJob::Restore(point.clone()))
    }

    /// The gateway's lifecycle wants the last snapshot before something.
    pub(crate) fn save(&mut self, reason: SnapshotReason) -> Option<GatewayEvent> {
        self.is_left_unsaved = true;
        self.require(BackupJob::Snapshot(SnapshotJob::new(reason)))
    }

    /// Whether the last snapshot that was wanted could not be taken.
    pub(crate) fn is_left_unsaved(&self) -> bool {
        self.is_left_unsaved
    }

    /// The gateway's lifecycle does not want to wait any longer.
    pub(crate) fn break_off(&mut self) -> Option<GatewayEvent> {
        if let Some(current) = &self.current {
            current.process.kill();
        }
        let next = self.next.take()?;
        outcome::lifecycle_event(&next, false, true)
    }

    /// What there is to know for a job that begins now.
    fn context(&self, job: &BackupJob) -> JobContext {
        let (has_home, first) = self.status.borrow().as_ref().map_or((false, false), |status| {
            let restored = status.restored.as_ref();
            let is_of_nothing = restored.is_some_and(|report| report.snapshot.is_none());
            (restored.is_some(), status.taken.is_empty() && is_of_nothing)
        });
        JobContext {
            run: self.run,
            gateway_version: match job {
                BackupJob::Restore(_) => self.installed.clone(),
                _ => self.version.get().cloned(),
            },
            first,
            has_home,
            base: self.base.clone(),
            deletions: self.deleted.1.since(&self.deleted.0),
            raw: self.uncopied.tolerated(),
        }
    }

    /// Begins what the gateway's lifecycle wants, at once or after what is under way. A snapshot under way is let finish:
    /// what it has stored need not be stored again. The rest can wait.
    fn require(&mut self, job: BackupJob) -> Option<GatewayEvent> {
        let Some(current) = &self.current else {
            return self.start(job.into(), true);
        };
        if current.awaited || !matches!(current.job, BackupJob::Snapshot(_)) {
            current.process.kill();
        }
        self.next = Some(job);
        None
    }

    /// Begins whatever is due and may begin, and says how far that is saved.
    fn start_due_work(&mut self) {
        self.begin();
        self.unsaved.send_replace(self.schedule.is_unsaved());
    }

    fn begin(&mut self) {
        if !self.is_free() {
            return;
        }
        let now = self.since.elapsed();
        if let Some(job) = self.schedule.begin(now) {
            self.start(BackupJob::Snapshot(job).into(), false);
        } else if self.renew_at <= Instant::now() {
            // Once it has expired it opens nothing, a renewal included: where this fails, it is soon tried again.
            self.renew_at = Instant::now() + self.renew_again;
            self.start(BackupJob::RenewToken.into(), false);
        } else if let Some(order) = self.maintenance.take() {
            self.start(order, false);
        }
    }

    fn start(&mut self, order: OrderedJob, awaited: bool) -> Option<GatewayEvent> {
        let job = order.job.clone();
        self.deleted.1 = self.watching.as_ref().map_or(Totals::UNKNOWN, Watch::totals);
        let (process, output) = match self.launcher.start(order, self.context(&job)) {
            Ok(started) => started,
            Err(error) => {
                self.failed(&job, &format!("no process for it: {error}"));
                return self.finish(&job, awaited, false, true, 1.0);
            }
        };
        let pid = process.pid;
        self.current = Some(Current {
            job,
            awaited,
            process,
            outcome: None,
            intact: true,
        });
        tokio::spawn(listen(
            pid,
            output,
            Arc::clone(&self.launcher),
            self.said.0.clone(),
        ));
        None
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
