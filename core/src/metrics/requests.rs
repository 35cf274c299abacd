//! Requests, counted in the memory of whoever answers them: by what they were for and how they were answered, and by the minute for
//! the alert about answers that fail.

use serde::Serialize;

use super::classes::{RequestClass, RequestOutcome};
use super::count::Count;
use super::table::REQUESTS;
use crate::alerts::rules::MINUTE_MS;

/// Minutes that are kept in memory while they cannot be written: what is older concerns no alert any more.
const MAX_MINUTES: usize = 15;

/// The answers of a class in a minute, for the alert about those that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MinuteCount {
    /// The minute, since 1970.
    pub minute: u64,
    /// Of which class.
    pub class: &'static str,
    /// How many were answered or failed. What was refused, or waits for a bot, says nothing about the platform.
    pub answers: u64,
    /// How many of them failed.
    pub failed: u64,
}

const CLASSES: usize = RequestClass::ALL.len();
const OUTCOMES: usize = RequestOutcome::ALL.len();

/// What was answered since it was last written down.
#[derive(Debug)]
pub struct RequestCounts {
    counts: [[u32; OUTCOMES]; CLASSES],
    /// By minute and class: answers, and how many of them failed.
    minutes: Vec<(u64, [(u32, u32); CLASSES])>,
}

impl Default for RequestCounts {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestCounts {
    /// Counts of no request yet.
    pub const fn new() -> Self {
        Self {
            counts: [[0; OUTCOMES]; CLASSES],
            minutes: Vec::new(),
        }
    }

    /// One more. On every request's way, so it does no more than add.
    pub fn count(&mut self, now: u64, class: RequestClass, outcome: RequestOutcome) {
        if let Some(count) = self
            .counts
            .get_mut(class as usize)
            .and_then(|of_class| of_class.get_mut(outcome as usize))
        {
            *count = count.saturating_add(1);
        }
        let failed = outcome == RequestOutcome::Failed;
        if !class.is_watched() || !(failed || outcome == RequestOutcome::Answered) {
            return;
        }
        let minute = now / MINUTE_MS;
        if self.minutes.last().is_none_or(|(last, _)| *last != minute) {
            if self.minutes.len() >= MAX_MINUTES {
                self.minutes.remove(0);
            }
            self.minutes.push((minute, [(0, 0); CLASSES]));
        }
        let of_class = self
            .minutes
            .last_mut()
            .and_then(|(_, counts)| counts.get_mut(class as usize));
        if let Some((answers, failures)) = of_class {
            *answers = answers.saturating_add(1);
            *failures = failures.saturating_add(u32::from(failed));
        }
    }

    /// Whether there is anything to write down.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().flatten().all(|count| *count == 0)
    }

    /// What is to be added to the series.
    pub fn counts(&self) -> Vec<Count> {
        let rows = RequestClass::ALL.into_iter().zip(&self.counts);
        rows.flat_map(|(class, counts)| {
            let each = RequestOutcome::ALL.into_iter().zip(counts);
            each.filter(|(_, count)| **count > 0)
                .map(move |(outcome, count)| {
                    REQUESTS.count(&[class.as_str(), outcome.as_str()], u64::from(*count))
                })
        })
        .collect()
    }

    /// What is to be added to the minutes.
    pub fn minutes(&self) -> Vec<MinuteCount> {
        let rows = self.minutes.iter().flat_map(|(minute, counts)| {
            let each = RequestClass::ALL.into_iter().zip(counts);
            each.map(move |(class, (answers, failed))| MinuteCount {
                minute: *minute,
                class: class.as_str(),
                answers: u64::from(*answers),
                failed: u64::from(*failed),
            })
        });
        rows.filter(|row| row.answers > 0).collect()
    }

    /// Takes back what could not be written, to be written with what has come since.
    pub fn put_back(&mut self, other: Self) {
        for (into, from) in self
            .counts
            .iter_mut()
            .flatten()
            .zip(other.counts.iter().flatten())
        {
            *into = into.saturating_add(*from);
        }
        let mut minutes = other.minutes;
        for (minute, counts) in std::mem::take(&mut self.minutes) {
            match minutes.last_mut().filter(|(last, _)| *last == minute) {
                Some((_, into)) => {
                    for (into, from) in into.iter_mut().zip(counts) {
                        into.0 = into.0.saturating_add(from.0);
                        into.1 = into.1.saturating_add(from.1);
                    }
                }
                None => minutes.push((minute, counts)),
            }
        }
        let too_many = minutes.len().saturating_sub(MAX_MINUTES);
        minutes.drain(..too_many);
        self.minutes = minutes;
    }
}
