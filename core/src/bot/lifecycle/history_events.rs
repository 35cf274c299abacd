//! What of a life is worth remembering: an entry in the history that owners and admins read.

use super::{Desired, Event, Life, State};
use crate::bot::history::Kind;

/// What happened, if it is worth an entry, and why, where there is more to say. `before` and `after` are the
/// life around `event`.
pub fn notice(before: &Life, event: &Event, after: &Life) -> Option<(Kind, Option<String>)> {
    let because = |reason: &String| Some(reason.clone());
    if before.desired != after.desired {
        let kind = match after.desired {
            Desired::Available => Kind::MadeAvailable,
            Desired::Stopped => Kind::Stopped,
            Desired::Suspended => Kind::Suspended,
        };
        return Some((kind, None));
    }
    // A start that follows an end in the same step tells both: the run number grows.
    if after.run > before.run {
        return Some((Kind::Started, None));
    }
    if std::mem::discriminant(&before.state) == std::mem::discriminant(&after.state) {
        return None;
    }
    match (&before.state, &after.state, event) {
        (_, State::CrashLooped { reason, .. }, _) => Some((Kind::CrashLooped, because(reason))),
        (State::Starting { .. } | State::Restoring { .. }, State::BackingOff { reason, .. }, _) => {
            Some((Kind::StartFailed, because(reason)))
        }
        (State::Stopping { .. }, State::Asleep, Event::AlarmRang | Event::Wanted) => {
            Some((Kind::Killed, None))
        }
        (State::Stopping { .. }, State::Asleep, _) => Some((Kind::Slept, None)),
        (_, _, Event::Exited(_, reason)) => Some((Kind::Died, because(reason))),
        (_, State::Asleep, Event::Loaded { .. }) => Some((Kind::Died, None)),
        (_, State::BackingOff { reason, .. }, Event::Loaded { .. }) => Some((Kind::Died, because(reason))),
        (State::Starting { .. } | State::Restoring { .. }, State::Running, _) => Some((Kind::Ready, None)),
        (_, State::Running, _) => Some((Kind::Healed, None)),
        (_, State::Unhealthy { .. }, _) => Some((Kind::Unhealthy, None)),
        (
            State::Unhealthy { .. },
            State::Stopping { .. },
            Event::AlarmRang | Event::Said(..) | Event::Wanted,
        ) => Some((Kind::Replaced, None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{R1, RULES, idle, ready, said};
    use super::super::{
        Authority, Gateway, MaySleep, START_DEADLINE_MS, STOP_DEADLINE_MS, UNHEALTHY_DEADLINE_MS,
    };
    use super::*;

    /// The entries that a sequence of events leaves.
    fn history(events: Vec<(u64, Event)>) -> Vec<Kind> {
        let mut life = Life::new(0);
        let mut kinds = Vec::new();
        for (now, event) in events {
            let before = life.clone();
            life.on(&RULES, now, 0.0, event.clone());
            kinds.extend(notice(&before, &event, &life).map(|(kind, _)| kind));
        }
        kinds
    }

    #[test]
    fn a_quiet_day_leaves_four_entries() {
        let day = vec![
            (0, Event::Wanted),
            (1, said(R1, Gateway::Restoring, 0)),
            (2, said(R1, Gateway::Starting, 0)),
            (3, ready(R1)),
            (4, Event::Wanted),
            (5, idle(R1, 0)),
            (6, Event::SleepAnswered(R1, MaySleep::Yes)),
            (7, Event::Exited(R1, String::new())),
            (8, Event::AlarmRang),
        ];
        assert_eq!(history(day), [Kind::Started, Kind::Ready, Kind::Slept]);
    }

    #[test]
    fn what_goes_wrong_is_told_once() {
        let troubled = said(R1, Gateway::Troubled, 0);
        let over = 3 + UNHEALTHY_DEADLINE_MS;
        let bad_day = vec![
            (0, Event::Wanted),
            (1, ready(R1)),
            (2, troubled.clone()),
            (2, troubled.clone()),
            (2, ready(R1)),
            (3, troubled.clone()),
            (over, troubled),
            (over + STOP_DEADLINE_MS, Event::AlarmRang),
        ];
        use Kind::{Healed, Killed, Ready, Replaced, Started, Unhealthy};
        assert_eq!(
            history(bad_day),
            [Started, Ready, Unhealthy, Healed, Unhealthy, Replaced, Killed]
        );
        let given_up = said(R1, Gateway::GivenUp("x".into()), 0);
        assert_eq!(
            history(vec![(0, Event::Wanted), (1, given_up.clone()), (2, given_up)]),
            [Started, Kind::CrashLooped]
        );
        assert_eq!(
            history(vec![(0, Event::Wanted), (START_DEADLINE_MS, Event::AlarmRang)]),
            [Started, Kind::StartFailed]
        );
        assert_eq!(
            history(vec![
                (0, Event::Wanted),
                (1, ready(R1)),
                (2, Event::Exited(R1, "137".into()))
            ]),
            [Started, Ready, Kind::Died]
        );
    }

    #[test]
    fn an_end_that_nobody_saw_is_told_by_who_looks_next() {
        use Kind::{Died, Ready, Started};
        let gone = Event::Loaded {
            container_runs: false,
        };
        for pinned in [false, true] {
            let day = vec![
                (0, Event::Wanted),
                (1, ready(R1)),
                (2, Event::Pinned(pinned)),
                (3, gone.clone()),
            ];
            assert_eq!(history(day), [Started, Ready, Died], "{pinned}");
        }
    }

    #[test]
    fn decisions_are_told_and_a_reason_comes_along() {
        let suspend = Event::Desired(Authority::Admin, Desired::Suspended);
        let undone = Event::Desired(Authority::Owner, Desired::Available);
        assert_eq!(history(vec![(0, suspend), (1, undone)]), [Kind::Suspended]);
        let mut life = Life::new(0);
        life.on(&RULES, 0, 0.0, Event::Wanted);
        let before = life.clone();
        let event = Event::StartFailed(R1, "no machine".into());
        life.on(&RULES, 1, 0.0, event.clone());
        let told = notice(&before, &event, &life);
        assert_eq!(told, Some((Kind::StartFailed, Some("no machine".into()))));
    }
}
