//! What of a life is worth remembering: an entry in the history that owners and admins read.

use super::{Desired, Lifecycle, LifecycleEvent, LifecycleState};
use crate::bot::history::HistoryKind;
use crate::cost::limit::{SpendLevel, Spending};
use crate::wire::control::EndReason;

/// An entry's kind and why, where there is more to say.
type Entry = (HistoryKind, Option<String>);

/// What happened, as far as it is worth entries. `before` and `after` are the life around `event`.
pub fn history_events(before: &Lifecycle, event: &LifecycleEvent, after: &Lifecycle) -> Vec<Entry> {
    let step = step(before, event, after);
    let memory = memory(before, event, after);
    let told = [outlived(before, after), memory, spending(before, after), step];
    told.into_iter().flatten().collect()
}

/// That its gateway ran out of memory. Told by the report that follows, once for each that reports bring.
fn memory(before: &Lifecycle, event: &LifecycleEvent, after: &Lifecycle) -> Option<Entry> {
    let fresh = gateway_endings(before, event, after);
    let why = match fresh.iter().rfind(|reason| reason.is_for_want_of_memory())? {
        EndReason::HeapExhausted => "its JavaScript heap was full",
        _ => "the kernel killed its gateway",
    };
    Some((HistoryKind::OutOfMemory, Some(why.to_owned())))
}

/// Why the gateways ended that nobody has counted yet: each once, however often it is reported.
pub fn gateway_endings(before: &Lifecycle, event: &LifecycleEvent, after: &Lifecycle) -> Vec<EndReason> {
    let LifecycleEvent::Reported(run, Some(report)) = event else {
        return Vec::new();
    };
    if *run != before.run || after.ended_at == before.ended_at {
        return Vec::new();
    }
    let news = report.endings.iter().filter(|(at, _)| *at > before.ended_at);
    news.map(|(_, reason)| *reason).collect()
}

/// What became of the month's limit.
fn spending(before: &Lifecycle, after: &Lifecycle) -> Option<Entry> {
    let is_over = |spending: &Spending| spending.level == SpendLevel::Over;
    let words = after.spending.map(|spending| spending.in_words());
    match (before.spending, after.spending) {
        (Some(known), Some(found)) if known.is_as(&found) => None,
        (_, Some(found)) if is_over(&found) => Some((HistoryKind::SpendOverLimit, words)),
        (Some(known), _) if is_over(&known) => Some((HistoryKind::SpendLimitLifted, words)),
        (_, Some(_)) => Some((HistoryKind::SpendNearLimit, words)),
        (_, None) => None,
    }
}

/// What its gateway left running. Told by the report that follows, so once for each end of a gateway, or for several.
fn outlived(before: &Lifecycle, after: &Lifecycle) -> Option<Entry> {
    let detail = match after.outlived?.checked_sub(before.outlived?)? {
        0 => return None,
        1 => {
            "1 process that the bot had started went on when its gateway had ended, and was ended".to_owned()
        }
        many => format!(
            "{many} processes that the bot had started went on when its gateway had ended, and were ended"
        ),
    };
    Some((HistoryKind::Outlived, Some(detail)))
}

/// What the step from one state to another tells.
fn step(before: &Lifecycle, event: &LifecycleEvent, after: &Lifecycle) -> Option<Entry> {
    let because = |reason: &String| Some(reason.clone());
    if before.desired != after.desired {
        let kind = match after.desired {
            Desired::Available => HistoryKind::MadeAvailable,
            Desired::Stopped => HistoryKind::Stopped,
            Desired::Suspended => HistoryKind::Suspended,
        };
        return Some((kind, None));
    }
    // A start that follows an end in the same step tells both: the run number grows.
    if after.run > before.run {
        return Some((HistoryKind::Started, None));
    }
    if std::mem::discriminant(&before.state) == std::mem::discriminant(&after.state) {
        return None;
    }
    match (&before.state, &after.state, event) {
        (_, LifecycleState::CrashLooped { reason, .. }, _) => {
            Some((HistoryKind::CrashLooped, because(reason)))
        }
        (
            LifecycleState::Starting { .. } | LifecycleState::Restoring { .. },
            LifecycleState::BackingOff { reason, .. },
            _,
        ) => Some((HistoryKind::StartFailed, because(reason))),
        (
            LifecycleState::Stopping { .. },
            LifecycleState::Asleep,
            LifecycleEvent::AlarmRang | LifecycleEvent::Poll | LifecycleEvent::Wanted,
        ) => Some((HistoryKind::Killed, None)),
        (LifecycleState::Stopping { .. }, LifecycleState::Asleep, _) => Some((HistoryKind::Slept, None)),
        (_, _, LifecycleEvent::ShutDown(_)) => Some((HistoryKind::ShutDown, None)),
        (_, _, LifecycleEvent::Exited(_, reason)) => Some((HistoryKind::Died, because(reason))),
        (_, LifecycleState::Asleep, LifecycleEvent::Loaded { .. }) => Some((HistoryKind::Died, None)),
        (_, LifecycleState::BackingOff { reason, .. }, LifecycleEvent::Loaded { .. }) => {
            Some((HistoryKind::Died, because(reason)))
        }
        (LifecycleState::Starting { .. } | LifecycleState::Restoring { .. }, LifecycleState::Running, _) => {
            Some((HistoryKind::Ready, None))
        }
        (_, LifecycleState::Running, _) => Some((HistoryKind::Healed, None)),
        (_, LifecycleState::Unhealthy { .. }, _) => Some((HistoryKind::Unhealthy, None)),
        (
            LifecycleState::Unhealthy { .. },
            LifecycleState::Stopping { .. },
            LifecycleEvent::AlarmRang
            | LifecycleEvent::Poll
            | LifecycleEvent::Reported(..)
            | LifecycleEvent::Wanted,
        ) => Some((HistoryKind::Replaced, None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{R1, RULES, idle, ready, report_event};
    use crate::wire::run::Run;

    use super::super::{
        Authority, GatewayCondition, MaySleep, START_DEADLINE_MS, STOP_DEADLINE_MS, SupervisorReport,
        UNHEALTHY_DEADLINE_MS,
    };
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1_000;

    /// The entries that a sequence of events leaves, with their times and reasons.
    fn told(events: Vec<(u64, LifecycleEvent)>) -> Vec<(u64, HistoryKind, Option<String>)> {
        let mut life = Lifecycle::new(0);
        let mut told = Vec::new();
        for (now, event) in events {
            let before = life.clone();
            life.on(&RULES, now, 0.0, event.clone());
            let entries = history_events(&before, &event, &life).into_iter();
            told.extend(entries.map(|(kind, why)| (now, kind, why)));
        }
        told
    }

    fn history(events: Vec<(u64, LifecycleEvent)>) -> Vec<HistoryKind> {
        told(events).into_iter().map(|(_, kind, _)| kind).collect()
    }

    #[test]
    fn a_day_without_failures_records_start_readiness_and_sleep() {
        let day = vec![
            (0, LifecycleEvent::Wanted),
            (1, report_event(R1, GatewayCondition::Restoring, 0)),
            (2, report_event(R1, GatewayCondition::Starting, 0)),
            (3, ready(R1)),
            (4, LifecycleEvent::Wanted),
            (5, idle(R1, 0)),
            (6, LifecycleEvent::SleepAnswered(R1, MaySleep::Yes)),
            (7, LifecycleEvent::Exited(R1, String::new())),
            (8, LifecycleEvent::AlarmRang),
        ];
        assert_eq!(
            told(day),
            [
                (0, HistoryKind::Started, None),
                (3, HistoryKind::Ready, None),
                (7, HistoryKind::Slept, None)
            ]
        );
    }

    #[test]
    fn a_failure_is_recorded_once() {
        let troubled = report_event(R1, GatewayCondition::Troubled, 0);
        let over = 3 + UNHEALTHY_DEADLINE_MS;
        let bad_day = vec![
            (0, LifecycleEvent::Wanted),
            (1, ready(R1)),
            (2, troubled.clone()),
            (2, troubled.clone()),
            (2, ready(R1)),
            (3, troubled.clone()),
            (over, troubled),
            (over + STOP_DEADLINE_MS, LifecycleEvent::AlarmRang),
        ];
        use HistoryKind::{Healed, Killed, Ready, Replaced, Started, Unhealthy};
        assert_eq!(
            history(bad_day),
            [Started, Ready, Unhealthy, Healed, Unhealthy, Replaced, Killed]
        );
        let given_up = report_event(R1, GatewayCondition::GivenUp("x".into()), 0);
        assert_eq!(
            history(vec![
                (0, LifecycleEvent::Wanted),
                (1, given_up.clone()),
                (2, given_up)
            ]),
            [Started, HistoryKind::CrashLooped]
        );
        assert_eq!(
            history(vec![
                (0, LifecycleEvent::Wanted),
                (START_DEADLINE_MS, LifecycleEvent::AlarmRang)
            ]),
            [Started, HistoryKind::StartFailed]
        );
        assert_eq!(
            history(vec![
                (0, LifecycleEvent::Wanted),
                (1, ready(R1)),
                (2, LifecycleEvent::Exited(R1, "137".into()))
            ]),
            [Started, Ready, HistoryKind::Died]
        );
        assert_eq!(
            history(vec![
                (0, LifecycleEvent::Wanted),
                (1, ready(R1)),
                (2, LifecycleEvent::ShutDown(R1))
            ]),
            [Started, Ready, HistoryKind::ShutDown]
        );
    }

    #[test]
    fn each_end_of_a_gateway_is_counted_once() {
        use EndReason::{Crash, OutOfMemory};
        let ended = |run: Run, endings: &[(u64, EndReason)]| {
            let LifecycleEvent::Reported(run, Some(report)) =
                report_event(run, GatewayCondition::Answering, 0)
            else {
                panic!("a report");
            };
            let endings = endings.to_vec();
            LifecycleEvent::Reported(run, Some(SupervisorReport { endings, ..report }))
        };
        let both = [(700, Crash), (900, OutOfMemory)];
        let mut life = Lifecycle::new(0);
        let mut counted = Vec::new();
        for event in [
            LifecycleEvent::Wanted,
            ended(R1, &[]),
            ended(R1, &both[..1]),
            ended(R1, &both[..1]),
            ended(Run(7), &[(999, Crash)]),
            ended(R1, &both),
            // Of a supervisor that has forgotten the first one meanwhile.
            ended(R1, &both[1..]),
            LifecycleEvent::Exited(R1, "x".into()),
            LifecycleEvent::RestartWanted,
            ended(Run(2), &[(100, Crash)]),
        ] {
            let before = life.clone();
            life.on(&RULES, 5, 0.0, event.clone());
            counted.push(gateway_endings(&before, &event, &life));
        }
        let told: Vec<_> = counted.into_iter().flatten().collect();
        assert_eq!(told, [Crash, OutOfMemory, Crash]);
    }

    fn reported(run: Run, gateway: GatewayCondition, outlived: impl Into<Option<u32>>) -> LifecycleEvent {
        let outlived = outlived.into();
        let LifecycleEvent::Reported(run, Some(report)) = report_event(run, gateway, 0) else {
            panic!("a report");
        };
        LifecycleEvent::Reported(run, Some(SupervisorReport { outlived, ..report }))
    }

    #[test]
    fn what_outlived_a_gateway_is_recorded_once_with_its_number() {
        use GatewayCondition::{Answering, Troubled};
        let days = vec![
            (0, LifecycleEvent::Wanted),
            (1, reported(R1, Answering, 0)),
            (2, reported(R1, Troubled, 25)),
            (3, reported(R1, Troubled, 25)),
            (4, reported(R1, Answering, 26)),
            (5, LifecycleEvent::Reported(R1, None)),
            (6, reported(R1, Answering, 26)),
            (7, LifecycleEvent::Exited(R1, String::new())),
            (DAY, LifecycleEvent::Wanted),
            // Another container counts anew.
            (DAY + 1, reported(R1.next(), Answering, 2)),
        ];
        let told: Vec<_> = told(days)
            .into_iter()
            .filter_map(|(at, kind, why)| Some((at, why.filter(|_| kind == HistoryKind::Outlived)?)))
            .collect();
        let many = |count| {
            format!(
                "{count} processes that the bot had started went on when its gateway had ended, and were ended"
            )
        };
        let one = "1 process that the bot had started went on when its gateway had ended, and was ended";
        assert_eq!(told, [(2, many(25)), (4, one.to_owned()), (DAY + 1, many(2))]);
    }

    #[test]
    fn what_outlived_a_gateway_before_anybody_counted_is_not_told_as_new() {
        let mut life = Lifecycle::new(0);
        life.on(&RULES, 0, 0.0, LifecycleEvent::Wanted);
        // As a version left it that did not count.
        life.outlived = None;
        let text = serde_json::to_string(&life).unwrap();
        assert!(
            !text.contains("outlived"),
            "an older version reads a number: {text}"
        );
        let mut life: Lifecycle = crate::json::read(&text).unwrap();
        for (outlived, is_told) in [(None, false), (Some(25), false), (None, false), (Some(26), true)] {
            let event = reported(R1, GatewayCondition::Answering, outlived);
            let before = life.clone();
            life.on(&RULES, 1, 0.0, event.clone());
            let told = history_events(&before, &event, &life);
            let told = told.iter().any(|(kind, _)| *kind == HistoryKind::Outlived);
            assert_eq!(told, is_told, "{outlived:?}");
        }
    }

    #[test]
    fn each_end_for_want_of_memory_is_recorded_with_its_kind() {
        let reported = |ends: &[(u64, EndReason)]| {
            let LifecycleEvent::Reported(run, Some(report)) = ready(R1) else {
                panic!("a report");
            };
            let endings = ends.to_vec();
            LifecycleEvent::Reported(run, Some(SupervisorReport { endings, ..report }))
        };
        let day = vec![
            (0, LifecycleEvent::Wanted),
            (1, reported(&[])),
            (2, reported(&[(40, EndReason::OutOfMemory)])),
            (3, reported(&[(40, EndReason::OutOfMemory)])),
            (
                4,
                reported(&[(40, EndReason::OutOfMemory), (50, EndReason::HeapExhausted)]),
            ),
        ];
        let told: Vec<_> = told(day)
            .into_iter()
            .filter_map(|(at, kind, why)| Some((at, why.filter(|_| kind == HistoryKind::OutOfMemory)?)))
            .collect();
        let expected = [
            (2, "the kernel killed its gateway".to_owned()),
            (4, "its JavaScript heap was full".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_unobserved_exit_is_recorded_at_the_next_event() {
        use HistoryKind::{Died, Ready, Started};
        let gone = LifecycleEvent::Loaded {
            container_runs: false,
        };
        for pinned in [false, true] {
            let day = vec![
                (0, LifecycleEvent::Wanted),
                (1, ready(R1)),
                (2, LifecycleEvent::Pinned(pinned)),
                (3, gone.clone()),
            ];
            assert_eq!(history(day), [Started, Ready, Died], "{pinned}");
        }
    }

    #[test]
    fn decisions_are_recorded_with_their_reason() {
        let suspend = LifecycleEvent::Desired(Authority::Admin, Desired::Suspended);
        let undone = LifecycleEvent::Desired(Authority::Owner, Desired::Available);
        assert_eq!(history(vec![(0, suspend), (1, undone)]), [HistoryKind::Suspended]);
        let mut life = Lifecycle::new(0);
        life.on(&RULES, 0, 0.0, LifecycleEvent::Wanted);
        let before = life.clone();
        let event = LifecycleEvent::StartFailed(R1, "no machine".into());
        life.on(&RULES, 1, 0.0, event.clone());
        let told = history_events(&before, &event, &life);
        assert_eq!(told, [(HistoryKind::StartFailed, Some("no machine".into()))]);
    }
}
