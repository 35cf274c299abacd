//! A bot that has spent what it may cost in a month.

use super::super::diagram::{NOW, events, lives, spending};
use super::*;
use crate::bot::admission::Entry;
use crate::cost::limit::SpendLevel;
use crate::http::problem::Refusal;

const LATER: u64 = NOW + 24 * 60 * 60_000;

fn over() -> LifecycleEvent {
    LifecycleEvent::Spending(Some(spending(SpendLevel::Over, LATER)))
}

fn starts(effects: &[LifecycleEffect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, LifecycleEffect::Start(_)))
}

#[test]
fn nothing_starts_a_bot_that_has_spent_its_limit() {
    for before in lives() {
        for event in events() {
            if matches!(event, LifecycleEvent::Spending(_)) {
                continue;
            }
            let mut life = Lifecycle {
                pinned: true,
                ..before.clone()
            };
            on(&mut life, NOW, over());
            let entry = life.entry(NOW);
            assert_eq!(entry, Entry::Refused(Refusal::SpendLimitReached), "{before:?}");
            let effects = on(&mut life, NOW + 1, event.clone());
            assert!(!starts(&effects), "{event:?} {before:?}");
        }
    }
}

#[test]
fn a_running_bot_is_put_to_sleep_as_an_idle_one() {
    let mut life = running();
    let asks = vec![
        LifecycleEffect::SetAlarm(NOW + ASK_ACTIVITY_AGAIN_MS),
        LifecycleEffect::AskMaySleep(R1),
    ];
    assert_eq!(on(&mut life, NOW, over()), asks);
    assert_eq!(life.state, LifecycleState::Running);
    let effects = on(
        &mut life,
        NOW + 1,
        LifecycleEvent::SleepAnswered(R1, MaySleep::Yes),
    );
    assert!(effects.contains(&LifecycleEffect::Terminate), "{effects:?}");
    assert_eq!(on(&mut life, NOW + 2, LifecycleEvent::Wanted), []);
    let asleep = on(&mut life, NOW + 3, LifecycleEvent::Exited(R1, String::new()));
    assert_eq!(
        asleep,
        [LifecycleEffect::SetAlarm(LATER)],
        "for the end of the month"
    );
    assert_eq!(life.state, LifecycleState::Asleep);
    assert!(life.incidents.is_open(IncidentKind::SpendOverLimit));
}

#[test]
fn who_is_busy_for_long_is_put_to_sleep_all_the_same() {
    for answer in [MaySleep::Busy { again_ms: u64::MAX }, MaySleep::Unknown] {
        let mut life = running();
        on(&mut life, NOW, over());
        let mut now = NOW;
        while now < NOW + SPENT_GRACE_MS {
            assert_eq!(life.state, LifecycleState::Running, "{answer:?}");
            on(&mut life, now, LifecycleEvent::SleepAnswered(R1, answer));
            now += ASK_ACTIVITY_AGAIN_MS;
            let effects = on(&mut life, now, LifecycleEvent::AlarmRang);
            if now < NOW + SPENT_GRACE_MS {
                assert_eq!(effects, ASKED);
                let effects = on(&mut life, now, ready(R1));
                assert!(effects.contains(&LifecycleEffect::AskMaySleep(R1)), "{effects:?}");
            }
        }
        assert!(
            matches!(life.state, LifecycleState::Stopping { wanted: false, .. }),
            "{answer:?}"
        );
    }
    // Nor does it help to say nothing.
    let mut life = running();
    on(&mut life, NOW, over());
    let effects = on(&mut life, NOW + SPENT_GRACE_MS, LifecycleEvent::Poll);
    assert!(effects.contains(&LifecycleEffect::Terminate));
}

#[test]
fn a_new_month_or_a_higher_limit_lets_it_wake_at_once() {
    let spent = || {
        let mut life = life();
        on(&mut life, NOW, over());
        life
    };
    let mut life = spent();
    assert_eq!(life.entry(LATER - 1), Entry::Refused(Refusal::SpendLimitReached));
    assert_eq!(life.entry(LATER), Entry::NeedsSlot);
    assert!(starts(&on(&mut life, LATER, LifecycleEvent::Wanted)));
    assert!(!life.incidents.is_open(IncidentKind::SpendOverLimit));
    // The alarm of the month's end closes what is open, and starts nothing.
    let mut life = spent();
    assert_eq!(on(&mut life, LATER, LifecycleEvent::AlarmRang), []);
    assert_eq!((life.spending, life.incidents.open_kinds().count()), (None, 0));
    for lifted in [None, Some(spending(SpendLevel::Near, LATER))] {
        let mut life = spent();
        on(&mut life, NOW + 1, LifecycleEvent::Spending(lifted));
        assert_eq!(life.entry(NOW + 1), Entry::NeedsSlot);
        assert!(starts(&on(&mut life, NOW + 2, LifecycleEvent::Wanted)));
        assert_eq!(
            life.incidents.is_open(IncidentKind::SpendNearLimit),
            lifted.is_some()
        );
    }
}

#[test]
fn what_is_desired_of_a_bot_stays_what_it_is() {
    for desired in [Desired::Available, Desired::Stopped, Desired::Suspended] {
        let mut life = Lifecycle { desired, ..running() };
        on(&mut life, NOW, over());
        on(&mut life, NOW + 1, LifecycleEvent::Spending(None));
        assert_eq!(life.desired, desired);
    }
    let mut life = Lifecycle {
        desired: Desired::Stopped,
        ..life()
    };
    on(&mut life, NOW, over());
    assert_eq!(life.entry(NOW), Entry::Refused(Refusal::BotStopped));
}

#[test]
fn a_limit_that_is_nearly_spent_changes_nothing_but_what_is_said() {
    let near = || LifecycleEvent::Spending(Some(spending(SpendLevel::Near, LATER)));
    for before in lives() {
        let before = Lifecycle {
            spending: None,
            spent_deadline: None,
            ..before
        };
        let mut life = before.clone();
        on(&mut life, NOW, near());
        assert_eq!(life.state, before.state);
        assert!(life.incidents.is_open(IncidentKind::SpendNearLimit));
    }
    let mut life = life();
    let rings = [LifecycleEffect::SetAlarm(LATER)];
    assert_eq!(on(&mut life, NOW, near()), rings, "it is over with the month");
}

#[test]
fn the_months_end_is_at_once_for_who_asks_and_later_for_the_alarm() {
    let mut life = life();
    let later = Spending {
        rings_after_ms: 90_000,
        ..spending(SpendLevel::Over, LATER)
    };
    let rings = [LifecycleEffect::SetAlarm(LATER + 90_000)];
    assert_eq!(on(&mut life, NOW, LifecycleEvent::Spending(Some(later))), rings);
    assert_eq!(life.entry(LATER), Entry::NeedsSlot);
    assert!(life.incidents.is_open(IncidentKind::SpendOverLimit));
    assert_eq!(on(&mut life, LATER + 90_000, LifecycleEvent::AlarmRang), []);
    assert!(!life.incidents.is_open(IncidentKind::SpendOverLimit));
}

#[test]
fn a_limit_that_is_spent_ends_no_incident_of_most_of_it() {
    let (near, over) = (IncidentKind::SpendNearLimit, IncidentKind::SpendOverLimit);
    let mut life = life();
    on(
        &mut life,
        NOW,
        LifecycleEvent::Spending(Some(spending(SpendLevel::Over, LATER))),
    );
    assert!(!life.incidents.is_open(near), "nor does it begin one");
    for (level, expected) in [
        (Some(SpendLevel::Near), (true, false)),
        (Some(SpendLevel::Over), (true, true)),
        (Some(SpendLevel::Near), (true, false)),
        (Some(SpendLevel::Over), (true, true)),
        (None, (false, false)),
    ] {
        let found = level.map(|level| spending(level, LATER));
        on(&mut life, NOW, LifecycleEvent::Spending(found));
        let open = (life.incidents.is_open(near), life.incidents.is_open(over));
        assert_eq!(open, expected, "{level:?}");
    }
}

#[test]
fn each_step_of_a_limit_is_told_once() {
    use crate::bot::history::HistoryKind::{SpendLimitLifted, SpendNearLimit, SpendOverLimit};
    let near = || Some(spending(SpendLevel::Near, LATER));
    let mut more = near().unwrap();
    more.spent = more.limit;
    let higher = Spending {
        limit: more.spent + more.spent,
        ..more
    };
    let mut life = life();
    let mut told = Vec::new();
    for event in [
        near(),
        Some(more),
        Some(spending(SpendLevel::Over, LATER)),
        Some(higher),
        None,
        None,
    ] {
        let (before, event) = (life.clone(), LifecycleEvent::Spending(event));
        on(&mut life, NOW, event.clone());
        told.extend(history_events(&before, &event, &life));
    }
    let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [SpendNearLimit, SpendOverLimit, SpendLimitLifted]);
    assert!(
        told[0].1.as_ref().unwrap().contains("$9.00 of the $10.00"),
        "{told:?}"
    );
}

#[test]
fn a_life_of_before_limits_is_read() {
    let text = serde_json::to_string(&running()).unwrap();
    assert!(!text.contains("spen"), "{text}");
    let mut life = running();
    on(&mut life, NOW, over());
    let text = serde_json::to_string(&life).unwrap();
    assert_eq!(crate::json::read::<Lifecycle>(&text).unwrap(), life);
}
