//! Tables of the gateway's life.

use super::*;

const RULES: GatewayRules = GatewayRules {
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

pub(super) fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn on(life: &mut GatewayLifecycle, second: u64, event: GatewayEvent) -> Option<GatewayEffect> {
    take(life, at(second), event)
}

/// A gateway here leaves nothing running: what comes after that is told in `clearing/tests.rs`.
fn take(life: &mut GatewayLifecycle, now: Duration, event: GatewayEvent) -> Option<GatewayEffect> {
    match life.on(now, 1.0, event) {
        Some(GatewayEffect::Clear(launch)) => life.on(now, 1.0, GatewayEvent::Cleared(launch, 0)),
        effect => effect,
    }
}

fn crash(launch: Launch) -> GatewayEvent {
    ended(launch, 1, EndReason::Crash)
}

fn ended(launch: Launch, code: i32, reason: EndReason) -> GatewayEvent {
    GatewayEvent::Ended(launch, ExitReason::Code(code), reason, Some("its words".into()))
}

fn begun() -> GatewayLifecycle {
    let (life, first) = GatewayLifecycle::begin(at(0), RULES, None);
    assert_eq!(first, GatewayEffect::Spawn(FIRST));
    life
}

fn ready() -> GatewayLifecycle {
    let mut life = begun();
    for (second, event) in [
        (0, GatewayEvent::Spawned(FIRST, 42)),
        (11, GatewayEvent::Listening(FIRST)),
        (15, GatewayEvent::Started(FIRST)),
    ] {
        assert_eq!(on(&mut life, second, event), None);
    }
    life
}

/// Lets the machine's own time pass until it does something.
fn next(life: &mut GatewayLifecycle) -> (Duration, GatewayEffect) {
    let due = life.deadline().unwrap();
    (due, life.on(due, 1.0, GatewayEvent::Deadline).unwrap())
}

#[test]
fn each_part_of_a_start_is_timed() {
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
fn a_dead_gateway_restarts_after_a_backoff() {
    let mut life = ready();
    let killed = GatewayEvent::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None);
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
    assert_eq!(
        next(&mut life),
        (at(20) + FIRST_PAUSE, GatewayEffect::Spawn(Launch(2)))
    );
    assert_eq!(
        (life.view().restarts, life.view().start),
        (1, StartTimes::default())
    );
}

#[test]
fn backoff_doubles_up_to_a_limit_with_jitter() {
    let pauses: Vec<_> = (0..=9).map(|quick| pause(quick, 1.0)).collect();
    assert_eq!(pauses[..3], [Duration::ZERO, FIRST_PAUSE, FIRST_PAUSE * 2]);
    assert_eq!(pauses[9], MAX_PAUSE);
    assert_eq!(pause(u32::MAX, 1.0), MAX_PAUSE);
    assert_eq!(pause(1, 0.0), FIRST_PAUSE / 2);
}

#[test]
fn a_stable_gateway_resets_the_failure_count() {
    let mut life = begun();
    on(&mut life, 1, crash(FIRST));
    next(&mut life);
    on(&mut life, 5, crash(Launch(2)));
    assert_eq!(life.deadline(), Some(at(5) + FIRST_PAUSE * 2));
    next(&mut life);
    on(&mut life, 20, GatewayEvent::Started(Launch(3)));
    let later = 20 + STEADY.as_secs();
    on(&mut life, later, crash(Launch(3)));
    assert_eq!(life.deadline(), Some(at(later) + FIRST_PAUSE));
}

#[test]
fn a_gateway_restart_is_no_failure_and_a_second_one_backs_off() {
    let mut life = ready();
    on(&mut life, 20, ended(FIRST, 0, EndReason::CleanExit));
    assert_eq!(next(&mut life), (at(20), GatewayEffect::Spawn(Launch(2))));
    on(&mut life, 30, GatewayEvent::Started(Launch(2)));
    on(&mut life, 31, ended(Launch(2), 0, EndReason::CleanExit));
    assert_eq!(
        next(&mut life),
        (at(31) + FIRST_PAUSE, GatewayEffect::Spawn(Launch(3)))
    );
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
fn a_start_that_hangs_is_killed() {
    let mut life = begun();
    on(&mut life, 0, GatewayEvent::Spawned(FIRST, 42));
    assert_eq!(next(&mut life), (at(150), GatewayEffect::Kill));
    assert_eq!(next(&mut life), (at(150) + KILL_AGAIN, GatewayEffect::Kill));
    on(
        &mut life,
        160,
        GatewayEvent::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None),
    );
    assert_eq!(life.view().phase, GatewayPhase::Restarting);
    assert_eq!(life.view().endings[0].reason, EndReason::StartTimeout);
}

/// In seconds, not in terms of the constant: too often fills the log of a gateway the kernel holds, too rarely
/// outlasts the ten seconds after which the Sandbox ends the container.
#[test]
fn a_gateway_that_survives_a_kill_is_killed_every_five_seconds() {
    let starting = begun();
    let mut stopping = ready();
    on(&mut stopping, 125, GatewayEvent::Stop(None));
    for mut life in [starting, stopping] {
        let kills: Vec<_> = (0..4).map(|_| next(&mut life)).collect();
        assert_eq!(
            kills,
            [150, 155, 160, 165].map(|second| (at(second), GatewayEffect::Kill))
        );
        assert_eq!(on(&mut life, 169, GatewayEvent::Deadline), None, "early");
    }
}

#[test]
fn an_unresponsive_gateway_is_suspect_and_then_killed() {
    let mut life = ready();
    assert_eq!(next(&mut life), (at(25), GatewayEffect::Probe(FIRST)));
    assert_eq!(on(&mut life, 25, GatewayEvent::Probed(FIRST, true)), None);
    assert_eq!(next(&mut life), (at(35), GatewayEffect::Probe(FIRST)));
    // Unanswered, then refused at once, then well again: that is forgotten.
    assert_eq!(life.on(at(45), 1.0, GatewayEvent::Deadline), None);
    assert_eq!(life.view().phase, GatewayPhase::Suspect);
    next(&mut life);
    assert_eq!(on(&mut life, 45, GatewayEvent::Probed(FIRST, false)), None);
    next(&mut life);
    on(&mut life, 56, GatewayEvent::Probed(FIRST, true));
    assert_eq!(life.view().phase, GatewayPhase::Ready);
    // Three in a row are not.
    for second in [65, 75] {
        assert_eq!(next(&mut life).0, at(second));
        on(&mut life, second, GatewayEvent::Probed(FIRST, false));
    }
    assert_eq!(next(&mut life).0, at(85));
    assert_eq!(
        on(&mut life, 85, GatewayEvent::Probed(FIRST, false)),
        Some(GatewayEffect::Kill)
    );
    on(
        &mut life,
        85,
        GatewayEvent::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None),
    );
    assert_eq!(life.view().endings[0].reason, EndReason::ProbeTimeout);
}

#[test]
fn too_many_failures_stop_restarts_until_a_request() {
    let mut life = begun();
    for launch in 1..=5 {
        let now = life.deadline().unwrap().min(at(u64::from(launch) * 100));
        take(&mut life, now, crash(Launch(launch)));
        if launch < 5 {
            assert!(matches!(next(&mut life).1, GatewayEffect::Spawn(_)));
        }
    }
    let view = life.view();
    assert_eq!(view.phase, GatewayPhase::CrashLooped);
    let crash_loop = view.crash_loop.clone().unwrap();
    assert_eq!((crash_loop.failures, crash_loop.reason), (5, EndReason::Crash));
    assert_eq!(crash_loop.message.as_deref(), Some("its words"));
    for _ in 0..100 {
        let before = life.deadline().unwrap();
        assert_eq!(next(&mut life), (before, GatewayEffect::LookAtConfig));
        assert_eq!(life.deadline(), Some(before + LOOK_AGAIN));
    }
    assert_eq!(
        on(&mut life, 2_000, GatewayEvent::Restart),
        Some(GatewayEffect::Spawn(Launch(6)))
    );
    assert_eq!(life.view().crash_loop, None);
    // With a clean slate.
    on(&mut life, 2_001, crash(Launch(6)));
    assert_eq!(life.deadline(), Some(at(2_001) + FIRST_PAUSE));
}

#[test]
fn old_failures_do_not_count() {
    let mut life = begun();
    let mut now = 0;
    for launch in 1..100 {
        on(&mut life, now, GatewayEvent::Started(Launch(launch)));
        now += 250;
        on(&mut life, now, crash(Launch(launch)));
        assert_eq!(life.view().phase, GatewayPhase::Restarting, "{launch}");
        next(&mut life);
    }
    assert_eq!(life.view().endings.len(), REMEMBERED);
}

/// How often it fails in time with the window, and whether that is too often: a failure as old as that counts no more.
#[test]
fn a_failure_counts_until_it_is_as_old_as_the_window() {
    let apart = RULES.window / 4;
    for (apart, given_up) in [(apart - Duration::from_millis(1), true), (apart, false)] {
        let mut life = begun();
        let mut now = at(1_000);
        for launch in 1..=5 {
            life.on(now, 1.0, GatewayEvent::Started(Launch(launch)));
            take(&mut life, now, crash(Launch(launch)));
            now += apart;
            if launch < 5 {
                assert!(matches!(next(&mut life).1, GatewayEffect::Spawn(_)), "{launch}");
            }
        }
        let phase = life.view().phase;
        assert_eq!(
            phase == GatewayPhase::CrashLooped,
            given_up,
            "{apart:?}: {phase:?}"
        );
    }
}

#[test]
fn a_gateway_that_cannot_be_spawned_is_tried_again_and_given_up() {
    let mut life = begun();
    for launch in 1..=5 {
        let reason = (EndReason::NotSpawned, "no such program".to_owned());
        let stale = GatewayEvent::NotSpawned(Launch(launch - 1), reason.0, reason.1.clone());
        assert_eq!(on(&mut life, 1, stale), None);
        assert_eq!(life.view().phase, GatewayPhase::Starting);
        let failed = GatewayEvent::NotSpawned(Launch(launch), reason.0, reason.1.clone());
        assert_eq!(on(&mut life, 1, failed), None);
        let ending = life.view().endings.back().unwrap();
        assert_eq!(
            (ending.reason, ending.message.as_ref()),
            (reason.0, Some(&reason.1))
        );
        assert_eq!(ending.exit, ExitReason::NotSpawned(reason.1));
        if launch < 5 {
            assert_eq!(life.view().phase, GatewayPhase::Restarting);
            assert_eq!(next(&mut life).1, GatewayEffect::Spawn(Launch(launch + 1)));
        }
    }
    assert_eq!(life.view().phase, GatewayPhase::CrashLooped);
}

#[test]
fn a_rejected_config_is_retried_only_when_it_changes() {
    let mut life = begun();
    on(&mut life, 5, ended(FIRST, 78, EndReason::ConfigRejected));
    assert_eq!(life.view().phase, GatewayPhase::CrashLooped);
    assert_eq!(next(&mut life), (at(5) + LOOK_AGAIN, GatewayEffect::LookAtConfig));
    assert_eq!(
        on(&mut life, 8, GatewayEvent::ConfigChanged),
        Some(GatewayEffect::Spawn(Launch(2)))
    );
    // A change while one runs is the gateway's own business.
    assert_eq!(on(&mut life, 9, GatewayEvent::ConfigChanged), None);
}

#[test]
fn an_ordered_restart_terminates_the_gateway_gracefully() {
    let mut life = ready();
    assert_eq!(
        on(&mut life, 20, GatewayEvent::Restart),
        Some(GatewayEffect::Terminate(RULES.stop_grace))
    );
    assert_eq!(on(&mut life, 21, GatewayEvent::Restart), None);
    assert_eq!(life.view().phase, GatewayPhase::Restarting);
    on(&mut life, 22, ended(FIRST, 0, EndReason::CleanExit));
    assert_eq!(life.view().endings[0].reason, EndReason::RestartAsked);
    assert_eq!(next(&mut life), (at(22), GatewayEffect::Spawn(Launch(2))));
    // One that will not end is killed.
    on(&mut life, 40, GatewayEvent::Started(Launch(2)));
    on(&mut life, 41, GatewayEvent::Restart);
    assert_eq!(next(&mut life), (at(41) + RULES.stop_grace, GatewayEffect::Kill));
}

#[test]
fn a_stop_sends_sigterm_once_and_then_kills() {
    let mut life = ready();
    assert_eq!(
        on(&mut life, 20, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Terminate(RULES.stop_grace))
    );
    assert_eq!(on(&mut life, 21, GatewayEvent::Stop(None)), None);
    assert_eq!(on(&mut life, 22, GatewayEvent::Started(FIRST)), None);
    assert_eq!(life.view().phase, GatewayPhase::Draining);
    assert_eq!(next(&mut life), (at(45), GatewayEffect::Kill));
    let killed = GatewayEvent::Ended(FIRST, ExitReason::Signal(9), EndReason::Crash, None);
    assert_eq!(on(&mut life, 46, killed), Some(GatewayEffect::Leave));
    assert_eq!(life.view().endings[0].reason, EndReason::Stopped);
    assert_eq!(life.deadline(), None);
}

#[test]
fn a_stop_deadline_can_be_shortened_and_not_extended() {
    for (asked, given) in [(3, 3), (60, 25)] {
        let mut life = ready();
        let effect = on(&mut life, 20, GatewayEvent::Stop(Some(at(asked))));
        assert_eq!(effect, Some(GatewayEffect::Terminate(at(given))));
        assert_eq!(life.deadline(), Some(at(20 + given)));
    }
}

#[test]
fn a_stop_without_a_gateway_exits_at_once() {
    let mut life = ready();
    on(&mut life, 20, crash(FIRST));
    assert_eq!(
        on(&mut life, 20, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Leave)
    );
    let mut life = begun();
    on(&mut life, 5, ended(FIRST, 78, EndReason::ConfigRejected));
    assert_eq!(
        on(&mut life, 20, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Leave)
    );
}

#[test]
fn a_stop_replaces_a_pending_restart() {
    let mut life = ready();
    on(&mut life, 20, GatewayEvent::Restart);
    assert_eq!(on(&mut life, 21, GatewayEvent::Stop(Some(at(5)))), None);
    assert_eq!(life.deadline(), Some(at(26)));
    assert_eq!(
        on(&mut life, 22, ended(FIRST, 0, EndReason::CleanExit)),
        Some(GatewayEffect::Leave)
    );
}

#[test]
fn events_of_an_earlier_process_are_ignored_and_counted() {
    let mut life = ready();
    on(&mut life, 20, crash(FIRST));
    next(&mut life);
    let before = life.view().clone();
    for late in [
        crash(FIRST),
        GatewayEvent::Started(FIRST),
        GatewayEvent::Listening(FIRST),
        GatewayEvent::Spawned(FIRST, 7),
        GatewayEvent::Probed(FIRST, false),
        GatewayEvent::Deadline,
    ] {
        assert_eq!(on(&mut life, 21, late), None);
    }
    assert_eq!(life.view().ignored, before.ignored + 6);
    assert_eq!(life.view().pid, before.pid);
    assert_eq!(life.view().phase, before.phase);
    // Nor does a probe of the one before say anything about the next.
    on(&mut life, 22, GatewayEvent::Started(Launch(2)));
    assert_eq!(next(&mut life).1, GatewayEffect::Probe(Launch(2)));
    for _ in 0..FAILED_PROBES {
        assert_eq!(on(&mut life, 33, GatewayEvent::Probed(FIRST, false)), None);
    }
    assert_eq!(life.view().phase, GatewayPhase::Ready);
}
