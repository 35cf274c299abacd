//! The life of one bot's container, as its Sandbox sees it: `on(now, event) → effects`.
//!
//! The Sandbox is the one writer of this state. It stores the state after every event and then carries
//! out the effects in order; nothing here touches a clock, a container or storage. Times are
//! milliseconds since 1970.
//!
//! Every state but `Asleep` has a deadline that leaves it or asks again (`Running` asks whether the bot is
//! idle), and every result that comes back later carries the number of the run it belongs to: one of an
//! older run is ignored.

use serde::{Deserialize, Serialize};

use crate::run::Run;

/// How long a start may take until the gateway answers. Measured: 45 s on half a core (`standard-1`),
/// 92 s on a quarter; allocation and image pull come on top.
pub const START_DEADLINE_MS: u64 = 180_000;
/// How long a stop may take before the container is killed. The supervisor gives the gateway 25 s to
/// drain; this is that, and the way there and back.
pub const STOP_DEADLINE_MS: u64 = 35_000;
/// The pause after the first failed start. Doubles with each further failure.
pub const FIRST_BACKOFF_MS: u64 = 2_000;
/// The longest pause between two starts: short enough that a caller's patience outlives it.
pub const MAX_BACKOFF_MS: u64 = 60_000;

/// How soon a running bot is asked again whether it is idle when it could not say: soon enough that a bot
/// whose supervisor hung is not paid for all night, seldom enough that the question costs nothing.
pub const ASK_ACTIVITY_AGAIN_MS: u64 = 60_000;

/// What the operator decided about the lives of bots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Milliseconds without activity after which a bot is put to sleep; `None` for never.
    pub sleep_after_ms: Option<u64>,
}

/// What may happen to a bot, whoever asks. Checked at every entry: requests, WebSockets, the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// It may run.
    #[default]
    Available,
    /// Its owner stopped it.
    Stopped,
    /// An admin suspended it; its owner cannot undo that.
    Suspended,
}

/// Who decides about a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// The person it belongs to.
    Owner,
    /// An admin; outranks the owner.
    Admin,
}

/// Where a bot is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// No container. The next request starts one.
    Asleep,
    /// A container was started and its gateway does not answer yet.
    Starting {
        /// When it is given up.
        deadline: u64,
    },
    /// The gateway answers.
    Running,
    /// The container was told to stop.
    Stopping {
        /// When it is killed.
        deadline: u64,
        /// Somebody asked for the bot meanwhile: start again once it has stopped.
        wanted: bool,
    },
    /// A start failed. Nothing is started before `until`.
    BackingOff {
        /// From when the next request may start a container.
        until: u64,
        /// Why the last start failed; shown to the owner.
        reason: String,
    },
}

/// The whole life: what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Where it is now.
    #[serde(flatten)]
    pub state: State,
    /// The current run, or the last one.
    pub run: Run,
    /// When the state was entered.
    pub since: u64,
    /// Starts that failed in a row.
    pub failures: u32,
    /// Whether it may run at all.
    #[serde(default)]
    pub desired: Desired,
    /// Never put to sleep for being idle.
    #[serde(default)]
    pub pinned: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The owner's traffic wants the bot.
    Wanted,
    /// The owner or an admin wants it asleep; the next request may wake it.
    SleepWanted,
    /// Somebody decided whether it may run. An owner cannot undo a suspension.
    Desired(Authority, Desired),
    /// The owner or an admin decided whether it sleeps when idle.
    Pinned(bool),
    /// What the supervisor of this run says about activity: milliseconds since the last, 0 while something
    /// is under way; `None` when it could not be asked.
    Activity(Run, Option<u64>),
    /// The gateway of this run answers.
    Ready(Run),
    /// The container of this run could not be started.
    StartFailed(Run, String),
    /// The container of this run ended; the text is the runtime's reason.
    Exited(Run, String),
    /// The alarm rang, or the clock looked in. Both only ask whether a deadline has passed.
    AlarmRang,
    /// The object was loaded (first use, eviction, deploy) and looked whether a container runs.
    Loaded {
        /// Whether one does.
        container_runs: bool,
    },
}

/// What the Sandbox has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start a container for this run. The only place a container is ever started from.
    Start(Run),
    /// Wait for this run's container to end and, until it answers, ask whether it is ready.
    Watch(Run),
    /// Send SIGTERM.
    Terminate,
    /// Kill the container.
    Kill,
    /// Ask this run's supervisor about activity, and report [`Event::Activity`].
    AskActivity(Run),
    /// Ring at this time; replaces an earlier alarm.
    SetAlarm(u64),
    /// No alarm is needed any more.
    ClearAlarm,
}

impl Life {
    /// A bot that has never run.
    pub fn new(now: u64) -> Self {
        Self {
            state: State::Asleep,
            run: Run(0),
            since: now,
            failures: 0,
            desired: Desired::Available,
            pinned: false,
        }
    }

    /// Takes note of `event` at time `now`. `jitter` in 0..=1 spreads the pauses of many bots that failed
    /// together.
    pub fn on(&mut self, rules: &Rules, now: u64, jitter: f64, event: Event) -> Vec<Effect> {
        match event {
            // An alarm can be late or lost; a request that is there now need not wait for it.
            Event::Wanted if self.is_overdue(now) => {
                let mut effects = self.alarm_rang(now, jitter);
                effects.extend(self.wanted(now));
                effects
            }
            Event::Wanted => self.wanted(now),
            Event::SleepWanted => self.sleep_wanted(now),
            Event::Desired(Authority::Owner, _) if self.desired == Desired::Suspended => Vec::new(),
            Event::Desired(_, desired) => self.desire(now, desired),
            Event::Pinned(pinned) => {
                self.pinned = pinned;
                if self.is_running() {
                    vec![Effect::AskActivity(self.run)]
                } else {
                    Vec::new()
                }
            }
            Event::Activity(run, idle) if run == self.run => self.activity(rules, now, idle),
            Event::Ready(run) if run == self.run => self.ready(now),
            Event::StartFailed(run, reason) if run == self.run => self.start_failed(now, jitter, reason),
            Event::Exited(run, reason) if run == self.run => self.exited(now, jitter, reason),
            Event::Ready(_) | Event::StartFailed(..) | Event::Exited(..) | Event::Activity(..) => Vec::new(),
            Event::AlarmRang => self.alarm_rang(now, jitter),
            Event::Loaded { container_runs } => self.loaded(now, jitter, container_runs),
        }
    }

    /// Whether requests can be handed to the container now.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Whether `run` is the current one.
    pub fn is_of(&self, run: Run) -> bool {
        self.run == run
    }

    /// Whether `run` is on its way up.
    pub fn is_starting(&self, run: Run) -> bool {
        self.run == run && matches!(self.state, State::Starting { .. })
    }

    fn is_overdue(&self, now: u64) -> bool {
        matches!(self.state, State::Starting { deadline } | State::Stopping { deadline, .. } if deadline <= now)
    }

    fn enter(&mut self, now: u64, state: State) {
        self.state = state;
        self.since = now;
    }

    fn start(&mut self, now: u64) -> Vec<Effect> {
        self.run = self.run.next();
        let deadline = now.saturating_add(START_DEADLINE_MS);
        self.enter(now, State::Starting { deadline });
        vec![
            Effect::SetAlarm(deadline),
            Effect::Start(self.run),
            Effect::Watch(self.run),
        ]
    }

    fn wanted(&mut self, now: u64) -> Vec<Effect> {
        if self.desired != Desired::Available {
            return Vec::new();
        }
        match &mut self.state {
            State::Asleep => self.start(now),
            State::BackingOff { until, .. } if *until <= now => self.start(now),
            State::Stopping { wanted, .. } => {
                *wanted = true;
                Vec::new()
            }
            State::Starting { .. } | State::Running | State::BackingOff { .. } => Vec::new(),
        }
    }

    fn sleep_wanted(&mut self, now: u64) -> Vec<Effect> {
        match &mut self.state {
            State::Starting { .. } | State::Running => {
                let deadline = now.saturating_add(STOP_DEADLINE_MS);
                self.enter(
                    now,
                    State::Stopping {
                        deadline,
                        wanted: false,
                    },
                );
                vec![Effect::SetAlarm(deadline), Effect::Terminate]
            }
            State::Stopping { wanted, .. } => {
                *wanted = false;
                Vec::new()
            }
            State::Asleep | State::BackingOff { .. } => Vec::new(),
        }
    }

    fn desire(&mut self, now: u64, desired: Desired) -> Vec<Effect> {
        self.desired = desired;
        if desired == Desired::Available {
            return Vec::new();
        }
        // What failed is of no interest any more; when it may run again it begins afresh.
        if matches!(self.state, State::BackingOff { .. }) {
            self.failures = 0;
            self.enter(now, State::Asleep);
        }
        self.sleep_wanted(now)
    }

    fn activity(&mut self, rules: &Rules, now: u64, idle: Option<u64>) -> Vec<Effect> {
        if !self.is_running() {
            return Vec::new();
        }
        match (rules.sleep_after_ms, idle) {
            // Nobody knows: neither a reason to stop nor one to stay.
            (_, None) => vec![Effect::SetAlarm(now.saturating_add(ASK_ACTIVITY_AGAIN_MS))],
            (Some(limit), Some(idle)) if !self.pinned && idle >= limit => self.sleep_wanted(now),
            (Some(limit), Some(idle)) => {
                let left = limit.saturating_sub(idle).max(ASK_ACTIVITY_AGAIN_MS.min(limit));
                vec![Effect::SetAlarm(now.saturating_add(left))]
            }
            (None, Some(_)) => vec![Effect::ClearAlarm],
        }
    }

    fn ready(&mut self, now: u64) -> Vec<Effect> {
        match self.state {
            State::Starting { .. } => {
                self.failures = 0;
                self.enter(now, State::Running);
                vec![Effect::AskActivity(self.run)]
            }
            _ => Vec::new(),
        }
    }

    fn start_failed(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        match self.state {
            State::Starting { .. } => self.back_off(now, jitter, reason),
            _ => Vec::new(),
        }
    }

    fn exited(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        match self.state {
            State::Starting { .. } => self.back_off(now, jitter, reason),
            State::Running => {
                self.enter(now, State::Asleep);
                vec![Effect::ClearAlarm]
            }
            State::Stopping { wanted: true, .. } => self.start(now),
            State::Stopping { wanted: false, .. } => {
                self.enter(now, State::Asleep);
                vec![Effect::ClearAlarm]
            }
            State::Asleep | State::BackingOff { .. } => Vec::new(),
        }
    }

    fn back_off(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        let until = now.saturating_add(backoff_ms(self.failures, jitter));
        self.failures = self.failures.saturating_add(1);
        self.enter(now, State::BackingOff { until, reason });
        vec![Effect::ClearAlarm, Effect::Kill]
    }

    fn alarm_rang(&mut self, now: u64, jitter: f64) -> Vec<Effect> {
        match self.state {
            State::Starting { deadline } if deadline <= now => {
                let seconds = START_DEADLINE_MS / 1_000;
                self.back_off(
                    now,
                    jitter,
                    format!("the gateway did not answer within {seconds} seconds"),
                )
            }
            // An object that was not in memory when its container ended hears of the end here at the latest.
            State::Stopping { deadline, wanted } if deadline <= now => {
                self.enter(now, State::Asleep);
                let mut effects = vec![Effect::Kill];
                if wanted {
                    effects.extend(self.start(now));
                }
                effects
            }
            // Rang early or late: the deadline that counts is the stored one.
            State::Starting { deadline } | State::Stopping { deadline, .. } => {
                vec![Effect::SetAlarm(deadline)]
            }
            State::Running => vec![Effect::AskActivity(self.run)],
            State::Asleep | State::BackingOff { .. } => Vec::new(),
        }
    }

    fn loaded(&mut self, now: u64, jitter: f64, container_runs: bool) -> Vec<Effect> {
        match (&self.state, container_runs) {
            (State::Asleep | State::BackingOff { .. }, false) => Vec::new(),
            // A container nobody asked for: a kill that was cut short by the eviction.
            (State::Asleep | State::BackingOff { .. }, true) => vec![Effect::Kill],
            (State::Starting { .. } | State::Running | State::Stopping { .. }, true) => {
                vec![Effect::Watch(self.run)]
            }
            (State::Starting { .. } | State::Running | State::Stopping { .. }, false) => self.exited(
                now,
                jitter,
                "the container was gone when its Sandbox came back".into(),
            ),
        }
    }
}

/// The pause after `failures` earlier failures: doubling, with up to a quarter taken off by `jitter`.
fn backoff_ms(failures: u32, jitter: f64) -> u64 {
    let doubled = FIRST_BACKOFF_MS.saturating_mul(1u64.checked_shl(failures).unwrap_or(u64::MAX));
    let full = doubled.min(MAX_BACKOFF_MS);
    let quarter = full / 4;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 ≤ jitter ≤ 1 and quarter ≤ 15,000"
    )]
    let off = (quarter as f64 * jitter.clamp(0.0, 1.0)) as u64;
    full - off
}

#[cfg(test)]
mod tests;
