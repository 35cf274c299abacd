use super::*;
use crate::bot::lifecycle::LifecycleState;

/// What is done about a bot that has been in this state for a while, the first time.
fn first(verb: BulkVerb, state: BotState) -> BulkStep {
    verb.decide(state, 1_000, None)
}

#[test]
fn each_verb_is_for_the_states_it_means() {
    use BotState::{
        Asleep, BackingOff, CrashLooped, Restoring, Running, Starting, Stopped, Stopping, Suspended,
        Unhealthy,
    };
    let awake = [Starting, Restoring, Running, Unhealthy, BackingOff, CrashLooped];
    for (verb, ordered) in [
        (BulkVerb::Restart, awake.to_vec()),
        (BulkVerb::Sleep, awake.to_vec()),
        (BulkVerb::Stop, [&awake[..], &[Asleep, Stopping]].concat()),
        (
            BulkVerb::Suspend,
            [&awake[..], &[Asleep, Stopping, Stopped]].concat(),
        ),
        (BulkVerb::Resume, vec![Stopped, Suspended]),
        (BulkVerb::Snapshot, awake.to_vec()),
    ] {
        for state in BotState::ALL {
            let is_ordered = first(verb, state) == BulkStep::Do;
            assert_eq!(is_ordered, ordered.contains(&state), "{verb:?} {state:?}");
        }
    }
}

#[test]
fn no_verb_but_a_restart_of_what_failed_starts_a_bot_that_is_down() {
    // What has no container and is ordered a restart, or a snapshot, would get one.
    for verb in [BulkVerb::Restart, BulkVerb::Snapshot] {
        for state in [
            BotState::Asleep,
            BotState::Stopping,
            BotState::Stopped,
            BotState::Suspended,
        ] {
            for tried_at in [None, Some(0), Some(1_000), Some(5_000)] {
                assert!(
                    matches!(verb.decide(state, 1_000, tried_at), BulkStep::Skip(_)),
                    "{verb:?} {state:?} {tried_at:?}"
                );
            }
        }
    }
}

#[test]
fn a_restart_of_many_starts_nothing_that_has_no_container() {
    let mut life = Lifecycle::new(0);
    life.state = LifecycleState::BackingOff {
        until: 60_000,
        reason: String::new(),
    };
    assert_eq!(
        BulkVerb::Restart.step(&life, None),
        BulkStep::Skip("nothing of it runs; the next request starts it")
    );
    assert_eq!(BulkVerb::Stop.step(&life, None), BulkStep::Do);
    life.state = LifecycleState::Running;
    assert_eq!(BulkVerb::Restart.step(&life, None), BulkStep::Do);
}

#[test]
fn what_an_earlier_try_has_done_is_not_ordered_again() {
    for (verb, state) in [
        (BulkVerb::Sleep, BotState::Asleep),
        (BulkVerb::Sleep, BotState::Stopping),
        (BulkVerb::Stop, BotState::Stopped),
        (BulkVerb::Suspend, BotState::Suspended),
        (BulkVerb::Resume, BotState::Asleep),
        (BulkVerb::Restart, BotState::Starting),
    ] {
        assert_eq!(verb.decide(state, 1_000, Some(900)), BulkStep::IsDone, "{verb:?}");
    }
    // It has been so for longer: the try did not get that far.
    assert_eq!(
        BulkVerb::Restart.decide(BotState::Running, 1_000, Some(1_001)),
        BulkStep::Do
    );
    assert_eq!(
        first(BulkVerb::Suspend, BotState::Suspended),
        BulkStep::Skip("it is so already")
    );
}

#[test]
fn names_of_verbs_and_outcomes_match_their_serialized_form() {
    for verb in BulkVerb::ALL {
        assert_eq!(serde_json::to_value(verb).unwrap(), verb.as_str());
        assert_eq!(BulkVerb::parse(verb.as_str()), Some(verb));
    }
    assert_eq!(BulkVerb::parse("dance"), None);
    for outcome in BulkOutcome::ALL {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
    }
}
