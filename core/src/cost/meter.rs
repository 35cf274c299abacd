//! Counts what one bot uses. Its Sandbox keeps it, in its own store, and writes the days of it into D1: as what each day has
//! had so far, so that one that is written twice is counted once.

use serde::{Deserialize, Serialize};

use super::calendar::{Day, Month, by_day};
use super::limit::LimitChoice;
use super::prices::{Instance, WRITTEN_MS};
use super::usage::Usage;
use crate::wire::run::Run;

/// The longest time that one look counts. An alarm rings each minute, and where none does cron looks after eleven: what is longer is
/// a clock that went wrong. So it costs nobody more than a quarter of an hour, and a run whose end nobody saw is not counted for as
/// long as nobody looked.
pub const MAX_STEP_MS: u64 = 15 * 60_000;
/// By how much a clock may go back before it counts as set: moved from one machine to the next it differs by less.
const JITTER_MS: u64 = 60_000;
/// For how long nobody may say how much of the processor was used before it is taken to have been all of it. A supervisor is asked each
/// minute; after an eviction what it said since the last write is asked for again, and its answer is of all that time.
const UNMEASURED_MS: u64 = 2 * WRITTEN_MS;
/// Days that are kept: those of the longest month, and some that D1 has not got yet.
const MAX_DAYS: usize = 40;
/// The alarm rings once a minute: what would be due before it rings again is due now.
const DUE_MS: u64 = WRITTEN_MS - 30_000;

/// What a bot used, by days, and the run it has now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// In their order.
    days: Vec<CountedDay>,
    open: Option<OpenRun>,
    /// When it was last written into D1, or should have been.
    written_at: u64,
    /// What an admin decided about this bot's limit.
    #[serde(default)]
    pub limit: LimitChoice,
}

/// One day of a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedDay {
    /// The day it is about.
    pub day: Day,
    /// What it used.
    pub usage: Usage,
    /// D1 may not know it.
    #[serde(default)]
    unwritten: bool,
}

/// A run that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct OpenRun {
    run: Run,
    /// Up to when it is counted.
    until: u64,
    /// Up to when its processor is.
    cpu_until: u64,
    /// What its supervisor said of that.
    cpu_said: u64,
}

/// What D1 has of a day that the Sandbox does not count itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RegistryDay {
    /// The day it is about.
    pub day: Day,
    /// Operations that write or list.
    pub class_a: u64,
    /// Operations that read.
    pub class_b: u64,
}

impl Meter {
    /// Takes note that at `now` this run has a container, or none has. To be told whenever that changes, and in between.
    pub fn see(&mut self, now: u64, running: Option<Run>) {
        if let Some(mut open) = self.open.take() {
            self.count(&mut open, now);
            let goes_on = running == Some(open.run);
            if !goes_on || now.saturating_sub(open.cpu_until) >= UNMEASURED_MS {
                for (day, ms) in by_day(open.cpu_until, step_end(open.cpu_until, now)) {
                    self.add(day, |usage| {
                        usage.unmeasured_ms = usage.unmeasured_ms.saturating_add(ms)
                    });
                }
                open.cpu_until = now.max(open.cpu_until);
            }
            if goes_on {
                self.open = Some(open);
                return;
            }
        }
        self.open = running.map(|run| OpenRun {
            run,
            until: now,
            cpu_until: now,
            cpu_said: 0,
        });
    }

    fn count(&mut self, open: &mut OpenRun, now: u64) {
        if now.saturating_add(JITTER_MS) < open.until {
            open.until = now;
            open.cpu_until = open.cpu_until.min(now);
            return;
        }
        for (day, ms) in by_day(open.until, step_end(open.until, now)) {
            self.add(day, |usage| {
                usage.running_ms = usage.running_ms.saturating_add(ms)
            });
        }
        open.until = open.until.max(now);
    }

    /// Takes note of how many milliseconds of a core this run has used, by what its supervisor says: a stranger's word, so no more
    /// than the instance can.
    pub fn measure(&mut self, now: u64, run: Run, said: u64, instance: Instance) {
        let Some(mut open) = self.open.filter(|open| open.run == run) else {
            return;
        };
        self.count(&mut open, now);
        let end = step_end(open.cpu_until, now);
        let elapsed = end.saturating_sub(open.cpu_until);
        let used = said
            .saturating_sub(open.cpu_said)
            .min(instance.most_cpu_ms(elapsed));
        for (day, ms) in by_day(open.cpu_until, end) {
            let part = u128::from(used) * u128::from(ms) / u128::from(elapsed.max(1));
            let part = u64::try_from(part).unwrap_or(used);
            self.add(day, |usage| usage.cpu_ms = usage.cpu_ms.saturating_add(part));
        }
        open.cpu_until = open.cpu_until.max(now);
        open.cpu_said = said;
        self.open = Some(open);
    }

    /// Counts requests.
    pub fn add_requests(&mut self, now: u64, count: u64) {
        if count > 0 {
            self.add(Day::of(now), |usage| {
                usage.requests = usage.requests.saturating_add(count)
            });
        }
    }

    fn add(&mut self, day: Day, change: impl FnOnce(&mut Usage)) {
        let place = match self.days.binary_search_by_key(&day, |counted| counted.day) {
            Ok(place) => place,
            Err(place) => {
                let counted = CountedDay {
                    day,
                    usage: Usage::default(),
                    unwritten: true,
                };
                self.days.insert(place, counted);
                place
            }
        };
        if let Some(counted) = self.days.get_mut(place) {
            change(&mut counted.usage);
            counted.unwritten = true;
        }
        if self.days.len() > MAX_DAYS {
            self.days.remove(0);
        }
    }

    /// The run that is counted now.
    pub fn running(&self) -> Option<Run> {
        self.open.map(|open| open.run)
    }

    /// Whether it is time to write it down: a few times an hour while it runs, and once it has ended.
    pub fn is_due(&self, now: u64) -> bool {
        let is_time = self.open.is_none() || now.abs_diff(self.written_at) >= DUE_MS;
        is_time && self.days.iter().any(|counted| counted.unwritten)
    }

    /// The days that D1 may not know. From here on it is not due before the next time.
    pub fn begin_writing(&mut self, now: u64) -> Vec<CountedDay> {
        self.written_at = now;
        let unwritten = self.days.iter().filter(|counted| counted.unwritten);
        unwritten.copied().collect()
    }

    /// D1 has these days as they were, and says what else it has of them.
    pub fn end_writing(&mut self, written: &[CountedDay], told: &[RegistryDay]) {
        for counted in &mut self.days {
            // What was counted meanwhile is not written.
            if written.contains(counted) {
                counted.unwritten = false;
            }
            if let Some(told) = told.iter().find(|told| told.day == counted.day) {
                counted.usage.class_a = told.class_a;
                counted.usage.class_b = told.class_b;
            }
        }
    }

    /// D1 did not take it: it is due at the next look.
    pub fn fail_writing(&mut self) {
        self.written_at = 0;
    }

    /// What was used in the month of `now`.
    pub fn month(&self, now: u64) -> Usage {
        let month = Month::of(now);
        let of_month = self.days.iter().filter(|counted| counted.day.month() == month);
        of_month.map(|counted| counted.usage).sum()
    }
}

fn step_end(from: u64, now: u64) -> u64 {
    now.min(from.saturating_add(MAX_STEP_MS))
}

#[cfg(test)]
mod tests;
