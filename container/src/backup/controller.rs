//! Keeps the bot's home: restores it, takes snapshots of it, one errand at a time.
//!
//! What is to be done when is decided by [`GatewayLifecycle`](moltworker_core::bot::gateway::GatewayLifecycle) and [`Schedule`]; here it is
//! carried out and accounted for.

mod failures;
mod kind;
mod outcome;
mod uncopied;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltworker_core::backup::schedule::{Purpose, Schedule};
use moltworker_core::bot::gateway::{GatewayEvent, GatewayView, HomeState};
use moltworker_core::wire::control::{BackupStatus, GatewayPhase, SnapshotReason};
use moltworker_core::wire::run::{RestorePoint, SnapshotId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backup::launcher::{Errand, Errands, Stalled};
use crate::backup::worker::wire::{Line, Maintenance, Restoring, Taking, Work};
use crate::settings::Settings;
use crate::supervisor::output::Logs;
use failures::Failures;
use kind::Kind;
use uncopied::Uncopied;

/// Snapshots of this run that are told.
const MAX_REPORTED_SNAPSHOTS: usize = 10;

/// The errand under way.
struct Current {
    kind: Kind,
    errand: Errand,
    /// What it said at last.
    outcome: Option<Line>,
    /// Whether it left the home alone, as far as is known.
    intact: bool,
}

/// Something that makes this look again.
pub(crate) enum BackupActivity {
    /// The errand has said something.
    Said(Box<Line>),
    /// The errand makes no progress.
    Stalled(Stalled),
    /// The errand is over.
    Over,
    /// Something in the home has changed.
    Changed,
    /// It is time for something.
    Due,
}

/// Keeps the home.
pub(crate) struct BackupController {
    errands: Arc<Errands>,
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
    /// What the machine wants next, as soon as the errand under way is over.
    next: Option<(Kind, Work)>,
    maintenance: Option<(Maintenance, String)>,
    /// What the home was made from, or the last good snapshot of it since: what is gone is judged by that.
    base: Option<SnapshotId>,
    uncopied: Uncopied,
    said: (mpsc::Sender<BackupActivity>, mpsc::Receiver<BackupActivity>),
    changes: (mpsc::Sender<()>, mpsc::Receiver<()>),
    watching: Option<JoinHandle<()>>,
    /// Whether snapshots of the running bot may be taken now.
    may: bool,
    was_ready: bool,
    renew_every: Duration,
    renew_again: Duration,
    /// When the token is to be renewed, should nothing else do it.
    renew_at: Instant,
}

impl Drop for BackupController {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

impl BackupController {
    /// None where there is no repository.
    pub(crate) fn new(
        settings: &Settings,
        errands: Option<Arc<Errands>>,
        logs: &Arc<Logs>,
        since: Instant,
        version: &Arc<OnceLock<String>>,
        status: watch::Sender<Option<BackupStatus>>,
        unsaved: watch::Sender<bool>,
    ) -> Option<Self> {
        let errands = errands?;
        status.send_replace(Some(BackupStatus::default()));
        Some(Self {
            errands,
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

    /// Looks at it; what the machine is to be told.
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
        if view.phase == GatewayPhase::Ready && !self.was_ready {
            self.was_ready = true;
            // The first restore point comes soon after the first start, whether something changes or not.
            self.schedule.changed(self.since.elapsed());
        }
        self.start_due_work();
    }

    /// Somebody wants a snapshot.
    pub(crate) fn order(&mut self, purpose: Purpose) {
        self.schedule.order(purpose);
        self.start_due_work();
    }

    /// Somebody wants maintenance, with a token that may delete.
    pub(crate) fn maintain(&mut self, maintenance: Maintenance, token: String) {
        self.maintenance = Some((maintenance, token));
        self.start_due_work();
    }

    /// The processes that are ours.
    pub(crate) fn processes(&self) -> std::collections::BTreeSet<u32> {
        self.errands.processes()
    }

    /// The machine wants the home restored.
    pub(crate) fn restore(&mut self, point: &RestorePoint) -> Option<GatewayEvent> {
        let restoring = Restoring {
            point: point.clone(),
            run: self.run,
            gateway_version: self.installed.clone(),
        };
        self.require(Kind::Restore, Work::Restore(restoring))
    }

    /// The machine wants the last snapshot before something.
    pub(crate) fn save(&mut self, reason: SnapshotReason) -> Option<GatewayEvent> {
        let work = self.taking(Purpose {
            reason,
            accept: false,
        });
        self.require(Kind::Save(reason), work)
    }

    /// The machine does not want to wait any longer.
    pub(crate) fn break_off(&mut self) -> Option<GatewayEvent> {
        if let Some(current) = &self.current {
            current.errand.kill();
        }
        let (kind, _) = self.next.take()?;
        kind.ended(false, true)
    }

    fn taking(&self, purpose: Purpose) -> Work {
        let first = self.status.borrow().as_ref().is_some_and(|status| {
            let restored = status.restored.as_ref();
            status.taken.is_empty() && restored.is_some_and(|report| report.snapshot.is_none())
        });
        Work::Snapshot(Taking {
            reason: purpose.reason,
            accept: purpose.accept,
            run: self.run,
            first,
            base: self.base.clone(),
            gateway_version: self.version.get().cloned(),
            raw: self.uncopied.tolerated(),
        })
    }

    /// Begins what the machine wants, at once or after what is under way. A snapshot under way is let finish:
    /// what it has stored need not be stored again. The rest can wait.
    fn require(&mut self, kind: Kind, work: Work) -> Option<GatewayEvent> {
        match &self.current {
            None => return self.start(kind, work, None),
            Some(current) => {
                if !matches!(current.kind, Kind::Snapshot(_)) {
                    current.errand.kill();
                }
                self.next = Some((kind, work));
            }
        }
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
        if let Some(purpose) = self.schedule.begin(now) {
            let work = self.taking(purpose);
            self.start(Kind::Snapshot(purpose), work, None);
        } else if self.renew_at <= Instant::now() {
            // Once it has expired it opens nothing, a renewal included: where this fails, it is soon tried again.
            self.renew_at = Instant::now() + self.renew_again;
            self.start(Kind::Renew, Work::Renew, None);
        } else if let Some((maintenance, token)) = self.maintenance.take() {
            self.start(Kind::Maintain, Work::Maintain(maintenance), Some(token));
        }
    }

    fn start(&mut self, kind: Kind, work: Work, token: Option<String>) -> Option<GatewayEvent> {
        let (errand, mut words) = match self.errands.start(work, token) {
            Ok(started) => started,
            Err(error) => {
                self.failed(kind, &format!("no process for it: {error}"));
                return self.finish(kind, false, true, 1.0);
            }
        };
        self.current = Some(Current {
            kind,
            errand,
            outcome: None,
            intact: true,
        });
        let said = self.said.0.clone();
        tokio::spawn(async move {
            loop {
                let activity = match words.next().await {
                    Ok(Some(line)) => BackupActivity::Said(Box::new(line)),
                    Ok(None) => break,
                    Err(stalled) => BackupActivity::Stalled(stalled),
                };
                // Nobody listens once the supervisor leaves.
                if said.send(activity).await.is_err() {
                    return;
                }
            }
            let _ = said.send(BackupActivity::Over).await;
        });
        None
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
