//! The life of one bot's container, as its Sandbox sees it: `on(now, event) → effects`.
//!
//! The Sandbox is the one writer of this state. It stores the state after every event and then carries
//! out the effects in order; nothing here touches a clock, a container or storage. Times are
//! milliseconds since 1970.
//!
//! Every state with a container has a deadline that leaves it or asks again, and those without one rest
//! until somebody wants the bot. Every result that comes back later carries the number of the run it belongs
//! to: one of an older run is ignored, and counted.

mod deadlines;
#[cfg(test)]
pub(crate) mod diagram;
mod failing;
mod history_events;
mod memory;
#[cfg(test)]
mod properties;
mod record;
mod spent;
mod steps;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use deadlines::*;
pub use history_events::{gateway_endings, history_events};

use super::incidents::Incidents;
use crate::cost::limit::Spending;
use crate::wire::control::EndReason;
use crate::wire::run::Run;

/// What the operator decided about the lives of bots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifecycleRules {
    /// Milliseconds without activity after which a bot is put to sleep; `None` for never.
    pub sleep_after_ms: Option<u64>,
}

/// What may happen to a bot, whoever asks. Checked at every entry: requests, WebSockets, cron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Desired {
    /// It may run.
    #[default]
    Available,
    /// Its owner or an admin stopped it.
    Stopped,
    /// An admin suspended it; only an admin who makes it available undoes that.
    Suspended,
}

/// Who decides about a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// The person it belongs to.
    Owner,
    /// An admin; outranks the owner.
    Admin,
}

/// Where a bot is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum LifecycleState {
    /// No container. The next request starts one.
    Asleep,
    /// A container was started and its gateway does not answer yet.
    Starting {
        /// When it is given up.
        deadline: u64,
        /// Its supervisor has answered: from here on a failure is the bot's, not the platform's.
        met: bool,
    },
    /// Its supervisor brings back the home; no gateway runs before that is done.
    Restoring {
        /// When it is given up, unless it has got on by then.
        deadline: u64,
        /// How far it was when that was decided.
        #[serde(default)]
        done: u64,
    },
    /// The gateway answers.
    Running,
    /// The gateway does not answer, and its supervisor is bringing it back.
    Unhealthy {
        /// When the container is replaced.
        deadline: u64,
    },
    /// The container was told to stop.
    Stopping {
        /// When it is killed.
        deadline: u64,
        /// Somebody asked for the bot meanwhile: start again once it has stopped.
        wanted: bool,
    },
    /// A run failed. Nothing is started before `until`.
    BackingOff {
        /// From when the next request may start a container.
        until: u64,
        /// Why the last run failed; shown to the owner.
        reason: String,
    },
    /// Starting it again is pointless until something changes.
    CrashLooped {
        /// From when one request may try once more. `None` while the container is up: its supervisor gave the
        /// gateway up and waits for an order or another config.
        until: Option<u64>,
        /// Why; shown to the owner.
        reason: String,
    },
}

/// The whole life: what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "record::LifecycleRecord")]
pub struct Lifecycle {
    /// Where it is now.
    #[serde(flatten)]
    pub state: LifecycleState,
    /// The current run, or the last one.
    pub run: Run,
    /// When the state was entered.
    pub since: u64,
    /// When the gateway of this run first answered.
    pub ready_at: Option<u64>,
    /// Runs that failed with no stable one in between.
    pub failures: u32,
    /// Events that meant nothing when they came: news of an older run, answers nobody waits for any more.
    pub ignored: u64,
    /// Whether it may run at all.
    pub desired: Desired,
    /// Never put to sleep for being idle.
    pub pinned: bool,
    /// It had work of its own when it was last asked to sleep: a channel that listens, a turn under way.
    #[serde(rename = "works_alone")]
    pub has_background_work: bool,
    /// Processes of the bot that outlived a gateway of this run, as far as the history was told. Nobody knows for a run that
    /// began when that was not written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlived: Option<u32>,
    /// When the last gateway of this run ended that was counted, in milliseconds since its supervisor started.
    #[serde(skip_serializing_if = "is_zero")]
    pub ended_at: u64,
    /// When gateways last ended for want of memory, of any run; no more than it takes for an incident.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memory_ends: Vec<u64>,
    /// What is wrong, and what was.
    #[serde(skip_serializing_if = "Incidents::is_empty")]
    pub incidents: Incidents,
    /// That most or all of the month's limit is spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spending: Option<Spending>,
    /// When a bot that has spent all of it is put to sleep, whatever it is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent_deadline: Option<u64>,
}

/// What the supervisor says about its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayCondition {
    /// The home is being brought back.
    Restoring,
    /// On its way up for the first time.
    Starting,
    /// It answers.
    Answering,
    /// It does not, and is being brought back.
    Troubled,
    /// It was given up; the words say why and are fit for the owner.
    GivenUp(String),
}

/// What the supervisor of a run says when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorReport {
    /// How the gateway is.
    pub gateway: GatewayCondition,
    /// Milliseconds since the owner's traffic last did something; 0 while something is under way.
    pub idle_ms: u64,
    /// How far the backup job under way is: another number whenever it gets on.
    pub done: u64,
    /// Processes that outlived a gateway and were ended, in this run, where it says so.
    pub outlived: Option<u32>,
    /// The last ends of gateways in this run, oldest first: when, in milliseconds since the supervisor started, and why.
    pub endings: Vec<(u64, EndReason)>,
}

/// Whether a bot without traffic may be put to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaySleep {
    /// Nothing runs, and nothing new begins.
    Yes,
    /// An agent's turn is under way, or a channel listens: ask again after so many milliseconds.
    Busy {
        /// Until then, in milliseconds, it is not tried again.
        again_ms: u64,
    },
    /// Nobody knows: neither a reason to stop nor one to stay.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The owner's traffic wants the bot.
    Wanted,
    /// The owner or an admin wants it asleep; the next request may wake it.
    SleepWanted,
    /// Another bot needs its slot, and it has been idle longest.
    SlotWanted,
    /// The owner or an admin wants it started afresh: the gateway if the container is up, else a container.
    /// Wipes the slate of earlier failures.
    RestartWanted,
    /// Somebody decided whether it may run. An owner cannot undo a suspension.
    Desired(Authority, Desired),
    /// The owner or an admin decided whether it sleeps when idle.
    Pinned(bool),
    /// Most or all of the month's limit is spent, or it is no more: the month is another one, or the limit.
    Spending(Option<Spending>),
    /// What the supervisor of this run says; `None` when it could not be asked.
    Reported(Run, Option<SupervisorReport>),
    /// What the supervisor of this run says to being put to sleep.
    SleepAnswered(Run, MaySleep),
    /// The container of this run could not be started.
    StartFailed(Run, String),
    /// The container of this run ended; the text is the runtime's reason.
    Exited(Run, String),
    /// The container of this run ended as it does when its supervisor is told to stop, by whomever: the platform moves
    /// containers to other machines.
    ShutDown(Run),
    /// The alarm rang: ask whether a deadline has passed.
    AlarmRang,
    /// Ask the supervisor now: cron looked in, or somebody has just ordered what shows in the answer. An alarm can
    /// be late or lost, so a deadline that has passed counts here as well.
    Poll,
    /// The object was loaded (first use, eviction, deploy) and looked whether a container runs.
    Loaded {
        /// Whether one does.
        container_runs: bool,
    },
}

/// What the Sandbox has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEffect {
    /// Start a container for this run. The only place a container is ever started from.
    Start(Run),
    /// Wait for this run's container to end and, until it is up, report what its supervisor says.
    Watch(Run),
    /// Send SIGTERM.
    Terminate,
    /// Kill the container.
    Kill,
    /// Ask this run's supervisor how it is, and report [`LifecycleEvent::Reported`].
    Ask(Run),
    /// Order from this run's supervisor the backup work that is due by what it just said.
    OrderBackupJobs(Run),
    /// Ask this run's supervisor whether anything runs that sleep would end, and have nothing new begin;
    /// report [`LifecycleEvent::SleepAnswered`].
    AskMaySleep(Run),
    /// Have this run's supervisor start its gateway again.
    RestartGateway(Run),
    /// Ring at this time; replaces an earlier alarm.
    SetAlarm(u64),
    /// No alarm is needed any more.
    ClearAlarm,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Lifecycle {
    /// A bot that has never run.
    pub fn new(now: u64) -> Self {
        Self {
            state: LifecycleState::Asleep,
            run: Run(0),
            since: now,
            ready_at: None,
            failures: 0,
            ignored: 0,
            desired: Desired::Available,
            pinned: false,
            has_background_work: false,
            outlived: Some(0),
            ended_at: 0,
            memory_ends: Vec::new(),
            incidents: Incidents::default(),
            spending: None,
            spent_deadline: None,
        }
    }

    /// Takes note of `event` at time `now`. `jitter` in 0..=1 spreads the pauses of many bots that failed
    /// together.
    pub fn on(
        &mut self,
        rules: &LifecycleRules,
        now: u64,
        jitter: f64,
        event: LifecycleEvent,
    ) -> Vec<LifecycleEffect> {
        self.incidents.close_lapsed(now);
        self.lift_spending(now);
        let before = self.lapse_alarm();
        let mut effects = self.effects(rules, now, jitter, event);
        if let Some(at) = self.lapse_alarm() {
            for effect in &mut effects {
                if *effect == LifecycleEffect::ClearAlarm {
                    *effect = LifecycleEffect::SetAlarm(at);
                }
            }
            // Nothing else may ring for it.
            if before != Some(at) && !effects.contains(&LifecycleEffect::SetAlarm(at)) {
                effects.push(LifecycleEffect::SetAlarm(at));
            }
        }
        effects
    }

    fn effects(
        &mut self,
        rules: &LifecycleRules,
        now: u64,
        jitter: f64,
        event: LifecycleEvent,
    ) -> Vec<LifecycleEffect> {
        match event {
            // An alarm can be late or lost; a request that is there now need not wait for it.
            LifecycleEvent::Wanted if self.is_overdue(now) => {
                let mut effects = self.alarm_rang(now, jitter);
                effects.extend(self.wanted(now));
                effects
            }
            LifecycleEvent::Wanted => self.wanted(now),
            LifecycleEvent::SleepWanted => self.sleep_wanted(now),
            LifecycleEvent::SlotWanted => self.slot_wanted(),
            LifecycleEvent::RestartWanted => self.restart_wanted(now),
            LifecycleEvent::Desired(by, desired) if self.stays_suspended(by, desired) => self.ignore(),
            LifecycleEvent::Desired(_, desired) => self.set_desired(now, desired),
            LifecycleEvent::Pinned(pinned) => {
                self.pinned = pinned;
                self.apply_pinned()
            }
            LifecycleEvent::Spending(spending) => self.set_spending(now, spending),
            LifecycleEvent::Reported(run, report) if run == self.run => self.reported(rules, now, report),
            LifecycleEvent::SleepAnswered(run, answer) if run == self.run => self.sleep_answered(now, answer),
            LifecycleEvent::StartFailed(run, reason) if run == self.run => {
                self.start_failed(now, jitter, reason)
            }
            LifecycleEvent::Exited(run, reason) if run == self.run => self.exited(now, jitter, reason),
            LifecycleEvent::ShutDown(run) if run == self.run => self.shut_down(now, jitter),
            LifecycleEvent::Reported(..)
            | LifecycleEvent::ShutDown(..)
            | LifecycleEvent::SleepAnswered(..)
            | LifecycleEvent::StartFailed(..)
            | LifecycleEvent::Exited(..) => self.ignore(),
            LifecycleEvent::AlarmRang | LifecycleEvent::Poll => self.alarm_rang(now, jitter),
            LifecycleEvent::Loaded { container_runs } => self.loaded(now, jitter, container_runs),
        }
    }

    /// Whether it is suspended and this decision is not the one that ends it. After a stop its owner could start it.
    fn stays_suspended(&self, by: Authority, desired: Desired) -> bool {
        self.desired == Desired::Suspended && (by == Authority::Owner || desired == Desired::Stopped)
    }

    /// Whether there may be a container: it costs money and takes a slot.
    pub fn is_awake(&self) -> bool {
        match self.state {
            LifecycleState::Starting { .. }
            | LifecycleState::Restoring { .. }
            | LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::Stopping { .. }
            | LifecycleState::CrashLooped { until: None, .. } => true,
            LifecycleState::Asleep
            | LifecycleState::BackingOff { .. }
            | LifecycleState::CrashLooped { until: Some(_), .. } => false,
        }
    }

    /// Whether being wanted now starts a container: it needs a free slot for that.
    pub fn would_start(&self, now: u64) -> bool {
        match self.state {
            LifecycleState::Asleep => true,
            LifecycleState::BackingOff { until, .. }
            | LifecycleState::CrashLooped {
                until: Some(until), ..
            } => until <= now,
            _ => false,
        }
    }

    /// When to ring only because of an incident that nobody may see the end of, a spent limit included. A bot that is awake, or comes back by
    /// itself, is looked at anyway.
    pub fn lapse_alarm(&self) -> Option<u64> {
        let returns =
            matches!(self.state, LifecycleState::BackingOff { .. }) && self.restarts_automatically();
        let ends = self.spending.map(|spending| spending.rings_at());
        let next = self.incidents.next_lapse().into_iter().chain(ends).min();
        next.filter(|_| !self.is_awake() && !returns)
    }

    /// Whether `run` is the current one.
    pub fn is_of(&self, run: Run) -> bool {
        self.run == run
    }

    /// Whether `run` is on its way up.
    pub fn is_starting(&self, run: Run) -> bool {
        self.run == run
            && matches!(
                self.state,
                LifecycleState::Starting { .. } | LifecycleState::Restoring { .. }
            )
    }
}
