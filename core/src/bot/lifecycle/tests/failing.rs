//! What becomes of a bot that fails.

use super::*;

#[test]
fn a_failed_start_is_retried_with_growing_backoff() {
    let mut life = life();
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        on(&mut life, now, LifecycleEvent::Wanted);
        let run = life.run;
        assert_eq!(
            on(
                &mut life,
                now,
                LifecycleEvent::StartFailed(run, "no capacity".into())
            ),
            [LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
        );
        let LifecycleState::BackingOff { until, ref reason } = life.state else {
            panic!("{life:?}")
        };
        assert_eq!(reason, "no capacity");
        pauses.push(until - now);
        assert_eq!(
            on(&mut life, until - 1, LifecycleEvent::Wanted),
            [],
            "not before its time"
        );
        now = until;
    }
    assert_eq!(
        pauses,
        [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
    );
}

#[test]
fn jitter_takes_up_to_a_quarter_off_a_pause() {
    for (jitter, pauses) in [
        (0.0, [2_000, 4_000, 60_000]),
        (0.5, [1_750, 3_500, 52_500]),
        (1.0, [1_500, 3_000, 45_000]),
        // No more than that, whatever somebody takes for chance.
        (7.0, [1_500, 3_000, 45_000]),
    ] {
        let failures = [0, 1, u32::MAX];
        assert_eq!(
            failures.map(|failures| deadlines::backoff_ms(failures, jitter)),
            pauses,
            "{jitter}"
        );
    }
}

#[test]
fn a_container_that_others_stop_well_is_no_failure() {
    let mut life = life();
    for now in 0..20 {
        on(&mut life, now, LifecycleEvent::Wanted);
        let run = life.run;
        on(&mut life, now, ready(run));
        let effects = on(&mut life, now, LifecycleEvent::ShutDown(run));
        assert_eq!(effects, [LifecycleEffect::ClearAlarm]);
        assert_eq!((&life.state, life.failures), (&LifecycleState::Asleep, 0));
    }
    // A pinned one comes back by itself, at once.
    on(&mut life, 30, LifecycleEvent::Wanted);
    let run = life.run;
    on(&mut life, 30, LifecycleEvent::Pinned(true));
    on(&mut life, 30, ready(run));
    let effects = on(&mut life, 31, LifecycleEvent::ShutDown(run));
    assert_eq!(effects, [LifecycleEffect::SetAlarm(31), LifecycleEffect::Kill]);
    on(&mut life, 31, LifecycleEvent::AlarmRang);
    assert_eq!((life.run, life.failures), (run.next(), 0));
    // Before it answered it may be the image that ends at once.
    on(&mut life, 32, LifecycleEvent::ShutDown(run.next()));
    assert!(matches!(life.state, LifecycleState::BackingOff { until, .. } if until > 32));
    assert_eq!(life.failures, 1);
}

/// One life of a container that is wanted at `now`, answers at once, and ends after `lasting` ms.
fn short_life(life: &mut Lifecycle, now: u64, lasting: u64) -> Vec<LifecycleEffect> {
    let started = on(life, now, LifecycleEvent::Wanted);
    let run = life.run;
    assert!(started.contains(&LifecycleEffect::Start(run)), "{life:?}");
    on(life, now, ready(run));
    on(life, now + lasting, LifecycleEvent::Exited(run, "killed".into()))
}

#[test]
fn a_repeatedly_dying_container_is_crash_looped() {
    let mut life = life();
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 1..CRASH_LOOP_AFTER {
        short_life(&mut life, now, 1_000);
        now += 1_000;
        if let LifecycleState::BackingOff { until, .. } = life.state {
            pauses.push(until - now);
            now = until;
        }
    }
    assert_eq!(
        pauses,
        [2_000, 4_000, 8_000],
        "the first death is made up for at once"
    );
    assert_eq!(
        short_life(&mut life, now, 1_000),
        [LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
    );
    let rested = now + 1_000 + CRASH_LOOP_REST_MS;
    assert_eq!(
        life.state,
        LifecycleState::CrashLooped {
            until: Some(rested),
            reason: "killed".into()
        }
    );
    assert_eq!(on(&mut life, rested - 1, LifecycleEvent::Wanted), []);
    // One try, and another rest.
    short_life(&mut life, rested, 1_000);
    assert!(matches!(life.state, LifecycleState::CrashLooped { until: Some(until), .. } if until > rested));
    // An order does not wait.
    let run = life.run.next();
    assert!(
        on(&mut life, rested + 2_000, LifecycleEvent::RestartWanted).contains(&LifecycleEffect::Start(run))
    );
    assert_eq!(life.failures, 0);
}

#[test]
fn a_stable_run_resets_the_failure_count() {
    let mut life = life();
    for _ in 0..2 * CRASH_LOOP_AFTER {
        let now = life.since + 1;
        short_life(&mut life, now, STABLE_AFTER_MS);
        assert_eq!((&life.state, life.failures), (&LifecycleState::Asleep, 1));
    }
}

#[test]
fn a_start_without_capacity_never_counts_as_a_crash_loop() {
    for met in [false, true] {
        let mut life = life();
        for _ in 0..CRASH_LOOP_AFTER {
            let now = life.since + MAX_BACKOFF_MS;
            on(&mut life, now, LifecycleEvent::Wanted);
            let run = life.run;
            if met {
                on(&mut life, now, report_event(run, GatewayCondition::Starting, 0));
            }
            on(&mut life, now, LifecycleEvent::Exited(run, "no instance".into()));
        }
        assert_eq!(
            matches!(life.state, LifecycleState::CrashLooped { .. }),
            met,
            "{life:?}"
        );
    }
}

#[test]
fn an_unhealthy_bot_is_replaced_after_its_deadline() {
    let troubled = || report_event(R1, GatewayCondition::Troubled, 0);
    let mut life = running();
    assert_eq!(
        on(&mut life, 10, troubled()),
        [LifecycleEffect::SetAlarm(10 + ASK_UNHEALTHY_AGAIN_MS)]
    );
    assert!(matches!(life.state, LifecycleState::Unhealthy { .. }));
    assert_eq!(on(&mut life, 20, LifecycleEvent::AlarmRang), ASKED);
    assert_eq!(
        on(&mut life, 20, LifecycleEvent::Reported(R1, None)),
        [LifecycleEffect::SetAlarm(20 + ASK_ACTIVITY_AGAIN_MS)]
    );
    let mut healed = life.clone();
    on(&mut healed, 30, ready(R1));
    assert_eq!(healed.state, LifecycleState::Running);

    let over = 10 + UNHEALTHY_DEADLINE_MS;
    assert_eq!(
        on(&mut life, over - 1, troubled()),
        [LifecycleEffect::SetAlarm(over)]
    );
    let by_alarm = on(&mut life.clone(), over, LifecycleEvent::AlarmRang);
    assert_eq!(on(&mut life, over, troubled()), by_alarm);
    assert_eq!(
        by_alarm,
        [
            LifecycleEffect::SetAlarm(over + STOP_DEADLINE_MS),
            LifecycleEffect::Terminate
        ]
    );
    assert_eq!(life.failures, 1);
}

#[test]
fn a_failed_gateway_keeps_its_container_for_repair() {
    let mut life = running();
    on(&mut life, 10, given_up(R1));
    let reason = "config-rejected: foo".to_owned();
    assert_eq!(life.state, LifecycleState::CrashLooped { until: None, reason });
    assert!(life.is_awake());
    assert_eq!(
        on(&mut life, 11, LifecycleEvent::Wanted),
        [LifecycleEffect::Ask(R1)],
        "it may have been cured"
    );
    assert_eq!(
        on(&mut life, 12, LifecycleEvent::RestartWanted),
        [LifecycleEffect::RestartGateway(R1), LifecycleEffect::Ask(R1)]
    );
    on(&mut life, 13, report_event(R1, GatewayCondition::Troubled, 0));
    assert!(matches!(life.state, LifecycleState::Unhealthy { .. }));
    on(&mut life, 14, ready(R1));
    assert_eq!(life.state, LifecycleState::Running);
    // Nobody cures it: it does not stay awake for that.
    on(&mut life, 15, given_up(R1));
    on(
        &mut life,
        16,
        report_event(R1, GatewayCondition::GivenUp("x".into()), QUARTER),
    );
    on(&mut life, 17, LifecycleEvent::SleepAnswered(R1, MaySleep::Yes));
    assert!(matches!(life.state, LifecycleState::Stopping { .. }));
}

/// A bot that was up and whose container then ended.
fn container_lost(before: impl FnOnce(&mut Lifecycle)) -> (Lifecycle, Vec<LifecycleEffect>) {
    let mut life = running();
    before(&mut life);
    let effects = on(&mut life, 50, LifecycleEvent::Exited(R1, "killed".into()));
    (life, effects)
}

#[test]
fn a_pinned_or_busy_bot_restarts_without_a_request() {
    let pin = |life: &mut Lifecycle| {
        on(life, 5, LifecycleEvent::Pinned(true));
    };
    let listens = |life: &mut Lifecycle| {
        on(life, 5, idle(R1, QUARTER));
        on(
            life,
            6,
            LifecycleEvent::SleepAnswered(R1, MaySleep::Busy { again_ms: 0 }),
        );
    };
    for before in [&pin as &dyn Fn(&mut Lifecycle), &listens] {
        let (mut life, effects) = container_lost(before);
        assert_eq!(effects, [LifecycleEffect::SetAlarm(50), LifecycleEffect::Kill]);
        assert!(on(&mut life, 50, LifecycleEvent::AlarmRang).contains(&LifecycleEffect::Start(Run(2))));
        // Again, and each time later.
        on(
            &mut life,
            51,
            LifecycleEvent::StartFailed(Run(2), "no machine".into()),
        );
        let LifecycleState::BackingOff { until, .. } = life.state else {
            panic!("{life:?}")
        };
        assert_eq!(
            on(&mut life, until - 1, LifecycleEvent::AlarmRang),
            [LifecycleEffect::SetAlarm(until)]
        );
        assert!(on(&mut life, until, LifecycleEvent::AlarmRang).contains(&LifecycleEffect::Start(Run(3))));
        // A request that comes first starts it, and the alarm finds it started.
        let (mut life, _) = container_lost(before);
        assert!(on(&mut life, 50, LifecycleEvent::Wanted).contains(&LifecycleEffect::Start(Run(2))));
        assert_eq!(
            on(&mut life, 50, LifecycleEvent::AlarmRang),
            [LifecycleEffect::SetAlarm(50 + START_DEADLINE_MS)]
        );
        // One that is stopped meanwhile stays so.
        for desired in [Desired::Stopped, Desired::Suspended] {
            let (mut life, _) = container_lost(before);
            on(&mut life, 50, LifecycleEvent::Desired(Authority::Admin, desired));
            assert_eq!(on(&mut life, 50, LifecycleEvent::AlarmRang), []);
        }
        // And one whose supervisor could not help it gets another container.
        let mut life = running();
        before(&mut life);
        on(&mut life, 10, report_event(R1, GatewayCondition::Troubled, 0));
        on(&mut life, 10 + UNHEALTHY_DEADLINE_MS, LifecycleEvent::AlarmRang);
        let gone = on(
            &mut life,
            20 + UNHEALTHY_DEADLINE_MS,
            LifecycleEvent::Exited(R1, String::new()),
        );
        assert!(gone.contains(&LifecycleEffect::Start(Run(2))), "{gone:?}");
    }
    let (life, effects) = container_lost(|_| ());
    assert_eq!(
        (life.state, effects),
        (LifecycleState::Asleep, vec![LifecycleEffect::ClearAlarm]),
        "its owner asks"
    );
    let (life, _) = container_lost(|life| {
        listens(life);
        on(life, 7, LifecycleEvent::SleepAnswered(R1, MaySleep::Yes));
    });
    assert_eq!(
        (life.state, life.has_background_work),
        (LifecycleState::Asleep, false),
        "it went to sleep"
    );
}

/// A running bot with so many failures whose supervisor cannot bring its gateway back in time.
fn replaced(failures: u32, before: impl Fn(&mut Lifecycle)) -> Lifecycle {
    let mut life = running();
    before(&mut life);
    life.failures = failures;
    on(&mut life, 10, report_event(R1, GatewayCondition::Troubled, 0));
    on(&mut life, 10 + UNHEALTHY_DEADLINE_MS, LifecycleEvent::AlarmRang);
    life
}

#[test]
fn a_bot_that_is_replaced_still_has_its_background_work() {
    let life = replaced(0, |life| {
        on(life, 5, idle(R1, QUARTER));
        let busy = MaySleep::Busy { again_ms: 0 };
        on(life, 6, LifecycleEvent::SleepAnswered(R1, busy));
    });
    assert!(life.has_background_work, "nobody said that it is done");
    assert!(!replaced(0, |_| ()).has_background_work);
}

#[test]
fn a_bot_that_was_replaced_too_often_waits_for_a_request() {
    for (failures, wanted) in [
        (0, true),
        (CRASH_LOOP_AFTER - 2, true),
        (CRASH_LOOP_AFTER - 1, false),
    ] {
        let life = replaced(failures, |life| {
            on(life, 5, LifecycleEvent::Pinned(true));
        });
        let deadline = 10 + UNHEALTHY_DEADLINE_MS + STOP_DEADLINE_MS;
        assert_eq!(
            life.state,
            LifecycleState::Stopping { deadline, wanted },
            "{failures}"
        );
    }
}

#[test]
fn the_alarm_that_restarts_a_bot_is_not_put_off_by_an_incident() {
    for (pinned, lapses) in [(true, false), (false, true)] {
        let mut life = life();
        on(&mut life, 0, LifecycleEvent::Pinned(pinned));
        on(&mut life, 1, LifecycleEvent::Wanted);
        on(&mut life, 2, LifecycleEvent::StartFailed(R1, "no machine".into()));
        assert!(matches!(life.state, LifecycleState::BackingOff { .. }));
        life.incidents.observe(3, IncidentKind::NoCapacity, None);
        assert_eq!(life.lapse_alarm().is_some(), lapses, "pinned: {pinned}");
    }
}

#[test]
fn automatic_restarts_are_bounded() {
    let mut life = running();
    on(&mut life, 5, LifecycleEvent::Pinned(true));
    on(&mut life, 6, LifecycleEvent::Exited(R1, "killed".into()));
    let mut starts = 0;
    for _ in 0..2 * SELF_STARTS {
        let LifecycleState::BackingOff { until, .. } = life.state else {
            panic!("{life:?}")
        };
        let effects = on(&mut life, until, LifecycleEvent::AlarmRang);
        if !effects.contains(&LifecycleEffect::Start(life.run)) {
            break;
        }
        starts += 1;
        let run = life.run;
        on(
            &mut life,
            until,
            LifecycleEvent::StartFailed(run, "no machine".into()),
        );
    }
    assert_eq!(starts, SELF_STARTS - 1);
    let late = life.since + MAX_BACKOFF_MS;
    let run = life.run.next();
    assert!(
        on(&mut life, late, LifecycleEvent::Wanted).contains(&LifecycleEffect::Start(run)),
        "a request still starts it"
    );
}
