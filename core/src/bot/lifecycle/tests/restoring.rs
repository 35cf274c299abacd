//! How long a home may take to come back, and what follows.

use super::*;

/// A restore has done so much.
fn gets_to(done: u64) -> LifecycleEvent {
    let report = SupervisorReport {
        gateway: GatewayCondition::Restoring,
        idle_ms: 0,
        done,
        outlived: Some(0),
        endings: Vec::new(),
    };
    LifecycleEvent::Reported(R1, Some(report))
}

#[test]
fn the_start_deadline_begins_after_the_restore() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    let restoring = report_event(R1, GatewayCondition::Restoring, 0);
    assert_eq!(
        on(&mut life, 1_000, restoring.clone()),
        [LifecycleEffect::SetAlarm(1_000 + ASK_UNHEALTHY_AGAIN_MS)]
    );
    assert_eq!(
        on(&mut life, START_DEADLINE_MS + 1, LifecycleEvent::AlarmRang),
        ASKED
    );
    on(&mut life, START_DEADLINE_MS + 2, restoring);
    let deadline = 1_000 + RESTORE_DEADLINE_MS;
    assert_eq!(
        life.state,
        LifecycleState::Restoring { deadline, done: 0 },
        "the deadline stands"
    );
    let late = START_DEADLINE_MS + 3;
    on(&mut life, late, report_event(R1, GatewayCondition::Starting, 0));
    let deadline = late + START_DEADLINE_MS;
    assert_eq!(life.state, LifecycleState::Starting { deadline, met: true });
    on(&mut life, late + 1, ready(R1));
    assert_eq!(life.state, LifecycleState::Running);

    let mut stuck = Lifecycle::new(0);
    on(&mut stuck, 0, LifecycleEvent::Wanted);
    on(&mut stuck, 0, report_event(R1, GatewayCondition::Restoring, 0));
    assert_eq!(
        on(&mut stuck, RESTORE_DEADLINE_MS, LifecycleEvent::AlarmRang),
        [LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
    );
}

#[test]
fn the_deadline_of_a_restore_counts_time_without_progress() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    let mut now = 0;
    for done in 0..10 {
        on(&mut life, now, gets_to(done));
        now += RESTORE_DEADLINE_MS - 1;
        assert_eq!(on(&mut life, now, LifecycleEvent::AlarmRang), ASKED, "{done}");
    }
    // What is stored changes once a minute, however fast it gets on.
    on(&mut life, now, gets_to(10));
    let before = life.clone();
    for done in 11..100 {
        on(&mut life, now + RESTORE_NOTED_MS - 1, gets_to(done));
    }
    assert_eq!(life, before);
    now += RESTORE_NOTED_MS;
    on(&mut life, now, gets_to(100));
    on(&mut life, now + RESTORE_DEADLINE_MS - 1, gets_to(100));
    assert_eq!(
        on(&mut life, now + RESTORE_DEADLINE_MS, LifecycleEvent::AlarmRang),
        [LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
    );
}

#[test]
fn a_restore_ordered_while_running_is_tracked_until_it_ends() {
    let mut life = running();
    let asked_again = |now: u64| vec![LifecycleEffect::SetAlarm(now + ASK_UNHEALTHY_AGAIN_MS)];
    for (now, gateway, state) in [
        (1_000, GatewayCondition::Troubled, BotState::Unhealthy),
        (2_000, GatewayCondition::Restoring, BotState::Restoring),
        (3_000, GatewayCondition::Restoring, BotState::Restoring),
        (4_000, GatewayCondition::Starting, BotState::Starting),
        (5_000, GatewayCondition::Starting, BotState::Starting),
    ] {
        assert_eq!(on(&mut life, now, report_event(R1, gateway, 0)), asked_again(now));
        assert_eq!(life.bot_state(), state);
        assert_eq!(on(&mut life, now + 1, LifecycleEvent::AlarmRang), ASKED);
    }
    on(&mut life, 6_000, ready(R1));
    assert_eq!(life.state, LifecycleState::Running);
}

#[test]
fn attempts_that_get_no_further_than_before_meet_the_deadline() {
    let mut life = life();
    on(&mut life, 0, LifecycleEvent::Wanted);
    // The first one does something, and no other one more than that.
    let mut now = 0;
    for done in [0, 10, 0, 9, 0, 10, 3] {
        on(&mut life, now, gets_to(done));
        now += RESTORE_NOTED_MS;
    }
    let deadline = RESTORE_NOTED_MS + RESTORE_DEADLINE_MS;
    assert_eq!(life.state, LifecycleState::Restoring { deadline, done: 10 });
}
