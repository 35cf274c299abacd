//! Sleep, and the states that an owner or an admin wants.

use super::super::diagram::{NOW, events, lives};
use super::*;

#[test]
fn an_idle_bot_sleeps_only_after_its_supervisor_permits_it() {
    let told = |event| {
        let mut life = running();
        let effects = on(&mut life, 1_000_000, event);
        (life.state, effects)
    };
    // Looked at once a minute, also by itself: nobody else does.
    for (report, again) in [
        (idle(R1, 0), PROBE_AGAIN_MS),
        (idle(R1, QUARTER - 1), PROBE_AGAIN_MS),
        (LifecycleEvent::Reported(R1, None), 60_000),
    ] {
        assert_eq!(
            told(report.clone()),
            (
                LifecycleState::Running,
                vec![LifecycleEffect::SetAlarm(1_000_000 + again)]
            ),
            "{report:?}"
        );
    }
    assert_eq!(
        told(idle(R1, QUARTER)),
        (
            LifecycleState::Running,
            vec![
                LifecycleEffect::SetAlarm(1_060_000),
                LifecycleEffect::AskMaySleep(R1)
            ]
        )
    );
    for (answer, again) in [
        (MaySleep::Unknown, 60_000),
        (MaySleep::Busy { again_ms: 20_000 }, 20_000),
        (MaySleep::Busy { again_ms: 0 }, 10_000),
        (MaySleep::Busy { again_ms: u64::MAX }, 60_000),
    ] {
        assert_eq!(
            told(LifecycleEvent::SleepAnswered(R1, answer)),
            (
                LifecycleState::Running,
                vec![LifecycleEffect::SetAlarm(1_000_000 + again)]
            ),
            "{answer:?}"
        );
    }
    let (state, effects) = told(LifecycleEvent::SleepAnswered(R1, MaySleep::Yes));
    assert!(matches!(state, LifecycleState::Stopping { wanted: false, .. }));
    assert_eq!(
        effects,
        [
            LifecycleEffect::SetAlarm(1_000_000 + STOP_DEADLINE_MS),
            LifecycleEffect::Terminate
        ]
    );
    let mut life = running();
    assert_eq!(on(&mut life, 5, LifecycleEvent::AlarmRang), ASKED);
    assert_eq!(
        on(&mut life, 5, idle(Run(0), QUARTER)),
        [],
        "another run's idleness"
    );
}

#[test]
fn only_a_running_bot_frees_its_slot() {
    assert_eq!(
        on(&mut running(), 5, LifecycleEvent::SlotWanted),
        [LifecycleEffect::AskMaySleep(R1)]
    );
    let mut pinned = running();
    on(&mut pinned, 5, LifecycleEvent::Pinned(true));
    assert_eq!(on(&mut pinned, 6, LifecycleEvent::SlotWanted), []);
    assert_eq!(on(&mut life(), 6, LifecycleEvent::SlotWanted), []);
}

#[test]
fn a_pinned_bot_and_one_that_never_sleeps_stay_awake() {
    let mut pinned = running();
    assert_eq!(
        on(&mut pinned, 5, LifecycleEvent::Pinned(true)),
        [LifecycleEffect::Ask(R1)]
    );
    assert_eq!(
        on(&mut pinned, 6, idle(R1, 10 * QUARTER)),
        [LifecycleEffect::SetAlarm(6 + ASK_ACTIVITY_AGAIN_MS)]
    );
    on(&mut pinned, 7, LifecycleEvent::Pinned(false));
    assert!(on(&mut pinned, 8, idle(R1, 10 * QUARTER)).contains(&LifecycleEffect::AskMaySleep(R1)));
    for (sleep_after_ms, again) in [(None, PROBE_AGAIN_MS), (Some(20_000), 20_000)] {
        let mut life = running();
        let rules = LifecycleRules { sleep_after_ms };
        let effects = life.on(&rules, 5, 0.0, idle(R1, 0));
        assert_eq!(
            effects,
            [LifecycleEffect::SetAlarm(5 + again)],
            "{sleep_after_ms:?}"
        );
    }
}

#[test]
fn a_disabled_bot_is_stopped_and_does_not_start() {
    for desired in [Desired::Stopped, Desired::Suspended] {
        let mut life = running();
        assert!(
            on(&mut life, 2, LifecycleEvent::Desired(Authority::Admin, desired))
                .contains(&LifecycleEffect::Terminate)
        );
        assert_eq!(on(&mut life, 3, LifecycleEvent::Wanted), []);
        on(&mut life, 4, LifecycleEvent::Exited(R1, String::new()));
        assert_eq!(on(&mut life, 5, LifecycleEvent::Wanted), [], "{desired:?}");
        assert_eq!(on(&mut life, 5, LifecycleEvent::RestartWanted), [], "{desired:?}");
        assert_eq!(life.state, LifecycleState::Asleep);
        assert_eq!(
            on(
                &mut life,
                6,
                LifecycleEvent::Desired(Authority::Admin, Desired::Available)
            ),
            []
        );
        assert!(on(&mut life, 7, LifecycleEvent::Wanted).contains(&LifecycleEffect::Start(Run(2))));
    }
    // Somebody who asked while it was stopping does not undo the stop.
    let mut life = running();
    on(&mut life, 2, LifecycleEvent::SleepWanted);
    on(&mut life, 3, LifecycleEvent::Wanted);
    on(
        &mut life,
        4,
        LifecycleEvent::Desired(Authority::Admin, Desired::Stopped),
    );
    assert_eq!(
        on(&mut life, 5, LifecycleEvent::Exited(R1, String::new())),
        [LifecycleEffect::ClearAlarm]
    );
    // And a failed start is not tried again.
    let mut failed = Lifecycle::new(0);
    on(&mut failed, 0, LifecycleEvent::Wanted);
    on(&mut failed, 1, LifecycleEvent::StartFailed(R1, "x".into()));
    on(
        &mut failed,
        2,
        LifecycleEvent::Desired(Authority::Admin, Desired::Stopped),
    );
    assert_eq!((failed.state, failed.failures), (LifecycleState::Asleep, 0));
}

#[test]
fn only_an_admin_who_makes_it_available_ends_a_suspension() {
    for suspended in lives() {
        for event in events() {
            let mut life = Lifecycle {
                desired: Desired::Suspended,
                ..suspended.clone()
            };
            let ends = event == LifecycleEvent::Desired(Authority::Admin, Desired::Available);
            on(&mut life, NOW, event.clone());
            assert_eq!(
                life.desired != Desired::Suspended,
                ends,
                "{event:?} in {suspended:?}"
            );
        }
    }
    let mut life = life();
    on(
        &mut life,
        0,
        LifecycleEvent::Desired(Authority::Admin, Desired::Suspended),
    );
    on(
        &mut life,
        2,
        LifecycleEvent::Desired(Authority::Admin, Desired::Available),
    );
    on(
        &mut life,
        3,
        LifecycleEvent::Desired(Authority::Owner, Desired::Stopped),
    );
    assert_eq!(life.desired, Desired::Stopped);
}

#[test]
fn a_pinned_bot_that_is_ordered_to_sleep_does_not_return_by_itself() {
    let mut life = running();
    on(&mut life, 1, LifecycleEvent::Pinned(true));
    on(&mut life, 2, LifecycleEvent::Exited(R1, String::new()));
    assert!(matches!(life.state, LifecycleState::BackingOff { .. }));
    assert_eq!(
        on(&mut life, 4, LifecycleEvent::SleepWanted),
        [LifecycleEffect::ClearAlarm]
    );
    assert_eq!(life.state, LifecycleState::Asleep);
    assert_eq!(on(&mut life, u64::MAX, LifecycleEvent::AlarmRang), []);
    assert!(on(&mut life, u64::MAX, LifecycleEvent::Wanted).contains(&LifecycleEffect::Start(Run(2))));
}
