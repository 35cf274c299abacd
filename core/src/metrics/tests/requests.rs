//! How requests are counted, and which of them fail.

use crate::alerts::rules::MINUTE_MS;
use crate::api::operation::Operation;
use crate::api::table::endpoints;
use crate::http::problem::Refusal;
use crate::metrics::classes::{RequestClass, RequestOutcome};
use crate::metrics::requests::{MinuteCount, RequestCounts};

#[test]
fn every_endpoint_has_its_class() {
    let of = |path: &str| {
        let found = endpoints().find(|endpoint| endpoint.path() == path);
        found.map(RequestClass::of)
    };
    for (path, class) in [
        ("/healthz", RequestClass::Monitor),
        ("/api/admin/health", RequestClass::Monitor),
        ("/api/admin/metrics", RequestClass::Monitor),
        ("/api/admin/users", RequestClass::Admin),
        ("/api/bot", RequestClass::Api),
        ("/api/openapi.json", RequestClass::Api),
        ("/login", RequestClass::Page),
    ] {
        assert_eq!(of(path), Some(class), "{path}");
    }
    for endpoint in endpoints() {
        let expected = match endpoint.operation() {
            Operation::ServeBot => Some(RequestClass::Bot),
            Operation::ServeRepository => Some(RequestClass::Repository),
            _ => None,
        };
        if let Some(expected) = expected {
            assert_eq!(RequestClass::of(endpoint), expected);
        }
    }
}

#[test]
fn only_what_is_our_own_fault_counts_as_failed() {
    use RequestOutcome::{Answered, Failed, Refused, Unavailable};
    for (refusal, expected) in [
        (Refusal::SignInRequired, Refused),
        (Refusal::TooMany, Refused),
        (Refusal::BotWaking, Unavailable),
        (Refusal::NoCapacity, Unavailable),
        (Refusal::BadAnswer, Unavailable),
        (Refusal::NotConfigured, Unavailable),
        (Refusal::PlatformUnhealthy, Unavailable),
        (Refusal::DirectoryUnavailable, Failed),
        (Refusal::StorageUnavailable, Failed),
        (Refusal::Internal, Failed),
    ] {
        assert_eq!(RequestOutcome::of_refusal(refusal), expected, "{refusal:?}");
    }
    for refusal in Refusal::ALL {
        let outcome = RequestOutcome::of_refusal(refusal);
        assert_eq!(outcome == Refused, refusal.facts().0 < 500, "{refusal:?}");
        assert_ne!(outcome, Answered, "{refusal:?}");
    }
    for (class, status, expected) in [
        (RequestClass::Api, 200, Answered),
        (RequestClass::Bot, 101, Answered),
        (RequestClass::Page, 303, Answered),
        (RequestClass::Api, 404, Refused),
        (RequestClass::Page, 503, Failed),
        (RequestClass::Repository, 503, Failed),
        // A container may have said so.
        (RequestClass::Bot, 500, Unavailable),
        (RequestClass::Api, 500, Unavailable),
    ] {
        assert_eq!(
            RequestOutcome::of_status(class, status),
            expected,
            "{class:?} {status}"
        );
    }
}

fn answered(counts: &mut RequestCounts, minute: u64, class: RequestClass, outcomes: &[RequestOutcome]) {
    for outcome in outcomes {
        counts.count(minute * MINUTE_MS + 7, class, *outcome);
    }
}

#[test]
fn requests_are_added_up_by_class_outcome_and_minute() {
    use RequestOutcome::{Answered, Failed, Refused, Unavailable};
    let mut counts = RequestCounts::new();
    assert!(counts.is_empty());
    answered(
        &mut counts,
        5,
        RequestClass::Api,
        &[Answered, Answered, Failed, Refused, Unavailable],
    );
    answered(&mut counts, 6, RequestClass::Api, &[Answered]);
    answered(&mut counts, 6, RequestClass::Monitor, &[Failed]);
    answered(&mut counts, 6, RequestClass::Nothing, &[Failed]);
    assert!(!counts.is_empty());
    let series: Vec<_> = counts
        .counts()
        .into_iter()
        .map(|count| (count.series, count.by))
        .collect();
    let named = |words: &str, by| (format!("moltworker_requests_total {words}"), by);
    assert_eq!(
        series,
        [
            named("api answered", 3),
            named("api refused", 1),
            named("api unavailable", 1),
            named("api failed", 1),
            named("monitor failed", 1),
            named("nothing failed", 1),
        ]
    );
    let minute = |minute, answers, failed| MinuteCount {
        minute,
        class: "api",
        answers,
        failed,
    };
    assert_eq!(counts.minutes(), [minute(5, 3, 1), minute(6, 1, 0)]);
}

#[test]
fn what_could_not_be_written_is_written_later() {
    use RequestOutcome::{Answered, Failed};
    let mut lost = RequestCounts::new();
    answered(&mut lost, 1, RequestClass::Page, &[Failed]);
    answered(&mut lost, 2, RequestClass::Bot, &[Answered]);
    let mut counts = RequestCounts::new();
    answered(&mut counts, 2, RequestClass::Bot, &[Failed]);
    answered(&mut counts, 3, RequestClass::Bot, &[Answered]);
    counts.put_back(lost);
    let minutes: Vec<_> = counts
        .minutes()
        .iter()
        .map(|row| (row.minute, row.class, row.answers, row.failed))
        .collect();
    assert_eq!(minutes, [(1, "page", 1, 1), (2, "bot", 2, 1), (3, "bot", 1, 0)]);
    assert_eq!(counts.counts().iter().map(|count| count.by).sum::<u64>(), 4);
    // However long it cannot be written, it takes no more memory.
    for minute in 10..200 {
        let mut more = RequestCounts::new();
        answered(&mut more, minute, RequestClass::Bot, &[Answered]);
        more.put_back(std::mem::take(&mut counts));
        answered(&mut more, minute + 1, RequestClass::Bot, &[Answered]);
        counts = more;
    }
    assert_eq!(counts.minutes().len(), 15);
    assert_eq!(
        counts.counts().iter().map(|count| count.by).sum::<u64>(),
        4 + 2 * 190
    );
}
