//! Names in queries, and which values they take.

use super::fleet::{CostCursor, FleetCursor};
use super::snapshots::SnapshotCursor;
use crate::wire::run::SnapshotId;

/// A name in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// As it stands in the query.
    pub name: &'static str,
    /// Which values it takes.
    pub takes: Takes,
    /// What it means.
    pub meaning: &'static str,
    /// Whether it has to be there.
    pub required: bool,
}

/// The values of a [`Parameter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A whole number up to this one.
    Number(u64),
    /// Any text.
    Text,
    /// A text of so many characters at most.
    ShortText(usize),
    /// The id of a snapshot.
    SnapshotId,
    /// The `next` of a page of the fleet; empty is the beginning.
    FleetCursor,
    /// The `next` of a page of snapshots; empty is the beginning.
    SnapshotCursor,
    /// The `next` of a page of the most expensive bots; empty is the beginning.
    CostCursor,
    /// One of these.
    OneOf(&'static [&'static str]),
}

impl Takes {
    /// Whether this is such a value.
    pub fn allows(self, value: &str) -> bool {
        match self {
            Self::Number(most) => {
                // As JSON writes it: parsing would take a plus sign as well.
                value.bytes().all(|byte| byte.is_ascii_digit())
                    && value.parse::<u64>().is_ok_and(|number| number <= most)
            }
            Self::Text => true,
            Self::ShortText(most) => value.chars().count() <= most,
            Self::SnapshotId => value.parse::<SnapshotId>().is_ok(),
            Self::FleetCursor => value.is_empty() || value.parse::<FleetCursor>().is_ok(),
            Self::SnapshotCursor => value.is_empty() || value.parse::<SnapshotCursor>().is_ok(),
            Self::CostCursor => value.is_empty() || value.parse::<CostCursor>().is_ok(),
            Self::OneOf(values) => values.contains(&value),
        }
    }

    /// In words, behind "takes".
    pub fn words(self) -> String {
        match self {
            Self::Number(most) => format!("a whole number up to {most}"),
            Self::Text => "a text".to_owned(),
            Self::ShortText(most) => format!("a text of {most} characters at most"),
            Self::SnapshotId => "64 lower-case hexadecimal digits".to_owned(),
            Self::FleetCursor | Self::SnapshotCursor | Self::CostCursor => {
                "the `next` of the page before".to_owned()
            }
            Self::OneOf(values) => format!("one of {}", values.join(", ")),
        }
    }
}

/// The texts of all values of an enum, for [`Takes::OneOf`]: from its `ALL` and its `as_str`, so that a query takes every value
/// there is.
macro_rules! texts_of {
    ($named:ty) => {{
        const TEXTS: [&str; <$named>::ALL.len()] = {
            let mut texts = [""; <$named>::ALL.len()];
            let mut free: &mut [&str] = &mut texts;
            let mut left: &[$named] = &<$named>::ALL;
            while let ([text, others @ ..], [value, values @ ..]) = (free, left) {
                *text = value.as_str();
                free = others;
                left = values;
            }
            texts
        };
        &TEXTS
    }};
}

pub(super) use texts_of;
