//! What a month will have cost when it is over.

use super::calendar::{DAY_MS, Day, Month};
use super::money::Money;

/// The days by which the rest of a month is foretold, today included: a week, so that a weekend is in it, and so that on the
/// first of a month there are days to go by.
pub const WINDOW_DAYS: u32 = 7;

/// The first day by which `now` is foretold.
pub fn window(now: u64) -> Day {
    Day::of(now).before(WINDOW_DAYS - 1)
}

/// What the month of `now` will have cost: what it has, and for the rest of it as much a day as in the window. `recent` is what the
/// days of the window cost, `first` the first day on which there was anything at all. Of a bot that began today a day is taken to
/// be over: an hour says little about a month.
pub fn forecast(now: u64, month: Money, recent: Money, first: Day) -> Money {
    let since = window(now).max(first).begins();
    let length = now.saturating_sub(since).max(DAY_MS);
    let left = Month::of(now).ends().saturating_sub(now);
    month + recent.part(left, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-01 and 2026-12-01, 00:00 UTC.
    const NOVEMBER: u64 = 1_793_491_200_000;
    const DECEMBER: u64 = 1_796_083_200_000;
    const HOUR_MS: u64 = DAY_MS / 24;

    fn dollars(dollars: u64) -> Money {
        Money::of_micro(dollars * 1_000_000)
    }

    #[test]
    fn a_bot_that_always_runs_is_foretold_the_same_all_month() {
        // A dollar a day, since long ago.
        let cost = |ms: u64| dollars(1).part(ms, DAY_MS);
        for after in [
            0,
            1,
            5 * 60_000,
            12 * HOUR_MS,
            3 * DAY_MS,
            17 * DAY_MS + HOUR_MS,
            30 * DAY_MS - 1,
        ] {
            let now = NOVEMBER + after;
            let recent = cost(now - window(now).begins());
            let foretold = forecast(now, cost(after), recent, Day(0));
            assert!(foretold.micro().abs_diff(30_000_000) <= 1, "{after}: {foretold}");
        }
    }

    #[test]
    fn a_new_bot_is_foretold_by_the_days_it_has_had() {
        let first = Day::of(NOVEMBER + 9 * DAY_MS);
        // After an hour: as if that hour were its day.
        let now = first.begins() + HOUR_MS;
        let foretold = forecast(now, dollars(1), dollars(1), first);
        assert_eq!(
            foretold,
            dollars(1) + dollars(1).part(21 * DAY_MS - HOUR_MS, DAY_MS)
        );
        // After three days of a dollar each.
        let now = first.begins() + 3 * DAY_MS;
        assert_eq!(forecast(now, dollars(3), dollars(3), first), dollars(21));
    }

    #[test]
    fn a_month_that_is_over_costs_what_it_did() {
        assert_eq!(
            forecast(DECEMBER - 1, dollars(9), dollars(1), Day(0)).micro(),
            9_000_000
        );
        assert_eq!(
            forecast(NOVEMBER, Money::ZERO, Money::ZERO, Day::of(NOVEMBER)),
            Money::ZERO
        );
    }

    proptest! {
        /// Never less than what was spent; more where more was spent; and as time passes without anything spent, less.
        #[test]
        fn a_forecast_is_monotone(
            after in 0..30 * DAY_MS, month in 0_u64..1_000_000_000, recent in 0_u64..1_000_000_000,
            more in 0_u64..1_000_000, ms in 0..DAY_MS, first in 0_u32..40,
        ) {
            let now = NOVEMBER + after;
            let first = Day(Day::of(NOVEMBER).0 - 7 + first).min(Day::of(now));
            let money = Money::of_micro;
            let foretold = forecast(now, money(month), money(recent), first);
            prop_assert!(foretold >= money(month));
            prop_assert!(forecast(now, money(month + more), money(recent), first) >= foretold);
            prop_assert!(forecast(now, money(month), money(recent + more), first) >= foretold);
            // Within the day: at midnight a day leaves the window.
            let later = (now + ms).min(Day::of(now).ends() - 1);
            prop_assert!(forecast(later, money(month), money(recent), first) <= foretold);
        }
    }
}
