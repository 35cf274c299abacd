//! What a snapshot does not hold although the home has it, and what a restore could not set: always a few by name and the
//! number of all, because whatever counts or names something in a home is as long as its owner likes.

use serde::{Deserialize, Serialize};

/// So many are named. A status repeats them with each of its snapshots.
const MAX_NAMED: usize = 5;
/// Longest text in bytes: a path of the usual length and the reason.
const MAX_TEXT: usize = 200;

/// Some of many, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Named {
    /// How many there are.
    pub total: u64,
    /// The first of them in words, each of a bounded length and without control characters.
    pub first: Vec<String>,
}

impl Named {
    /// One more.
    pub fn push(&mut self, text: &str) {
        self.total = self.total.saturating_add(1);
        if self.first.len() < MAX_NAMED {
            self.first.push(bounded(text));
        }
    }

    /// Names no more than are named.
    pub(super) fn bound(&mut self) {
        self.first.truncate(MAX_NAMED);
        self.first.iter_mut().for_each(|text| *text = bounded(text));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many there are beside those that are named.
    pub fn unnamed(&self) -> u64 {
        let named = u64::try_from(self.first.len()).unwrap_or(u64::MAX);
        self.total.saturating_sub(named)
    }

    /// Those that are named, and how many more there are.
    pub fn in_words(&self) -> String {
        match self.unnamed() {
            0 => self.first.join(", "),
            more => format!("{} and {more} more", self.first.join(", ")),
        }
    }
}

/// What the rules leave out of a snapshot, because it makes itself again or the owner wants it so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeftOut {
    /// Files.
    pub files: u64,
    /// Bytes they take on the disk.
    pub bytes: u64,
    /// Whether there is more of it than was counted: counting is bounded as well.
    #[serde(default)]
    pub is_more: bool,
    /// The largest of it, the largest first.
    pub largest: Vec<LeftOutPlace>,
}

/// Something that is left out as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeftOutPlace {
    /// Its path from the home, of a bounded length.
    pub path: String,
    /// Bytes it takes on the disk.
    pub bytes: u64,
}

impl LeftOut {
    /// One more place with so many files.
    pub fn push(&mut self, path: &str, files: u64, bytes: u64) {
        self.files = self.files.saturating_add(files);
        self.bytes = self.bytes.saturating_add(bytes);
        let at = self.largest.partition_point(|place| place.bytes >= bytes);
        if at < MAX_NAMED {
            let path = bounded(path);
            self.largest.insert(at, LeftOutPlace { path, bytes });
            self.largest.truncate(MAX_NAMED);
        }
    }

    /// Names no more than are named.
    pub(super) fn bound(&mut self) {
        self.largest.truncate(MAX_NAMED);
        for place in &mut self.largest {
            place.path = bounded(&place.path);
        }
    }

    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// At most so much of a text, without control characters.
pub(super) fn bounded(text: &str) -> String {
    let mut bounded = String::new();
    for character in text.chars() {
        let character = if character.is_control() {
            '\u{fffd}'
        } else {
            character
        };
        if bounded.len().saturating_add(character.len_utf8()) > MAX_TEXT {
            bounded.push('…');
            break;
        }
        bounded.push(character);
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_stays_short_and_counts_all() {
        let mut named = Named::default();
        assert!(named.is_empty());
        for number in 0..1_000 {
            named.push(&format!("{number}\n{}", "ü".repeat(1_000)));
        }
        assert_eq!((named.total, named.first.len()), (1_000, MAX_NAMED));
        assert!(named.in_words().ends_with("ü… and 995 more"));
        assert!(named.first[0].starts_with("0\u{fffd}ü") && named.first[0].ends_with("ü…"));
        assert!(
            named
                .first
                .iter()
                .all(|text| text.len() <= MAX_TEXT + '…'.len_utf8())
        );
    }

    #[test]
    fn the_largest_places_are_named_and_all_are_counted() {
        let mut left_out = LeftOut::default();
        for bytes in [3, 9, 1, 8, 2, 7, 5] {
            left_out.push(&format!("cache-{bytes}"), 2, bytes);
        }
        assert_eq!((left_out.files, left_out.bytes), (14, 35));
        let largest: Vec<_> = left_out.largest.iter().map(|place| place.bytes).collect();
        assert_eq!(largest, [9, 8, 7, 5, 3]);
        assert_eq!(left_out.largest[0].path, "cache-9");
    }
}
