//! When points are written and summed up, and what longer steps say.

use super::*;
use proptest::prelude::*;

const HOUR: u64 = HOUR_MS;
const BEGIN: u64 = 1_000 * HOUR;
const MINUTE: u64 = 60_000;

fn point(at: u64, memory: Option<u64>) -> BotPoint {
    BotPoint {
        at,
        looks: 1,
        healthy: 1,
        state: Some(BotState::Running),
        memory,
        memory_max: memory,
        disk: Some(9),
        cpu: Some(100),
        cpu_max: Some(100),
        latency: None,
        latency_max: None,
        restarts: 1,
    }
}

#[test]
fn a_point_goes_with_a_row_or_is_written_by_the_last_alarm() {
    let step = Some(BEGIN);
    let before = Some(BEGIN - STEP_MS);
    for (last, is_written, after, expected) in [
        (None, true, 0, true),
        (before, true, 0, true),
        (step, true, 0, false),
        (step, true, STEP_MS - 1, false),
        (before, false, 0, false),
        (before, false, 3 * MINUTE, false),
        (before, false, 4 * MINUTE, true),
        (step, false, 4 * MINUTE, false),
        (step, true, STEP_MS, true),
        // A clock that was ahead.
        (Some(BEGIN + HOUR), true, 0, true),
    ] {
        assert_eq!(
            is_due(last, is_written, BEGIN + after),
            expected,
            "{last:?} {is_written} {after}"
        );
    }
}

#[test]
fn hours_are_summed_up_one_by_one_once_they_have_settled() {
    let due = |next, after| hour_due(next, BEGIN + after);
    assert_eq!(due(BEGIN, HOUR + SETTLED_MS - 1), None);
    assert_eq!(due(BEGIN, HOUR + SETTLED_MS), Some(BEGIN));
    assert_eq!(due(BEGIN + HOUR, HOUR + SETTLED_MS), None, "it is done");
    assert_eq!(due(BEGIN, 10 * HOUR), Some(BEGIN), "cron was away");
    assert_eq!(
        due(BEGIN - 90 * HOUR, SETTLED_MS),
        Some(BEGIN - KEPT_MS),
        "for long"
    );
    assert_eq!(
        due(BEGIN + 90 * HOUR, SETTLED_MS),
        Some(BEGIN - HOUR),
        "a clock was ahead"
    );
}

#[test]
fn a_longer_step_says_what_its_steps_were_together() {
    let points = [
        point(BEGIN, Some(10)),
        point(BEGIN + STEP_MS, None),
        point(BEGIN + 2 * STEP_MS, Some(40)),
        point(BEGIN + 3 * STEP_MS, Some(7)),
    ];
    let longer = downsample(&points, 3 * STEP_MS);
    let [first, second] = longer.as_slice() else {
        panic!("{longer:?}")
    };
    assert_eq!(
        (first.at, first.looks, first.healthy, first.restarts),
        (BEGIN, 3, 3, 3)
    );
    // Two looks at ten and one at forty: what is unknown counts as what is known.
    assert_eq!((first.memory, first.memory_max), (Some(20), Some(40)));
    assert_eq!((second.at, second.memory), (BEGIN + 3 * STEP_MS, Some(7)));
    assert_eq!((first.latency, first.cpu), (None, Some(100)));
}

proptest! {
    /// An alarm that rings once a minute, give or take some seconds, whether or not its row is written: each step has its
    /// point, and only one.
    #[test]
    fn an_awake_bot_has_one_point_in_every_step(rings in prop::collection::vec((0_u64..8_000, any::<bool>()), 60..200), begin in 0_u64..STEP_MS) {
        let (mut now, mut last, mut steps) = (BEGIN + begin, None, Vec::new());
        for (delay, is_written) in rings {
            if is_due(last, is_written, now) {
                last = Some(step_of(now, STEP_MS));
                steps.extend(last);
            }
            now += MINUTE + delay;
        }
        let every: Vec<u64> = (0..steps.len() as u64).map(|step| steps[0] + step * STEP_MS).collect();
        prop_assert_eq!(&steps, &every);
        prop_assert!(now - steps.last().unwrap() <= 2 * STEP_MS + MINUTE);
    }

    /// Whatever cron misses and whichever clock it reads: never an hour that is not over, never the same one twice while time
    /// goes on, and none is left out that still has points.
    #[test]
    fn every_hour_is_summed_up_once_however_cron_comes(pauses in prop::collection::vec(1_u64..200, 1..300)) {
        let (mut now, mut next, mut done) = (BEGIN, BEGIN, Vec::new());
        for minutes in pauses {
            now += minutes * MINUTE;
            while let Some(hour) = hour_due(next, now) {
                prop_assert!(hour + HOUR + SETTLED_MS <= now);
                done.push(hour);
                next = hour + HOUR;
            }
        }
        let every: Vec<u64> = (0..done.len() as u64).map(|hour| BEGIN + hour * HOUR).collect();
        prop_assert_eq!(done, every);
    }

    /// Numbers of any size and points in any order: no overflow, the sums stay, and an average lies between the least and the most.
    #[test]
    fn downsampling_keeps_sums_and_bounds(given in prop::collection::vec((0_u64..100, any::<Option<u64>>()), 0..80), step in 1_u64..20) {
        let points: Vec<_> = given.iter().map(|(at, memory)| point(at * STEP_MS, *memory)).collect();
        let longer = downsample(&points, step * STEP_MS);
        let looks = |points: &[BotPoint]| points.iter().map(|point| u64::from(point.looks)).sum::<u64>();
        prop_assert_eq!(looks(&longer), looks(&points));
        let most = |points: &[BotPoint]| points.iter().filter_map(|point| point.memory_max).max();
        prop_assert_eq!(most(&longer), most(&points));
        for point in longer {
            prop_assert!(point.memory <= point.memory_max);
            prop_assert_eq!(point.at % (step * STEP_MS), 0);
        }
    }
}
