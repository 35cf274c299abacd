//! Tables of the gateway's life.

use super::*;

const RULES: Rules = Rules {
    start_deadline: Duration::from_secs(150),
    stop_grace: Duration::from_secs(25),
    probe_every: Duration::from_secs(10),
    probe_patience: Duration::from_secs(10),
    failures: 5,
    window: Duration::from_secs(900),
    restore_deadline: Duration::from_secs(600),
    save_deadline: Duration::from_secs(60),
};
const FIRST: Launch = Launch(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn on(life: &mut Life, second: u64, event: Event) -> Option<Effect> {
    life.on(at(second), 1.0, event)
}

fn crash(launch: Launch) -> Event {
    ended(launch, 1, EndReason::Crash)
}

fn ended(launch: Launch, code: i32, reason: EndReason) -> Event {
    Event::Ended(launch, ExitReason::Code(code), reason, Some("its words".into()))
}

fn begun() -> Life {
    let (life, first) = Life::begin(at(0), RULES, None);
    assert_eq!(first, Effect::Spawn(FIRST));
    life
}

fn ready() -> Life {
    let mut life = begun();
    for (second, event) in [
        (0, Event::Spawned(FIRST, 42)),
        (11, Event::Listening(FIRST)),
        (15, Event::Started(FIRST)),
    ] {
        assert_eq!(on(&mut life, second, event), None);
    }
    life
}

/// Lets the machine's own time pass until it does something.
fn next(life: &mut Life) -> (Duration, Effect) {
    let due = life.deadline().unwrap();
    (due, life.on(due, 1.0, Event::Deadline).unwrap())
}

#[test]
fn a_start_is_timed_part_by_part() {
    let life = ready();
    let view = life.view();
    assert_eq!(
        (view.phase, view.pid, view.restarts),
        (GatewayPhase::Ready, Some(42), 0)
    );
    let start = StartTimes {
        tcp_ms: Some(11_000),
        ready_ms: Some(15_000),
    };
    assert_eq!((view.start, view.ready_since), (start, Some(at(15))));
}

#[test]
fn a_dead_gateway_is_started_again_after_a_pause() {
    let mut life = ready();
    let killed = Event::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None);
    assert_eq!(on(&mut life, 20, killed), None);
    let view = life.view();
    assert_eq!((view.phase, view.pid), (GatewayPhase::Restarting, None));
    assert_eq!(
        Vec::from(view.endings.clone()),
        [Ending {
            at_ms: 20_000,
            reason: EndReason::Crash,
            exit: ExitReason::Signal(9),
            message: None
        }]
    );
    assert_eq!(next(&mut life), (at(20) + FIRST_PAUSE, Effect::Spawn(Launch(2))));
    assert_eq!(
        (life.view().restarts, life.view().start),
        (1, StartTimes::default())
    );
}

#[test]
fn pauses_double_up_to_a_limit_and_are_spread() {
    let pauses: Vec<_> = (0..=9).map(|quick| pause(quick, 1.0)).collect();
    assert_eq!(pauses[..3], [Duration::ZERO, FIRST_PAUSE, FIRST_PAUSE * 2]);
    assert_eq!(pauses[9], LONGEST_PAUSE);
    assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    assert_eq!(pause(1, 0.0), FIRST_PAUSE / 2);
}

#[test]
fn a_gateway_that_held_starts_counting_anew() {
    let mut life = begun();
    on(&mut life, 1, crash(FIRST));
    next(&mut life);
    on(&mut life, 5, crash(Launch(2)));
    assert_eq!(life.deadline(), Some(at(5) + FIRST_PAUSE * 2));
    next(&mut life);
    on(&mut life, 20, Event::Started(Launch(3)));
    let later = 20 + STEADY.as_secs();
    on(&mut life, later, crash(Launch(3)));
    assert_eq!(life.deadline(), Some(at(later) + FIRST_PAUSE));
}

#[test]
fn a_restart_the_gateway_wants_is_no_failure_and_a_second_one_waits() {
    let mut life = ready();
    on(&mut life, 20, ended(FIRST, 0, EndReason::CleanExit));
    assert_eq!(next(&mut life), (at(20), Effect::Spawn(Launch(2))));
    on(&mut life, 30, Event::Started(Launch(2)));
    on(&mut life, 31, ended(Launch(2), 0, EndReason::CleanExit));
    assert_eq!(next(&mut life), (at(31) + FIRST_PAUSE, Effect::Spawn(Launch(3))));
    // One that never came up failed, whatever it returned.
    for launch in 3..8 {
        on(&mut life, 100, ended(Launch(launch), 0, EndReason::CleanExit));
        if launch < 7 {
            next(&mut life);
        }
    }
    assert_eq!(life.view().crash_loop.as_ref().unwrap().failures, 5);
}

#[test]
fn a_start_that_hangs_is_ended() {
    let mut life = begun();
    on(&mut life, 0, Event::Spawned(FIRST, 42));
    assert_eq!(next(&mut life), (at(150), Effect::Kill));
    assert_eq!(next(&mut life), (at(150) + KILL_AGAIN, Effect::Kill));
    on(
        &mut life,
        160,
        Event::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None),
    );
    assert_eq!(life.view().phase, GatewayPhase::Restarting);
    assert_eq!(life.view().endings[0].reason, EndReason::StartTimeout);
}

/// In seconds, not in terms of the constant: too often fills the log of a gateway the kernel holds, too rarely
/// outlasts the ten seconds after which the Sandbox ends the container.
#[test]
fn one_that_survives_a_kill_is_killed_every_five_seconds() {
    let starting = begun();
    let mut stopping = ready();
    on(&mut stopping, 125, Event::Stop(None));
    for mut life in [starting, stopping] {
        let kills: Vec<_> = (0..4).map(|_| next(&mut life)).collect();
        assert_eq!(
            kills,
            [150, 155, 160, 165].map(|second| (at(second), Effect::Kill))
        );
        assert_eq!(on(&mut life, 169, Event::Deadline), None, "early");
    }
}

#[test]
fn a_gateway_that_does_not_answer_is_suspect_then_ended() {
    let mut life = ready();
    assert_eq!(next(&mut life), (at(25), Effect::Probe(FIRST)));
    assert_eq!(on(&mut life, 25, Event::Probed(FIRST, true)), None);
    assert_eq!(next(&mut life), (at(35), Effect::Probe(FIRST)));
    // Unanswered, then refused at once, then well again: that is forgotten.
    assert_eq!(life.on(at(45), 1.0, Event::Deadline), None);
    assert_eq!(life.view().phase, GatewayPhase::Suspect);
    next(&mut life);
    assert_eq!(on(&mut life, 45, Event::Probed(FIRST, false)), None);
    next(&mut life);
    on(&mut life, 56, Event::Probed(FIRST, true));
    assert_eq!(life.view().phase, GatewayPhase::Ready);
    // Three in a row are not.
    for second in [65, 75] {
        assert_eq!(next(&mut life).0, at(second));
        on(&mut life, second, Event::Probed(FIRST, false));
    }
    assert_eq!(next(&mut life).0, at(85));
    assert_eq!(on(&mut life, 85, Event::Probed(FIRST, false)), Some(Effect::Kill));
    on(
        &mut life,
        85,
        Event::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None),
    );
    assert_eq!(life.view().endings[0].reason, EndReason::ProbeTimeout);
}

#[test]
fn after_too_many_failures_it_is_given_up_until_somebody_asks() {
    let mut life = begun();
    for launch in 1..=5 {
        let now = life.deadline().unwrap().min(at(u64::from(launch) * 100));
        life.on(now, 1.0, crash(Launch(launch)));
        if launch < 5 {
            assert!(matches!(next(&mut life).1, Effect::Spawn(_)));
        }
    }
    let view = life.view();
    assert_eq!(view.phase, GatewayPhase::CrashLooped);
    let crash_loop = view.crash_loop.clone().unwrap();
    assert_eq!((crash_loop.failures, crash_loop.reason), (5, EndReason::Crash));
    assert_eq!(crash_loop.message.as_deref(), Some("its words"));
    for _ in 0..100 {
        assert_eq!(next(&mut life).1, Effect::LookAtConfig);
    }
    assert_eq!(
        on(&mut life, 2_000, Event::Restart),
        Some(Effect::Spawn(Launch(6)))
    );
    assert_eq!(life.view().crash_loop, None);
    // With a clean slate.
    on(&mut life, 2_001, crash(Launch(6)));
    assert_eq!(life.deadline(), Some(at(2_001) + FIRST_PAUSE));
}

#[test]
fn failures_that_are_long_past_do_not_count() {
    let mut life = begun();
    let mut now = 0;
    for launch in 1..100 {
        on(&mut life, now, Event::Started(Launch(launch)));
        now += 250;
        on(&mut life, now, crash(Launch(launch)));
        assert_eq!(life.view().phase, GatewayPhase::Restarting, "{launch}");
        next(&mut life);
    }
    assert_eq!(life.view().endings.len(), REMEMBERED);
}

#[test]
fn a_rejected_config_is_not_tried_twice_and_a_new_one_is_at_once() {
    let mut life = begun();
    on(&mut life, 5, ended(FIRST, 78, EndReason::ConfigRejected));
    assert_eq!(life.view().phase, GatewayPhase::CrashLooped);
    assert_eq!(next(&mut life), (at(5) + LOOK_AGAIN, Effect::LookAtConfig));
    assert_eq!(
        on(&mut life, 8, Event::ConfigChanged),
        Some(Effect::Spawn(Launch(2)))
    );
    // A change while one runs is the gateway's own business.
    assert_eq!(on(&mut life, 9, Event::ConfigChanged), None);
}

#[test]
fn a_restart_that_is_asked_for_ends_the_gateway_well() {
    let mut life = ready();
    assert_eq!(
        on(&mut life, 20, Event::Restart),
        Some(Effect::Terminate(RULES.stop_grace))
    );
    assert_eq!(on(&mut life, 21, Event::Restart), None);
    assert_eq!(life.view().phase, GatewayPhase::Restarting);
    on(&mut life, 22, ended(FIRST, 0, EndReason::CleanExit));
    assert_eq!(life.view().endings[0].reason, EndReason::RestartAsked);
    assert_eq!(next(&mut life), (at(22), Effect::Spawn(Launch(2))));
    // One that will not end is killed.
    on(&mut life, 40, Event::Started(Launch(2)));
    on(&mut life, 41, Event::Restart);
    assert_eq!(next(&mut life), (at(41) + RULES.stop_grace, Effect::Kill));
}

#[test]
fn a_stop_is_asked_for_once_then_forced() {
    let mut life = ready();
    assert_eq!(
        on(&mut life, 20, Event::Stop(None)),
        Some(Effect::Terminate(RULES.stop_grace))
    );
    assert_eq!(on(&mut life, 21, Event::Stop(None)), None);
    assert_eq!(on(&mut life, 22, Event::Started(FIRST)), None);
    assert_eq!(life.view().phase, GatewayPhase::Draining);
    assert_eq!(next(&mut life), (at(45), Effect::Kill));
    let killed = Event::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None);
    assert_eq!(on(&mut life, 46, killed), Some(Effect::Leave));
    assert_eq!(life.view().endings[0].reason, EndReason::Stopped);
    assert_eq!(life.deadline(), None);
}

#[test]
fn a_stop_can_have_less_time_but_not_more() {
    for (asked, given) in [(3, 3), (60, 25)] {
        let mut life = ready();
        let effect = on(&mut life, 20, Event::Stop(Some(at(asked))));
        assert_eq!(effect, Some(Effect::Terminate(at(given))));
        assert_eq!(life.deadline(), Some(at(20 + given)));
    }
}

#[test]
fn a_stop_where_there_is_no_gateway_leaves_at_once() {
    let mut life = ready();
    on(&mut life, 20, crash(FIRST));
    assert_eq!(on(&mut life, 20, Event::Stop(None)), Some(Effect::Leave));
    let mut life = begun();
    on(&mut life, 5, ended(FIRST, 78, EndReason::ConfigRejected));
    assert_eq!(on(&mut life, 20, Event::Stop(None)), Some(Effect::Leave));
}

#[test]
fn a_stop_overtakes_a_restart() {
    let mut life = ready();
    on(&mut life, 20, Event::Restart);
    assert_eq!(on(&mut life, 21, Event::Stop(Some(at(5)))), None);
    assert_eq!(life.deadline(), Some(at(26)));
    assert_eq!(
        on(&mut life, 22, ended(FIRST, 0, EndReason::CleanExit)),
        Some(Effect::Leave)
    );
}

#[test]
fn news_of_an_earlier_process_are_ignored_and_counted() {
    let mut life = ready();
    on(&mut life, 20, crash(FIRST));
    next(&mut life);
    let before = life.view().clone();
    for late in [
        crash(FIRST),
        Event::Started(FIRST),
        Event::Listening(FIRST),
        Event::Spawned(FIRST, 7),
        Event::Probed(FIRST, false),
        Event::Deadline,
    ] {
        assert_eq!(on(&mut life, 21, late), None);
    }
    assert_eq!(life.view().ignored, before.ignored + 6);
    assert_eq!(life.view().pid, before.pid);
    assert_eq!(life.view().phase, before.phase);
}
