//! Time series: how a bot, and the fleet, was over time. A point for each step of five minutes is kept for 48 hours, one for each
//! hour for 90 days; of bots only while they are awake. Pure; times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use super::bot_state::BotState;
use super::lifecycle::PROBE_AGAIN_MS;

/// One step. Steps begin at whole multiples of it, on everybody's clock: what is written twice in one is one point.
pub const STEP_MS: u64 = 5 * 60_000;
/// How long the points of steps are kept: yesterday and today, to compare.
pub const KEPT_MS: u64 = 48 * HOUR_MS;
/// An hour, and the step of what is kept for longer.
pub const HOUR_MS: u64 = 60 * 60_000;
/// How long the points of hours are kept: as long as the history.
pub const HOURS_KEPT_MS: u64 = super::history::KEPT_MS;
/// How long after its end an hour is summed up: a row may take D1 30 seconds.
pub const SETTLED_MS: u64 = 2 * 60_000;
/// How late an alarm may ring. It rings once a minute: within so much of a step's end it is the last one in it.
const LATE_MS: u64 = 10_000;

/// When the step began that this time lies in.
pub fn step_of(at: u64, step: u64) -> u64 {
    at.saturating_sub(at % step.max(1))
}

/// Whether the point of this step is to be written. `last` is the step whose point was written last, where that is known, and
/// `is_written` whether the bot's row is written now anyway: the point goes with it. Where it is not, the last alarm in a
/// step writes both, so that no step is left out.
pub fn is_due(last: Option<u64>, is_written: bool, now: u64) -> bool {
    let step = step_of(now, STEP_MS);
    let ends = step.saturating_add(STEP_MS);
    let is_last_look = ends.saturating_sub(now) <= PROBE_AGAIN_MS + LATE_MS;
    last != Some(step) && (is_written || is_last_look)
}

/// The hour that is to be summed up next, if one is over: those before `next` are. After a long absence of cron the hours whose
/// points are gone are left out, and a clock that was ahead does not leave the series without any.
pub fn hour_due(next: u64, now: u64) -> Option<u64> {
    let current = step_of(now, HOUR_MS);
    let oldest = current.saturating_sub(KEPT_MS);
    let hour = if next > current.saturating_add(HOUR_MS) {
        current.saturating_sub(HOUR_MS)
    } else {
        next.max(oldest)
    };
    (hour.saturating_add(HOUR_MS + SETTLED_MS) <= now).then_some(hour)
}

/// Something that is told for each step, and for longer ones as what its steps were together.
pub trait Point: Copy {
    /// When its step began.
    fn at(&self) -> u64;
    /// The same, of a step that began at this time.
    #[must_use]
    fn beginning(self, at: u64) -> Self;
    /// Both as one; `later` is the later one.
    #[must_use]
    fn with(self, later: Self) -> Self;
}

/// The points of longer steps, in the order of those they are made from.
pub fn downsample<P: Point>(points: &[P], step: u64) -> Vec<P> {
    let mut longer: Vec<P> = Vec::new();
    for point in points {
        let at = step_of(point.at(), step);
        match longer.last_mut().filter(|last| last.at() == at) {
            Some(last) => *last = last.with(*point),
            None => longer.push(point.beginning(at)),
        }
    }
    longer
}

/// The average of two averages, each of so many looks.
fn average(one: Option<u64>, looks: u32, other: Option<u64>, other_looks: u32) -> Option<u64> {
    let (Some(mine), Some(theirs)) = (one, other) else {
        return one.or(other);
    };
    let (looks, other_looks) = (u128::from(looks.max(1)), u128::from(other_looks.max(1)));
    let sum = u128::from(mine) * looks + u128::from(theirs) * other_looks;
    u64::try_from(sum / (looks + other_looks)).ok()
}

/// How a bot was over a step. What nobody knew is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotPoint {
    /// When the step began, in milliseconds since 1970.
    pub at: u64,
    /// Looks that this is made of: one in five minutes while the bot is awake.
    pub looks: u32,
    /// Of these, how many found its gateway healthy.
    pub healthy: u32,
    /// Where it was in its life at the last look; null where that is not kept, which is after 48 hours.
    pub state: Option<BotState>,
    /// Bytes of memory in use, on average.
    pub memory: Option<u64>,
    /// The most there were.
    pub memory_max: Option<u64>,
    /// Bytes of the disk in use: the most there were.
    pub disk: Option<u64>,
    /// Thousandths of a core in use, on average.
    pub cpu: Option<u64>,
    /// The most there were between two looks.
    pub cpu_max: Option<u64>,
    /// Milliseconds its gateway took to answer its supervisor's probe, on average.
    pub latency: Option<u64>,
    /// The most it took.
    pub latency_max: Option<u64>,
    /// How often it was restarted.
    pub restarts: u32,
}

impl Point for BotPoint {
    fn at(&self) -> u64 {
        self.at
    }

    fn beginning(self, at: u64) -> Self {
        Self { at, ..self }
    }

    fn with(self, later: Self) -> Self {
        let mean = |one, other| average(one, self.looks, other, later.looks);
        Self {
            at: self.at,
            looks: self.looks.saturating_add(later.looks),
            healthy: self.healthy.saturating_add(later.healthy),
            state: later.state,
            memory: mean(self.memory, later.memory),
            memory_max: self.memory_max.max(later.memory_max),
            disk: self.disk.max(later.disk),
            cpu: mean(self.cpu, later.cpu),
            cpu_max: self.cpu_max.max(later.cpu_max),
            latency: mean(self.latency, later.latency),
            latency_max: self.latency_max.max(later.latency_max),
            restarts: self.restarts.saturating_add(later.restarts),
        }
    }
}

/// How many bots of the fleet were where: of a step the number at its begin, of longer ones the most there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FleetPoint {
    /// When the step began, in milliseconds since 1970.
    pub at: u64,
    /// Looks that this is made of: one in five minutes while cron comes.
    pub looks: u32,
    /// Bots that were ever wanted.
    pub registered: u64,
    /// Those that may have a container, on average.
    pub awake: u64,
    /// The most there were.
    pub awake_max: u64,
    /// Those that could not wake because all slots were taken.
    pub waiting: u64,
    /// Open incidents.
    pub incidents: u64,
    /// Bots that are asleep; the next request starts one.
    pub asleep: u64,
    /// On their way up.
    pub starting: u64,
    /// On their way up, their homes being brought back.
    pub restoring: u64,
    /// Up and answering.
    pub running: u64,
    /// Up and not answering.
    pub unhealthy: u64,
    /// On their way down.
    pub stopping: u64,
    /// A run failed; the next one waits.
    pub backing_off: u64,
    /// Left alone for a while because they failed too often.
    pub crash_looped: u64,
    /// Stopped by their owners or by an admin.
    pub stopped: u64,
    /// Suspended by an admin.
    pub suspended: u64,
}

impl Point for FleetPoint {
    fn at(&self) -> u64 {
        self.at
    }

    fn beginning(self, at: u64) -> Self {
        Self { at, ..self }
    }

    fn with(self, later: Self) -> Self {
        let awake = average(Some(self.awake), self.looks, Some(later.awake), later.looks);
        Self {
            at: self.at,
            looks: self.looks.saturating_add(later.looks),
            registered: self.registered.max(later.registered),
            awake: awake.unwrap_or_default(),
            awake_max: self.awake_max.max(later.awake_max),
            waiting: self.waiting.max(later.waiting),
            incidents: self.incidents.max(later.incidents),
            asleep: self.asleep.max(later.asleep),
            starting: self.starting.max(later.starting),
            restoring: self.restoring.max(later.restoring),
            running: self.running.max(later.running),
            unhealthy: self.unhealthy.max(later.unhealthy),
            stopping: self.stopping.max(later.stopping),
            backing_off: self.backing_off.max(later.backing_off),
            crash_looped: self.crash_looped.max(later.crash_looped),
            stopped: self.stopped.max(later.stopped),
            suspended: self.suspended.max(later.suspended),
        }
    }
}

#[cfg(test)]
mod tests;
