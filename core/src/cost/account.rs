//! What days of usage come to: today, the month so far, and the month when it is over. Of one bot, or of all of them.

use super::calendar::{Day, Month};
use super::forecast::{forecast, window};
use super::money::Money;
use super::usage::{Parts, Rates, Usage};

/// For how many days usage is kept: as long as somebody may ask what a year cost.
pub const KEPT_DAYS: u32 = 400;

/// The first day whose usage an [`Account`] of `now` asks for.
pub fn first_day(now: u64) -> Day {
    Month::of(now).first_day().min(window(now))
}

/// What days of usage come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// What today has cost.
    pub today: Money,
    /// How long anything ran today, in milliseconds.
    pub running_today_ms: u64,
    /// What was used this month.
    pub used: Usage,
    /// What that cost.
    pub parts: Parts,
    /// What the month will have cost.
    pub forecast: Money,
}

impl Account {
    /// The account of days from [`first_day`] on, in any order. Who had nothing in the days before is taken to be new.
    pub fn of(now: u64, days: &[(Day, Usage)], rates: &Rates) -> Self {
        let (month, recent) = (Month::of(now), window(now));
        let sum = |wanted: &dyn Fn(Day) -> bool| -> Usage {
            let wanted = days.iter().filter(|(day, _)| wanted(*day));
            wanted.map(|(_, usage)| *usage).sum()
        };
        let today = sum(&|day| day == Day::of(now));
        let used = sum(&|day| day.month() == month);
        let parts = used.parts(rates);
        let first = days.iter().map(|(day, _)| *day).min();
        Self {
            today: today.cost(rates),
            running_today_ms: today.running_ms,
            used,
            parts,
            forecast: forecast(
                now,
                parts.total(),
                sum(&|day| day >= recent).cost(rates),
                first.unwrap_or(Day::of(now)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::calendar::DAY_MS;
    use crate::cost::prices::Instance;

    /// 2026-12-03, 12:00 UTC.
    const NOW: u64 = 1_796_083_200_000 + 2 * DAY_MS + DAY_MS / 2;

    fn hours(hours: u64) -> Usage {
        Usage {
            running_ms: hours * 3_600_000,
            ..Usage::default()
        }
    }

    #[test]
    fn today_the_month_and_the_days_before_it_are_kept_apart() {
        let rates = Rates::of(Instance::parse("standard-1").unwrap());
        let today = Day::of(NOW);
        let days: Vec<_> = (0..=6)
            .map(|ago| (today.before(ago), hours(u64::from(ago) + 1)))
            .collect();
        let account = Account::of(NOW, &days, &rates);
        assert_eq!(account.running_today_ms, 3_600_000);
        assert_eq!(account.today, hours(1).cost(&rates));
        assert_eq!(account.used, hours(1 + 2 + 3), "from the 1st of December on");
        assert_eq!(account.parts.total(), hours(6).cost(&rates));
        // 28 hours in six and a half days, and 28.5 days are left.
        let rest = hours(28).cost(&rates).part(57, 13);
        assert!(
            account
                .forecast
                .micro()
                .abs_diff((account.parts.total() + rest).micro())
                <= 1
        );
        assert_eq!(first_day(NOW), today.before(6));
        assert_eq!(first_day(NOW + 10 * DAY_MS), Month::of(NOW).first_day());
    }

    #[test]
    fn who_never_ran_costs_nothing() {
        let rates = Rates::of(Instance::parse("lite").unwrap());
        assert_eq!(Account::of(NOW, &[], &rates), Account::default());
    }
}
