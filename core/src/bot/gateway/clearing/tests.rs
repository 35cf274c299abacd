//! Tables of what happens to the processes that a gateway leaves.

use super::*;
use crate::bot::gateway::{GatewayEvent, GatewayRules, HomeState, Launch};
use crate::wire::control::{EndReason, ExitReason, GatewayPhase, SnapshotReason};
use crate::wire::run::RestorePoint;

const FIRST: Launch = Launch(1);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn on(life: &mut GatewayLifecycle, second: u64, event: GatewayEvent) -> Option<GatewayEffect> {
    life.on(at(second), 1.0, event)
}

fn ready(kept: bool) -> GatewayLifecycle {
    let point = kept.then_some(RestorePoint::Latest);
    let (mut life, _) = GatewayLifecycle::begin(at(0), GatewayRules::default(), point);
    if kept {
        on(&mut life, 1, GatewayEvent::Restored);
    }
    on(&mut life, 2, GatewayEvent::Spawned(FIRST, 42));
    on(&mut life, 15, GatewayEvent::Started(FIRST));
    life
}

fn crash() -> GatewayEvent {
    GatewayEvent::Ended(
        FIRST,
        ExitReason::Code(1),
        EndReason::Crash,
        Some("its words".into()),
    )
}

/// One whose gateway has ended, and which waits until nothing is left of it.
fn clearing(kept: bool) -> GatewayLifecycle {
    let mut life = ready(kept);
    assert_eq!(on(&mut life, 20, crash()), Some(GatewayEffect::Clear(FIRST)));
    life
}

#[test]
fn nothing_begins_before_nothing_is_left_of_a_gateway() {
    let mut life = clearing(true);
    for event in [
        GatewayEvent::Restart,
        GatewayEvent::ConfigChanged,
        GatewayEvent::Saved(true),
        GatewayEvent::Restored,
        GatewayEvent::RestoreTo(RestorePoint::Latest),
        GatewayEvent::Stop(None),
        GatewayEvent::Deadline,
        crash(),
    ] {
        assert_eq!(on(&mut life, 21, event.clone()), None, "{event:?}");
    }
    assert_eq!(
        on(&mut life, 22, GatewayEvent::Cleared(FIRST, 3)),
        Some(GatewayEffect::Save(SnapshotReason::Stop))
    );
}

#[test]
fn the_next_gateway_starts_after_the_pause_and_the_clearing() {
    let mut life = clearing(false);
    assert_eq!(life.view().phase, GatewayPhase::Restarting);
    assert_eq!(on(&mut life, 23, GatewayEvent::Cleared(FIRST, 0)), None);
    // The pause counts from the end.
    assert!(life.deadline().unwrap() < at(23));
    assert_eq!(
        on(&mut life, 23, GatewayEvent::Deadline),
        Some(GatewayEffect::Spawn(Launch(2)))
    );
}

#[test]
fn orders_during_the_clearing_are_carried_out_after_it() {
    for (kept, order, effect) in [
        (
            true,
            GatewayEvent::RestoreTo(RestorePoint::Latest),
            Some(GatewayEffect::Save(SnapshotReason::BeforeRestore)),
        ),
        (
            true,
            GatewayEvent::Stop(None),
            Some(GatewayEffect::Save(SnapshotReason::Stop)),
        ),
        (false, GatewayEvent::Stop(None), Some(GatewayEffect::Leave)),
        (false, GatewayEvent::RestoreTo(RestorePoint::Latest), None),
        (false, GatewayEvent::Restart, None),
    ] {
        let mut life = clearing(kept);
        assert_eq!(on(&mut life, 20, order.clone()), None);
        assert_eq!(
            on(&mut life, 20, GatewayEvent::Cleared(FIRST, 0)),
            effect,
            "{order:?}"
        );
        if order == GatewayEvent::Restart {
            assert_eq!(life.deadline(), Some(at(20)), "at once");
        }
    }
    // A stop is not undone.
    let mut life = clearing(true);
    on(&mut life, 20, GatewayEvent::Stop(None));
    on(&mut life, 20, GatewayEvent::RestoreTo(RestorePoint::Latest));
    on(&mut life, 20, GatewayEvent::Restart);
    assert_eq!(
        on(&mut life, 20, GatewayEvent::Cleared(FIRST, 0)),
        Some(GatewayEffect::Save(SnapshotReason::Stop))
    );
}

#[test]
fn processes_that_outlived_their_gateway_are_counted() {
    let mut life = clearing(false);
    on(&mut life, 20, GatewayEvent::Cleared(FIRST, 25));
    assert_eq!(life.view().outlived, 25);
    on(&mut life, 21, GatewayEvent::Deadline);
    on(
        &mut life,
        30,
        GatewayEvent::Ended(Launch(2), ExitReason::Code(1), EndReason::Crash, None),
    );
    assert_eq!(
        on(&mut life, 30, GatewayEvent::Cleared(FIRST, 9)),
        None,
        "an earlier one's"
    );
    on(&mut life, 31, GatewayEvent::Cleared(Launch(2), 2));
    assert_eq!(life.view().outlived, 27);
}

#[test]
fn a_process_that_cannot_be_ended_ends_the_container() {
    for kept in [false, true] {
        for order in [
            None,
            Some(GatewayEvent::RestoreTo(RestorePoint::Latest)),
            Some(GatewayEvent::Stop(None)),
        ] {
            let mut life = clearing(kept);
            if let Some(order) = order {
                on(&mut life, 20, order);
            }
            assert_eq!(life.deadline(), Some(at(20) + CLEAR_DEADLINE));
            let effect = on(&mut life, 25, GatewayEvent::Deadline);
            if kept {
                assert_eq!(effect, Some(GatewayEffect::Save(SnapshotReason::Stop)));
                // Too late: it leaves all the same.
                assert_eq!(on(&mut life, 25, GatewayEvent::Cleared(FIRST, 1)), None);
                assert_eq!(
                    on(&mut life, 26, GatewayEvent::Saved(true)),
                    Some(GatewayEffect::Leave)
                );
            } else {
                assert_eq!(effect, Some(GatewayEffect::Leave));
            }
        }
    }
    let mut life = ready(true);
    on(&mut life, 20, GatewayEvent::RestoreTo(RestorePoint::Latest));
    on(&mut life, 21, crash());
    on(&mut life, 26, GatewayEvent::Deadline);
    assert_eq!(
        life.view().home,
        HomeState::Confirmed,
        "nothing is restored below it"
    );
    assert_eq!(life.view().phase, GatewayPhase::Draining);
}

#[test]
fn a_gateway_is_given_up_once_nothing_is_left_of_it() {
    let mut life = ready(false);
    let rejected = GatewayEvent::Ended(
        FIRST,
        ExitReason::Code(78),
        EndReason::ConfigRejected,
        Some("its words".into()),
    );
    on(&mut life, 20, rejected.clone());
    assert_eq!(
        (life.view().phase, &life.view().crash_loop),
        (GatewayPhase::Restarting, &None)
    );
    assert_eq!(on(&mut life, 21, GatewayEvent::Cleared(FIRST, 0)), None);
    let crash_loop = life.view().crash_loop.clone().unwrap();
    assert_eq!(
        (crash_loop.reason, crash_loop.failures),
        (EndReason::ConfigRejected, 1)
    );
    assert_eq!(crash_loop.message.as_deref(), Some("its words"));

    // Unless somebody asks for another one meanwhile.
    let mut life = ready(false);
    on(&mut life, 20, rejected);
    on(&mut life, 20, GatewayEvent::Restart);
    on(&mut life, 21, GatewayEvent::Cleared(FIRST, 0));
    assert_eq!(
        on(&mut life, 21, GatewayEvent::Deadline),
        Some(GatewayEffect::Spawn(Launch(2)))
    );
}
