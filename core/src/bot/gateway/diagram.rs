//! The diagram of this machine in docs/state-machines.md: every transition is in it, and no other.

use std::collections::BTreeSet;

use super::*;

/// A state's name in the diagram.
fn name(state: &GatewayState) -> &'static str {
    match state {
        GatewayState::Restoring { .. } | GatewayState::RestorePause { .. } => "Restoring",
        GatewayState::Saving { .. } => "Saving",
        GatewayState::Starting { .. } => "Starting",
        GatewayState::Up { failed: 0, .. } => "Ready",
        GatewayState::Up { .. } => "Suspect",
        GatewayState::Ending {
            then: Then::Leave, ..
        } => "Draining",
        GatewayState::Ending { .. } => "Ending",
        GatewayState::Clearing { .. } => "Clearing",
        GatewayState::Restarting { .. } => "Restarting",
        GatewayState::CrashLooped { .. } => "CrashLooped",
        GatewayState::Over => "[*]",
    }
}

fn events(launch: Launch) -> Vec<GatewayEvent> {
    let ended = |reason| GatewayEvent::Ended(launch, ExitReason::Code(1), reason, None);
    vec![
        GatewayEvent::Spawned(launch, 7),
        GatewayEvent::NotSpawned(launch, EndReason::NotSpawned, String::new()),
        GatewayEvent::Listening(launch),
        GatewayEvent::Started(launch),
        GatewayEvent::Probed(launch, true),
        GatewayEvent::Probed(launch, false),
        ended(EndReason::Crash),
        ended(EndReason::CleanExit),
        ended(EndReason::ConfigRejected),
        GatewayEvent::Cleared(launch, 0),
        GatewayEvent::Stop(None),
        GatewayEvent::Restart,
        GatewayEvent::Restored,
        GatewayEvent::NotRestored { intact: false },
        GatewayEvent::NotRestored { intact: true },
        GatewayEvent::Saved(false),
        GatewayEvent::Saved(true),
        GatewayEvent::RestoreTo(RestorePoint::Latest),
        GatewayEvent::ConfigChanged,
    ]
}

/// Numbers that look like chance and are the same every time (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn the_diagram_shows_exactly_the_reachable_transitions() {
    const WALKS: usize = 4_000;
    const STEPS: usize = 60;
    let (mut ways, mut numbers) = (BTreeSet::new(), Numbers(1));
    for walk in 0..WALKS {
        let point = (walk % 2 == 0).then_some(RestorePoint::Latest);
        let mut now = Duration::ZERO;
        // Given up soon, so that this is met from everywhere.
        let rules = GatewayRules {
            failures: 2,
            ..GatewayRules::default()
        };
        let (mut life, _) = GatewayLifecycle::begin(now, rules, point);
        for _ in 0..STEPS {
            let mut events = events(life.view().launch);
            let event = match numbers.below(3) {
                0 => GatewayEvent::Deadline,
                _ => events.swap_remove(numbers.below(events.len())),
            };
            // Mostly in time, and when the alarm rings it is time.
            now += Duration::from_millis(numbers.below(2_000) as u64);
            if event == GatewayEvent::Deadline {
                now = life.deadline().map_or(now, |due| due.max(now));
            }
            let from = name(&life.state);
            life.on(now, 0.5, event);
            let to = name(&life.state);
            if from != to {
                ways.insert((from.to_owned(), to.to_owned()));
            }
        }
    }
    assert_eq!(crate::diagram::arrows(1), ways);
}
