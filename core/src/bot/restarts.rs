//! How often a bot was restarted in the last 24 hours, and why: each end of its gateway or of its container that was not
//! its sleep or its stop.
//!
//! Stored, because a run outlives the Sandbox's memory and its restarts outlive the run. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use super::history::HistoryKind;
use crate::wire::control::{EndReason, Status};
use crate::wire::run::Run;

/// Over how long they are counted.
pub const COUNTED_MS: u64 = 24 * 60 * 60 * 1_000;
/// How many are remembered: one in half an hour, all day long. Each is a write, so that a supervisor which makes them up
/// costs no more than these; one who has so many is not helped by the number of all.
pub const MAX_RESTARTS: usize = 48;
/// Endings of one status that are looked at: what a supervisor remembers.
const MAX_ENDINGS: usize = 10;

/// Why a bot was restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RestartReason {
    /// Its gateway ended by itself and well: so it asks to be started again.
    CleanExit,
    /// Somebody ordered it.
    RestartAsked,
    /// Its gateway ended by itself and not well.
    Crash,
    /// The kernel killed its gateway for want of memory.
    OutOfMemory,
    /// Its gateway's JavaScript heap was full.
    HeapExhausted,
    /// Somebody else held its gateway's port.
    PortTaken,
    /// Its gateway refused its config.
    ConfigRejected,
    /// Its gateway found its state in the hands of another process.
    StateLocked,
    /// No process could be made of its gateway.
    NotSpawned,
    /// Its gateway did not answer its probes.
    ProbeTimeout,
    /// Its gateway did not become ready in time.
    StartTimeout,
    /// Its container could not be started, or did not get ready.
    StartFailed,
    /// Its container ended by itself.
    ContainerDied,
    /// Its container was stopped well, and not by us: the platform moves containers.
    ContainerMoved,
    /// Its supervisor could not help it; it got another container.
    ContainerReplaced,
    /// A reason of a newer version.
    #[serde(other)]
    Unknown,
}

impl RestartReason {
    /// What the end of a gateway is; nothing for a stop.
    fn of_ending(reason: EndReason) -> Option<Self> {
        Some(match reason {
            EndReason::Stopped => return None,
            EndReason::CleanExit => Self::CleanExit,
            EndReason::RestartAsked => Self::RestartAsked,
            EndReason::Crash => Self::Crash,
            EndReason::OutOfMemory => Self::OutOfMemory,
            EndReason::HeapExhausted => Self::HeapExhausted,
            EndReason::PortTaken => Self::PortTaken,
            EndReason::ConfigRejected => Self::ConfigRejected,
            EndReason::StateLocked => Self::StateLocked,
            EndReason::NotSpawned => Self::NotSpawned,
            EndReason::ProbeTimeout => Self::ProbeTimeout,
            EndReason::StartTimeout => Self::StartTimeout,
            EndReason::Unknown => Self::Unknown,
        })
    }

    /// What an entry of the history is; nothing for those that end no container.
    pub fn of_history(kind: HistoryKind) -> Option<Self> {
        match kind {
            HistoryKind::StartFailed => Some(Self::StartFailed),
            HistoryKind::Died => Some(Self::ContainerDied),
            HistoryKind::ShutDown => Some(Self::ContainerMoved),
            HistoryKind::Replaced => Some(Self::ContainerReplaced),
            _ => None,
        }
    }
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// When it happened.
    pub at: u64,
    /// What made it start again.
    pub reason: RestartReason,
}

/// How many there were for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RestartCount {
    /// What made it start again.
    pub reason: RestartReason,
    /// How many in the last 24 hours; of all reasons at most 48 are counted.
    pub count: u32,
    /// When the last one was, in milliseconds since 1970.
    pub last_at: u64,
}

/// The restarts of a bot, and what of its current run is counted already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Restarts {
    list: Vec<Restart>,
    run: Run,
    /// The last ending of that run that was counted, by its supervisor's clock.
    counted_to: Option<u64>,
}

impl Restarts {
    /// Those of a list, as D1 has it.
    pub fn of(list: Vec<Restart>) -> Self {
        Self {
            list,
            ..Self::default()
        }
    }

    /// The remembered ones, oldest first.
    pub fn list(&self) -> &[Restart] {
        &self.list
    }

    /// Takes note of the ends of a gateway that the supervisor of `run` tells.
    pub fn observe(&mut self, now: u64, run: Run, status: &Status) {
        let told = status.endings.iter().rev().take(MAX_ENDINGS).rev();
        let counted_to = self.counted_to.filter(|_| self.run == run);
        let fresh: Vec<_> = told
            .filter(|ending| counted_to.is_none_or(|counted| ending.at_ms > counted))
            .collect();
        let Some(last) = fresh.iter().map(|ending| ending.at_ms).max() else {
            return;
        };
        (self.run, self.counted_to) = (run, Some(last));
        for ending in fresh {
            if let Some(reason) = RestartReason::of_ending(ending.reason) {
                let ago = status.uptime_ms.saturating_sub(ending.at_ms);
                self.push(now, now.saturating_sub(ago), reason);
            }
        }
    }

    /// One more, at `at`. Where so many are remembered that more would say nothing, it is not.
    pub fn push(&mut self, now: u64, at: u64, reason: RestartReason) {
        self.list.retain(|restart| counts(now, restart));
        let restart = Restart { at, reason };
        if self.list.len() < MAX_RESTARTS && counts(now, &restart) {
            self.list.push(restart);
        }
    }

    /// How many there were after `since`.
    pub fn after(&self, since: u64) -> u32 {
        let count = self.list.iter().filter(|restart| restart.at > since).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// By reason, the most frequent first.
    pub fn counts(&self, now: u64) -> Vec<RestartCount> {
        let mut all: Vec<RestartCount> = Vec::new();
        for restart in self.list.iter().filter(|restart| counts(now, restart)) {
            match all.iter_mut().find(|counted| counted.reason == restart.reason) {
                Some(counted) => {
                    counted.count = counted.count.saturating_add(1);
                    counted.last_at = counted.last_at.max(restart.at);
                }
                None => all.push(RestartCount {
                    reason: restart.reason,
                    count: 1,
                    last_at: restart.at,
                }),
            }
        }
        all.sort_by(|a, b| b.count.cmp(&a.count).then(a.reason.cmp(&b.reason)));
        all
    }
}

/// Whether it is of the last 24 hours. One that lies a little ahead was seen by a clock that was wrong, and counts as well.
fn counts(now: u64, restart: &Restart) -> bool {
    restart.at.abs_diff(now) < COUNTED_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::control::{Ending, ExitReason};
    use proptest::prelude::*;

    const NOW: u64 = 10 * COUNTED_MS;
    const R1: Run = Run(1);

    fn said(uptime_ms: u64, endings: &[(u64, EndReason)]) -> Status {
        let golden = include_str!("../../../tests/contract/status.json");
        let mut status: Status = serde_json::from_str(golden).unwrap();
        status.uptime_ms = uptime_ms;
        status.endings = endings
            .iter()
            .map(|(at_ms, reason)| Ending {
                at_ms: *at_ms,
                reason: *reason,
                exit: ExitReason::Code(1),
                message: None,
            })
            .collect();
        status
    }

    fn told(restarts: &Restarts) -> Vec<(u64, RestartReason)> {
        restarts
            .list()
            .iter()
            .map(|restart| (restart.at, restart.reason))
            .collect()
    }

    #[test]
    fn each_ending_is_counted_once_at_the_time_it_was() {
        use EndReason::{Crash, OutOfMemory, Stopped};
        let mut restarts = Restarts::default();
        restarts.observe(NOW, R1, &said(60_000, &[]));
        assert_eq!(restarts, Restarts::default());
        for _ in 0..2 {
            restarts.observe(NOW, R1, &said(60_000, &[(20_000, OutOfMemory)]));
        }
        let both = [(20_000, OutOfMemory), (70_000, Crash), (80_000, Stopped)];
        restarts.observe(NOW + 30_000, R1, &said(90_000, &both));
        restarts.observe(NOW + 31_000, R1, &said(91_000, &both));
        let first = (NOW - 40_000, RestartReason::OutOfMemory);
        let second = (NOW + 10_000, RestartReason::Crash);
        assert_eq!(told(&restarts), [first, second]);
        // The next run's supervisor counts from zero.
        restarts.observe(NOW + 60_000, Run(2), &said(9_000, &[(8_000, Crash)]));
        assert_eq!(
            told(&restarts),
            [first, second, (NOW + 59_000, RestartReason::Crash)]
        );
        assert_eq!(restarts.after(NOW), 2);
    }

    #[test]
    fn restarts_are_counted_by_reason_for_a_day() {
        let mut restarts = Restarts::default();
        for (hours, reason) in [
            (0, RestartReason::Crash),
            (5, RestartReason::ContainerDied),
            (9, RestartReason::Crash),
        ] {
            let at = NOW + hours * 60 * 60_000;
            restarts.push(at, at, reason);
        }
        let counted = |after: u64| -> Vec<_> {
            let counts = restarts.counts(NOW + after);
            counts.iter().map(|count| (count.reason, count.count)).collect()
        };
        assert_eq!(
            counted(9 * 60 * 60_000),
            [(RestartReason::Crash, 2), (RestartReason::ContainerDied, 1)]
        );
        assert_eq!(
            counted(COUNTED_MS),
            [(RestartReason::Crash, 1), (RestartReason::ContainerDied, 1)]
        );
        assert_eq!(counted(3 * COUNTED_MS), []);
    }

    #[test]
    fn only_what_ends_a_container_by_itself_is_a_restart() {
        let restarts: Vec<_> = HistoryKind::ALL
            .into_iter()
            .filter_map(RestartReason::of_history)
            .collect();
        assert_eq!(
            restarts,
            [
                RestartReason::ContainerDied,
                RestartReason::ContainerMoved,
                RestartReason::StartFailed,
                RestartReason::ContainerReplaced
            ]
        );
        for reason in EndReason::ALL {
            let restart = RestartReason::of_ending(reason);
            let name = restart.map(|restart| serde_json::to_value(restart).unwrap());
            let expected = (reason != EndReason::Stopped).then(|| reason.as_str().into());
            assert_eq!(name, expected, "one word for one thing");
        }
    }

    proptest! {
        /// Whatever a supervisor makes up, and however the clock jumps: never more than so many in a day, of which each was a
        /// change, and those of the last 24 hours are told.
        #[test]
        fn a_supervisor_that_makes_them_up_changes_little(
            told in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u64>(), 0..20), any::<u64>(), 0_u64..3), 1..60),
        ) {
            let (mut restarts, mut changes) = (Restarts::default(), 0);
            let mut now = NOW;
            for (uptime, endings, run, step) in told {
                now += step;
                let endings: Vec<_> = endings.into_iter().map(|at| (at, EndReason::Crash)).collect();
                let before = restarts.list().to_vec();
                restarts.observe(now, Run(run % 3), &said(uptime, &endings));
                changes += usize::from(before != restarts.list());
                prop_assert!(restarts.list().len() <= MAX_RESTARTS);
            }
            prop_assert!(changes <= MAX_RESTARTS);
            let counted: u32 = restarts.counts(now).iter().map(|count| count.count).sum();
            prop_assert_eq!(usize::try_from(counted).unwrap(), restarts.list().len());
        }
    }
}
