//! What holds in whatever order things happen.

use proptest::prelude::*;

use super::tests::{QUARTER, RULES, idle, said};
use super::*;

/// Stands for whatever run is the current one when the event comes.
const CURRENT: Run = Run(u64::MAX);

fn aimed(event: Event, current: Run) -> Event {
    match event {
        Event::Said(CURRENT, report) => Event::Said(current, report),
        Event::SleepAnswered(CURRENT, answer) => Event::SleepAnswered(current, answer),
        Event::StartFailed(CURRENT, reason) => Event::StartFailed(current, reason),
        Event::Exited(CURRENT, reason) => Event::Exited(current, reason),
        other => other,
    }
}

fn any_report() -> impl Strategy<Value = Option<Report>> {
    let gateway = prop_oneof![
        1 => Just(Gateway::Restoring),
        1 => Just(Gateway::Starting),
        3 => Just(Gateway::Answering),
        1 => Just(Gateway::Troubled),
        1 => Just(Gateway::GivenUp("x".into())),
    ];
    prop::option::weighted(
        0.8,
        (gateway, 0..2 * QUARTER).prop_map(|(gateway, idle_ms)| Report { gateway, idle_ms }),
    )
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let run = prop_oneof![4 => Just(CURRENT), 1 => (0u64..6).prop_map(Run)];
    let desired = prop_oneof![
        Just(Desired::Available),
        Just(Desired::Stopped),
        Just(Desired::Suspended)
    ];
    let answer = prop_oneof![
        Just(MaySleep::Yes),
        (0u64..100_000).prop_map(|again_ms| MaySleep::Busy { again_ms }),
        Just(MaySleep::Unknown),
    ];
    let event = prop_oneof![
        6 => Just(Event::Wanted),
        1 => Just(Event::SleepWanted),
        1 => Just(Event::RoomWanted),
        1 => Just(Event::RestartWanted),
        1 => desired.prop_map(|desired| Event::Desired(Authority::Admin, desired)),
        1 => any::<bool>().prop_map(Event::Pinned),
        4 => (run.clone(), any_report()).prop_map(|(run, report)| Event::Said(run, report)),
        2 => (run.clone(), answer).prop_map(|(run, answer)| Event::SleepAnswered(run, answer)),
        1 => run.clone().prop_map(|run| Event::StartFailed(run, "x".into())),
        2 => run.prop_map(|run| Event::Exited(run, "x".into())),
        1 => Just(Event::AlarmRang),
        1 => any::<bool>().prop_map(|container_runs| Event::Loaded { container_runs }),
    ];
    (0u64..400_000, event)
}

/// A Sandbox that carries effects out in a world of its own, and fails when one must not be.
struct World {
    life: Life,
    now: u64,
    alive: bool,
    alarm: Option<u64>,
    /// Questions whose answers are still to come: how it is, and whether it may sleep.
    asked: bool,
    asked_to_sleep: bool,
}

impl World {
    fn step(&mut self, jitter: f64, event: Event) -> Result<(), TestCaseError> {
        let before = self.life.clone();
        let gone = Event::Loaded {
            container_runs: false,
        };
        if event == Event::Exited(before.run, "x".into()) || event == gone {
            self.alive = false;
        }
        if event == Event::AlarmRang {
            self.alarm = None;
        }
        match event {
            Event::Said(run, _) if run == before.run => self.asked = false,
            Event::SleepAnswered(run, _) if run == before.run => self.asked_to_sleep = false,
            _ => {}
        }
        let ordered = event == Event::RestartWanted;
        for effect in self.life.on(&RULES, self.now, jitter, event) {
            match effect {
                Effect::Start(run) => {
                    prop_assert!(!self.alive, "two at once: {before:?}");
                    prop_assert_eq!(run, before.run.next());
                    prop_assert_eq!(
                        self.life.desired,
                        Desired::Available,
                        "started although it must not run"
                    );
                    let rests_until = match before.state {
                        State::BackingOff { until, .. }
                        | State::CrashLooped {
                            until: Some(until), ..
                        } => until,
                        _ => 0,
                    };
                    prop_assert!(ordered || rests_until <= self.now, "faster than the back-off");
                    self.alive = true;
                }
                Effect::Kill => self.alive = false,
                Effect::SetAlarm(at) => self.alarm = Some(at),
                Effect::ClearAlarm => self.alarm = None,
                Effect::Ask(run) => {
                    prop_assert_eq!(run, self.life.run);
                    self.asked = true;
                }
                Effect::AskMaySleep(run) => {
                    prop_assert_eq!(run, self.life.run);
                    self.asked_to_sleep = true;
                }
                Effect::Watch(run) | Effect::RestartGateway(run) => prop_assert_eq!(run, self.life.run),
                Effect::Terminate => {}
            }
        }
        prop_assert!(self.life.run >= before.run);
        prop_assert!(
            self.alive <= self.life.is_awake(),
            "a container nobody accounts for: {:?}",
            self.life
        );
        prop_assert!(
            !self.life.is_awake() || self.alarm.is_some() || self.asked,
            "nothing would lead out of {:?}",
            self.life
        );
        let nobody_asks = self.life.desired == Desired::Available
            && (self.life.pinned || self.life.works_alone)
            && self.life.failures < SELF_STARTS;
        prop_assert!(
            !nobody_asks || !matches!(self.life.state, State::BackingOff { .. }) || self.alarm.is_some(),
            "it would not come back: {:?}",
            self.life
        );
        Ok(())
    }
}

proptest! {
    /// Whatever happens in whatever order: a second container is never started while one may be alive, none
    /// for a bot that must not run, none before the back-off is over; runs only grow; every state with a
    /// container has something that leads out of it; and when nothing more happens, the bot goes to sleep.
    #[test]
    fn no_order_of_events_breaks_it(events in prop::collection::vec(any_event(), 0..60), jitter in 0.0f64..=1.0) {
        let mut world = World { life: Life::new(0), now: 0, alive: false, alarm: None, asked: false, asked_to_sleep: false };
        for (pause, event) in events {
            world.now += pause;
            let event = aimed(event, world.life.run);
            world.step(jitter, event)?;
        }
        world.step(jitter, Event::Pinned(false))?;
        // Two steps for every start it may still make by itself, and those of going to sleep.
        for _ in 0..2 * SELF_STARTS + 12 {
            let run = world.life.run;
            if world.asked {
                world.step(jitter, idle(run, QUARTER))?;
            } else if world.asked_to_sleep {
                world.step(jitter, Event::SleepAnswered(run, MaySleep::Yes))?;
            } else if let Some(at) = world.alarm {
                world.now = world.now.max(at);
                world.step(jitter, Event::AlarmRang)?;
            }
        }
        prop_assert!(!world.life.is_awake(), "never came to rest: {:?}", world.life);
    }

    /// However the containers end and however hard the requests press: starts become as rare as the rest
    /// after a crash loop demands.
    #[test]
    fn a_storm_of_requests_never_becomes_a_storm_of_starts(
        ends in prop::collection::vec((0u64..STABLE_AFTER_MS, any::<bool>()), 1..60),
        jitter in 0.0f64..=1.0,
    ) {
        let mut life = Life::new(0);
        let (mut now, mut starts) = (0, Vec::new());
        for (lasting, answers) in ends {
            // Asked every second until it starts.
            while !life.is_awake() {
                if life.on(&RULES, now, jitter, Event::Wanted).contains(&Effect::Start(life.run)) {
                    starts.push(now);
                }
                now += 1_000;
            }
            let run = life.run;
            let gateway = if answers { Gateway::Answering } else { Gateway::Starting };
            life.on(&RULES, now, jitter, said(run, gateway, 0));
            now += lasting.min(if answers { lasting } else { START_DEADLINE_MS - 1 });
            life.on(&RULES, now, jitter, Event::Exited(run, "x".into()));
        }
        let most = usize::try_from(CRASH_LOOP_AFTER).unwrap();
        for window in starts.windows(most + 1) {
            prop_assert!(window[most] - window[0] >= CRASH_LOOP_REST_MS, "{starts:?}");
        }
    }
}
