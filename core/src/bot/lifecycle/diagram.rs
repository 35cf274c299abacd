//! ARCHITECTURE.md's picture of this machine: every way from one state to another is in it, and no other.

use std::collections::BTreeSet;

use super::tests::{QUARTER, R1, RULES};
use super::*;

const NOW: u64 = 100 * STABLE_AFTER_MS;

/// A state's name in the picture.
fn name(state: &State) -> &'static str {
    match state {
        State::Asleep => "Asleep",
        State::Starting { .. } => "Starting",
        State::Restoring { .. } => "Restoring",
        State::Running => "Running",
        State::Unhealthy { .. } => "Unhealthy",
        State::Stopping { .. } => "Stopping",
        State::BackingOff { .. } => "BackingOff",
        State::CrashLooped { .. } => "CrashLooped",
    }
}

/// Each state, with its time over and not, and with everything that decides which way it is left.
fn lives() -> Vec<Life> {
    let reason = String::new;
    let mut states = vec![
        State::Asleep,
        State::Running,
        State::CrashLooped {
            until: None,
            reason: reason(),
        },
    ];
    for at in [NOW - 1, NOW + 1] {
        for flag in [false, true] {
            states.push(State::Starting {
                deadline: at,
                met: flag,
            });
            states.push(State::Stopping {
                deadline: at,
                wanted: flag,
            });
        }
        states.push(State::Restoring { deadline: at });
        states.push(State::Unhealthy { deadline: at });
        states.push(State::BackingOff {
            until: at,
            reason: reason(),
        });
        states.push(State::CrashLooped {
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
            lives.push(Life {
                state: state.clone(),
                run: R1,
                failures,
                pinned,
                ..Life::new(0)
            });
        }
    }
    lives
}

fn events() -> Vec<Event> {
    let gateways = [
        Gateway::Restoring,
        Gateway::Starting,
        Gateway::Answering,
        Gateway::Troubled,
        Gateway::GivenUp(String::new()),
    ];
    let mut events: Vec<_> = gateways
        .into_iter()
        .flat_map(|gateway| {
            [0, QUARTER].map(|idle_ms| {
                Some(Report {
                    gateway: gateway.clone(),
                    idle_ms,
                })
            })
        })
        .chain([None])
        .map(|report| Event::Said(R1, report))
        .collect();
    let answers = [MaySleep::Yes, MaySleep::Busy { again_ms: 0 }, MaySleep::Unknown];
    events.extend(answers.map(|answer| Event::SleepAnswered(R1, answer)));
    let desires = [Desired::Available, Desired::Stopped, Desired::Suspended];
    events.extend(desires.map(|desired| Event::Desired(Authority::Admin, desired)));
    events.extend([false, true].map(Event::Pinned));
    events.extend([false, true].map(|container_runs| Event::Loaded { container_runs }));
    events.extend([
        Event::Wanted,
        Event::SleepWanted,
        Event::RoomWanted,
        Event::RestartWanted,
        Event::AlarmRang,
    ]);
    events.push(Event::StartFailed(R1, String::new()));
    events.push(Event::Exited(R1, String::new()));
    events
}

#[test]
fn the_picture_shows_every_way_and_no_other() {
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
