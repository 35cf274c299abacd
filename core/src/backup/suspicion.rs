//! When a snapshot is marked as suspicious: it lost more than a bot's owner loses on a normal day.
//!
//! Such a snapshot is kept, but a restore of `latest` passes it over until somebody accepts the loss by an order
//! for an accepted snapshot. The comparison is always with the newest snapshot that is not suspicious: were it
//! with the one before, the second snapshot after a loss would hide it.

use std::collections::BTreeSet;

/// A loss of fewer bytes is not looked at: half of a small home is what cleaning up once gives back. What cannot
/// be made again in a small home is in its databases, and those are counted.
pub const SMALLEST_LOSS: u64 = 8 * 1024 * 1024;
/// Databases that are named in the words about their loss.
const NAMED: usize = 3;

/// What is compared of two snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Bytes in all files.
    pub bytes: u64,
    /// The databases that are sound, or were stored unchecked because nobody let them be copied, by their path.
    pub databases: BTreeSet<String>,
}

/// What `now` has lost that was there `before`, in words, if that is too much.
pub fn suspicion(before: &Content, now: &Content) -> Option<String> {
    let mut lost: Vec<String> = Vec::new();
    let gone: Vec<&str> = before
        .databases
        .difference(&now.databases)
        .map(String::as_str)
        .collect();
    if !gone.is_empty() {
        let named = gone.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = gone.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        lost.push(format!("databases are gone or damaged: {named}{more}"));
    }
    let loss = before.bytes.saturating_sub(now.bytes);
    if loss > before.bytes / 2 && loss >= SMALLEST_LOSS {
        lost.push(format!("of {} bytes {} are left", before.bytes, now.bytes));
    }
    (!lost.is_empty()).then(|| lost.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: u64, databases: &[&str]) -> Content {
        Content {
            bytes,
            databases: databases.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn every_case_gives_its_expected_result() {
        let large = 100 * SMALLEST_LOSS;
        for (before, now, suspicious) in [
            (content(0, &[]), content(0, &[]), false),
            (content(large, &["a"]), content(large, &["a"]), false),
            (content(large, &["a"]), content(2 * large, &["a", "b"]), false),
            (content(large, &[]), content(large / 2, &[]), false),
            (content(large, &[]), content(large / 2 - 1, &[]), true),
            (content(large, &[]), content(0, &[]), true),
            (content(SMALLEST_LOSS - 1, &[]), content(0, &[]), false),
            (content(SMALLEST_LOSS, &[]), content(0, &[]), true),
            (content(10, &["a", "b"]), content(10, &["b"]), true),
            (content(10, &["a"]), content(10, &["renamed"]), true),
        ] {
            assert_eq!(
                suspicion(&before, &now).is_some(),
                suspicious,
                "{before:?} {now:?}"
            );
        }
    }

    #[test]
    fn the_suspicion_names_what_is_missing() {
        let before = content(100 * SMALLEST_LOSS, &["a", "b", "c", "d", "e"]);
        let said = suspicion(&before, &content(1, &[])).unwrap();
        assert_eq!(
            said,
            "databases are gone or damaged: a, b, c and 2 more; of 838860800 bytes 1 are left"
        );
        let said = suspicion(&content(3, &["a", "b", "c"]), &content(3, &[])).unwrap();
        assert_eq!(said, "databases are gone or damaged: a, b, c");
    }
}
