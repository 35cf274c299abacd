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
