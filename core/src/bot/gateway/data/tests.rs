//! Tables of what happens to a bot's data in its gateway's life.

use super::*;
use crate::bot::gateway::{GatewayEvent, GatewayRules, Launch};
use crate::wire::control::{EndReason, ExitReason, GatewayPhase};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A gateway here leaves nothing running: what comes after that is told in `clearing/tests.rs`.
fn on(life: &mut GatewayLifecycle, second: u64, event: GatewayEvent) -> Option<GatewayEffect> {
    match life.on(at(second), 1.0, event) {
        Some(GatewayEffect::Clear(launch)) => life.on(at(second), 1.0, GatewayEvent::Cleared(launch, 0)),
        effect => effect,
    }
}

fn restoring() -> GatewayLifecycle {
    let (life, first) = GatewayLifecycle::begin(at(0), GatewayRules::default(), Some(RestorePoint::Latest));
    assert_eq!(
        (first, life.view().phase),
        (GatewayEffect::Restore, GatewayPhase::Restoring)
    );
    life
}

fn ready() -> GatewayLifecycle {
    let mut life = restoring();
    assert_eq!(
        on(&mut life, 5, GatewayEvent::Restored),
        Some(GatewayEffect::Spawn(Launch(1)))
    );
    on(&mut life, 5, GatewayEvent::Spawned(Launch(1), 42));
    on(&mut life, 15, GatewayEvent::Started(Launch(1)));
    life
}

fn ended(launch: u32) -> GatewayEvent {
    GatewayEvent::Ended(Launch(launch), ExitReason::Code(0), EndReason::CleanExit, None)
}

fn another() -> RestorePoint {
    RestorePoint::Snapshot("7".repeat(64).parse().unwrap())
}

#[test]
fn no_gateway_starts_before_its_home_is_confirmed() {
    let mut life = restoring();
    for event in [
        GatewayEvent::Restart,
        GatewayEvent::ConfigChanged,
        GatewayEvent::Saved(true),
        GatewayEvent::Deadline,
    ] {
        assert_eq!(on(&mut life, 1, event), None);
    }
    assert_eq!(on(&mut life, 2, GatewayEvent::NotRestored { intact: true }), None);
    assert_eq!(
        (life.view().phase, life.view().home),
        (GatewayPhase::Restoring, HomeState::Unconfirmed)
    );
    // Again and again, and never without.
    let mut pause = Duration::ZERO;
    for _ in 0..20 {
        let due = life.deadline().unwrap();
        assert_eq!(
            life.on(due, 1.0, GatewayEvent::Deadline),
            Some(GatewayEffect::Restore)
        );
        assert_eq!(
            life.on(due, 1.0, GatewayEvent::NotRestored { intact: false }),
            None
        );
        pause = life.deadline().unwrap() - due;
    }
    assert_eq!(pause, super::super::MAX_RESTORE_PAUSE);
    let due = life.deadline().unwrap();
    life.on(due, 1.0, GatewayEvent::Deadline);
    assert_eq!(
        life.on(due, 1.0, GatewayEvent::Restored),
        Some(GatewayEffect::Spawn(Launch(1)))
    );
    assert_eq!(life.view().home, HomeState::Confirmed);
}

#[test]
fn a_restore_that_hangs_is_cancelled() {
    let mut life = restoring();
    let due = life.deadline().unwrap();
    assert_eq!(due, GatewayRules::default().restore_deadline);
    assert_eq!(
        life.on(due, 1.0, GatewayEvent::Deadline),
        Some(GatewayEffect::BreakOff)
    );
    assert_eq!(life.deadline(), Some(due + KILL_AGAIN));
}

#[test]
fn a_stop_before_the_home_is_confirmed_saves_nothing() {
    assert_eq!(
        on(&mut restoring(), 1, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Leave)
    );
    let mut life = restoring();
    on(&mut life, 2, GatewayEvent::NotRestored { intact: true });
    assert_eq!(
        on(&mut life, 2, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Leave)
    );
}

#[test]
fn a_stop_takes_a_snapshot_after_the_gateway_exits() {
    let mut life = ready();
    assert!(matches!(
        on(&mut life, 20, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Terminate(_))
    ));
    assert_eq!(
        on(&mut life, 22, ended(1)),
        Some(GatewayEffect::Save(SnapshotReason::Stop))
    );
    assert_eq!(life.view().phase, GatewayPhase::Draining);
    // A second order to stop does not shorten it.
    assert_eq!(on(&mut life, 23, GatewayEvent::Stop(Some(Duration::ZERO))), None);
    assert_eq!(
        life.deadline(),
        Some(at(22) + GatewayRules::default().save_deadline)
    );
    assert_eq!(
        on(&mut life, 24, GatewayEvent::Saved(true)),
        Some(GatewayEffect::Leave)
    );
}

#[test]
fn a_failed_final_snapshot_is_retried_until_its_deadline() {
    let mut life = ready();
    on(&mut life, 20, GatewayEvent::Stop(None));
    on(&mut life, 22, ended(1));
    for second in 23..82 {
        assert_eq!(on(&mut life, second, GatewayEvent::Saved(false)), None);
        let again = on(&mut life, second + 1, GatewayEvent::Deadline);
        let expected = if second < 81 {
            GatewayEffect::Save(SnapshotReason::Stop)
        } else {
            GatewayEffect::Leave
        };
        assert_eq!(again, Some(expected), "{second}");
    }
}

#[test]
fn a_stop_without_a_gateway_takes_a_final_snapshot() {
    let mut life = ready();
    let crash = GatewayEvent::Ended(Launch(1), ExitReason::Code(1), EndReason::Crash, None);
    assert_eq!(on(&mut life, 20, crash), None);
    assert_eq!(
        on(&mut life, 20, GatewayEvent::Stop(None)),
        Some(GatewayEffect::Save(SnapshotReason::Stop))
    );
}

#[test]
fn a_rollback_saves_the_current_home_first() {
    let mut life = ready();
    assert!(matches!(
        on(&mut life, 20, GatewayEvent::RestoreTo(another())),
        Some(GatewayEffect::Terminate(_))
    ));
    assert_eq!(
        on(&mut life, 21, ended(1)),
        Some(GatewayEffect::Save(SnapshotReason::BeforeRestore))
    );
    assert_eq!(life.view().phase, GatewayPhase::Restoring);
    assert_eq!(
        on(&mut life, 22, GatewayEvent::Saved(true)),
        Some(GatewayEffect::Restore)
    );
    assert_eq!(
        (life.restore_point(), life.view().home),
        (&another(), HomeState::Unconfirmed)
    );
    assert_eq!(
        on(&mut life, 25, GatewayEvent::Restored),
        Some(GatewayEffect::Spawn(Launch(2)))
    );

    let mut life = ready();
    on(&mut life, 20, GatewayEvent::RestoreTo(another()));
    on(&mut life, 21, ended(1));
    assert_eq!(
        on(&mut life, 22, GatewayEvent::Saved(false)),
        Some(GatewayEffect::Spawn(Launch(2)))
    );
    assert_eq!(life.view().home, HomeState::Confirmed);
}

#[test]
fn a_failed_rollback_leaves_the_home_unchanged() {
    for (intact, then) in [(true, Some(GatewayEffect::Spawn(Launch(2)))), (false, None)] {
        let mut life = ready();
        on(&mut life, 20, GatewayEvent::RestoreTo(another()));
        on(&mut life, 21, ended(1));
        on(&mut life, 22, GatewayEvent::Saved(true));
        assert_eq!(on(&mut life, 25, GatewayEvent::NotRestored { intact }), then);
        let home = if intact {
            HomeState::Confirmed
        } else {
            HomeState::Unconfirmed
        };
        assert_eq!(life.view().home, home);
    }
}

#[test]
fn the_last_requested_snapshot_is_restored() {
    let mut life = restoring();
    assert_eq!(
        on(&mut life, 1, GatewayEvent::RestoreTo(another())),
        Some(GatewayEffect::BreakOff)
    );
    // It was over before it could be broken off.
    assert_eq!(
        on(&mut life, 1, GatewayEvent::Restored),
        Some(GatewayEffect::Restore)
    );
    assert_eq!(life.restore_point(), &another());
    assert_eq!(
        on(&mut life, 2, GatewayEvent::Restored),
        Some(GatewayEffect::Spawn(Launch(1)))
    );
}

#[test]
fn without_a_repository_nothing_is_restored_or_saved() {
    let (mut life, first) = GatewayLifecycle::begin(at(0), GatewayRules::default(), None);
    assert_eq!(
        (first, life.view().home),
        (GatewayEffect::Spawn(Launch(1)), HomeState::Unkept)
    );
    assert_eq!(on(&mut life, 1, GatewayEvent::RestoreTo(another())), None);
    on(&mut life, 2, GatewayEvent::Stop(None));
    assert_eq!(on(&mut life, 3, ended(1)), Some(GatewayEffect::Leave));
}
