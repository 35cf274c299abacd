//! What jobs say, and what follows from their end.

use std::time::Duration;

use moltworker_core::bot::gateway::GatewayEvent;
use moltworker_core::bot::history::truncate_detail;
use moltworker_core::wire::control::{BackupError, BackupStatus, HeldUp, RestoreReport, Snapshot};
use moltworker_core::wire::job::BackupJob;
use tokio::time::Instant;

use super::{BackupController, Current, MAX_REPORTED_SNAPSHOTS};
use crate::backup::launcher::Stalled;
use crate::backup::watch::Watch;
use crate::backup::worker::now_ms;
use crate::backup::worker::wire::Line;

impl BackupController {
    /// Takes note of what the job under way says.
    pub(super) fn handle_line(&mut self, line: Line) {
        match line {
            Line::Token(renewed) => {
                self.renew_at = Instant::now() + self.renew_every;
                self.launcher.store_renewed(renewed);
            }
            Line::Unlocked(unlocked) => self.launcher.store_unlocked(unlocked),
            Line::Progress(progress) => self.update_status(|status| status.under_way = Some(progress)),
            Line::HeldUp(message) => self.held_up(message),
            Line::Note(note) => self.logs.say(&format!("backup: {note}")),
            Line::Uncopied(databases) => self.uncopied.record(databases),
            // That it came is all it says.
            Line::Moves(..) => {}
            Line::Replacing => self.is_intact(false),
            Line::NotReplaced => self.is_intact(true),
            outcome => {
                if let Some(current) = &mut self.current {
                    current.outcome = Some(outcome);
                }
            }
        }
    }

    /// The job under way waits for something, or no longer does.
    fn held_up(&mut self, message: Option<String>) {
        let now_ms = millis(self.since.elapsed());
        if let Some(message) = &message {
            self.logs.say(&format!("backup: held up: {message}"));
        }
        self.update_status(|status| {
            let before = status.held_up.as_ref().map(|held_up| held_up.since_ms);
            status.held_up = message.map(|message| HeldUp {
                since_ms: before.unwrap_or(now_ms),
                message: truncate_detail(&message),
            });
        });
    }

    /// Ends a job that makes no progress; that it is over is noticed as ever.
    pub(super) fn end(&mut self, stalled: &Stalled) {
        if let Some(current) = &mut self.current {
            current.process.kill();
            current.outcome = Some(Line::Failed(stalled.to_string()));
        }
    }

    fn is_intact(&mut self, intact: bool) {
        if let Some(current) = &mut self.current {
            current.intact = intact;
        }
    }

    /// The job under way is over; the event for the gateway's lifecycle that follows.
    pub(super) fn over(&mut self, jitter: f64) -> Option<GatewayEvent> {
        let Current {
            job,
            awaited,
            outcome,
            intact,
            ..
        } = self.current.take()?;
        self.update_status(|status| {
            status.under_way = None;
            status.held_up = None;
        });
        let well = match outcome {
            Some(Line::Restored(report)) => {
                self.restored(report);
                true
            }
            Some(Line::Taken(snapshot, traffic)) => {
                if !awaited {
                    let is_of_one = |snapshot: &Snapshot| snapshot.moments.is_empty();
                    self.schedule.taken(snapshot.as_ref().is_none_or(is_of_one));
                }
                self.taken(snapshot, &format!("{traffic:?}"));
                true
            }
            Some(Line::Maintained(report)) => {
                self.logs.say(&format!(
                    "backup: maintenance is over, {} snapshots forgotten, {} problems",
                    report.forgotten.len(),
                    report.problems.len()
                ));
                self.update_status(|status| status.maintained = Some(report));
                true
            }
            Some(Line::Failed(message)) => {
                self.failed(&job, &message);
                false
            }
            // It renews its token and has nothing more to say.
            None if job == BackupJob::RenewToken => true,
            _ => {
                self.failed(&job, "it ended before it was done");
                false
            }
        };
        if well {
            self.failures.over(job.kind());
            self.update_status(|status| {
                if status.error.as_ref().is_some_and(|error| error.job == job.kind()) {
                    status.error = None;
                }
            });
        }
        if matches!(job, BackupJob::Restore(_)) && (well || !intact) {
            self.restart_watch();
            let now = self.since.elapsed();
            if well {
                self.schedule.restored(now);
            } else {
                self.schedule.changed(now);
            }
        }
        self.finish(&job, awaited, well, intact, jitter)
    }

    /// The directories are others than before, or may be.
    fn restart_watch(&mut self) {
        let watch = Watch::begin(self.launcher.home().to_owned(), self.changes.0.clone());
        self.watching = Some(watch);
        self.deleted = Default::default();
    }

    /// What follows from the end of a job, and from that of the one that waits for it.
    pub(super) fn finish(
        &mut self,
        job: &BackupJob,
        awaited: bool,
        well: bool,
        intact: bool,
        jitter: f64,
    ) -> Option<GatewayEvent> {
        if !awaited && matches!(job, BackupJob::Snapshot(_)) {
            self.schedule.over(self.since.elapsed(), jitter, well);
            self.update_status(|_| {});
        }
        if awaited {
            self.is_left_unsaved &= !(well && matches!(job, BackupJob::Snapshot(_)));
            return lifecycle_event(job, well, intact);
        }
        let next = self.next.take()?;
        self.start(next.into(), true)
    }

    fn restored(&mut self, report: RestoreReport) {
        let what = match &report.snapshot {
            Some(id) => format!(
                "restored {} files, {} bytes from {id} in {} ms, all of them compared",
                report.amount.files, report.amount.bytes, report.duration_ms
            ),
            None => "there is nothing to restore".to_owned(),
        };
        self.logs.say(&format!("backup: {what}"));
        self.base.clone_from(&report.snapshot);
        self.update_status(|status| status.restored = Some(report));
    }

    fn taken(&mut self, snapshot: Option<Snapshot>, traffic: &str) {
        let Some(snapshot) = snapshot else {
            self.logs.say(&format!("backup: nothing has changed ({traffic})"));
            return;
        };
        self.logs.say(&format!(
            "backup: snapshot {} of {} files, {} bytes, {} bytes added, the bot stood still for {} ms ({traffic})",
            snapshot.id,
            snapshot.amount.files,
            snapshot.amount.bytes,
            snapshot.added_bytes,
            snapshot.pause_ms.unwrap_or(0)
        ));
        if snapshot.suspicious.is_none() {
            self.base = Some(snapshot.id.clone());
            self.deleted.0 = self.deleted.1;
        }
        self.update_status(|status| {
            status.taken.push(snapshot);
            let many = status.taken.len().saturating_sub(MAX_REPORTED_SNAPSHOTS);
            status.taken.drain(..many);
        });
    }

    /// Accounts for an attempt that failed.
    pub(super) fn failed(&mut self, job: &BackupJob, message: &str) {
        self.logs.say(&format!("backup: {job} failed: {message}"));
        let kind = job.kind();
        let attempts = self.failures.record_failure(kind);
        self.update_status(|status| {
            status.error = Some(BackupError {
                failed_at: now_ms(),
                job: kind,
                attempts,
                message: truncate_detail(message),
            });
        });
    }

    /// Changes the status of the backups.
    pub(super) fn update_status(&self, change: impl FnOnce(&mut BackupStatus)) {
        let changed = self.schedule.has_changed();
        let partly_watched = self.watching.as_ref().is_some_and(Watch::is_partial);
        let unsaved_at_ms = self.schedule.unsaved_since().map(millis);
        self.status.send_modify(|status| {
            let status = status.get_or_insert_default();
            change(status);
            status.changed = changed;
            status.unsaved_at_ms = unsaved_at_ms;
            status.partly_watched = partly_watched;
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the end of a job means to the gateway's lifecycle, which waits for it.
pub(super) fn lifecycle_event(job: &BackupJob, well: bool, intact: bool) -> Option<GatewayEvent> {
    match job {
        BackupJob::Restore(_) if well => Some(GatewayEvent::Restored),
        BackupJob::Restore(_) => Some(GatewayEvent::NotRestored { intact }),
        BackupJob::Snapshot(_) => Some(GatewayEvent::Saved(well)),
        BackupJob::RenewToken | BackupJob::Maintain(_) | BackupJob::Read(_) => None,
    }
}
