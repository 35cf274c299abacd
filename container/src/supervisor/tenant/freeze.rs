//! Makes all of a bot's processes stand still, and go on again: by the freezer of their control group where there is one, and
//! otherwise, or where a process is outside of it, by signals.
//!
//! A process that starts others while it is being stopped is met again in the next look. All stand still when two looks in a
//! row find nobody who runs: whoever could have started one had been stopped before the second.

use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::Tenant;
use super::group::TenantGroup;
use crate::backup::stillness::{Hold, HoldOrder, HoldOutcome, Jobs, MAX_HOLD, Stillness};
use crate::supervisor::processes;

/// How long stopping all may take. The kernel stops a process when it leaves what it does for it: microseconds, and longer
/// only where it waits for a disk.
const STOP_DEADLINE: Duration = Duration::from_millis(150);
/// Between two looks at who still runs.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// Processes that stand still because of this, until it is dropped.
struct Still<'a> {
    group: Option<&'a TenantGroup>,
    /// Those a signal has stopped, in the order in which they were.
    stopped: Vec<u32>,
}

impl Drop for Still<'_> {
    /// The last that was stopped goes on first: a shell that is told of it finds what it has started running.
    fn drop(&mut self) {
        for pid in self.stopped.iter().rev() {
            signal(*pid, Signal::CONT);
        }
        if let Some(group) = self.group {
            // A group that cannot be thawed has lost its processes.
            let _ = group.freeze(false);
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Gone already is as good as stopped, and as gone on.
        let _ = kill_process(pid, signal);
    }
}

impl Tenant {
    /// Stops everything of the bot.
    fn stop(&self, jobs: &Jobs, until: Instant) -> Result<Still<'_>, String> {
        let group = self.group.as_ref();
        let frozen = group.filter(|group| group.freeze(true).is_ok());
        let mut still = Still {
            group: frozen,
            stopped: Vec::new(),
        };
        let mut is_second = false;
        loop {
            let tenants = self.look(jobs).kin.tenants;
            let within = frozen.filter(|group| group.is_frozen());
            let within = within.map(TenantGroup::members).unwrap_or_default();
            let is_going = frozen.is_some_and(|group| !group.is_frozen());
            let mut running = 0_usize;
            for process in tenants.iter().filter(|process| !within.contains(&process.pid)) {
                // Those in a group that is about to freeze have another moment.
                if processes::is_stopped(process.pid) || is_going {
                    continue;
                }
                running = running.saturating_add(1);
                signal(process.pid, Signal::STOP);
                if !still.stopped.contains(&process.pid) {
                    still.stopped.push(process.pid);
                }
            }
            let is_clean = running == 0 && !is_going;
            if is_clean && is_second {
                return Ok(still);
            }
            if Instant::now() >= until {
                return Err(format!("{running} of its processes could not be stopped in time"));
            }
            if !is_clean {
                std::thread::park_timeout(LOOK_AGAIN);
            }
            is_second = is_clean;
        }
    }

    /// Whether nothing of the bot runs.
    fn stands(&self, jobs: &Jobs, still: &Still<'_>) -> bool {
        let within = still.group.filter(|group| group.is_frozen());
        let within = within.map(TenantGroup::members).unwrap_or_default();
        let tenants = self.look(jobs).kin.tenants;
        let others = tenants.iter().filter(|process| !within.contains(&process.pid));
        let is_thawed = still.group.is_some_and(|group| !group.is_frozen());
        !is_thawed
            && others
                .into_iter()
                .all(|process| processes::is_stopped(process.pid))
    }

    fn holding(&self) -> MutexGuard<'_, Weak<HoldOrder>> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the bot go on if it stands still: something is about to be started for it.
    pub(crate) fn go_on(&self) {
        let order = self.holding().upgrade();
        if let Some(order) = order {
            order.break_off();
        }
    }

    fn stand_still(
        &self,
        jobs: &Jobs,
        order: &HoldOrder,
        begun: oneshot::Sender<Result<(), String>>,
    ) -> HoldOutcome {
        let since = Instant::now();
        let stopped = self.stop(jobs, since.checked_add(STOP_DEADLINE).unwrap_or(since));
        let throughout = match &stopped {
            Ok(still) => {
                // Whoever does not listen any more has dropped the hold.
                let _ = begun.send(Ok(()));
                let ended = order.wait(since.checked_add(MAX_HOLD).unwrap_or(since));
                // A signal that somebody has set for later makes a stopped process go on.
                ended && self.stands(jobs, still)
            }
            Err(reason) => {
                let _ = begun.send(Err(reason.clone()));
                false
            }
        };
        drop(stopped);
        HoldOutcome {
            throughout,
            pause: since.elapsed(),
        }
    }
}

impl Stillness for Arc<Tenant> {
    fn processes(&self, jobs: &Jobs) -> Vec<u32> {
        let tenants = self.look(jobs).kin.tenants;
        tenants.iter().map(|process| process.pid).collect()
    }

    /// On a thread of its own: it is the last to be held up by anything.
    fn hold(&self, jobs: Jobs) -> Hold {
        let order = Arc::new(HoldOrder::default());
        let (begun, begins) = oneshot::channel();
        let (over, ends) = oneshot::channel();
        *self.holding() = Arc::downgrade(&order);
        let (tenant, wanted) = (Self::clone(self), Arc::clone(&order));
        std::thread::spawn(move || {
            let held = tenant.stand_still(&jobs, &wanted, begun);
            let _ = over.send(held);
        });
        Hold::new(order, begins, ends)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_process_that_goes_on_during_a_standstill_is_noticed() {
        let tenant = Tenant {
            user: None,
            group: None,
            holding: Mutex::default(),
            struck: Mutex::default(),
        };
        let child = std::process::Command::new("sleep").arg("60").spawn();
        let mut child = child.unwrap();
        // Those of other tests are none of the bot's.
        let pid = child.id();
        let jobs: Jobs = Box::new(move || {
            let all = processes::living().into_iter().map(|process| process.pid);
            all.filter(|other| *other != pid).collect()
        });
        let until = Instant::now() + Duration::from_secs(10);
        let still = tenant.stop(&jobs, until).unwrap();
        assert!(tenant.stands(&jobs, &still));
        // As a timer of its own would do.
        kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
        while processes::is_stopped(pid) {
            assert!(Instant::now() < until, "it does not go on");
        }
        assert!(!tenant.stands(&jobs, &still));
        drop(still);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
