//! The gateway's life as a state machine: `on(now, event) → effects`. No process, clock or randomness.
//!
//! ```text
//! Starting ──started──▶ Ready
//!    │  ▲                 │
//!   exit └──pause over── exit        stop, from anywhere ──▶ Draining ──exit──▶ Over
//!    ▼          │         ▼
//!    └────▶ Restarting ◀──┘
//! ```

use std::time::Duration;

use moltworker_core::control::{ExitReason, GatewayPhase, StartTimes};

/// How long a start may take. On a quarter of a core the gateway was seen to need 92 s.
const START_DEADLINE: Duration = Duration::from_secs(150);
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A gateway that was ready for this long had recovered: the next failure counts as a first one.
const STEADY: Duration = Duration::from_secs(60);
/// A killed process goes at once, unless the kernel holds it in I/O: then it is killed again.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// Something that happened to the gateway.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// Its process was started.
    Spawned(u32),
    /// Its process could not be started.
    NotSpawned(String),
    /// Its port accepted a connection.
    Listening,
    /// Its start-up probe said "started".
    Started,
    /// Its process ended.
    Exited(ExitReason),
    /// The container is to stop.
    Stop,
    /// The time [`Life::deadline`] named has come.
    Deadline,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start a process.
    Spawn,
    /// Ask the process to end.
    Terminate,
    /// End it.
    Kill,
    /// There is no gateway any more and none is to come: leave.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Starting { since: Duration, deadline: Duration },
    Ready { since: Duration },
    Restarting { until: Duration },
    Draining { deadline: Duration },
    Over,
}

/// What others may know about the gateway.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// Where it is in its life.
    pub(crate) phase: GatewayPhase,
    /// Its process, while there is one.
    pub(crate) pid: Option<u32>,
    /// How long its last start took.
    pub(crate) start: StartTimes,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// Why it ended last.
    pub(crate) last_exit: Option<ExitReason>,
}

/// The machine. Times are counted from the supervisor's start.
#[derive(Debug)]
pub(crate) struct Life {
    state: State,
    stop_grace: Duration,
    pid: Option<u32>,
    start: StartTimes,
    failures: u32,
    restarts: u32,
    last_exit: Option<ExitReason>,
}

impl Life {
    /// The machine at its beginning, with what to do first.
    pub(crate) fn begin(now: Duration, stop_grace: Duration) -> (Self, Effect) {
        let life = Self {
            state: starting(now),
            stop_grace,
            pid: None,
            start: StartTimes::default(),
            failures: 0,
            restarts: 0,
            last_exit: None,
        };
        (life, Effect::Spawn)
    }

    /// When [`Event::Deadline`] is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Starting { deadline, .. } | State::Draining { deadline } => Some(deadline),
            State::Restarting { until } => Some(until),
            State::Ready { .. } | State::Over => None,
        }
    }

    /// What others may know.
    pub(crate) fn view(&self) -> View {
        View {
            phase: match self.state {
                State::Starting { .. } => GatewayPhase::Starting,
                State::Ready { .. } => GatewayPhase::Ready,
                State::Restarting { .. } => GatewayPhase::Restarting,
                State::Draining { .. } | State::Over => GatewayPhase::Draining,
            },
            pid: self.pid,
            start: self.start,
            restarts: self.restarts,
            last_exit: self.last_exit.clone(),
        }
    }

    /// Takes note of `event` and says what to do. `chance` is a fresh random number in `0.0..1.0`.
    pub(crate) fn on(&mut self, now: Duration, chance: f64, event: Event) -> Option<Effect> {
        match (event, self.state) {
            (Event::Spawned(pid), _) => {
                self.pid = Some(pid);
                None
            }
            (Event::Listening, State::Starting { since, .. }) => {
                self.start.tcp_ms = Some(millis(now.saturating_sub(since)));
                None
            }
            (Event::Started, State::Starting { since, .. }) => {
                self.start.ready_ms = Some(millis(now.saturating_sub(since)));
                self.state = State::Ready { since: now };
                None
            }
            (Event::NotSpawned(reason), _) => self.ended(now, chance, ExitReason::NotSpawned(reason)),
            (Event::Exited(reason), _) => self.ended(now, chance, reason),
            (Event::Stop, State::Starting { .. } | State::Ready { .. }) => {
                let deadline = now + self.stop_grace;
                self.state = State::Draining { deadline };
                Some(Effect::Terminate)
            }
            (Event::Stop, State::Restarting { .. }) => self.leave(),
            (Event::Deadline, State::Starting { since, .. }) => {
                let deadline = now + KILL_AGAIN;
                self.state = State::Starting { since, deadline };
                Some(Effect::Kill)
            }
            (Event::Deadline, State::Draining { .. }) => {
                let deadline = now + KILL_AGAIN;
                self.state = State::Draining { deadline };
                Some(Effect::Kill)
            }
            (Event::Deadline, State::Restarting { .. }) => {
                self.state = starting(now);
                self.start = StartTimes::default();
                self.restarts = self.restarts.saturating_add(1);
                Some(Effect::Spawn)
            }
            // A probe of a gateway that is already ready or going, a second order to stop, and a clock
            // that fires where nothing is due: nothing follows from them.
            (Event::Listening | Event::Started | Event::Stop | Event::Deadline, _) => None,
        }
    }

    fn ended(&mut self, now: Duration, chance: f64, reason: ExitReason) -> Option<Effect> {
        // Exit code 0 of a gateway that was up is how it asks for a restart (it is told that somebody
        // watches over it): that is no failure and needs no pause.
        let asked_for = reason == ExitReason::Code(0) && matches!(self.state, State::Ready { .. });
        self.pid = None;
        self.last_exit = Some(reason);
        let recovered = matches!(self.state, State::Ready { since } if now.saturating_sub(since) >= STEADY);
        if recovered {
            self.failures = 0;
        }
        match self.state {
            State::Draining { .. } | State::Over => self.leave(),
            State::Starting { .. } | State::Ready { .. } | State::Restarting { .. } => {
                let pause = if asked_for {
                    Duration::ZERO
                } else {
                    self.failures = self.failures.saturating_add(1);
                    pause(self.failures, chance)
                };
                self.state = State::Restarting { until: now + pause };
                None
            }
        }
    }

    fn leave(&mut self) -> Option<Effect> {
        self.state = State::Over;
        Some(Effect::Leave)
    }
}

fn starting(now: Duration) -> State {
    State::Starting {
        since: now,
        deadline: now + START_DEADLINE,
    }
}

/// Half of the pause is fixed and half is chance: a fleet that fell together does not rise in step, and
/// no pause is close to nothing.
fn pause(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(25);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ready() -> Life {
        let (mut life, first) = Life::begin(at(0), GRACE);
        assert_eq!(first, Effect::Spawn);
        for (second, event) in [
            (0, Event::Spawned(42)),
            (11, Event::Listening),
            (15, Event::Started),
        ] {
            assert_eq!(life.on(at(second), 0.0, event), None);
        }
        life
    }

    #[test]
    fn a_start_is_timed_part_by_part() {
        let view = ready().view();
        assert_eq!(
            (view.phase, view.pid, view.restarts),
            (GatewayPhase::Ready, Some(42), 0)
        );
        assert_eq!(
            view.start,
            StartTimes {
                tcp_ms: Some(11_000),
                ready_ms: Some(15_000)
            }
        );
    }

    #[test]
    fn a_dead_gateway_is_started_again_after_a_pause() {
        let mut life = ready();
        assert_eq!(life.on(at(20), 0.0, Event::Exited(ExitReason::Signal(9))), None);
        assert_eq!(life.view().phase, GatewayPhase::Restarting);
        assert_eq!(life.view().pid, None);
        assert!(life.deadline().unwrap() > at(20));
        assert_eq!(life.on(at(21), 0.0, Event::Deadline), Some(Effect::Spawn));
        let view = life.view();
        assert_eq!((view.restarts, view.last_exit), (1, Some(ExitReason::Signal(9))));
        assert_eq!(view.start, StartTimes::default());
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_are_spread() {
        let pauses: Vec<_> = (1..=9).map(|failures| pause(failures, 1.0)).collect();
        assert_eq!(pauses[0], FIRST_PAUSE);
        assert_eq!(pauses[1], FIRST_PAUSE * 2);
        assert_eq!(pauses[8], LONGEST_PAUSE);
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
        assert_eq!(pause(1, 0.0), FIRST_PAUSE / 2);
    }

    #[test]
    fn a_gateway_that_held_starts_counting_anew() {
        let mut life = ready();
        for second in 20..25 {
            life.on(at(second), 1.0, Event::NotSpawned("no such file".into()));
        }
        assert!(life.deadline().unwrap() - at(24) > FIRST_PAUSE);
        life.on(at(60), 1.0, Event::Deadline);
        life.on(at(70), 1.0, Event::Started);
        life.on(at(70) + STEADY, 1.0, Event::Exited(ExitReason::Code(1)));
        assert_eq!(life.deadline(), Some(at(70) + STEADY + FIRST_PAUSE));
    }

    #[test]
    fn a_restart_the_gateway_asked_for_is_no_failure() {
        let mut life = ready();
        life.on(at(20), 1.0, Event::Exited(ExitReason::Code(0)));
        assert_eq!(life.deadline(), Some(at(20)));
        // But one that never came up is, whatever it returned.
        assert_eq!(life.on(at(20), 1.0, Event::Deadline), Some(Effect::Spawn));
        life.on(at(21), 1.0, Event::Exited(ExitReason::Code(0)));
        assert_eq!(life.deadline(), Some(at(21) + FIRST_PAUSE));
    }

    #[test]
    fn a_start_that_hangs_is_ended() {
        let (mut life, _) = Life::begin(at(0), GRACE);
        life.on(at(0), 0.0, Event::Spawned(42));
        assert_eq!(life.deadline(), Some(START_DEADLINE));
        assert_eq!(life.on(START_DEADLINE, 0.0, Event::Deadline), Some(Effect::Kill));
        assert_eq!(life.deadline(), Some(START_DEADLINE + KILL_AGAIN));
        life.on(START_DEADLINE, 0.0, Event::Exited(ExitReason::Signal(9)));
        assert_eq!(life.view().phase, GatewayPhase::Restarting);
    }

    #[test]
    fn a_stop_is_asked_for_once_then_forced() {
        let mut life = ready();
        assert_eq!(life.on(at(20), 0.0, Event::Stop), Some(Effect::Terminate));
        assert_eq!(life.on(at(21), 0.0, Event::Stop), None);
        assert_eq!(life.on(at(22), 0.0, Event::Started), None);
        assert_eq!(life.view().phase, GatewayPhase::Draining);
        assert_eq!(life.deadline(), Some(at(20) + GRACE));
        assert_eq!(life.on(at(45), 0.0, Event::Deadline), Some(Effect::Kill));
        assert_eq!(
            life.on(at(46), 0.0, Event::Exited(ExitReason::Signal(9))),
            Some(Effect::Leave)
        );
        assert_eq!(life.deadline(), None);
    }

    #[test]
    fn a_stop_during_a_pause_leaves_at_once() {
        let mut life = ready();
        life.on(at(20), 0.0, Event::Exited(ExitReason::Code(78)));
        assert_eq!(life.on(at(20), 0.0, Event::Stop), Some(Effect::Leave));
    }
}
