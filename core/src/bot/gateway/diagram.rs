//! ARCHITECTURE.md's picture of this machine: every way from one state to another is in it, and no other.

use std::collections::BTreeSet;

use super::*;

/// A state's name in the picture.
fn name(state: &State) -> &'static str {
    match state {
        State::Restoring { .. } | State::RestorePause { .. } => "Restoring",
        State::Saving { .. } => "Saving",
        State::Starting { .. } => "Starting",
        State::Up { failed: 0, .. } => "Ready",
        State::Up { .. } => "Suspect",
        State::Ending {
            then: Then::Leave, ..
        } => "Draining",
        State::Ending { .. } => "Ending",
        State::Restarting { .. } => "Restarting",
        State::CrashLooped { .. } => "CrashLooped",
        State::Over => "[*]",
    }
}

fn events(launch: Launch) -> Vec<Event> {
    let ended = |reason| Event::Ended(launch, ExitReason::Code(1), reason, None);
    vec![
        Event::Spawned(launch, 7),
        Event::NotSpawned(launch, EndReason::NotSpawned, String::new()),
        Event::Listening(launch),
        Event::Started(launch),
        Event::Probed(launch, true),
        Event::Probed(launch, false),
        ended(EndReason::Crash),
        ended(EndReason::CleanExit),
        ended(EndReason::ConfigRejected),
        Event::Stop(None),
        Event::Restart,
        Event::Restored,
        Event::NotRestored { intact: false },
        Event::NotRestored { intact: true },
        Event::Saved(false),
        Event::Saved(true),
        Event::RestoreTo(RestorePoint::Latest),
        Event::ConfigChanged,
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
fn the_picture_shows_every_way_and_no_other() {
    const WALKS: usize = 4_000;
    const STEPS: usize = 60;
    let (mut ways, mut numbers) = (BTreeSet::new(), Numbers(1));
    for walk in 0..WALKS {
        let point = (walk % 2 == 0).then_some(RestorePoint::Latest);
        let mut now = Duration::ZERO;
        // Given up soon, so that this is met from everywhere.
        let rules = Rules {
            failures: 2,
            ..Rules::default()
        };
        let (mut life, _) = Life::begin(now, rules, point);
        for _ in 0..STEPS {
            let mut events = events(life.view().launch);
            let event = match numbers.below(3) {
                0 => Event::Deadline,
                _ => events.swap_remove(numbers.below(events.len())),
            };
            // Mostly in time, and when the clock rings it is time.
            now += Duration::from_millis(numbers.below(2_000) as u64);
            if event == Event::Deadline {
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
