//! The table, what is counted, and what a page of it says.

mod pages;
mod requests;

use std::collections::BTreeSet;

use super::bots::{StartWatch, of_ending, of_event};
use super::count::{Count, Observations, StoredCount, StoredCounts};
use super::metric::Kind;
use super::table::{BOTS, METRICS, REQUESTS, START_PHASE_SECONDS, START_SECONDS};
use crate::alerts::delivery::DeliveryOutcome;
use crate::bot::history::HistoryKind;
use crate::bot::lifecycle::{GatewayCondition, Lifecycle, LifecycleEvent, LifecycleRules, SupervisorReport};
use crate::metrics::table::DELIVERIES;
use crate::wire::control::EndReason;
use crate::wire::run::Run;

/// Series of all metrics together, a histogram's and a summary's lines with them. Whoever adds one looks here whether that is worth
/// it on each deployment, a minute for a minute.
const MAX_LINES: usize = 350;

/// Whether this is a series of a metric that is counted in D1.
fn is_declared(series: &str) -> bool {
    let words: Vec<&str> = series.split(' ').collect();
    let Some(metric) = METRICS.iter().find(|metric| metric.name == words[0]) else {
        return false;
    };
    let (labels, end) = words[1..].split_at(metric.labels.len().min(words.len() - 1));
    let ends = match (metric.kind, end) {
        (Kind::Counter, []) | (Kind::Histogram(_), ["sum" | "inf"]) => true,
        (Kind::Histogram(bounds), [end]) => bounds.iter().any(|bound| bound.to_string() == *end),
        _ => false,
    };
    ends && (metric.series)().iter().any(|series| series == labels)
}

fn stored(counts: &[Count]) -> StoredCounts {
    let rows = counts.iter().map(|count| StoredCount {
        series: count.series.clone(),
        value: count.by,
    });
    StoredCounts::new(rows.collect())
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "each once");
    for metric in METRICS {
        let name = metric.name;
        assert!(name.starts_with("moltworker_"), "{name}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
        if matches!(metric.kind, Kind::Histogram(_) | Kind::Summary(_)) {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        assert!(
            metric.help.ends_with('.') && !metric.help.contains('\n'),
            "{name}"
        );
        for label in metric.labels {
            assert!(
                !["le", "quantile", "job", "instance"].contains(label),
                "{name}: {label}"
            );
        }
    }
}

#[test]
fn every_series_is_known_beforehand_and_they_are_few() {
    let mut lines = 0;
    for metric in METRICS {
        let series = (metric.series)();
        let unique: BTreeSet<_> = series.iter().collect();
        assert_eq!(unique.len(), series.len(), "{}", metric.name);
        for labels in &series {
            assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
            // Words of a series are apart by blanks where it is stored.
            assert!(labels.iter().all(|label| !label.contains(' ')), "{labels:?}");
        }
        lines += series.len()
            * match metric.kind {
                Kind::Counter | Kind::Gauge => 1,
                Kind::Histogram(bounds) => bounds.len() + 3,
                Kind::Summary(shares) => shares.len() + 2,
            };
    }
    assert!(lines <= MAX_LINES, "{lines}");
}

#[test]
fn whatever_is_counted_is_in_the_table() {
    let mut counted = vec![];
    for kind in HistoryKind::ALL {
        let count = of_event(kind);
        // Calls of people are among the requests.
        let of_call = matches!(
            kind.as_str(),
            "ordered" | "inspected" | "changed" | "refused" | "signed-in" | "signed-out"
        );
        assert_eq!(is_declared(&count.series), !of_call, "{}", count.series);
    }
    for reason in EndReason::ALL.into_iter().chain([EndReason::Unknown]) {
        counted.push(of_ending(reason));
    }
    let failed = DeliveryOutcome::Failed {
        reason: String::new(),
        retry_after_ms: None,
    };
    for tried in [
        DeliveryOutcome::Delivered,
        DeliveryOutcome::Refused(String::new()),
        failed,
    ] {
        counted.push(DELIVERIES.count(&[tried.as_str()], 1));
    }
    for ms in [0, 1, 500, 501, 180_000, 180_001, u64::MAX] {
        counted.extend(START_SECONDS.observe(&[], ms));
        counted.extend(START_PHASE_SECONDS.observe(&["restore"], ms));
    }
    for count in counted {
        assert!(is_declared(&count.series), "{}", count.series);
    }
    for series in [
        "moltworker_bots running",
        "x",
        "moltworker_requests_total bot",
        "moltworker_requests_total bot answered 500",
    ] {
        assert!(!is_declared(series), "{series}");
    }
}

#[test]
fn what_was_observed_is_read_back_also_with_other_buckets() {
    let bounds = [1_000, 5_000];
    let named = |word: &str, value| StoredCount {
        series: format!("moltworker_start_phase_seconds restore {word}"),
        value,
    };
    let rows = vec![
        named("500", 1),
        named("1000", 2),
        named("2500", 4),
        named("9000", 8),
        named("inf", 16),
        named("sum", 77),
        named("later", 32),
        StoredCount {
            series: "moltworker_start_phase_seconds restores 500".into(),
            value: 64,
        },
        StoredCount {
            series: "moltworker_start_phase_seconds".into(),
            value: 64,
        },
    ];
    let observed = StoredCounts::new(rows).observations(&START_PHASE_SECONDS, &["restore"], &bounds);
    assert_eq!(
        observed,
        Observations {
            buckets: vec![3, 4, 24],
            sum_ms: 77
        }
    );
    let nothing = StoredCounts::default().observations(&START_SECONDS, &[], &bounds);
    assert_eq!(
        nothing,
        Observations {
            buckets: vec![0, 0, 0],
            sum_ms: 0
        }
    );
}

#[test]
fn a_counter_is_found_by_its_labels() {
    let counts = [REQUESTS.count(&["bot", "answered"], 7)];
    let read = |labels: &[&str]| stored(&counts).counter(&REQUESTS, labels);
    assert_eq!((read(&["bot", "answered"]), read(&["bot", "failed"])), (7, 0));
    assert_eq!(stored(&counts).counter(&BOTS, &["asleep"]), 0);
}

/// The parts of a start that these events make of it: whole, container, restore, gateway, in milliseconds.
fn measured(events: Vec<(u64, LifecycleEvent)>) -> Vec<u64> {
    let (mut life, mut watch) = (Lifecycle::new(0), StartWatch::default());
    let mut counts = vec![];
    for (now, event) in events {
        let before = life.clone();
        life.on(&LifecycleRules { sleep_after_ms: None }, now, 0.0, event);
        counts.extend(watch.step(&before, &life, now));
    }
    let sums = counts.iter().filter(|count| count.series.ends_with(" sum"));
    sums.map(|count| count.by).collect()
}

fn said(run: u64, gateway: GatewayCondition) -> LifecycleEvent {
    let report = SupervisorReport {
        gateway,
        idle_ms: 0,
        done: 0,
        outlived: Some(0),
        endings: Vec::new(),
    };
    LifecycleEvent::Reported(Run(run), Some(report))
}

#[test]
fn a_start_is_measured_by_its_parts() {
    use GatewayCondition::{Answering, Restoring, Starting, Troubled};
    let whole = vec![
        (1_000, LifecycleEvent::Wanted),
        (4_000, said(1, Restoring)),
        (5_000, said(1, Restoring)),
        (9_000, said(1, Starting)),
        (31_000, said(1, Answering)),
        (40_000, said(1, Troubled)),
        (50_000, said(1, Answering)),
    ];
    assert_eq!(measured(whole), [30_000, 3_000, 5_000, 22_000], "once");
    let empty_home = vec![
        (0, LifecycleEvent::Wanted),
        (2_000, said(1, Starting)),
        (9_000, said(1, Answering)),
    ];
    assert_eq!(measured(empty_home), [9_000, 2_000, 0, 7_000]);
    let at_once = vec![(0, LifecycleEvent::Wanted), (9_000, said(1, Answering))];
    assert_eq!(measured(at_once), [9_000, 9_000, 0, 0]);
    let again = vec![
        (0, LifecycleEvent::Wanted),
        (9_000, LifecycleEvent::Exited(Run(1), "x".into())),
        (99_000, LifecycleEvent::RestartWanted),
        (100_000, said(2, Answering)),
    ];
    assert_eq!(
        measured(again),
        [1_000, 1_000, 0, 0],
        "what failed is not measured"
    );
    assert_eq!(
        measured(vec![
            (0, LifecycleEvent::Wanted),
            (1, LifecycleEvent::SleepWanted)
        ]),
        [0; 0]
    );
    // As after this Sandbox was thrown out of memory on the way.
    let (mut life, mut watch) = (Lifecycle::new(0), StartWatch::default());
    life.on(
        &LifecycleRules { sleep_after_ms: None },
        0,
        0.0,
        LifecycleEvent::Wanted,
    );
    let before = life.clone();
    life.on(
        &LifecycleRules { sleep_after_ms: None },
        9,
        0.0,
        said(1, Answering),
    );
    assert_eq!(watch.step(&before, &life, 9), []);
}
