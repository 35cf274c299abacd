//! A month's limit of a bot: when it is near, when it is spent, and until when that holds.

use serde::{Deserialize, Serialize};

use super::calendar::Month;
use super::money::Money;
use crate::user_id::UserId;

/// At how much of a limit, of a hundred, it is time to say so.
pub const NEAR_PERCENT: u64 = 80;
/// The least that a limit can be, a cent. Who is not to run at all is suspended.
pub const MIN_LIMIT: Money = Money::of_micro(10_000);
/// The most, a million dollars.
pub const MAX_LIMIT: Money = Money::of_micro(1_000_000_000_000);

/// Over how long the alarms are spread that ring because a month is over: of a hundred thousand bots 170 each second, each of which
/// writes a row into D1. Nobody waits for them: a request wakes a bot from the first moment of the month on.
pub const MONTH_SPREAD_MS: u64 = 10 * 60_000;

/// What an admin decided about a bot's limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitChoice {
    /// Nothing: the operator's setting holds.
    #[default]
    Default,
    /// It has none.
    Unlimited,
    /// This one.
    At(Money),
}

impl LimitChoice {
    /// The limit that holds.
    pub fn or(self, default: Option<Money>) -> Option<Money> {
        match self {
            Self::Default => default,
            Self::Unlimited => None,
            Self::At(limit) => Some(limit),
        }
    }
}

/// How far a limit is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum SpendLevel {
    /// Four fifths of it.
    Near,
    /// All of it: the bot sleeps until the month is over or an admin raises the limit.
    Over,
}

/// A limit of which most or all is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// How far.
    pub level: SpendLevel,
    /// How much was spent when that was found.
    pub spent: Money,
    /// Of how much.
    pub limit: Money,
    /// The end of the month, and of this.
    pub until: u64,
    /// How long after that its alarm rings.
    #[serde(default)]
    pub rings_after_ms: u64,
}

impl Spending {
    /// What is to be said of a month that has cost `spent`; nothing, while there is enough left.
    pub fn of(now: u64, spent: Money, limit: Option<Money>) -> Option<Self> {
        let limit = limit?;
        let level = match spent {
            _ if spent >= limit => SpendLevel::Over,
            _ if spent >= limit.part(NEAR_PERCENT, 100) => SpendLevel::Near,
            _ => return None,
        };
        Some(Self {
            level,
            spent,
            limit,
            until: Month::of(now).ends(),
            rings_after_ms: 0,
        })
    }

    /// The same of this user's bot, which has its own moment to ring at.
    pub fn of_user(self, user: UserId) -> Self {
        Self {
            rings_after_ms: user.moment_within(MONTH_SPREAD_MS),
            ..self
        }
    }

    /// When an alarm has to ring for its end, if nothing else happens.
    pub fn rings_at(&self) -> u64 {
        self.until.saturating_add(self.rings_after_ms)
    }

    /// Whether this is the same, whatever was spent since.
    pub fn is_as(&self, other: &Self) -> bool {
        (self.level, self.limit, self.until) == (other.level, other.limit, other.until)
    }

    /// How much, in a sentence.
    pub fn in_words(&self) -> String {
        // The month that ends then.
        let month = Month::of(self.until.saturating_sub(1)).in_words();
        format!(
            "The bot has spent {} of the {} it may in {month}.",
            self.spent, self.limit
        )
    }

    /// When it may run again, in a sentence.
    pub fn end_in_words(&self) -> String {
        let month = Month::of(self.until).in_words();
        format!(
            "It may run again from the 1st of {month}, 00:00 UTC, or as soon as an administrator raises its limit."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-26, 20:00 UTC, and the end of that month.
    const NOW: u64 = 1_795_723_200_000;
    const DECEMBER: u64 = 1_796_083_200_000;

    fn cents(cents: u64) -> Money {
        Money::of_micro(cents * 10_000)
    }

    #[test]
    fn a_limit_is_near_at_four_fifths_and_over_at_all_of_it() {
        let level =
            |spent| Spending::of(NOW, cents(spent), Some(cents(1_000))).map(|spending| spending.level);
        for (spent, expected) in [
            (0, None),
            (799, None),
            (800, Some(SpendLevel::Near)),
            (999, Some(SpendLevel::Near)),
            (1_000, Some(SpendLevel::Over)),
            (5_000, Some(SpendLevel::Over)),
        ] {
            assert_eq!(level(spent), expected, "{spent}");
        }
        assert_eq!(Spending::of(NOW, cents(5_000), None), None);
        let one = Spending::of(NOW, cents(900), Some(cents(1_000))).unwrap();
        let later = Spending::of(NOW + 1, cents(901), Some(cents(1_000))).unwrap();
        assert!(one.is_as(&later) && one.until == DECEMBER);
    }

    #[test]
    fn the_alarms_of_a_months_end_are_spread_over_minutes() {
        let over = Spending::of(NOW, cents(1_000), Some(cents(1_000))).unwrap();
        let rings_at = |number: u64| {
            let user = format!(
                "{:08x}-0000-4000-8000-{:012x}",
                number.wrapping_mul(0x9e37_79b9) as u32,
                number * 977
            );
            over.of_user(user.parse().unwrap()).rings_at()
        };
        let mut seconds = std::collections::BTreeMap::new();
        for number in 1..=60_000 {
            assert_eq!(rings_at(number), rings_at(number), "always the same");
            let after = rings_at(number) - DECEMBER;
            assert!(after < MONTH_SPREAD_MS);
            *seconds.entry(after / 1_000).or_insert(0_u32) += 1;
        }
        // A hundred each second on the average.
        let most = seconds.values().max().unwrap();
        assert!(
            seconds.len() == 600 && *most < 200,
            "{most} in one of {} seconds",
            seconds.len()
        );
        assert_eq!(
            over.of_user(UserId::from_sandbox_name("openclaw-6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20").unwrap())
                .until,
            DECEMBER
        );
    }

    #[test]
    fn a_person_reads_how_much_of_what_and_until_when() {
        let over = Spending::of(NOW, cents(1_002), Some(cents(1_000))).unwrap();
        assert_eq!(
            over.in_words(),
            "The bot has spent $10.02 of the $10.00 it may in November 2026."
        );
        assert_eq!(
            over.end_in_words(),
            "It may run again from the 1st of December 2026, 00:00 UTC, or as soon as an administrator raises its limit."
        );
    }

    #[test]
    fn an_admins_choice_comes_before_the_setting() {
        let (default, own) = (Some(cents(5)), cents(9));
        assert_eq!(LimitChoice::Default.or(default), default);
        assert_eq!(LimitChoice::Default.or(None), None);
        assert_eq!(LimitChoice::Unlimited.or(default), None);
        assert_eq!(LimitChoice::At(own).or(default), Some(own));
        for (choice, text) in [
            (LimitChoice::Default, r#""default""#),
            (LimitChoice::Unlimited, r#""unlimited""#),
            (LimitChoice::At(Money::of_pico(7)), r#"{"at":7}"#),
        ] {
            assert_eq!(serde_json::to_string(&choice).unwrap(), text);
            assert_eq!(crate::json::read::<LimitChoice>(text).unwrap(), choice);
        }
    }

    proptest! {
        /// The more is spent the higher the level, the higher the limit the lower; and it always ends.
        #[test]
        fn levels_grow_with_what_is_spent(spent in 0_u64..10_000, more in 0_u64..1_000, limit in 1_u64..10_000, higher in 0_u64..1_000) {
            let rank = |spent, limit| match Spending::of(NOW, cents(spent), Some(cents(limit))) {
                None => 0,
                Some(Spending { level: SpendLevel::Near, .. }) => 1,
                Some(_) => 2,
            };
            prop_assert!(rank(spent + more, limit) >= rank(spent, limit));
            prop_assert!(rank(spent, limit + higher) <= rank(spent, limit));
            prop_assert!(Spending::of(NOW, cents(spent), Some(cents(limit))).is_none_or(|spending| spending.until > NOW));
        }
    }
}
