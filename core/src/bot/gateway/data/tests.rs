//! Tables of what happens to a bot's data in its gateway's life.

use super::*;
use crate::bot::gateway::{Event, Launch, Rules};
use crate::wire::control::{EndReason, ExitReason, GatewayPhase};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn on(life: &mut Life, second: u64, event: Event) -> Option<Effect> {
    life.on(at(second), 1.0, event)
}

fn restoring() -> Life {
    let (life, first) = Life::begin(at(0), Rules::default(), Some(RestorePoint::Latest));
    assert_eq!(
        (first, life.view().phase),
        (Effect::Restore, GatewayPhase::Restoring)
    );
    life
}

fn ready() -> Life {
    let mut life = restoring();
    assert_eq!(on(&mut life, 5, Event::Restored), Some(Effect::Spawn(Launch(1))));
    on(&mut life, 5, Event::Spawned(Launch(1), 42));
    on(&mut life, 15, Event::Started(Launch(1)));
    life
}

fn ended(launch: u32) -> Event {
    Event::Ended(Launch(launch), ExitReason::Code(0), EndReason::CleanExit, None)
}

fn another() -> RestorePoint {
    RestorePoint::Snapshot("7".repeat(64).parse().unwrap())
}

#[test]
fn no_gateway_starts_before_its_home_is_confirmed() {
    let mut life = restoring();
    for event in [
        Event::Restart,
        Event::ConfigChanged,
        Event::Saved(true),
        Event::Deadline,
    ] {
        assert_eq!(on(&mut life, 1, event), None);
    }
    assert_eq!(on(&mut life, 2, Event::NotRestored { intact: true }), None);
    assert_eq!(
        (life.view().phase, life.view().home),
        (GatewayPhase::Restoring, Home::Unconfirmed)
    );
    // Again and again, and never without.
    let mut pause = Duration::ZERO;
    for _ in 0..20 {
        let due = life.deadline().unwrap();
        assert_eq!(life.on(due, 1.0, Event::Deadline), Some(Effect::Restore));
        assert_eq!(life.on(due, 1.0, Event::NotRestored { intact: false }), None);
        pause = life.deadline().unwrap() - due;
    }
    assert_eq!(pause, super::super::LONGEST_RESTORE_PAUSE);
    let due = life.deadline().unwrap();
    life.on(due, 1.0, Event::Deadline);
    assert_eq!(life.on(due, 1.0, Event::Restored), Some(Effect::Spawn(Launch(1))));
    assert_eq!(life.view().home, Home::Confirmed);
}

#[test]
fn a_restore_that_hangs_is_broken_off() {
    let mut life = restoring();
    let due = life.deadline().unwrap();
    assert_eq!(due, Rules::default().restore_deadline);
    assert_eq!(life.on(due, 1.0, Event::Deadline), Some(Effect::BreakOff));
    assert_eq!(life.deadline(), Some(due + KILL_AGAIN));
}

#[test]
fn a_stop_before_the_home_is_confirmed_saves_nothing() {
    assert_eq!(on(&mut restoring(), 1, Event::Stop(None)), Some(Effect::Leave));
    let mut life = restoring();
    on(&mut life, 2, Event::NotRestored { intact: true });
    assert_eq!(on(&mut life, 2, Event::Stop(None)), Some(Effect::Leave));
}

#[test]
fn a_stop_saves_what_the_gateway_left() {
    let mut life = ready();
    assert!(matches!(
        on(&mut life, 20, Event::Stop(None)),
        Some(Effect::Terminate(_))
    ));
    assert_eq!(
        on(&mut life, 22, ended(1)),
        Some(Effect::Save(SnapshotReason::Stop))
    );
    assert_eq!(life.view().phase, GatewayPhase::Draining);
    // A second order to stop does not shorten it.
    assert_eq!(on(&mut life, 23, Event::Stop(Some(Duration::ZERO))), None);
    assert_eq!(life.deadline(), Some(at(22) + Rules::default().save_deadline));
    assert_eq!(on(&mut life, 24, Event::Saved(true)), Some(Effect::Leave));
}

#[test]
fn a_last_snapshot_that_fails_is_tried_again_until_its_deadline() {
    let mut life = ready();
    on(&mut life, 20, Event::Stop(None));
    on(&mut life, 22, ended(1));
    for second in 23..82 {
        assert_eq!(on(&mut life, second, Event::Saved(false)), None);
        let again = on(&mut life, second + 1, Event::Deadline);
        let expected = if second < 81 {
            Effect::Save(SnapshotReason::Stop)
        } else {
            Effect::Leave
        };
        assert_eq!(again, Some(expected), "{second}");
    }
}

#[test]
fn without_a_gateway_a_stop_saves_as_well() {
    let mut life = ready();
    let crash = Event::Ended(Launch(1), ExitReason::Code(1), EndReason::Crash, None);
    assert_eq!(on(&mut life, 20, crash), None);
    assert_eq!(
        on(&mut life, 20, Event::Stop(None)),
        Some(Effect::Save(SnapshotReason::Stop))
    );
}

#[test]
fn an_older_snapshot_replaces_only_what_was_saved() {
    let mut life = ready();
    assert!(matches!(
        on(&mut life, 20, Event::RestoreTo(another())),
        Some(Effect::Terminate(_))
    ));
    assert_eq!(
        on(&mut life, 21, ended(1)),
        Some(Effect::Save(SnapshotReason::BeforeRestore))
    );
    assert_eq!(life.view().phase, GatewayPhase::Restoring);
    assert_eq!(on(&mut life, 22, Event::Saved(true)), Some(Effect::Restore));
    assert_eq!(
        (life.restore_point(), life.view().home),
        (&another(), Home::Unconfirmed)
    );
    assert_eq!(on(&mut life, 25, Event::Restored), Some(Effect::Spawn(Launch(2))));

    let mut life = ready();
    on(&mut life, 20, Event::RestoreTo(another()));
    on(&mut life, 21, ended(1));
    assert_eq!(
        on(&mut life, 22, Event::Saved(false)),
        Some(Effect::Spawn(Launch(2)))
    );
    assert_eq!(life.view().home, Home::Confirmed);
}

#[test]
fn a_snapshot_that_cannot_be_restored_leaves_the_home_as_it_was() {
    for (intact, then) in [(true, Some(Effect::Spawn(Launch(2)))), (false, None)] {
        let mut life = ready();
        on(&mut life, 20, Event::RestoreTo(another()));
        on(&mut life, 21, ended(1));
        on(&mut life, 22, Event::Saved(true));
        assert_eq!(on(&mut life, 25, Event::NotRestored { intact }), then);
        let home = if intact {
            Home::Confirmed
        } else {
            Home::Unconfirmed
        };
        assert_eq!(life.view().home, home);
    }
}

#[test]
fn the_snapshot_asked_for_last_is_the_one_that_is_restored() {
    let mut life = restoring();
    assert_eq!(
        on(&mut life, 1, Event::RestoreTo(another())),
        Some(Effect::BreakOff)
    );
    // It was over before it could be broken off.
    assert_eq!(on(&mut life, 1, Event::Restored), Some(Effect::Restore));
    assert_eq!(life.restore_point(), &another());
    assert_eq!(on(&mut life, 2, Event::Restored), Some(Effect::Spawn(Launch(1))));
}

#[test]
fn without_a_repository_nothing_is_restored_or_saved() {
    let (mut life, first) = Life::begin(at(0), Rules::default(), None);
    assert_eq!(
        (first, life.view().home),
        (Effect::Spawn(Launch(1)), Home::Unkept)
    );
    assert_eq!(on(&mut life, 1, Event::RestoreTo(another())), None);
    on(&mut life, 2, Event::Stop(None));
    assert_eq!(on(&mut life, 3, ended(1)), Some(Effect::Leave));
}
