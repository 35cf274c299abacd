//! Tables and properties of the state machine.

use super::*;
use proptest::prelude::*;

const R1: Run = Run(1);

fn life() -> Life {
    Life::new(0)
}

fn on(life: &mut Life, now: u64, event: Event) -> Vec<Effect> {
    life.on(now, 0.0, event)
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
    assert_eq!(on(&mut life, 60, Event::Ready(R1)), [Effect::ClearAlarm]);
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
        let effects = life.on(9, 0.0, Event::Loaded { container_runs });
        (life.state, effects)
    };
    assert_eq!(look(&life(), false), (State::Asleep, vec![]));
    assert_eq!(look(&life(), true), (State::Asleep, vec![Effect::Kill]));
    assert_eq!(look(&running, true), (State::Running, vec![Effect::Watch(R1)]));
    assert_eq!(look(&running, false), (State::Asleep, vec![Effect::ClearAlarm]));
    assert_eq!(look(&starting, true).1, [Effect::Watch(R1)]);
    assert!(matches!(look(&starting, false).0, State::BackingOff { .. }));
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

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let run = (0u64..6).prop_map(Run);
    let event = prop_oneof![
        4 => Just(Event::Wanted),
        1 => Just(Event::SleepWanted),
        2 => run.clone().prop_map(Event::Ready),
        1 => run.clone().prop_map(|run| Event::StartFailed(run, "x".into())),
        2 => run.prop_map(|run| Event::Exited(run, "x".into())),
        1 => Just(Event::AlarmRang),
        1 => any::<bool>().prop_map(|container_runs| Event::Loaded { container_runs }),
    ];
    (0u64..40_000, event)
}

proptest! {
    /// Whatever happens in whatever order: a second container is never started while one may be alive,
    /// runs only grow, no start comes before the back-off is over, and when nothing more happens but
    /// the alarm, the life comes to rest.
    #[test]
    fn no_order_of_events_breaks_it(events in prop::collection::vec(any_event(), 0..60), jitter in 0.0f64..=1.0) {
        let mut life = Life::new(0);
        let mut now = 0;
        let mut alive = false;
        let mut alarm = None;
        let mut step = |life: &mut Life, now: u64, event: Event| -> Result<Option<u64>, TestCaseError> {
            let before = life.clone();
            if event == Event::Exited(life.run, "x".into()) || event == (Event::Loaded { container_runs: false }) {
                alive = false;
            }
            for effect in life.on(now, jitter, event) {
                match effect {
                    Effect::Start(run) => {
                        prop_assert!(!alive, "two at once: {before:?}");
                        prop_assert_eq!(run, before.run.next());
                        if let State::BackingOff { until, .. } = before.state {
                            prop_assert!(until <= now);
                        }
                        alive = true;
                    }
                    Effect::Kill => alive = false,
                    Effect::SetAlarm(at) => alarm = Some(at),
                    Effect::ClearAlarm => alarm = None,
                    Effect::Watch(run) => prop_assert_eq!(run, life.run),
                    Effect::Terminate => {}
                }
            }
            prop_assert!(life.run >= before.run);
            Ok(alarm)
        };
        let mut due = None;
        for (pause, event) in events {
            now += pause;
            due = step(&mut life, now, event)?;
        }
        for _ in 0..4 {
            let Some(at) = due else { break };
            now = now.max(at);
            due = step(&mut life, now, Event::AlarmRang)?;
            if matches!(life.state, State::Asleep | State::Running | State::BackingOff { .. }) { break; }
        }
        let rests = matches!(life.state, State::Asleep | State::Running | State::BackingOff { .. });
        prop_assert!(rests, "never came to rest: {life:?}");
    }
}
