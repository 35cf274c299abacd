//! Tables and properties of the state machine.

use super::*;
use proptest::prelude::*;

const R1: Run = Run(1);

fn life() -> Life {
    Life::new(0)
}

const QUARTER: u64 = 900_000;
const RULES: Rules = Rules {
    sleep_after_ms: Some(QUARTER),
};

fn on(life: &mut Life, now: u64, event: Event) -> Vec<Effect> {
    life.on(&RULES, now, 0.0, event)
}

#[test]
fn a_first_request_starts_one_container_and_later_ones_wait_for_it() {
    let mut life = life();
    let effects = on(&mut life, 10, Event::Wanted);
    let deadline = 10 + START_DEADLINE_MS;
    assert_eq!(
        effects,
        [Effect::SetAlarm(deadline), Effect::Start(R1), Effect::Watch(R1)]
    );
    for now in 11..60 {
        assert_eq!(on(&mut life, now, Event::Wanted), []);
    }
    assert_eq!(on(&mut life, 60, Event::Ready(R1)), [Effect::AskActivity(R1)]);
    assert!(life.is_running());
    assert_eq!(on(&mut life, 61, Event::Wanted), []);
}

#[test]
fn a_container_that_dies_is_replaced_by_the_next_request() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, Event::Ready(R1));
    on(&mut life, 2, Event::Exited(R1, "killed".into()));
    assert_eq!(life.state, State::Asleep);
    assert!(on(&mut life, 3, Event::Wanted).contains(&Effect::Start(Run(2))));
}

#[test]
fn news_of_an_older_run_is_dropped() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, Event::Ready(R1));
    on(&mut life, 2, Event::Exited(R1, String::new()));
    on(&mut life, 3, Event::Wanted);
    let before = life.clone();
    for late in [
        Event::Ready(R1),
        Event::Exited(R1, "late".into()),
        Event::StartFailed(R1, "late".into()),
    ] {
        assert_eq!(on(&mut life, 4, late), []);
        assert_eq!(life, before);
    }
}

#[test]
fn a_start_that_fails_is_tried_again_later_and_later() {
    let mut life = life();
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        on(&mut life, now, Event::Wanted);
        let run = life.run;
        assert_eq!(
            on(&mut life, now, Event::StartFailed(run, "no capacity".into())),
            [Effect::ClearAlarm, Effect::Kill]
        );
        let State::BackingOff { until, ref reason } = life.state else {
            panic!("{life:?}")
        };
        assert_eq!(reason, "no capacity");
        pauses.push(until - now);
        assert_eq!(on(&mut life, until - 1, Event::Wanted), [], "not before its time");
        now = until;
    }
    assert_eq!(
        pauses,
        [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    );
    on(&mut life, now, Event::Wanted);
    let run = life.run;
    on(&mut life, now, Event::Ready(run));
    assert_eq!(life.failures, 0, "a start that worked wipes the slate");
}

#[test]
fn a_start_that_never_ends_is_given_up() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    assert_eq!(
        on(&mut life, 5, Event::AlarmRang),
        [Effect::SetAlarm(START_DEADLINE_MS)],
        "rang too early"
    );
    assert_eq!(
        on(&mut life, START_DEADLINE_MS, Event::AlarmRang),
        [Effect::ClearAlarm, Effect::Kill]
    );
    assert!(matches!(life.state, State::BackingOff { .. }));
}

#[test]
fn a_lost_alarm_is_made_up_for_by_the_next_request() {
    let mut starting = life();
    on(&mut starting, 0, Event::Wanted);
    assert_eq!(
        on(&mut starting, START_DEADLINE_MS, Event::Wanted),
        [Effect::ClearAlarm, Effect::Kill]
    );
    let mut stopping = life();
    on(&mut stopping, 0, Event::Wanted);
    on(&mut stopping, 1, Event::SleepWanted);
    let effects = on(&mut stopping, 1 + STOP_DEADLINE_MS, Event::Wanted);
    assert_eq!(effects.first(), Some(&Effect::Kill), "the old container first");
    assert!(effects.contains(&Effect::Start(Run(2))));
}

#[test]
fn going_to_sleep_and_being_wanted_meanwhile() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, Event::Ready(R1));
    assert_eq!(
        on(&mut life, 2, Event::SleepWanted),
        [Effect::SetAlarm(2 + STOP_DEADLINE_MS), Effect::Terminate]
    );
    assert_eq!(
        on(&mut life, 3, Event::Wanted),
        [],
        "the old container has to go first"
    );
    assert!(on(&mut life, 4, Event::Exited(R1, String::new())).contains(&Effect::Start(Run(2))));
}

#[test]
fn a_stop_that_never_ends_is_a_kill() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, Event::SleepWanted);
    assert_eq!(
        on(&mut life, 1 + STOP_DEADLINE_MS, Event::AlarmRang),
        [Effect::Kill]
    );
    assert_eq!(life.state, State::Asleep);
}

#[test]
fn after_an_eviction_the_life_goes_on() {
    let mut starting = life();
    on(&mut starting, 0, Event::Wanted);
    let mut running = starting.clone();
    on(&mut running, 1, Event::Ready(R1));

    let look = |life: &Life, container_runs| {
        let mut life = life.clone();
        let effects = life.on(&RULES, 9, 0.0, Event::Loaded { container_runs });
        (life.state, effects)
    };
    assert_eq!(look(&life(), false), (State::Asleep, vec![]));
    assert_eq!(look(&life(), true), (State::Asleep, vec![Effect::Kill]));
    assert_eq!(look(&running, true), (State::Running, vec![Effect::Watch(R1)]));
    assert_eq!(look(&running, false), (State::Asleep, vec![Effect::ClearAlarm]));
    assert_eq!(look(&starting, true).1, [Effect::Watch(R1)]);
    assert!(matches!(look(&starting, false).0, State::BackingOff { .. }));
}

fn running() -> Life {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, Event::Ready(R1));
    life
}

#[test]
fn an_idle_bot_is_put_to_sleep_and_a_busy_one_is_not() {
    let told = |idle| {
        let mut life = running();
        let effects = on(&mut life, 1_000_000, Event::Activity(R1, idle));
        (life.state, effects)
    };
    let (state, effects) = told(Some(QUARTER));
    assert!(matches!(state, State::Stopping { wanted: false, .. }));
    assert_eq!(
        effects,
        [Effect::SetAlarm(1_000_000 + STOP_DEADLINE_MS), Effect::Terminate]
    );
    // Asked again exactly when the quarter of an hour is over, but never in a hurry.
    for (idle, again) in [
        (Some(0), QUARTER),
        (Some(100_000), 800_000),
        (Some(QUARTER - 1), 60_000),
        (None, 60_000),
    ] {
        assert_eq!(
            told(idle),
            (State::Running, vec![Effect::SetAlarm(1_000_000 + again)]),
            "{idle:?}"
        );
    }
    let mut life = running();
    assert_eq!(on(&mut life, 5, Event::AlarmRang), [Effect::AskActivity(R1)]);
    assert_eq!(
        on(&mut life, 5, Event::Activity(Run(0), Some(QUARTER))),
        [],
        "another run's idleness"
    );
}

#[test]
fn a_pinned_bot_and_one_that_never_sleeps_stay_awake() {
    let mut pinned = running();
    assert_eq!(on(&mut pinned, 5, Event::Pinned(true)), [Effect::AskActivity(R1)]);
    on(&mut pinned, 6, Event::Activity(R1, Some(10 * QUARTER)));
    assert!(pinned.is_running());
    on(&mut pinned, 7, Event::Pinned(false));
    on(&mut pinned, 8, Event::Activity(R1, Some(10 * QUARTER)));
    assert!(!pinned.is_running());
    let mut never = running();
    let effects = never.on(
        &Rules { sleep_after_ms: None },
        5,
        0.0,
        Event::Activity(R1, Some(u64::MAX)),
    );
    assert_eq!(effects, [Effect::ClearAlarm]);
}

#[test]
fn a_bot_that_may_not_run_is_stopped_and_stays_so() {
    for desired in [Desired::Stopped, Desired::Suspended] {
        let mut life = running();
        assert!(on(&mut life, 2, Event::Desired(Authority::Admin, desired)).contains(&Effect::Terminate));
        assert_eq!(on(&mut life, 3, Event::Wanted), []);
        on(&mut life, 4, Event::Exited(R1, String::new()));
        assert_eq!(on(&mut life, 5, Event::Wanted), [], "{desired:?}");
        assert_eq!(life.state, State::Asleep);
        assert_eq!(
            on(&mut life, 6, Event::Desired(Authority::Admin, Desired::Available)),
            []
        );
        assert!(on(&mut life, 7, Event::Wanted).contains(&Effect::Start(Run(2))));
    }
    // Somebody who asked while it was stopping does not undo the stop.
    let mut life = running();
    on(&mut life, 2, Event::SleepWanted);
    on(&mut life, 3, Event::Wanted);
    on(&mut life, 4, Event::Desired(Authority::Admin, Desired::Stopped));
    assert_eq!(
        on(&mut life, 5, Event::Exited(R1, String::new())),
        [Effect::ClearAlarm]
    );
    // And a failed start is not tried again.
    let mut failed = Life::new(0);
    on(&mut failed, 0, Event::Wanted);
    on(&mut failed, 1, Event::StartFailed(R1, "x".into()));
    on(&mut failed, 2, Event::Desired(Authority::Admin, Desired::Stopped));
    assert_eq!((failed.state, failed.failures), (State::Asleep, 0));
}

#[test]
fn an_owner_cannot_undo_a_suspension() {
    let mut life = life();
    on(&mut life, 0, Event::Desired(Authority::Admin, Desired::Suspended));
    for desired in [Desired::Available, Desired::Stopped] {
        on(&mut life, 1, Event::Desired(Authority::Owner, desired));
        assert_eq!(life.desired, Desired::Suspended);
    }
    on(&mut life, 2, Event::Desired(Authority::Admin, Desired::Available));
    on(&mut life, 3, Event::Desired(Authority::Owner, Desired::Stopped));
    assert_eq!(life.desired, Desired::Stopped);
}

#[test]
fn a_record_of_an_older_version_is_read() {
    let old = r#"{"state":"running","run":3,"since":5,"failures":0}"#;
    let life: Life = serde_json::from_str(old).unwrap();
    assert_eq!(
        (life.desired, life.pinned, life.run),
        (Desired::Available, false, Run(3))
    );
}

#[test]
fn it_is_stored_as_it_is() {
    let mut life = life();
    for event in [Event::Wanted, Event::StartFailed(R1, "x".into())] {
        on(&mut life, 5, event);
        let text = serde_json::to_string(&life).unwrap();
        assert_eq!(serde_json::from_str::<Life>(&text).unwrap(), life);
    }
}

/// Stands for whatever run is the current one when the event comes.
const CURRENT: Run = Run(u64::MAX);

fn aimed(event: Event, current: Run) -> Event {
    match event {
        Event::Ready(CURRENT) => Event::Ready(current),
        Event::Activity(CURRENT, idle) => Event::Activity(current, idle),
        Event::StartFailed(CURRENT, reason) => Event::StartFailed(current, reason),
        Event::Exited(CURRENT, reason) => Event::Exited(current, reason),
        other => other,
    }
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let run = prop_oneof![4 => Just(CURRENT), 1 => (0u64..6).prop_map(Run)];
    let desired = prop_oneof![
        Just(Desired::Available),
        Just(Desired::Stopped),
        Just(Desired::Suspended)
    ];
    let event = prop_oneof![
        6 => Just(Event::Wanted),
        1 => Just(Event::SleepWanted),
        1 => desired.prop_map(|desired| Event::Desired(Authority::Admin, desired)),
        1 => any::<bool>().prop_map(Event::Pinned),
        2 => (run.clone(), prop::option::of(0..2 * QUARTER)).prop_map(|(run, idle)| Event::Activity(run, idle)),
        2 => run.clone().prop_map(Event::Ready),
        1 => run.clone().prop_map(|run| Event::StartFailed(run, "x".into())),
        2 => run.prop_map(|run| Event::Exited(run, "x".into())),
        1 => Just(Event::AlarmRang),
        1 => any::<bool>().prop_map(|container_runs| Event::Loaded { container_runs }),
    ];
    (0u64..40_000, event)
}

/// A Sandbox that carries effects out in a world of its own, and fails when one must not be.
struct World {
    life: Life,
    now: u64,
    alive: bool,
    alarm: Option<u64>,
    asked: bool,
}

impl World {
    fn step(&mut self, jitter: f64, event: Event) -> Result<(), TestCaseError> {
        let before = self.life.clone();
        if event == Event::Exited(before.run, "x".into())
            || event
                == (Event::Loaded {
                    container_runs: false,
                })
        {
            self.alive = false;
        }
        if event == Event::AlarmRang {
            self.alarm = None;
        }
        if matches!(event, Event::Activity(run, _) if run == before.run) {
            self.asked = false;
        }
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
                    if let State::BackingOff { until, .. } = before.state {
                        prop_assert!(until <= self.now, "faster than the back-off");
                    }
                    self.alive = true;
                }
                Effect::Kill => self.alive = false,
                Effect::SetAlarm(at) => self.alarm = Some(at),
                Effect::ClearAlarm => self.alarm = None,
                Effect::AskActivity(run) => {
                    prop_assert_eq!(run, self.life.run);
                    self.asked = true;
                }
                Effect::Watch(run) => prop_assert_eq!(run, self.life.run),
                Effect::Terminate => {}
            }
        }
        prop_assert!(self.life.run >= before.run);
        let resting = matches!(self.life.state, State::Asleep | State::BackingOff { .. });
        prop_assert!(
            resting || self.alarm.is_some() || self.asked,
            "nothing would lead out of {:?}",
            self.life
        );
        Ok(())
    }
}

proptest! {
    /// Whatever happens in whatever order: a second container is never started while one may be alive, none
    /// for a bot that must not run, none before the back-off is over; runs only grow; every state but the
    /// resting ones has something that leads out of it; and when nothing more happens, the bot goes to sleep.
    #[test]
    fn no_order_of_events_breaks_it(events in prop::collection::vec(any_event(), 0..60), jitter in 0.0f64..=1.0) {
        let mut world = World { life: Life::new(0), now: 0, alive: false, alarm: None, asked: false };
        for (pause, event) in events {
            world.now += pause;
            let event = aimed(event, world.life.run);
            world.step(jitter, event)?;
        }
        world.step(jitter, Event::Pinned(false))?;
        for _ in 0..8 {
            if world.asked {
                let run = world.life.run;
                world.step(jitter, Event::Activity(run, Some(QUARTER)))?;
            } else if let Some(at) = world.alarm {
                world.now = world.now.max(at);
                world.step(jitter, Event::AlarmRang)?;
            }
        }
        let rests = matches!(world.life.state, State::Asleep | State::BackingOff { .. });
        prop_assert!(rests, "never came to rest: {:?}", world.life);
    }
}
