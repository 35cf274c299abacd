use proptest::prelude::*;

use super::*;
use crate::cost::calendar::DAY_MS;

/// 2026-12-01, 00:00 UTC.
const DECEMBER: u64 = 1_796_083_200_000;
const MINUTE: u64 = 60_000;
const R1: Run = Run(1);

fn standard() -> Instance {
    Instance::parse("standard-1").unwrap()
}

fn running(meter: &Meter) -> u64 {
    meter.days.iter().map(|counted| counted.usage.running_ms).sum()
}

/// A run from one time to another, with a look each minute.
fn run(meter: &mut Meter, from: u64, until: u64) {
    for now in (from..until).step_by(MINUTE as usize) {
        meter.see(now, Some(R1));
    }
    meter.see(until, None);
}

#[test]
fn a_run_over_the_end_of_a_month_is_divided() {
    let mut meter = Meter::default();
    run(&mut meter, DECEMBER - 10 * MINUTE, DECEMBER + 25 * MINUTE + 7);
    let days: Vec<_> = meter
        .days
        .iter()
        .map(|counted| counted.usage.running_ms)
        .collect();
    assert_eq!(days, [10 * MINUTE, 25 * MINUTE + 7]);
    assert_eq!(meter.month(DECEMBER - 1).running_ms, 10 * MINUTE);
    assert_eq!(meter.month(DECEMBER).running_ms, 25 * MINUTE + 7);
    assert_eq!(meter.month(DECEMBER + 40 * DAY_MS), Usage::default());
}

#[test]
fn an_eviction_loses_nothing_of_a_run() {
    let mut meter = Meter::default();
    meter.see(DECEMBER, Some(R1));
    let stored = serde_json::to_string(&meter).unwrap();
    meter.see(DECEMBER + 4 * MINUTE, Some(R1));
    // What was counted since it was stored is lost, and found again.
    let mut meter: Meter = serde_json::from_str(&stored).unwrap();
    meter.see(DECEMBER + 5 * MINUTE, Some(R1));
    meter.see(DECEMBER + 5 * MINUTE, Some(R1));
    assert_eq!(running(&meter), 5 * MINUTE, "each moment once");
    // Nobody saw the end: it is counted up to the bound.
    meter.see(DECEMBER + DAY_MS, None);
    assert_eq!(running(&meter), 5 * MINUTE + MAX_STEP_MS);
    meter.see(DECEMBER + 2 * DAY_MS, None);
    assert_eq!(running(&meter), 5 * MINUTE + MAX_STEP_MS, "it is over");
}

#[test]
fn a_clock_that_jumps_costs_a_quarter_of_an_hour_at_most() {
    for jump in [DAY_MS, 400 * DAY_MS] {
        let mut meter = Meter::default();
        meter.see(DECEMBER, Some(R1));
        meter.see(DECEMBER + MINUTE, Some(R1));
        meter.see(DECEMBER + jump, Some(R1));
        for minute in 2..=10 {
            meter.see(DECEMBER + minute * MINUTE, Some(R1));
        }
        let counted = running(&meter);
        assert!(
            (9 * MINUTE..=10 * MINUTE + MAX_STEP_MS).contains(&counted),
            "{counted}"
        );
        assert!(meter.is_due(DECEMBER + 10 * MINUTE), "and is written");
    }
    let mut meter = Meter::default();
    meter.see(DECEMBER, Some(R1));
    for now in [10_000, 9_000, 10_000, 9_999, 11_000] {
        meter.see(DECEMBER + now, Some(R1));
    }
    assert_eq!(running(&meter), 11_000, "a little back is no jump");
}

#[test]
fn a_new_run_begins_where_it_begins() {
    let mut meter = Meter::default();
    meter.see(DECEMBER, Some(R1));
    meter.see(DECEMBER + MINUTE, Some(Run(2)));
    meter.see(DECEMBER + 3 * MINUTE, None);
    meter.see(DECEMBER + 9 * MINUTE, Some(Run(3)));
    meter.see(DECEMBER + 10 * MINUTE, Some(Run(3)));
    assert_eq!((running(&meter), meter.running()), (4 * MINUTE, Some(Run(3))));
}

#[test]
fn a_processor_is_what_its_supervisor_says_within_what_it_has() {
    let mut meter = Meter::default();
    let of = |meter: &Meter| {
        let usage = meter.month(DECEMBER);
        (usage.cpu_ms, usage.unmeasured_ms)
    };
    meter.see(DECEMBER, Some(R1));
    meter.measure(DECEMBER + MINUTE, R1, 5_000, standard());
    assert_eq!(of(&meter), (5_000, 0));
    meter.measure(DECEMBER + 2 * MINUTE, R1, u64::MAX, standard());
    assert_eq!(of(&meter), (35_000, 0), "half a core for a minute");
    meter.measure(DECEMBER + 3 * MINUTE, R1, 0, standard());
    meter.measure(DECEMBER + 3 * MINUTE, Run(7), 10_000, standard());
    assert_eq!(
        of(&meter),
        (35_000, 0),
        "no less than before, and none of another run"
    );
    for minute in 4..=13 {
        meter.see(DECEMBER + minute * MINUTE, Some(R1));
    }
    assert_eq!(of(&meter), (35_000, 10 * MINUTE), "nobody has said for long");
    meter.see(DECEMBER + 14 * MINUTE, None);
    assert_eq!(of(&meter), (35_000, 11 * MINUTE), "nor before it ended");
}

#[test]
fn an_eviction_leaves_nothing_of_the_processor_unmeasured() {
    let mut meter = Meter::default();
    meter.see(DECEMBER, Some(R1));
    meter.measure(DECEMBER, R1, 0, standard());
    let stored = meter.clone();
    meter.measure(DECEMBER + 4 * MINUTE, R1, 40_000, standard());
    meter = stored;
    meter.see(DECEMBER + 5 * MINUTE, Some(R1));
    meter.measure(DECEMBER + 5 * MINUTE, R1, 61_000, standard());
    let usage = meter.month(DECEMBER);
    assert_eq!(
        (usage.cpu_ms, usage.unmeasured_ms, usage.running_ms),
        (61_000, 0, 5 * MINUTE)
    );
}

#[test]
fn days_are_written_until_they_are_known_to_be() {
    let mut meter = Meter::default();
    meter.see(DECEMBER, Some(R1));
    meter.see(DECEMBER + MINUTE, Some(R1));
    assert!(meter.is_due(DECEMBER + MINUTE), "it never was");
    let first = meter.begin_writing(DECEMBER + MINUTE);
    assert_eq!(first.len(), 1);
    assert!(!meter.is_due(DECEMBER + 2 * MINUTE));
    meter.fail_writing();
    assert!(meter.is_due(DECEMBER + 2 * MINUTE), "D1 was away");
    let second = meter.begin_writing(DECEMBER + 2 * MINUTE);
    // The run ends while it is on its way.
    meter.see(DECEMBER + 3 * MINUTE, None);
    let day = Day::of(DECEMBER);
    let told = RegistryDay {
        day,
        class_a: 6,
        class_b: 1,
    };
    meter.end_writing(&second, &[told]);
    assert!(meter.is_due(DECEMBER + 3 * MINUTE), "its end is not written");
    let third = meter.begin_writing(DECEMBER + 3 * MINUTE);
    assert_eq!(third[0].usage.running_ms, 3 * MINUTE);
    meter.end_writing(&third, &[told]);
    assert!(!meter.is_due(DECEMBER + DAY_MS), "nothing more to write");
    assert_eq!(meter.month(DECEMBER).class_a, 6);
    meter.add_requests(DECEMBER, 2);
    meter.add_requests(DECEMBER, 0);
    assert_eq!(meter.begin_writing(DECEMBER)[0].usage.requests, 2);
}

#[test]
fn the_stored_form_is_bounded_and_older_ones_are_read() {
    let mut meter = Meter::default();
    for day in 0..200 {
        run(
            &mut meter,
            DECEMBER + day * DAY_MS,
            DECEMBER + day * DAY_MS + 3 * MINUTE,
        );
    }
    assert_eq!(meter.days.len(), MAX_DAYS);
    let text = serde_json::to_string(&meter).unwrap();
    assert!(text.len() < 8_000, "{}", text.len());
    assert_eq!(crate::json::read::<Meter>(&text).unwrap(), meter);
    let first = r#"{"days":[{"day":20788,"usage":{"running_ms":1,"cpu_ms":0,"unmeasured_ms":0,"requests":0,"class_a":0,"class_b":0}}],"open":null,"written_at":0}"#;
    assert_eq!(running(&crate::json::read::<Meter>(first).unwrap()), 1);
}

#[derive(Debug, Clone)]
enum Step {
    /// A look after so many milliseconds.
    Look(u64),
    /// The run ends, or the next one begins.
    Change(u64),
    /// The object leaves memory; what was not stored is lost.
    Evict,
    /// It is stored.
    Store,
    /// The alarm is delivered once more.
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2 * MINUTE).prop_map(Step::Look),
        1 => (0..2 * MINUTE).prop_map(Step::Change),
        1 => Just(Step::Evict),
        1 => Just(Step::Store),
        2 => Just(Step::Again),
    ]
}

proptest! {
    /// Whatever is lost from memory and however often an alarm rings: each moment of each run is counted once, in its day, since a run's
    /// beginning and end are stored.
    #[test]
    fn each_moment_is_counted_once(steps in prop::collection::vec(step(), 0..200)) {
        let (mut meter, mut now, mut number, mut runs) = (Meter::default(), DECEMBER - 20 * MINUTE, 0, false);
        let (mut stored, mut ran, mut before) = (meter.clone(), 0, 0);
        for step in steps {
            let passed = match step {
                Step::Look(ms) | Step::Change(ms) => ms,
                _ => 0,
            };
            now += passed;
            if runs {
                ran += passed;
                before += passed.min(DECEMBER.saturating_sub(now - passed));
            }
            match step {
                Step::Look(_) | Step::Again => meter.see(now, runs.then_some(Run(number))),
                Step::Change(_) => {
                    runs = !runs;
                    number += u64::from(runs);
                    meter.see(now, runs.then_some(Run(number)));
                    stored = meter.clone();
                }
                Step::Evict => meter = stored.clone(),
                Step::Store => stored = meter.clone(),
            }
            // While somebody looks more often than the bound, as alarm and cron do.
            if stored.open.is_some_and(|open| now - open.until > MAX_STEP_MS / 2) {
                meter.see(now, runs.then_some(Run(number)));
                stored = meter.clone();
            }
        }
        meter.see(now, runs.then_some(Run(number)));
        prop_assert_eq!(running(&meter), ran);
        prop_assert_eq!(meter.month(DECEMBER - 1).running_ms, before);
        prop_assert!(meter.days.iter().all(|counted| counted.usage.unmeasured_ms <= counted.usage.running_ms));
    }
}
