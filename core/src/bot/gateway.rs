//! The life of one gateway process after the other, as the supervisor sees it: `on(now, event) → effect`.
//!
//! ```text
//! Restoring ◀─▶ pause         (only with a repository; see `data.rs`)
//!    │ restored
//!    ▼
//! Starting ──started──▶ Up (ready, or suspect while its probes fail)
//!    ▲                   │
//!    │                   └▶ Ending: too late, probes failed, a restart or a stop asked for
//!    │
//!    │     exit, of any of these ─▶ Clearing: nothing of it is to be left (see `clearing.rs`)
//!    │                                 │
//!    ├─pause over─ Restarting ◀────────┤
//!    └─asked, config changed─ CrashLooped ◀─too many failures, or config rejected
//!                                      └─after a stop, or something is left─▶ Saving ─▶ Over
//! ```
//!
//! No process, clock or randomness. Times are counted from the supervisor's start. Every state but `Over` has
//! a deadline; `Up` and `CrashLooped` rest, their deadlines only ask a question. Each process is a numbered
//! [`Launch`], and news of an earlier one is ignored.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::control::{CrashLoop, EndReason, Ending, ExitReason, GatewayPhase, StartTimes};
use crate::wire::run::RestorePoint;

mod clearing;
mod data;
mod judge;
mod quiesce;
mod rules;
mod state;
mod types;

use state::{GatewayState, Next, Probe, Then};

pub use clearing::CLEAR_DEADLINE;
pub use judge::{Evidence, judge};
pub use quiesce::{RpcRefusal, kept_awake_by_channels, prepared};
pub use rules::{FIRST_PAUSE, GatewayRules, MAX_PAUSE, MAX_RESTORE_PAUSE, SAVE_AGAIN, STEADY, pause};
pub use types::{GatewayEffect, GatewayEvent, GatewayView, HomeState, Launch};

/// A killed process goes at once, unless the kernel holds it in I/O: then it is killed again.
pub const KILL_AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at the config of a crash-looped bot. One costs a `stat`.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Failed probes in a row that make a gateway a dead one. One is a hiccup, two are a bad moment.
pub const FAILED_PROBES: u32 = 3;
/// Endings that are remembered and reported.
const REMEMBERED: usize = 10;

/// What is known of the gateway's process and its data, and what is to be done next.
#[derive(Debug)]
pub struct GatewayLifecycle {
    rules: GatewayRules,
    state: GatewayState,
    view: GatewayView,
    launched: Duration,
    /// Ends in a row of gateways that were not ready for long.
    quick: u32,
    /// When failures happened, as far as they count.
    failures: VecDeque<Duration>,
    /// What the home is, or is to be, made from.
    point: RestorePoint,
    /// Whether that is another one than the restore under way has.
    superseded: bool,
    /// Restores in a row that failed.
    failed_restores: u32,
}

impl GatewayLifecycle {
    /// The machine at its beginning, with what to do first. With a repository that is to make the home from
    /// `point`.
    pub fn begin(now: Duration, rules: GatewayRules, point: Option<RestorePoint>) -> (Self, GatewayEffect) {
        let mut life = Self {
            rules,
            state: GatewayState::Over,
            view: GatewayView {
                phase: GatewayPhase::Starting,
                launch: Launch(0),
                pid: None,
                start: StartTimes::default(),
                ready_since: None,
                restarts: 0,
                endings: VecDeque::new(),
                crash_loop: None,
                outlived: 0,
                home: HomeState::Unkept,
                ignored: 0,
            },
            launched: now,
            quick: 0,
            failures: VecDeque::new(),
            point: RestorePoint::Latest,
            superseded: false,
            failed_restores: 0,
        };
        let first = match point {
            None => life.launch(now),
            Some(point) => {
                life.point = point;
                life.restore(now, false)
            }
        };
        life.view.phase = life.state.phase();
        (life, first)
    }

    /// When [`GatewayEvent::Deadline`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.state.deadline(&self.rules)
    }

    /// What others may know.
    pub fn view(&self) -> &GatewayView {
        &self.view
    }

    /// Takes note of `event` and says what to do. `chance` is a fresh random number in `0.0..1.0`.
    pub fn on(&mut self, now: Duration, chance: f64, event: GatewayEvent) -> Option<GatewayEffect> {
        let effect = self.take(now, chance, event);
        self.view.phase = self.state.phase();
        effect
    }

    fn take(&mut self, now: Duration, chance: f64, event: GatewayEvent) -> Option<GatewayEffect> {
        match event {
            GatewayEvent::Spawned(launch, pid) if self.may_be_there(launch) => {
                self.view.pid = Some(pid);
                // Told to end before it was there: it was not reached.
                matches!(self.state, GatewayState::Ending { .. })
                    .then_some(GatewayEffect::Terminate(self.rules.stop_grace))
            }
            GatewayEvent::NotSpawned(launch, reason, message) if self.may_be_there(launch) => {
                self.ended(now, chance, ExitReason::NotSpawned(message), reason, None)
            }
            GatewayEvent::Ended(launch, exit, reason, message) if self.may_be_there(launch) => {
                self.ended(now, chance, exit, reason, message)
            }
            GatewayEvent::Cleared(launch, outlived) if launch == self.view.launch => {
                self.cleared(now, outlived)
            }
            GatewayEvent::Listening(launch) if self.is_starting(launch) => {
                self.view.start.tcp_ms = Some(millis(now.saturating_sub(self.launched)));
                None
            }
            GatewayEvent::Started(launch) if self.is_starting(launch) => {
                self.view.start.ready_ms = Some(millis(now.saturating_sub(self.launched)));
                self.view.ready_since = Some(now);
                let probe = Probe::Next(now + self.rules.probe_every);
                self.state = GatewayState::Up { failed: 0, probe };
                None
            }
            GatewayEvent::Probed(launch, well) if launch == self.view.launch => self.probed(now, well),
            GatewayEvent::Stop(grace) => {
                let grace = grace.map_or(self.rules.stop_grace, |grace| grace.min(self.rules.stop_grace));
                self.stop(now, grace)
            }
            GatewayEvent::Restart => self.restart(now),
            GatewayEvent::Restored => self.restored(now),
            GatewayEvent::NotRestored { intact } => self.not_restored(now, chance, intact),
            GatewayEvent::Saved(well) => self.saved(now, well),
            GatewayEvent::RestoreTo(point) => self.restore_to(now, point),
            GatewayEvent::ConfigChanged if matches!(self.state, GatewayState::CrashLooped { .. }) => {
                self.reset_and_launch(now)
            }
            GatewayEvent::Deadline if self.deadline().is_some_and(|due| due <= now) => self.time_is_up(now),
            // News of an earlier process, an answer nobody waits for any more, a clock that rings early.
            _ => self.ignore(),
        }
    }

    fn ignore(&mut self) -> Option<GatewayEffect> {
        self.view.ignored = self.view.ignored.saturating_add(1);
        None
    }

    /// Whether `launch` is the current one and has not ended.
    fn may_be_there(&self, launch: Launch) -> bool {
        let has_one = matches!(
            self.state,
            GatewayState::Starting { .. } | GatewayState::Up { .. } | GatewayState::Ending { .. }
        );
        has_one && launch == self.view.launch
    }

    fn is_starting(&self, launch: Launch) -> bool {
        matches!(self.state, GatewayState::Starting { .. }) && launch == self.view.launch
    }

    fn launch(&mut self, now: Duration) -> GatewayEffect {
        let launch = Launch(self.view.launch.0.saturating_add(1));
        self.view.launch = launch;
        self.view.restarts = launch.0.saturating_sub(1);
        self.view.start = StartTimes::default();
        self.view.crash_loop = None;
        self.launched = now;
        let deadline = now + self.rules.start_deadline;
        self.state = GatewayState::Starting { deadline };
        GatewayEffect::Spawn(launch)
    }

    /// Starts one at once, with a clean slate.
    fn reset_and_launch(&mut self, now: Duration) -> Option<GatewayEffect> {
        self.reset_failures();
        Some(self.launch(now))
    }

    fn reset_failures(&mut self) {
        self.quick = 0;
        self.failures.clear();
    }

    fn time_is_up(&mut self, now: Duration) -> Option<GatewayEffect> {
        match self.state {
            GatewayState::Starting { .. } => self.kill_unresponsive(now, EndReason::StartTimeout),
            GatewayState::Up {
                failed,
                probe: Probe::Next(_),
            } => {
                let probe = Probe::Asked(now);
                self.state = GatewayState::Up { failed, probe };
                Some(GatewayEffect::Probe(self.view.launch))
            }
            GatewayState::Up {
                probe: Probe::Asked(_),
                ..
            } => self.probed(now, false),
            GatewayState::Ending { reason, then, .. } => {
                let deadline = now + KILL_AGAIN;
                self.state = GatewayState::Ending {
                    reason,
                    deadline,
                    then,
                };
                Some(GatewayEffect::Kill)
            }
            GatewayState::Clearing { .. } => self.not_cleared(now),
            GatewayState::Restarting { .. } => Some(self.launch(now)),
            GatewayState::Restoring { .. }
            | GatewayState::RestorePause { .. }
            | GatewayState::Saving { .. } => self.data_time_is_up(now),
            GatewayState::CrashLooped { .. } => {
                let look = now + LOOK_AGAIN;
                self.state = GatewayState::CrashLooped { look };
                Some(GatewayEffect::LookAtConfig)
            }
            GatewayState::Over => None,
        }
    }

    fn probed(&mut self, now: Duration, well: bool) -> Option<GatewayEffect> {
        let GatewayState::Up {
            failed,
            probe: Probe::Asked(asked),
        } = self.state
        else {
            return self.ignore();
        };
        let failed = if well { 0 } else { failed.saturating_add(1) };
        if failed >= FAILED_PROBES {
            return self.kill_unresponsive(now, EndReason::ProbeTimeout);
        }
        // From question to question, so that a connection that is refused at once and one that hangs are given
        // about the same time.
        let probe = Probe::Next(now.max(asked + self.rules.probe_every));
        self.state = GatewayState::Up { failed, probe };
        None
    }

    fn kill_unresponsive(&mut self, now: Duration, reason: EndReason) -> Option<GatewayEffect> {
        self.state = GatewayState::Ending {
            reason,
            deadline: now + KILL_AGAIN,
            then: Then::StartAgain,
        };
        Some(GatewayEffect::Kill)
    }

    fn restart(&mut self, now: Duration) -> Option<GatewayEffect> {
        match self.state {
            GatewayState::Starting { .. } | GatewayState::Up { .. } => self.end_for(now, Then::StartAgain),
            GatewayState::Restarting { .. } | GatewayState::CrashLooped { .. } => self.reset_and_launch(now),
            GatewayState::Clearing {
                next: Next::Pause { .. } | Next::GiveUp,
                deadline,
            } => {
                self.reset_failures();
                let next = Next::Pause { until: now };
                self.state = GatewayState::Clearing { deadline, next };
                None
            }
            // One is on its way already, or none is wanted any more.
            GatewayState::Restoring { .. }
            | GatewayState::RestorePause { .. }
            | GatewayState::Saving { .. }
            | GatewayState::Ending { .. }
            | GatewayState::Clearing { .. }
            | GatewayState::Over => self.ignore(),
        }
    }

    fn end_for(&mut self, now: Duration, then: Then) -> Option<GatewayEffect> {
        self.state = GatewayState::Ending {
            reason: EndReason::RestartAsked,
            deadline: now + self.rules.stop_grace,
            then,
        };
        Some(GatewayEffect::Terminate(self.rules.stop_grace))
    }

    fn stop(&mut self, now: Duration, grace: Duration) -> Option<GatewayEffect> {
        match &mut self.state {
            GatewayState::Starting { .. } | GatewayState::Up { .. } => {
                self.state = GatewayState::Ending {
                    reason: EndReason::Stopped,
                    deadline: now + grace,
                    then: Then::Leave,
                };
                Some(GatewayEffect::Terminate(grace))
            }
            GatewayState::Ending { deadline, then, .. } => {
                *then = Then::Leave;
                *deadline = (*deadline).min(now + grace);
                None
            }
            GatewayState::Clearing { next, .. } => {
                *next = Next::Save(Then::Leave);
                None
            }
            GatewayState::Restarting { .. } | GatewayState::CrashLooped { .. } => self.save(now, Then::Leave),
            // What was saved for a restore is saved.
            GatewayState::Saving { then, .. } => {
                *then = Then::Leave;
                None
            }
            // There is nothing to save that is not in the repository.
            GatewayState::Restoring { .. } | GatewayState::RestorePause { .. } => self.leave(),
            GatewayState::Over => self.ignore(),
        }
    }

    fn ended(
        &mut self,
        now: Duration,
        chance: f64,
        exit: ExitReason,
        reason: EndReason,
        message: Option<String>,
    ) -> Option<GatewayEffect> {
        let (reason, then) = match self.state {
            GatewayState::Ending { reason, then, .. } => (reason, then),
            _ => (reason, Then::StartAgain),
        };
        let ready_for = self
            .view
            .ready_since
            .take()
            .map(|since| now.saturating_sub(since));
        self.view.pid = None;
        let words = message.or_else(|| match &exit {
            ExitReason::NotSpawned(reason) => Some(reason.clone()),
            ExitReason::Code(_) | ExitReason::Signal(_) => None,
        });
        self.view.endings.push_back(Ending {
            at_ms: millis(now),
            reason,
            exit,
            message: words,
        });
        while self.view.endings.len() > REMEMBERED {
            self.view.endings.pop_front();
        }
        let next = self.after_end(now, chance, reason, then, ready_for);
        let deadline = now + CLEAR_DEADLINE;
        self.state = GatewayState::Clearing { deadline, next };
        Some(GatewayEffect::Clear(self.view.launch))
    }

    /// What comes after this end, once nothing is left of the gateway.
    fn after_end(
        &mut self,
        now: Duration,
        chance: f64,
        reason: EndReason,
        then: Then,
        ready_for: Option<Duration>,
    ) -> Next {
        if then != Then::StartAgain {
            return Next::Save(then);
        }
        if reason == EndReason::RestartAsked {
            self.reset_failures();
            return Next::Pause { until: now };
        }
        if ready_for.is_some_and(|time| time >= STEADY) {
            self.quick = 0;
        }
        self.quick = self.quick.saturating_add(1);
        // A gateway that was up and left by itself wants a restart, and is no failure. Should it want nothing
        // else, again and again, it has to wait as well.
        let wanted = reason == EndReason::CleanExit && ready_for.is_some();
        let pause = if wanted {
            pause(self.quick.saturating_sub(1), chance)
        } else {
            self.failed(now);
            pause(self.quick, chance)
        };
        let hopeless = reason == EndReason::ConfigRejected;
        if hopeless || self.failures.len() >= self.rules.failures {
            Next::GiveUp
        } else {
            Next::Pause { until: now + pause }
        }
    }

    fn failed(&mut self, now: Duration) {
        let window = self.rules.window;
        self.failures.retain(|at| now.saturating_sub(*at) < window);
        self.failures.push_back(now);
    }

    fn leave(&mut self) -> Option<GatewayEffect> {
        self.state = GatewayState::Over;
        Some(GatewayEffect::Leave)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod diagram;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
