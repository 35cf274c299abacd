//! Keeps the bot's home: restores it, takes snapshots of it, one errand at a time.
//!
//! What is to be done when is decided by [`Life`](moltworker_core::gateway::Life) and [`Schedule`]; here it is
//! carried out and accounted for.

mod kind;
mod uncopied;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltworker_core::control::{BackupError, BackupStatus, GatewayPhase, RestoreReport, SnapshotReason};
use moltworker_core::gateway::{Event, Home, View};
use moltworker_core::run::{RestorePoint, SnapshotId};
use moltworker_core::snapshots::{Purpose, Schedule};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backup::now_ms;
use crate::backup::wire::{Line, Maintenance, Restoring, Taking, Work};
use crate::changes::watch;
use crate::errands::{Errand, Errands};
use crate::logs::Logs;
use crate::settings::Settings;
use kind::Kind;
use uncopied::Uncopied;

/// Snapshots of this run that are told.
const TOLD: usize = 10;

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
pub(crate) enum Stirred {
    /// The errand has said something.
    Said(Line),
    /// The errand is over.
    Over,
    /// Something in the home has changed.
    Changed,
    /// It is time for something.
    Due,
}

/// Keeps the home.
pub(crate) struct Keep {
    errands: Arc<Errands>,
    logs: Arc<Logs>,
    since: Instant,
    run: u64,
    version: Arc<OnceLock<String>>,
    /// The gateway that is installed, where that can be read.
    installed: Option<String>,
    schedule: Schedule,
    status: watch::Sender<Option<BackupStatus>>,
    current: Option<Current>,
    /// What the machine wants next, as soon as the errand under way is over.
    next: Option<(Kind, Work)>,
    maintenance: Option<(Maintenance, String)>,
    /// What the home was made from, or the last good snapshot of it since: what is gone is judged by that.
    base: Option<SnapshotId>,
    uncopied: Uncopied,
    said: (mpsc::Sender<Stirred>, mpsc::Receiver<Stirred>),
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

impl Drop for Keep {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

impl Keep {
    /// None where there is no repository.
    pub(crate) fn new(
        settings: &Settings,
        errands: Option<Arc<Errands>>,
        logs: &Arc<Logs>,
        since: Instant,
        version: &Arc<OnceLock<String>>,
        status: watch::Sender<Option<BackupStatus>>,
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
    pub(crate) async fn stirred(&mut self) -> Stirred {
        let due = self.due();
        tokio::select! {
            Some(said) = self.said.1.recv() => said,
            Some(()) = self.changes.1.recv() => Stirred::Changed,
            () = at(due) => Stirred::Due,
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
    pub(crate) fn take(&mut self, stirred: Stirred, chance: f64) -> Option<Event> {
        let event = match stirred {
            Stirred::Said(line) => {
                self.heard(line);
                None
            }
            Stirred::Over => self.over(chance),
            Stirred::Changed => {
                self.schedule.changed(self.since.elapsed());
                self.tell(|_| {});
                None
            }
            Stirred::Due => None,
        };
        self.go_on();
        event
    }

    /// Takes note of how the gateway is.
    pub(crate) fn look(&mut self, view: &View) {
        let gone = matches!(view.phase, GatewayPhase::Restoring | GatewayPhase::Draining);
        self.may = view.home == Home::Confirmed && !gone;
        if view.phase == GatewayPhase::Ready && !self.was_ready {
            self.was_ready = true;
            // The first restore point comes soon after the first start, whether something changes or not.
            self.schedule.changed(self.since.elapsed());
        }
        self.go_on();
    }

    /// Somebody wants a snapshot.
    pub(crate) fn order(&mut self, purpose: Purpose) {
        self.schedule.order(purpose);
        self.go_on();
    }

    /// Somebody wants maintenance, with a token that may delete.
    pub(crate) fn maintain(&mut self, maintenance: Maintenance, token: String) {
        self.maintenance = Some((maintenance, token));
        self.go_on();
    }

    /// The processes that are ours.
    pub(crate) fn processes(&self) -> std::collections::BTreeSet<u32> {
        self.errands.processes()
    }

    /// The machine wants the home restored.
    pub(crate) fn restore(&mut self, point: &RestorePoint) -> Option<Event> {
        let restoring = Restoring {
            point: point.clone(),
            run: self.run,
            gateway_version: self.installed.clone(),
        };
        self.require(Kind::Restore, Work::Restore(restoring))
    }

    /// The machine wants the last snapshot before something.
    pub(crate) fn save(&mut self, reason: SnapshotReason) -> Option<Event> {
        let work = self.taking(Purpose {
            reason,
            accept: false,
        });
        self.require(Kind::Save(reason), work)
    }

    /// The machine does not want to wait any longer.
    pub(crate) fn break_off(&mut self) -> Option<Event> {
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
            raw: self.uncopied.put_up_with(),
        })
    }

    /// Begins what the machine wants, at once or after what is under way. A snapshot under way is let finish:
    /// what it has stored need not be stored again. The rest can wait.
    fn require(&mut self, kind: Kind, work: Work) -> Option<Event> {
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

    /// Begins whatever is due and may begin.
    fn go_on(&mut self) {
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

    fn start(&mut self, kind: Kind, work: Work, token: Option<String>) -> Option<Event> {
        let (errand, mut words) = match self.errands.start(work, token) {
            Ok(started) => started,
            Err(error) => {
                self.failed(kind, &format!("no process for it: {error}"));
                return self.concluded(kind, false, true, 1.0);
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
            while let Some(line) = words.next().await {
                // Nobody listens once the supervisor leaves.
                if said.send(Stirred::Said(line)).await.is_err() {
                    return;
                }
            }
            let _ = said.send(Stirred::Over).await;
        });
        None
    }

    fn heard(&mut self, line: Line) {
        match line {
            Line::Token(renewed) => {
                self.renew_at = Instant::now() + self.renew_every;
                self.errands.renewed(renewed);
            }
            Line::Progress(progress) => self.tell(|status| status.under_way = Some(progress)),
            Line::Note(note) => self.logs.say(&format!("backup: {note}")),
            Line::Uncopied(databases) => self.uncopied.heard(databases),
            Line::Replacing => {
                if let Some(current) = &mut self.current {
                    current.intact = false;
                }
            }
            outcome => {
                if let Some(current) = &mut self.current {
                    current.outcome = Some(outcome);
                }
            }
        }
    }

    fn over(&mut self, chance: f64) -> Option<Event> {
        let Current {
            kind,
            outcome,
            intact,
            ..
        } = self.current.take()?;
        self.tell(|status| status.under_way = None);
        let well = match outcome {
            Some(Line::Restored(report)) => self.restored(report),
            Some(Line::Taken(snapshot, traffic)) => {
                self.taken(snapshot, &format!("{traffic:?}"));
                true
            }
            Some(Line::Maintained(report)) => {
                self.logs.say(&format!(
                    "backup: maintenance is over, {} snapshots forgotten, {} problems",
                    report.forgotten.len(),
                    report.problems.len()
                ));
                self.tell(|status| status.maintained = Some(report));
                true
            }
            Some(Line::Failed(message)) => {
                self.failed(kind, &message);
                false
            }
            // It renews its token and has nothing more to say.
            None if kind == Kind::Renew => true,
            _ => {
                self.failed(kind, "it ended before it was done");
                false
            }
        };
        if well {
            self.tell(|status| {
                if status
                    .error
                    .as_ref()
                    .is_some_and(|error| error.doing == kind.doing())
                {
                    status.error = None;
                }
            });
        }
        self.concluded(kind, well, intact, chance)
    }

    /// What follows from the end of an errand, and from that of the one that waits for it.
    fn concluded(&mut self, kind: Kind, well: bool, intact: bool, chance: f64) -> Option<Event> {
        if matches!(kind, Kind::Snapshot(_)) {
            self.schedule.over(self.since.elapsed(), chance, well);
            self.tell(|_| {});
        }
        let event = kind.ended(well, intact);
        if event.is_none()
            && let Some((kind, work)) = self.next.take()
        {
            return self.start(kind, work, None);
        }
        event
    }

    fn restored(&mut self, report: RestoreReport) -> bool {
        let what = match &report.snapshot {
            Some(id) => format!(
                "restored {} files, {} bytes from {id} in {} ms, all of them compared",
                report.amount.files, report.amount.bytes, report.duration_ms
            ),
            None => "there is nothing to restore".to_owned(),
        };
        self.logs.say(&format!("backup: {what}"));
        self.base.clone_from(&report.snapshot);
        self.tell(|status| status.restored = Some(report));
        // The directories are others than before.
        if let Some(before) = self.watching.take() {
            before.abort();
        }
        let watching = watch(self.errands.home().to_owned(), self.changes.0.clone());
        self.watching = Some(tokio::spawn(watching));
        self.schedule.changed(self.since.elapsed());
        true
    }

    fn taken(&mut self, snapshot: Option<moltworker_core::control::Snapshot>, traffic: &str) {
        let Some(snapshot) = snapshot else {
            self.logs.say(&format!("backup: nothing has changed ({traffic})"));
            return;
        };
        self.logs.say(&format!(
            "backup: snapshot {} of {} files, {} bytes, {} bytes added ({traffic})",
            snapshot.id, snapshot.amount.files, snapshot.amount.bytes, snapshot.added_bytes
        ));
        if snapshot.suspicious.is_none() {
            self.base = Some(snapshot.id.clone());
        }
        self.tell(|status| {
            status.taken.push(snapshot);
            let many = status.taken.len().saturating_sub(TOLD);
            status.taken.drain(..many);
        });
    }

    fn failed(&self, kind: Kind, message: &str) {
        self.logs.say(&format!("backup: {kind:?} failed: {message}"));
        self.tell(|status| {
            let doing = kind.doing();
            let earlier = status.error.as_ref().filter(|error| error.doing == doing);
            let attempts = earlier.map_or(0, |error| error.attempts).saturating_add(1);
            status.error = Some(BackupError {
                failed_at: now_ms(),
                doing,
                attempts,
                message: message.to_owned(),
            });
        });
    }

    fn tell(&self, change: impl FnOnce(&mut BackupStatus)) {
        let changed = self.schedule.has_changed();
        self.status.send_modify(|status| {
            let status = status.get_or_insert_default();
            change(status);
            status.changed = changed;
        });
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
