//! What becomes of a bot that fails.

use super::*;

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
}

/// One life of a container that is wanted at `now`, answers at once, and ends after `lasting` ms.
fn short_life(life: &mut Life, now: u64, lasting: u64) -> Vec<Effect> {
    let started = on(life, now, Event::Wanted);
    let run = life.run;
    assert!(started.contains(&Effect::Start(run)), "{life:?}");
    on(life, now, ready(run));
    on(life, now + lasting, Event::Exited(run, "killed".into()))
}

#[test]
fn a_container_that_dies_again_and_again_is_given_a_rest() {
    let mut life = life();
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 1..CRASH_LOOP_AFTER {
        short_life(&mut life, now, 1_000);
        now += 1_000;
        if let State::BackingOff { until, .. } = life.state {
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
        [Effect::ClearAlarm, Effect::Kill]
    );
    let rested = now + 1_000 + CRASH_LOOP_REST_MS;
    assert_eq!(
        life.state,
        State::CrashLooped {
            until: Some(rested),
            reason: "killed".into()
        }
    );
    assert_eq!(on(&mut life, rested - 1, Event::Wanted), []);
    // One try, and another rest.
    short_life(&mut life, rested, 1_000);
    assert!(matches!(life.state, State::CrashLooped { until: Some(until), .. } if until > rested));
    // An order does not wait.
    let run = life.run.next();
    assert!(on(&mut life, rested + 2_000, Event::RestartWanted).contains(&Effect::Start(run)));
    assert_eq!(life.failures, 0);
}

#[test]
fn a_stable_run_wipes_the_slate() {
    let mut life = life();
    for _ in 0..2 * CRASH_LOOP_AFTER {
        let now = life.since + 1;
        short_life(&mut life, now, STABLE_AFTER_MS);
        assert_eq!((&life.state, life.failures), (&State::Asleep, 1));
    }
}

#[test]
fn a_start_that_fails_for_want_of_a_machine_never_counts_as_a_crash_loop() {
    for met in [false, true] {
        let mut life = life();
        for _ in 0..CRASH_LOOP_AFTER {
            let now = life.since + MAX_BACKOFF_MS;
            on(&mut life, now, Event::Wanted);
            let run = life.run;
            if met {
                on(&mut life, now, said(run, Gateway::Starting, 0));
            }
            on(&mut life, now, Event::Exited(run, "no instance".into()));
        }
        assert_eq!(matches!(life.state, State::CrashLooped { .. }), met, "{life:?}");
    }
}

#[test]
fn an_unhealthy_bot_has_its_time_to_heal_and_is_then_replaced() {
    let troubled = || said(R1, Gateway::Troubled, 0);
    let mut life = running();
    assert_eq!(
        on(&mut life, 10, troubled()),
        [Effect::SetAlarm(10 + ASK_UNHEALTHY_AGAIN_MS)]
    );
    assert!(life.takes_requests(), "its ingress holds them");
    assert_eq!(on(&mut life, 20, Event::AlarmRang), [Effect::Ask(R1)]);
    assert_eq!(
        on(&mut life, 20, Event::Said(R1, None)),
        [Effect::SetAlarm(20 + ASK_ACTIVITY_AGAIN_MS)]
    );
    let mut healed = life.clone();
    on(&mut healed, 30, ready(R1));
    assert_eq!(healed.state, State::Running);

    let over = 10 + UNHEALTHY_DEADLINE_MS;
    assert_eq!(on(&mut life, over - 1, troubled()), [Effect::SetAlarm(over)]);
    let by_alarm = on(&mut life.clone(), over, Event::AlarmRang);
    assert_eq!(on(&mut life, over, troubled()), by_alarm);
    assert_eq!(
        by_alarm,
        [Effect::SetAlarm(over + STOP_DEADLINE_MS), Effect::Terminate]
    );
    assert_eq!(life.failures, 1);
}

#[test]
fn a_gateway_that_was_given_up_keeps_its_container_for_the_cure() {
    let mut life = running();
    on(&mut life, 10, given_up(R1));
    let reason = "config-rejected: foo".to_owned();
    assert_eq!(life.state, State::CrashLooped { until: None, reason });
    assert!(!life.takes_requests() && life.is_awake());
    assert_eq!(
        on(&mut life, 11, Event::Wanted),
        [Effect::Ask(R1)],
        "it may have been cured"
    );
    assert_eq!(
        on(&mut life, 12, Event::RestartWanted),
        [Effect::RestartGateway(R1), Effect::Ask(R1)]
    );
    on(&mut life, 13, said(R1, Gateway::Troubled, 0));
    assert!(matches!(life.state, State::Unhealthy { .. }));
    on(&mut life, 14, ready(R1));
    assert_eq!(life.state, State::Running);
    // Nobody cures it: it does not stay awake for that.
    on(&mut life, 15, given_up(R1));
    on(&mut life, 16, said(R1, Gateway::GivenUp("x".into()), QUARTER));
    on(&mut life, 17, Event::SleepAnswered(R1, MaySleep::Yes));
    assert!(matches!(life.state, State::Stopping { .. }));
}

/// A bot that was up and whose container then ended.
fn bereft(before: impl FnOnce(&mut Life)) -> (Life, Vec<Effect>) {
    let mut life = running();
    before(&mut life);
    let effects = on(&mut life, 50, Event::Exited(R1, "killed".into()));
    (life, effects)
}

#[test]
fn a_bot_that_nobody_has_to_ask_for_comes_back_by_itself() {
    let pin = |life: &mut Life| {
        on(life, 5, Event::Pinned(true));
    };
    let listens = |life: &mut Life| {
        on(life, 5, idle(R1, QUARTER));
        on(life, 6, Event::SleepAnswered(R1, MaySleep::Busy { again_ms: 0 }));
    };
    for before in [&pin as &dyn Fn(&mut Life), &listens] {
        let (mut life, effects) = bereft(before);
        assert_eq!(effects, [Effect::SetAlarm(50), Effect::Kill]);
        assert!(on(&mut life, 50, Event::AlarmRang).contains(&Effect::Start(Run(2))));
        // Again, and each time later.
        on(&mut life, 51, Event::StartFailed(Run(2), "no machine".into()));
        let State::BackingOff { until, .. } = life.state else {
            panic!("{life:?}")
        };
        assert_eq!(
            on(&mut life, until - 1, Event::AlarmRang),
            [Effect::SetAlarm(until)]
        );
        assert!(on(&mut life, until, Event::AlarmRang).contains(&Effect::Start(Run(3))));
        // A request that comes first starts it, and the alarm finds it started.
        let (mut life, _) = bereft(before);
        assert!(on(&mut life, 50, Event::Wanted).contains(&Effect::Start(Run(2))));
        assert_eq!(
            on(&mut life, 50, Event::AlarmRang),
            [Effect::SetAlarm(50 + START_DEADLINE_MS)]
        );
        // One that is stopped meanwhile stays so.
        for desired in [Desired::Stopped, Desired::Suspended] {
            let (mut life, _) = bereft(before);
            on(&mut life, 50, Event::Desired(Authority::Admin, desired));
            assert_eq!(on(&mut life, 50, Event::AlarmRang), []);
        }
        // And one whose supervisor could not help it gets another container.
        let mut life = running();
        before(&mut life);
        on(&mut life, 10, said(R1, Gateway::Troubled, 0));
        on(&mut life, 10 + UNHEALTHY_DEADLINE_MS, Event::AlarmRang);
        let gone = on(
            &mut life,
            20 + UNHEALTHY_DEADLINE_MS,
            Event::Exited(R1, String::new()),
        );
        assert!(gone.contains(&Effect::Start(Run(2))), "{gone:?}");
    }
    let (life, effects) = bereft(|_| ());
    assert_eq!(
        (life.state, effects),
        (State::Asleep, vec![Effect::ClearAlarm]),
        "its owner asks"
    );
    let (life, _) = bereft(|life| {
        listens(life);
        on(life, 7, Event::SleepAnswered(R1, MaySleep::Yes));
    });
    assert_eq!(
        (life.state, life.works_alone),
        (State::Asleep, false),
        "it went to sleep"
    );
}

#[test]
fn coming_back_by_itself_has_an_end() {
    let mut life = running();
    on(&mut life, 5, Event::Pinned(true));
    on(&mut life, 6, Event::Exited(R1, "killed".into()));
    let mut starts = 0;
    for _ in 0..2 * SELF_STARTS {
        let State::BackingOff { until, .. } = life.state else {
            panic!("{life:?}")
        };
        let effects = on(&mut life, until, Event::AlarmRang);
        if !effects.contains(&Effect::Start(life.run)) {
            break;
        }
        starts += 1;
        let run = life.run;
        on(&mut life, until, Event::StartFailed(run, "no machine".into()));
    }
    assert_eq!(starts, SELF_STARTS - 1);
    let late = life.since + MAX_BACKOFF_MS;
    let run = life.run.next();
    assert!(
        on(&mut life, late, Event::Wanted).contains(&Effect::Start(run)),
        "a request still starts it"
    );
}
