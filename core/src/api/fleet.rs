//! How the list of the fleet is sorted, and how a page of it says where the next one begins.

use std::fmt;
use std::str::FromStr;

use crate::user_id::UserId;

/// How the list of the fleet is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FleetOrder {
    /// By user id.
    #[default]
    User,
    /// By the last activity, the latest first.
    Active,
    /// By when the state was entered, the latest first.
    Since,
    /// By the newest snapshot, the latest first.
    Snapshot,
}

impl FleetOrder {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::User, Self::Active, Self::Since, Self::Snapshot];

    /// Its text in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Active => "active",
            Self::Since => "since",
            Self::Snapshot => "snapshot",
        }
    }

    /// The order of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == name)
    }
}

/// Digits of a time in a cursor: milliseconds for the next thirty thousand years.
pub const MAX_TIME_DIGITS: usize = 15;

/// The last bot of a page. It names its order, because the time of one order says nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetCursor {
    /// The order of the list it is from.
    pub order: FleetOrder,
    /// What that bot was sorted by, beside its user id.
    pub key: u64,
    /// Whose it is.
    pub user: UserId,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is the `next` of a page")]
pub struct NotACursor;

impl FromStr for FleetCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut parts = text.splitn(3, '.');
        let (Some(order), Some(key), Some(user)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotACursor);
        };
        // Parsing a number would take a plus sign as well.
        let is_time = key.len() <= MAX_TIME_DIGITS && key.bytes().all(|byte| byte.is_ascii_digit());
        let key = key.parse().ok().filter(|_| is_time);
        Ok(Self {
            order: FleetOrder::parse(order).ok_or(NotACursor)?,
            key: key.ok_or(NotACursor)?,
            user: user.parse().map_err(|_| NotACursor)?,
        })
    }
}

impl fmt::Display for FleetCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.order.as_str(), self.key, self.user)
    }
}

/// The last bot of a page of the most expensive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostCursor {
    /// What it cost this month, in microdollars.
    pub micro: u64,
    /// Whose it is.
    pub user: UserId,
}

impl FromStr for CostCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (micro, user) = text.split_once('.').ok_or(NotACursor)?;
        let is_amount = micro.len() <= MAX_TIME_DIGITS && micro.bytes().all(|byte| byte.is_ascii_digit());
        Ok(Self {
            micro: micro.parse().ok().filter(|_| is_amount).ok_or(NotACursor)?,
            user: user.parse().map_err(|_| NotACursor)?,
        })
    }
}

impl fmt::Display for CostCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.micro, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

    #[test]
    fn a_cursor_of_costs_is_read_as_it_was_written() {
        let cursor = CostCursor {
            micro: 12,
            user: USER.parse().unwrap(),
        };
        assert_eq!(cursor.to_string().parse::<CostCursor>(), Ok(cursor));
        for wrong in [
            "",
            "12",
            "12.",
            ".x",
            &format!("+1.{USER}"),
            &format!("1000000000000000.{USER}"),
            &format!("1.5.{USER}"),
        ] {
            assert!(wrong.parse::<CostCursor>().is_err(), "{wrong}");
        }
    }
}
