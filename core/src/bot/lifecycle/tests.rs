//! Tables of the state machine.

mod desired;
mod failing;
mod restoring;
mod spent;

use super::*;
use crate::api::bot::BotState;
use crate::bot::incidents::IncidentKind;

pub(super) const R1: Run = Run(1);

/// What follows where the supervisor is asked how it is, and for the work that is due by its answer.
const ASKED: [LifecycleEffect; 2] = [LifecycleEffect::Ask(R1), LifecycleEffect::OrderBackupJobs(R1)];

fn life() -> Lifecycle {
    Lifecycle::new(0)
}

pub(super) const QUARTER: u64 = 900_000;
pub(super) const RULES: LifecycleRules = LifecycleRules {
    sleep_after_ms: Some(QUARTER),
};

fn on(life: &mut Lifecycle, now: u64, event: LifecycleEvent) -> Vec<LifecycleEffect> {
    life.on(&RULES, now, 0.0, event)
}

pub(super) fn report_event(run: Run, gateway: GatewayCondition, idle_ms: u64) -> LifecycleEvent {
    LifecycleEvent::Reported(
        run,
        Some(SupervisorReport {
            gateway,
            idle_ms,
            done: 0,
            outlived: Some(0),
            endings: Vec::new(),
        }),
    )
}

pub(super) fn ready(run: Run) -> LifecycleEvent {
    report_event(run, GatewayCondition::Answering, 0)
}

pub(super) fn idle(run: Run, idle_ms: u64) -> LifecycleEvent {
    report_event(run, GatewayCondition::Answering, idle_ms)
}

fn given_up(run: Run) -> LifecycleEvent {
    report_event(run, GatewayCondition::GivenUp("config-rejected: foo".into()), 0)
}

#[test]
fn a_poll_does_what_the_alarm_does_for_it_may_be_lost() {
    for before in diagram::lives() {
        let (mut rang, mut polled) = (before.clone(), before.clone());
        let effects = on(&mut polled, diagram::NOW, LifecycleEvent::Poll);
        assert_eq!(
            effects,
            on(&mut rang, diagram::NOW, LifecycleEvent::AlarmRang),
            "{before:?}"
        );
        assert_eq!(polled, rang, "{before:?}");
        let history = |event, after| history_events(&before, &event, after);
        let told = history(LifecycleEvent::Poll, &polled);
        assert_eq!(told, history(LifecycleEvent::AlarmRang, &rang), "{before:?}");
    }
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    on(&mut life, 1, ready(R1));
    assert_eq!(on(&mut life, 2, LifecycleEvent::Poll), ASKED);
}

#[test]
fn backup_jobs_are_ordered_by_alarm_and_poll_and_not_by_the_way() {
    for before in diagram::lives() {
        for event in diagram::events() {
            let effects = on(&mut before.clone(), diagram::NOW, event.clone());
            let orders = effects.contains(&LifecycleEffect::OrderBackupJobs(R1));
            let asks = effects.contains(&LifecycleEffect::Ask(R1));
            let may_order = matches!(event, LifecycleEvent::AlarmRang | LifecycleEvent::Poll);
            assert_eq!(orders, asks && may_order, "{event:?} {before:?}");
        }
    }
}

#[test]
fn the_first_request_starts_a_container_and_later_ones_wait() {
    let mut life = life();
    let effects = on(&mut life, 10, LifecycleEvent::Wanted);
    let deadline = 10 + START_DEADLINE_MS;
    assert_eq!(
        effects,
        [
            LifecycleEffect::SetAlarm(deadline),
            LifecycleEffect::Start(R1),
            LifecycleEffect::Watch(R1)
        ]
    );
    for now in 11..60 {
        assert_eq!(on(&mut life, now, LifecycleEvent::Wanted), []);
    }
    assert_eq!(
        on(&mut life, 60, ready(R1)),
        [LifecycleEffect::SetAlarm(60 + PROBE_AGAIN_MS)]
    );
    assert_eq!(life.state, LifecycleState::Running);
    assert_eq!(on(&mut life, 61, LifecycleEvent::Wanted), []);
}

/// What others ask of a life in each of its states: who needs a slot, whom news are for.
#[test]
fn every_state_answers_what_it_needs_and_whom_news_are_for() {
    let reason = String::new();
    let met = false;
    // Has a container; starts one when it is wanted at 99, and at 100; is on its way up.
    for (state, expected) in [
        (LifecycleState::Asleep, [false, true, true, false]),
        (
            LifecycleState::Starting { deadline: 100, met },
            [true, false, false, true],
        ),
        (
            LifecycleState::Restoring {
                deadline: 100,
                done: 0,
            },
            [true, false, false, true],
        ),
        (LifecycleState::Running, [true, false, false, false]),
        (
            LifecycleState::Unhealthy { deadline: 100 },
            [true, false, false, false],
        ),
        (
            LifecycleState::Stopping {
                deadline: 100,
                wanted: true,
            },
            [true, false, false, false],
        ),
        (
            LifecycleState::BackingOff {
                until: 100,
                reason: reason.clone(),
            },
            [false, false, true, false],
        ),
        (
            LifecycleState::CrashLooped {
                until: Some(100),
                reason: reason.clone(),
            },
            [false, false, true, false],
        ),
        (
            LifecycleState::CrashLooped { until: None, reason },
            [true, false, false, false],
        ),
    ] {
        let life = Lifecycle {
            state,
            run: R1,
            ..life()
        };
        let found = [
            life.is_awake(),
            life.would_start(99),
            life.would_start(100),
            life.is_starting(R1),
        ];
        assert_eq!(found, expected, "{life:?}");
        assert!(life.is_of(R1) && !life.is_of(Run(2)));
        assert!(!life.is_starting(Run(2)), "news of another run");
        let starts = life.clone().wanted(99).contains(&LifecycleEffect::Start(Run(2)));
        assert_eq!(starts, life.would_start(99), "as it does: {life:?}");
    }
}

#[test]
fn the_next_request_replaces_a_dead_container() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    on(&mut life, 1, ready(R1));
    on(&mut life, 2, LifecycleEvent::Exited(R1, "killed".into()));
    assert_eq!(life.state, LifecycleState::Asleep);
    assert!(on(&mut life, 3, LifecycleEvent::Wanted).contains(&LifecycleEffect::Start(Run(2))));
}

#[test]
fn events_of_an_older_run_are_dropped() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    on(&mut life, 1, ready(R1));
    on(&mut life, 2, LifecycleEvent::Exited(R1, String::new()));
    on(&mut life, 3, LifecycleEvent::Wanted);
    let starting = life.clone();
    on(&mut life, 3, ready(Run(2)));
    for mut life in [starting, life] {
        let before = life.clone();
        let late = [
            ready(R1),
            LifecycleEvent::SleepAnswered(R1, MaySleep::Yes),
            LifecycleEvent::Exited(R1, "late".into()),
            LifecycleEvent::StartFailed(R1, "late".into()),
            LifecycleEvent::Reported(R1, None),
        ];
        for (ignored, late) in (1..).zip(late) {
            assert_eq!(on(&mut life, 4, late), []);
            let expected = Lifecycle {
                ignored,
                ..before.clone()
            };
            assert_eq!(life, expected);
        }
    }
}

#[test]
fn a_stop_has_time_for_the_final_snapshot() {
    let rules = crate::bot::gateway::GatewayRules::default();
    let supervisor = rules.stop_grace
        + crate::bot::gateway::KILL_AGAIN
        + crate::bot::gateway::CLEAR_DEADLINE
        + rules.save_deadline;
    assert!(u128::from(STOP_DEADLINE_MS) > supervisor.as_millis());
}

#[test]
fn an_ignored_event_is_counted() {
    let mut life = running();
    for event in [
        ready(Run(0)),
        LifecycleEvent::StartFailed(R1, "late".into()),
        LifecycleEvent::Desired(Authority::Admin, Desired::Suspended),
        LifecycleEvent::Desired(Authority::Owner, Desired::Available),
        idle(R1, 0),
    ] {
        on(&mut life, 5, event);
    }
    assert_eq!(life.ignored, 4);
}

#[test]
fn the_alarm_of_a_sleeping_bot_closes_a_lack_of_slots() {
    let mut life = Lifecycle::new(0);
    life.incidents.observe(1_000, IncidentKind::NoCapacity, None);
    let lapse = life.lapse_alarm().unwrap();
    let early = on(&mut life, lapse - 1, LifecycleEvent::AlarmRang);
    assert_eq!(early, [LifecycleEffect::SetAlarm(lapse)]);
    assert!(life.incidents.is_open(IncidentKind::NoCapacity));
    assert_eq!(on(&mut life, lapse, LifecycleEvent::AlarmRang), []);
    assert!(!life.incidents.is_open(IncidentKind::NoCapacity));
    assert_eq!((life.state, life.run), (LifecycleState::Asleep, Run(0)));
}

#[test]
fn a_run_that_ends_keeps_the_alarm_of_an_open_lack_of_slots() {
    let mut life = running();
    life.incidents.observe(1_000, IncidentKind::NoCapacity, None);
    let lapse = life.incidents.next_lapse().unwrap();
    assert_eq!(life.lapse_alarm(), None, "awake, it is looked at anyway");
    on(&mut life, 2_000, LifecycleEvent::SleepWanted);
    let run = life.run;
    let ended = on(&mut life, 3_000, LifecycleEvent::Exited(run, "asked".into()));
    assert_eq!(ended, [LifecycleEffect::SetAlarm(lapse)]);
}

#[test]
fn a_start_without_an_end_times_out() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    assert_eq!(
        on(&mut life, 5, LifecycleEvent::AlarmRang),
        [LifecycleEffect::SetAlarm(START_DEADLINE_MS)],
        "rang too early"
    );
    assert_eq!(
        on(&mut life, START_DEADLINE_MS, LifecycleEvent::AlarmRang),
        [LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
    );
    assert!(matches!(life.state, LifecycleState::BackingOff { .. }));
}

#[test]
fn the_next_request_replaces_a_lost_alarm() {
    let mut starting = life();
    on(&mut starting, 0, LifecycleEvent::Wanted);
    assert_eq!(
        on(&mut starting, START_DEADLINE_MS, LifecycleEvent::Wanted),
        [LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
    );
    let mut stopping = life();
    on(&mut stopping, 0, LifecycleEvent::Wanted);
    on(&mut stopping, 1, LifecycleEvent::SleepWanted);
    let effects = on(&mut stopping, 1 + STOP_DEADLINE_MS, LifecycleEvent::Wanted);
    assert_eq!(
        effects.first(),
        Some(&LifecycleEffect::Kill),
        "the old container first"
    );
    assert!(effects.contains(&LifecycleEffect::Start(Run(2))));
}

#[test]
fn a_request_during_stop_starts_the_next_run_after_exit() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    on(&mut life, 1, ready(R1));
    assert_eq!(
        on(&mut life, 2, LifecycleEvent::SleepWanted),
        [
            LifecycleEffect::SetAlarm(2 + STOP_DEADLINE_MS),
            LifecycleEffect::Terminate
        ]
    );
    assert_eq!(
        on(&mut life, 3, LifecycleEvent::Wanted),
        [],
        "the old container has to go first"
    );
    assert!(
        on(&mut life, 4, LifecycleEvent::Exited(R1, String::new())).contains(&LifecycleEffect::Start(Run(2)))
    );
}

#[test]
fn a_stop_past_its_deadline_kills_the_container() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    on(&mut life, 1, LifecycleEvent::SleepWanted);
    assert_eq!(
        on(&mut life, 1 + STOP_DEADLINE_MS, LifecycleEvent::AlarmRang),
        [LifecycleEffect::Kill]
    );
    assert_eq!(life.state, LifecycleState::Asleep);
}

#[test]
fn the_lifecycle_continues_after_an_eviction() {
    let mut starting = life();
    on(&mut starting, 0, LifecycleEvent::Wanted);
    let mut running = starting.clone();
    on(&mut running, 1, ready(R1));

    let look = |life: &Lifecycle, container_runs| {
        let mut life = life.clone();
        let effects = life.on(&RULES, 9, 0.0, LifecycleEvent::Loaded { container_runs });
        (life.state, effects)
    };
    assert_eq!(look(&life(), false), (LifecycleState::Asleep, vec![]));
    assert_eq!(
        look(&life(), true),
        (LifecycleState::Asleep, vec![LifecycleEffect::Kill])
    );
    assert_eq!(
        look(&running, true),
        (LifecycleState::Running, vec![LifecycleEffect::Watch(R1)])
    );
    assert_eq!(
        look(&running, false),
        (LifecycleState::Asleep, vec![LifecycleEffect::ClearAlarm])
    );
    assert_eq!(look(&starting, true).1, [LifecycleEffect::Watch(R1)]);
    assert!(matches!(
        look(&starting, false).0,
        LifecycleState::BackingOff { .. }
    ));
}

fn running() -> Lifecycle {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    on(&mut life, 1, ready(R1));
    life
}

#[test]
fn a_stored_record_of_an_older_version_is_parsed() {
    let old = r#"{"state":"running","run":3,"since":5,"failures":0}"#;
    let life: Lifecycle = serde_json::from_str(old).unwrap();
    assert_eq!(
        (life.desired, life.pinned, life.run),
        (Desired::Available, false, Run(3))
    );
    assert!(life.incidents.is_empty());
}

#[test]
fn the_stored_form_round_trips() {
    let mut life = life();
    for event in [
        LifecycleEvent::Wanted,
        LifecycleEvent::StartFailed(R1, "x".into()),
    ] {
        on(&mut life, 5, event);
        life.incidents
            .observe(6, IncidentKind::NoCapacity, Some("none is idle"));
        let text = serde_json::to_string(&life).unwrap();
        assert_eq!(serde_json::from_str::<Lifecycle>(&text).unwrap(), life);
    }
}
