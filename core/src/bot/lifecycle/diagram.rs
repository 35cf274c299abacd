//! The diagram of this machine in docs/state-machines.md: every transition is in it, and no other.

use std::collections::BTreeSet;

use super::tests::{QUARTER, R1, RULES};
use super::*;
use crate::cost::limit::SpendLevel;
use crate::cost::money::Money;

pub(crate) const NOW: u64 = 100 * STABLE_AFTER_MS;

/// A state's name in the diagram.
fn name(state: &LifecycleState) -> &'static str {
    match state {
        LifecycleState::Asleep => "Asleep",
        LifecycleState::Starting { .. } => "Starting",
        LifecycleState::Restoring { .. } => "Restoring",
        LifecycleState::Running => "Running",
        LifecycleState::Unhealthy { .. } => "Unhealthy",
        LifecycleState::Stopping { .. } => "Stopping",
        LifecycleState::BackingOff { .. } => "BackingOff",
        LifecycleState::CrashLooped { .. } => "CrashLooped",
    }
}

/// Each state, with its time over and not, and with everything that decides which way it is left.
pub(crate) fn lives() -> Vec<Lifecycle> {
    let reason = String::new;
    let mut states = vec![
        LifecycleState::Asleep,
        LifecycleState::Running,
        LifecycleState::CrashLooped {
            until: None,
            reason: reason(),
        },
    ];
    for at in [NOW - 1, NOW + 1] {
        for flag in [false, true] {
            states.push(LifecycleState::Starting {
                deadline: at,
                met: flag,
            });
            states.push(LifecycleState::Stopping {
                deadline: at,
                wanted: flag,
            });
        }
        states.push(LifecycleState::Restoring {
            deadline: at,
            done: 0,
        });
        states.push(LifecycleState::Unhealthy { deadline: at });
        states.push(LifecycleState::BackingOff {
            until: at,
            reason: reason(),
        });
        states.push(LifecycleState::CrashLooped {
            until: Some(at),
            reason: reason(),
        });
    }
    let mut lives = Vec::new();
    for state in states {
        for (failures, pinned) in [
            (0, false),
            (1, false),
            (CRASH_LOOP_AFTER, false),
            (0, true),
            (SELF_STARTS, true),
        ] {
            lives.push(Lifecycle {
                state: state.clone(),
                run: R1,
                failures,
                pinned,
                ..Lifecycle::new(0)
            });
        }
        // Its limit is spent: since a moment, for long, and until a moment ago.
        for (until, deadline) in [(NOW + 1, NOW + 1), (NOW + 1, NOW - 1), (NOW - 1, NOW - 1)] {
            lives.push(Lifecycle {
                state: state.clone(),
                run: R1,
                spending: Some(spending(SpendLevel::Over, until)),
                spent_deadline: Some(deadline),
                ..Lifecycle::new(0)
            });
        }
    }
    lives
}

pub(super) fn spending(level: SpendLevel, until: u64) -> Spending {
    Spending {
        level,
        spent: Money::of_micro(9_000_000),
        limit: Money::of_micro(10_000_000),
        until,
        rings_after_ms: 0,
    }
}

pub(super) fn events() -> Vec<LifecycleEvent> {
    let gateways = [
        GatewayCondition::Restoring,
        GatewayCondition::Starting,
        GatewayCondition::Answering,
        GatewayCondition::Troubled,
        GatewayCondition::GivenUp(String::new()),
    ];
    let mut events: Vec<_> = gateways
        .into_iter()
        .flat_map(|gateway| {
            [0, QUARTER].map(|idle_ms| {
                Some(SupervisorReport {
                    gateway: gateway.clone(),
                    idle_ms,
                    done: 0,
                    outlived: Some(0),
                    endings: Vec::new(),
                })
            })
        })
        .chain([None])
        .map(|report| LifecycleEvent::Reported(R1, report))
        .collect();
    let answers = [MaySleep::Yes, MaySleep::Busy { again_ms: 0 }, MaySleep::Unknown];
    events.extend(answers.map(|answer| LifecycleEvent::SleepAnswered(R1, answer)));
    let desires = [Desired::Available, Desired::Stopped, Desired::Suspended];
    for by in [Authority::Owner, Authority::Admin] {
        events.extend(desires.map(|desired| LifecycleEvent::Desired(by, desired)));
    }
    events.extend([false, true].map(LifecycleEvent::Pinned));
    let levels = [SpendLevel::Near, SpendLevel::Over].map(|level| Some(spending(level, NOW + 1)));
    events.extend(levels.into_iter().chain([None]).map(LifecycleEvent::Spending));
    events.extend([false, true].map(|container_runs| LifecycleEvent::Loaded { container_runs }));
    events.extend([
        LifecycleEvent::Wanted,
        LifecycleEvent::SleepWanted,
        LifecycleEvent::SlotWanted,
        LifecycleEvent::RestartWanted,
        LifecycleEvent::AlarmRang,
        LifecycleEvent::Poll,
    ]);
    events.push(LifecycleEvent::StartFailed(R1, String::new()));
    events.push(LifecycleEvent::Exited(R1, String::new()));
    events.push(LifecycleEvent::ShutDown(R1));
    events
}

#[test]
fn the_diagram_shows_exactly_the_reachable_transitions() {
    let mut ways = BTreeSet::new();
    for before in lives() {
        for event in events() {
            let mut after = before.clone();
            after.on(&RULES, NOW, 0.0, event);
            let way = (name(&before.state).to_owned(), name(&after.state).to_owned());
            if way.0 != way.1 {
                ways.insert(way);
            }
        }
    }
    assert_eq!(crate::diagram::arrows(0), ways);
}
