//! Gateways that end for want of memory: one may be an accident, a second within a day is no bot that its owner can rely on.

use super::Lifecycle;
use crate::bot::incidents::IncidentKind;
use crate::wire::control::EndReason;

/// So many ends within [`WITHIN_MS`] are an incident.
const OFTEN: usize = 2;
/// A day.
const WITHIN_MS: u64 = 24 * 60 * 60_000;

impl Lifecycle {
    /// Takes note of what the supervisor of this run says about its gateways' ends, before they count as known.
    pub(super) fn count_memory_ends(&mut self, now: u64, endings: &[(u64, EndReason)]) {
        let fresh = endings.iter().filter(|(at, _)| *at > self.ended_at);
        let times = fresh.filter(|(_, reason)| reason.is_for_want_of_memory()).count();
        if times == 0 {
            return;
        }
        self.memory_ends
            .extend(std::iter::repeat_n(now, times.min(OFTEN)));
        self.memory_ends.retain(|at| now.saturating_sub(*at) < WITHIN_MS);
        let older = self.memory_ends.len().saturating_sub(OFTEN);
        self.memory_ends.drain(..older);
        if self.memory_ends.len() >= OFTEN {
            self.incidents.observe(now, IncidentKind::OutOfMemory, None);
        }
    }

    /// Somebody has done something about it, or accepts it: counted from here.
    pub(super) fn forget_memory_ends(&mut self, now: u64) {
        self.memory_ends.clear();
        self.incidents.close(now, IncidentKind::OutOfMemory);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{R1, RULES, ready};
    use super::super::{GatewayCondition, LifecycleEvent, SupervisorReport};
    use super::*;
    use crate::wire::run::Run;

    const HOUR: u64 = 60 * 60_000;

    fn reported(run: Run, ends: &[u64]) -> LifecycleEvent {
        let end = |at: &u64| (*at, EndReason::OutOfMemory);
        let report = SupervisorReport {
            gateway: GatewayCondition::Answering,
            idle_ms: 0,
            done: 0,
            outlived: Some(0),
            endings: ends.iter().map(end).collect(),
        };
        LifecycleEvent::Reported(run, Some(report))
    }

    fn running() -> Lifecycle {
        let mut life = Lifecycle::new(0);
        life.on(&RULES, 0, 0.0, LifecycleEvent::Wanted);
        life.on(&RULES, 1, 0.0, ready(R1));
        life
    }

    #[test]
    fn running_out_of_memory_twice_within_a_day_is_an_incident() {
        for (first, second, expected) in [
            (HOUR, 2 * HOUR, true),
            (HOUR, 24 * HOUR, true),
            (HOUR, 25 * HOUR, false),
        ] {
            let mut life = running();
            let is_open = |life: &Lifecycle| life.incidents.is_open(IncidentKind::OutOfMemory);
            life.on(&RULES, first, 0.0, reported(R1, &[7]));
            life.on(&RULES, first + 1, 0.0, reported(R1, &[7]));
            assert!(!is_open(&life), "once, however often that is said");
            life.on(&RULES, second, 0.0, reported(R1, &[7, 9]));
            assert_eq!(is_open(&life), expected, "{first} {second}");
        }
        let mut life = running();
        life.on(&RULES, 5, 0.0, reported(R1, &[7, 8, 9, 10]));
        assert!(
            life.incidents.is_open(IncidentKind::OutOfMemory),
            "several at once"
        );
        assert_eq!(life.memory_ends, [5, 5]);
    }

    #[test]
    fn ends_of_two_runs_are_counted_together() {
        let mut life = running();
        life.on(&RULES, 5, 0.0, reported(R1, &[90]));
        life.on(&RULES, 6, 0.0, LifecycleEvent::Exited(R1, String::new()));
        life.on(&RULES, HOUR, 0.0, LifecycleEvent::Wanted);
        let second = R1.next();
        life.on(&RULES, HOUR + 1, 0.0, reported(second, &[]));
        assert!(!life.incidents.is_open(IncidentKind::OutOfMemory));
        // Earlier in its container than the other was in its own.
        life.on(&RULES, HOUR + 2, 0.0, reported(second, &[30]));
        assert!(life.incidents.is_open(IncidentKind::OutOfMemory));
    }

    #[test]
    fn it_is_over_after_a_day_without_or_when_a_restart_is_ordered() {
        let mut life = running();
        life.on(&RULES, 5, 0.0, reported(R1, &[7, 9]));
        let mut rested = life.clone();
        life.on(&RULES, 6, 0.0, LifecycleEvent::RestartWanted);
        assert!(!life.incidents.is_open(IncidentKind::OutOfMemory));
        life.on(&RULES, 7, 0.0, reported(R1, &[7, 9, 11]));
        assert!(
            !life.incidents.is_open(IncidentKind::OutOfMemory),
            "that is the first"
        );
        rested.on(&RULES, 4 + WITHIN_MS, 0.0, reported(R1, &[7, 9]));
        assert!(rested.incidents.is_open(IncidentKind::OutOfMemory));
        rested.on(&RULES, 5 + WITHIN_MS, 0.0, reported(R1, &[7, 9]));
        assert!(!rested.incidents.is_open(IncidentKind::OutOfMemory));
    }
}
