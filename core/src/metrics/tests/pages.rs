//! A page is what Prometheus reads: judged by a reader of its own.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::api::health::HealthReport;
use crate::jobs::watch::Tick;
use crate::metrics::count::{Observations, StoredCount, StoredCounts};
use crate::metrics::exposition::{Exposition, Value};
use crate::metrics::metric::Kind;
use crate::metrics::scrape::Scrape;
use crate::metrics::table::{BOTS, METRICS, SNAPSHOT_AGE_SECONDS, START_SECONDS};

const NOW: u64 = 100 * 60_000;

/// A line: name, labels, value.
type Line = (String, Vec<(String, String)>, String);

/// Reads a line as the format is described, or says nothing.
fn read(line: &str) -> Option<Line> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = vec![];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut characters = after.char_indices();
            let closed = loop {
                match characters.next()? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match characters.next()?.1 {
                        'n' => '\n',
                        '"' => '"',
                        '\\' => '\\',
                        _ => return None,
                    }),
                    (_, other) => value.push(other),
                }
            };
            labels.push((label.to_owned(), value));
            rest = after.get(closed + 1..)?;
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    Some((name.to_owned(), labels, rest.strip_prefix(' ')?.to_owned()))
}

fn observed(health: &HealthReport) -> Scrape<'_> {
    Scrape {
        now: NOW,
        stored: StoredCounts::default(),
        registered: 40,
        bots: BTreeMap::new(),
        max_awake: Some(20),
        snapshots_at: vec![Some(NOW - 90_500), None, Some(NOW - 30_000)],
        incidents: BTreeMap::new(),
        waiting: 0,
        health,
        ticks: &[],
        last_tick: 0,
        last_dead: 0,
    }
}

fn values(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn a_page_has_every_metric_of_the_table_once_and_in_order() {
    let tick = |ago: u64, consumed| Tick {
        started_at: NOW - ago,
        finished_at: Some(NOW - ago + 250),
        queued: 2,
        consumed,
    };
    let cut_short = Tick {
        finished_at: None,
        ..tick(20_000, 0)
    };
    let ticks = [cut_short, tick(80_000, 1), tick(260_000, 2)];
    let report = HealthReport::of(&[], &ticks, 0, true, NOW);
    let mut observed = observed(&report);
    observed.ticks = &ticks;
    observed.last_tick = 1_234;
    observed.bots = [("running".to_owned(), 3), ("dancing".to_owned(), 9)].into();
    observed.incidents = [("crash-loop".to_owned(), 2), ("of-a-newer-version".to_owned(), 9)].into();
    observed.stored = StoredCounts::new(vec![
        StoredCount {
            series: "moltworker_start_seconds 500".into(),
            value: 1,
        },
        StoredCount {
            series: "moltworker_start_seconds inf".into(),
            value: 2,
        },
        StoredCount {
            series: "moltworker_start_seconds sum".into(),
            value: 400_001,
        },
        StoredCount {
            series: "moltworker_requests_total api answered".into(),
            value: 5,
        },
        StoredCount {
            series: "moltworker_requests_total \"} 1\n evil".into(),
            value: 5,
        },
    ]);
    let text = observed.to_text();
    let named: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let expected: Vec<_> = METRICS
        .iter()
        .map(|metric| format!("{} {}", metric.name, metric.kind.as_str()))
        .collect();
    assert_eq!(named, expected);
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let unique: BTreeSet<_> = lines
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    assert_eq!(unique.len(), lines.len(), "each series once");
    for line in &lines {
        let (name, ..) = read(line).unwrap_or_else(|| panic!("{line}"));
        assert!(
            METRICS.iter().any(|metric| name.starts_with(metric.name)),
            "{line}"
        );
    }
    let values = values(&text);
    for (series, value) in [
        ("moltworker_bots{state=\"running\"}", "3"),
        ("moltworker_bots{state=\"asleep\"}", "28"),
        ("moltworker_bots_awake", "3"),
        ("moltworker_bots_awake_limit", "20"),
        ("moltworker_bots_without_snapshot", "1"),
        (
            "moltworker_incidents_open{rule=\"crash-loop\",severity=\"critical\"}",
            "2",
        ),
        (
            "moltworker_requests_total{class=\"api\",outcome=\"answered\"}",
            "5",
        ),
        ("moltworker_requests_total{class=\"api\",outcome=\"failed\"}", "0"),
        ("moltworker_start_seconds_bucket{le=\"0.5\"}", "1"),
        ("moltworker_start_seconds_bucket{le=\"180\"}", "1"),
        ("moltworker_start_seconds_bucket{le=\"+Inf\"}", "3"),
        ("moltworker_start_seconds_sum", "400.001"),
        ("moltworker_start_seconds_count", "3"),
        ("moltworker_snapshot_age_seconds{quantile=\"0.5\"}", "30"),
        ("moltworker_snapshot_age_seconds{quantile=\"1\"}", "90.5"),
        ("moltworker_snapshot_age_seconds_sum", "120.5"),
        ("moltworker_snapshot_age_seconds_count", "2"),
        (
            "moltworker_component_health{component=\"queue\",health=\"healthy\"}",
            "1",
        ),
        (
            "moltworker_component_health{component=\"bucket\",health=\"unknown\"}",
            "1",
        ),
        (
            "moltworker_component_health{component=\"bucket\",health=\"healthy\"}",
            "0",
        ),
        ("moltworker_cron_ticks_total", "1234"),
        ("moltworker_cron_last_tick_timestamp_seconds", "5980"),
        ("moltworker_cron_tick_seconds", "0.25"),
        ("moltworker_cron_longest_tick_seconds", "20"),
        ("moltworker_cron_longest_gap_seconds", "180"),
        ("moltworker_queue_messages_waiting", "3"),
        ("moltworker_queue_oldest_message_seconds", "80"),
    ] {
        assert_eq!(values.get(series).map(String::as_str), Some(value), "{series}");
    }
    assert!(!text.contains("evil") && !text.contains("dancing") && !text.contains("newer"));
}

#[test]
fn what_is_not_known_has_no_series() {
    let report = HealthReport::of(&[], &[], 0, true, NOW);
    let mut observed = observed(&report);
    observed.max_awake = None;
    let text = observed.to_text();
    let values = values(&text);
    for (series, is_there) in [
        ("moltworker_bots_awake_limit", false),
        ("moltworker_cron_last_tick_timestamp_seconds", false),
        ("moltworker_cron_longest_gap_seconds", false),
        ("moltworker_queue_messages_waiting", true),
        ("moltworker_cron_ticks_total", true),
    ] {
        assert_eq!(values.contains_key(series), is_there, "{series}");
    }
    assert!(!text.contains("TYPE moltworker_bots_awake_limit"));
}

#[test]
fn a_fleet_of_any_size_makes_a_page_of_the_same_length() {
    let report = HealthReport::of(&[], &[], 0, true, NOW);
    let lines = |snapshots: u64| {
        let mut observed = observed(&report);
        observed.snapshots_at = (0..snapshots).map(|at| Some(at % NOW)).collect();
        observed.to_text().lines().count()
    };
    assert_eq!(lines(1), lines(10_000));
    // Of no snapshot there is no age.
    assert_eq!(lines(0), lines(1) - 4);
}

proptest! {
    #[test]
    fn whatever_a_label_says_stays_in_it(label in any::<String>(), value in any::<u64>()) {
        let mut page = Exposition::default();
        page.sample(&BOTS, &[&label], Value::Whole(value));
        let text = page.into_text();
        prop_assert_eq!(text.matches('\n').count(), 1);
        let expected = ("moltworker_bots".to_owned(), vec![("state".to_owned(), label)], value.to_string());
        prop_assert_eq!(read(text.trim_end_matches('\n')), Some(expected));
    }

    #[test]
    fn seconds_are_written_to_the_millisecond(ms in any::<u64>()) {
        let mut page = Exposition::default();
        page.sample(&BOTS, &["x"], Value::Milliseconds(ms));
        let text = page.into_text();
        let (whole, part) = text.trim_end().rsplit_once(' ').unwrap().1.split_once('.').unwrap_or((
            text.trim_end().rsplit_once(' ').unwrap().1, "0",
        ));
        let read = u128::from(whole.parse::<u64>().unwrap()) * 1_000 + format!("{part:0<3}").parse::<u128>().unwrap();
        prop_assert_eq!(read, u128::from(ms));
    }

    #[test]
    fn buckets_only_grow_and_the_last_has_all(buckets in prop::collection::vec(0..1_000_u64, 14)) {
        let Kind::Histogram(bounds) = START_SECONDS.kind else { panic!("it is one") };
        prop_assert_eq!(bounds.len() + 1, buckets.len());
        let all: u64 = buckets.iter().sum();
        let mut page = Exposition::default();
        page.histogram(&START_SECONDS, &[], &Observations { buckets, sum_ms: 1 });
        let text = page.into_text();
        let counts: Vec<u64> = text.lines().filter(|line| line.contains("_bucket")).map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        prop_assert!(counts.is_sorted());
        prop_assert_eq!(counts.last(), Some(&all));
        let count = format!("_count {all}\n");
        prop_assert!(text.ends_with(&count));
    }

    #[test]
    fn a_quantile_is_one_of_the_values_and_so_many_do_not_exceed_it(ages in prop::collection::vec(0..1_000_000_u64, 1..300)) {
        let mut page = Exposition::default();
        page.summary(&SNAPSHOT_AGE_SECONDS, &[], ages.clone());
        let text = page.into_text();
        for line in text.lines().filter(|line| line.contains("quantile")) {
            let (_, labels, value) = read(line).unwrap();
            let share: f64 = labels[0].1.parse().unwrap();
            let (whole, part) = value.split_once('.').unwrap_or((&value, "0"));
            let ms = whole.parse::<u64>().unwrap() * 1_000 + format!("{part:0<3}").parse::<u64>().unwrap();
            prop_assert!(ages.contains(&ms));
            let below = ages.iter().filter(|age| **age <= ms).count() as f64;
            prop_assert!(below >= share * ages.len() as f64 - 1e-6);
        }
    }
}
