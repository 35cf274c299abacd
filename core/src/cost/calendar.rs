//! Days and months of UTC: what usage is kept and limited by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60_000;
/// Days from 0000-03-01, where the arithmetic below begins, to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: u64 = 146_097;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Day {
    /// The day of this moment.
    pub fn of(at: u64) -> Self {
        Self(u32::try_from(at / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Its first moment.
    pub fn begins(self) -> u64 {
        u64::from(self.0).saturating_mul(DAY_MS)
    }

    /// The first moment of the next one.
    pub fn ends(self) -> u64 {
        self.begins().saturating_add(DAY_MS)
    }

    /// So many days before this one.
    pub fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Its month. After the algorithm `civil_from_days` of Howard Hinnant, with years that begin in March.
    pub fn month(self) -> Month {
        let days = u64::from(self.0) + DAYS_BEFORE_1970;
        let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let number = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + u64::from(number <= 2);
        Month {
            year: u32::try_from(year).unwrap_or(u32::MAX),
            number: u32::try_from(number).unwrap_or(1),
        }
    }
}

/// A month of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: u32,
    /// From 1 to 12.
    number: u32,
}

const NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Month {
    /// The month of this moment.
    pub fn of(at: u64) -> Self {
        Day::of(at).month()
    }

    /// Its first day.
    pub fn first_day(self) -> Day {
        let year = u64::from(self.year) - u64::from(self.number <= 2);
        let month = u64::from(if self.number > 2 {
            self.number - 3
        } else {
            self.number + 9
        });
        let (era, year) = (year / 400, year % 400);
        let day = (153 * month + 2) / 5;
        let days = era * ERA_DAYS + year * 365 + year / 4 - year / 100 + day;
        let since_1970 = days.saturating_sub(DAYS_BEFORE_1970);
        Day(u32::try_from(since_1970).unwrap_or(u32::MAX))
    }

    /// The next one.
    pub fn next(self) -> Self {
        match self.number {
            12 => Self {
                year: self.year.saturating_add(1),
                number: 1,
            },
            number => Self {
                number: number + 1,
                ..self
            },
        }
    }

    /// Its first moment.
    pub fn begins(self) -> u64 {
        self.first_day().begins()
    }

    /// The first moment of the next one.
    pub fn ends(self) -> u64 {
        self.next().begins()
    }

    /// Its name with the year, for people.
    pub fn in_words(self) -> String {
        let index = usize::try_from(self.number).unwrap_or_default().saturating_sub(1);
        format!("{} {}", NAMES.get(index).copied().unwrap_or_default(), self.year)
    }
}

/// As `2026-11`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.number)
    }
}

/// The parts of the time from `from` to `until` that lie in each day, in milliseconds.
pub fn by_day(from: u64, until: u64) -> Vec<(Day, u64)> {
    let mut parts = Vec::new();
    let mut at = from;
    while at < until {
        let day = Day::of(at);
        // The last day there is has no end within the numbers there are.
        let end = day.ends().max(at.saturating_add(1)).min(until);
        parts.push((day, end.saturating_sub(at)));
        at = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-26, 20:00 UTC.
    const NOW: u64 = 1_795_723_200_000;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (at, month, words, days) in [
            (0, "1970-01", "January 1970", 31),
            (NOW, "2026-11", "November 2026", 30),
            (1_709_164_800_000, "2024-02", "February 2024", 29),
            (1_740_700_800_000, "2025-02", "February 2025", 28),
            (4_107_456_000_000, "2100-02", "February 2100", 28),
            (1_798_761_599_999, "2026-12", "December 2026", 31),
            (1_798_761_600_000, "2027-01", "January 2027", 31),
        ] {
            let found = Month::of(at);
            assert_eq!(
                (found.to_string(), found.in_words()),
                (month.to_owned(), words.to_owned())
            );
            assert_eq!((found.ends() - found.begins()) / DAY_MS, days, "{month}");
        }
    }

    proptest! {
        /// Whenever it is: it lies in its day and its month, and the months follow each other without a gap.
        #[test]
        fn each_moment_lies_in_one_month(at in 0_u64..200 * 366 * DAY_MS) {
            let (day, month) = (Day::of(at), Month::of(at));
            prop_assert!(day.begins() <= at && at < day.ends());
            prop_assert!(month.begins() <= at && at < month.ends());
            prop_assert_eq!(month.first_day().month(), month);
            prop_assert_eq!(Month::of(month.ends()), month.next());
            prop_assert_eq!(Month::of(month.ends() - 1), month);
        }

        /// The days of a time have all of it, each its own part.
        #[test]
        fn a_time_is_divided_among_its_days(from in NOW - 90 * DAY_MS..NOW, takes in 0..5 * DAY_MS) {
            let parts = by_day(from, from + takes);
            prop_assert_eq!(parts.iter().map(|(_, ms)| ms).sum::<u64>(), takes);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].0.0 + 1, pair[1].0.0);
            }
            prop_assert!(parts.iter().all(|(_, ms)| *ms > 0 && *ms <= DAY_MS));
        }
    }

    #[test]
    fn the_end_of_numbers_is_an_end() {
        assert_eq!(by_day(u64::MAX - 1, u64::MAX).len(), 1);
        assert!(Month::of(u64::MAX).ends() > 0);
    }
}
