//! Amounts of money: exact, never below nothing, and written as people and programs read them.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Picodollars of a microdollar.
const MICRO: u64 = 1_000_000;
/// Microdollars of a dollar.
const DOLLAR: u64 = 1_000_000;

/// An amount in picodollars (10⁻¹² dollars): each price of a list is a whole number of them, for the smallest thing it is of. All
/// there is stays below 18 million dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(u64);

impl Money {
    /// What costs nothing.
    pub const ZERO: Self = Self(0);

    /// So many picodollars.
    pub const fn of_pico(pico: u64) -> Self {
        Self(pico)
    }

    /// So many microdollars.
    pub const fn of_micro(micro: u64) -> Self {
        Self(micro.saturating_mul(MICRO))
    }

    /// In picodollars.
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// In microdollars, as documents have it; what is less than one is left out.
    pub const fn micro(self) -> u64 {
        self.0 / MICRO
    }

    /// So many of what costs this.
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// This part of it, rounded down; all of it where the part is no part.
    pub fn part(self, of: u64, whole: u64) -> Self {
        let part = u128::from(self.0) * u128::from(of) / u128::from(whole.max(1));
        Self(u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// An amount of dollars as an operator writes it: `25` or `12.50`.
    pub fn parse_dollars(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let dollars: u64 = whole.parse().ok()?;
        let micro: u64 = format!("{fraction:0<6}").parse().ok()?;
        let micro = dollars.checked_mul(DOLLAR)?.checked_add(micro)?;
        micro.checked_mul(MICRO).map(Self)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// For people: dollars and cents, rounded down.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.micro() / (DOLLAR / 100);
        write!(f, "${}.{:02}", cents / 100, cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_as_an_operator_writes_them() {
        for (text, micro) in [
            ("25", Some(25_000_000)),
            ("12.50", Some(12_500_000)),
            ("0.000001", Some(1)),
            ("1.5", Some(1_500_000)),
            ("", None),
            (".5", None),
            ("5.", None),
            ("+5", None),
            ("-5", None),
            ("1.0000001", None),
            ("1e3", None),
            ("$5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Money::parse_dollars(text).map(Money::micro), micro, "{text}");
        }
    }

    #[test]
    fn people_read_dollars_and_cents() {
        for (micro, words) in [
            (0, "$0.00"),
            (9_999, "$0.00"),
            (12_345_678, "$12.34"),
            (1_000_000_000, "$1000.00"),
        ] {
            assert_eq!(Money::of_micro(micro).to_string(), words);
        }
    }

    #[test]
    fn amounts_never_wrap() {
        let most = Money::of_pico(u64::MAX);
        assert_eq!(most + most, most);
        assert_eq!(most.times(3), most);
        assert_eq!(most.part(2, 1), most);
        assert_eq!(Money::of_micro(u64::MAX), most);
        assert_eq!(Money::of_pico(7).part(1, 0), Money::of_pico(7));
    }
}
