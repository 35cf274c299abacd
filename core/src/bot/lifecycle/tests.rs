//! Tables of the state machine.

mod failing;

use super::*;
use crate::api::bot::BotState;

pub(super) const R1: Run = Run(1);

fn life() -> Life {
    Life::new(0)
}

pub(super) const QUARTER: u64 = 900_000;
pub(super) const RULES: Rules = Rules {
    sleep_after_ms: Some(QUARTER),
};

fn on(life: &mut Life, now: u64, event: Event) -> Vec<Effect> {
    life.on(&RULES, now, 0.0, event)
}

pub(super) fn said(run: Run, gateway: Gateway, idle_ms: u64) -> Event {
    Event::Said(run, Some(Report { gateway, idle_ms }))
}

pub(super) fn ready(run: Run) -> Event {
    said(run, Gateway::Answering, 0)
}

pub(super) fn idle(run: Run, idle_ms: u64) -> Event {
    said(run, Gateway::Answering, idle_ms)
}

fn given_up(run: Run) -> Event {
    said(run, Gateway::GivenUp("config-rejected: foo".into()), 0)
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
    assert_eq!(on(&mut life, 60, ready(R1)), [Effect::SetAlarm(60 + QUARTER)]);
    assert!(life.takes_requests());
    assert_eq!(on(&mut life, 61, Event::Wanted), []);
}

#[test]
fn a_container_that_dies_is_replaced_by_the_next_request() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, ready(R1));
    on(&mut life, 2, Event::Exited(R1, "killed".into()));
    assert_eq!(life.state, State::Asleep);
    assert!(on(&mut life, 3, Event::Wanted).contains(&Effect::Start(Run(2))));
}

#[test]
fn news_of_an_older_run_is_dropped() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    on(&mut life, 1, ready(R1));
    on(&mut life, 2, Event::Exited(R1, String::new()));
    on(&mut life, 3, Event::Wanted);
    let before = life.clone();
    let late = [
        ready(R1),
        Event::SleepAnswered(R1, MaySleep::Yes),
        Event::Exited(R1, "late".into()),
        Event::StartFailed(R1, "late".into()),
    ];
    for (count, late) in (1..).zip(late) {
        assert_eq!(on(&mut life, 4, late), []);
        let ignored = count;
        assert_eq!(
            life,
            Life {
                ignored,
                ..before.clone()
            }
        );
    }
}

#[test]
fn a_home_is_restored_before_the_start_is_timed() {
    let mut life = life();
    on(&mut life, 0, Event::Wanted);
    let restoring = said(R1, Gateway::Restoring, 0);
    assert_eq!(
        on(&mut life, 1_000, restoring.clone()),
        [Effect::SetAlarm(1_000 + ASK_UNHEALTHY_AGAIN_MS)]
    );
    assert_eq!(
        on(&mut life, START_DEADLINE_MS + 1, Event::AlarmRang),
        [Effect::Ask(R1)]
    );
    on(&mut life, START_DEADLINE_MS + 2, restoring);
    let deadline = 1_000 + RESTORE_DEADLINE_MS;
    assert_eq!(life.state, State::Restoring { deadline }, "the deadline stands");
    let late = START_DEADLINE_MS + 3;
    on(&mut life, late, said(R1, Gateway::Starting, 0));
    let deadline = late + START_DEADLINE_MS;
    assert_eq!(life.state, State::Starting { deadline, met: true });
    on(&mut life, late + 1, ready(R1));
    assert_eq!(life.state, State::Running);

    let mut stuck = Life::new(0);
    on(&mut stuck, 0, Event::Wanted);
    on(&mut stuck, 0, said(R1, Gateway::Restoring, 0));
    assert_eq!(
        on(&mut stuck, RESTORE_DEADLINE_MS, Event::AlarmRang),
        [Effect::ClearAlarm, Effect::Kill]
    );
}

#[test]
fn a_restore_that_was_ordered_while_it_ran_is_followed_to_its_end() {
    let mut life = running();
    let asked_again = |now: u64| vec![Effect::SetAlarm(now + ASK_UNHEALTHY_AGAIN_MS)];
    for (now, gateway, state) in [
        (1_000, Gateway::Troubled, BotState::Unhealthy),
        (2_000, Gateway::Restoring, BotState::Restoring),
        (3_000, Gateway::Restoring, BotState::Restoring),
        (4_000, Gateway::Starting, BotState::Starting),
        (5_000, Gateway::Starting, BotState::Starting),
    ] {
        assert_eq!(on(&mut life, now, said(R1, gateway, 0)), asked_again(now));
        assert_eq!(life.bot_state(), state);
        assert_eq!(on(&mut life, now + 1, Event::AlarmRang), [Effect::Ask(R1)]);
    }
    on(&mut life, 6_000, ready(R1));
    assert_eq!(life.state, State::Running);
}

#[test]
fn a_stop_has_time_for_the_last_snapshot() {
    let rules = crate::bot::gateway::Rules::default();
    let supervisor = rules.stop_grace + rules.save_deadline;
    assert!(u128::from(STOP_DEADLINE_MS) > supervisor.as_millis());
}

#[test]
fn what_means_nothing_is_counted() {
    let mut life = running();
    for event in [
        ready(Run(0)),
        Event::StartFailed(R1, "late".into()),
        Event::Desired(Authority::Admin, Desired::Suspended),
        Event::Desired(Authority::Owner, Desired::Available),
        idle(R1, 0),
    ] {
        on(&mut life, 5, event);
    }
    assert_eq!(life.ignored, 4);
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
    on(&mut life, 1, ready(R1));
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
    on(&mut running, 1, ready(R1));

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
    on(&mut life, 1, ready(R1));
    life
}

#[test]
fn an_idle_bot_is_asked_before_it_is_put_to_sleep() {
    let told = |event| {
        let mut life = running();
        let effects = on(&mut life, 1_000_000, event);
        (life.state, effects)
    };
    // Asked again exactly when the quarter of an hour is over, but never in a hurry.
    for (report, again) in [
        (idle(R1, 0), QUARTER),
        (idle(R1, 100_000), 800_000),
        (idle(R1, QUARTER - 1), 60_000),
        (Event::Said(R1, None), 60_000),
    ] {
        assert_eq!(
            told(report.clone()),
            (State::Running, vec![Effect::SetAlarm(1_000_000 + again)]),
            "{report:?}"
        );
    }
    assert_eq!(
        told(idle(R1, QUARTER)),
        (
            State::Running,
            vec![Effect::SetAlarm(1_060_000), Effect::AskMaySleep(R1)]
        )
    );
    for (answer, again) in [
        (MaySleep::Unknown, 60_000),
        (MaySleep::Busy { again_ms: 20_000 }, 20_000),
        (MaySleep::Busy { again_ms: 0 }, 10_000),
        (MaySleep::Busy { again_ms: u64::MAX }, 60_000),
    ] {
        assert_eq!(
            told(Event::SleepAnswered(R1, answer)),
            (State::Running, vec![Effect::SetAlarm(1_000_000 + again)]),
            "{answer:?}"
        );
    }
    let (state, effects) = told(Event::SleepAnswered(R1, MaySleep::Yes));
    assert!(matches!(state, State::Stopping { wanted: false, .. }));
    assert_eq!(
        effects,
        [Effect::SetAlarm(1_000_000 + STOP_DEADLINE_MS), Effect::Terminate]
    );
    let mut life = running();
    assert_eq!(on(&mut life, 5, Event::AlarmRang), [Effect::Ask(R1)]);
    assert_eq!(
        on(&mut life, 5, idle(Run(0), QUARTER)),
        [],
        "another run's idleness"
    );
}

#[test]
fn only_a_running_bot_makes_room() {
    assert_eq!(
        on(&mut running(), 5, Event::RoomWanted),
        [Effect::AskMaySleep(R1)]
    );
    let mut pinned = running();
    on(&mut pinned, 5, Event::Pinned(true));
    assert_eq!(on(&mut pinned, 6, Event::RoomWanted), []);
    assert_eq!(on(&mut life(), 6, Event::RoomWanted), []);
}

#[test]
fn a_pinned_bot_and_one_that_never_sleeps_stay_awake() {
    let mut pinned = running();
    assert_eq!(on(&mut pinned, 5, Event::Pinned(true)), [Effect::Ask(R1)]);
    assert_eq!(
        on(&mut pinned, 6, idle(R1, 10 * QUARTER)),
        [Effect::SetAlarm(6 + ASK_ACTIVITY_AGAIN_MS)]
    );
    on(&mut pinned, 7, Event::Pinned(false));
    assert!(on(&mut pinned, 8, idle(R1, 10 * QUARTER)).contains(&Effect::AskMaySleep(R1)));
    let mut never = running();
    let effects = never.on(&Rules { sleep_after_ms: None }, 5, 0.0, idle(R1, u64::MAX));
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
        assert_eq!(on(&mut life, 5, Event::RestartWanted), [], "{desired:?}");
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
