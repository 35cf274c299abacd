//! Databases that snapshots cannot copy, and when that is put up with.

use std::collections::{BTreeMap, BTreeSet};

/// So many snapshots in a row fail for a database that cannot be copied; the next one stores it as the files it is. A
/// long transaction is over by then, about a minute after the first; what holds a database for longer holds it for
/// good, and all the rest of the home must not go unsaved for it.
const MAX_FAILED_COPIES: u32 = 3;

/// How many snapshots in a row could not copy which database.
#[derive(Debug, Default)]
pub(super) struct Uncopied(BTreeMap<String, u32>);

impl Uncopied {
    /// A snapshot has looked at all databases and could not copy these.
    pub(super) fn record(&mut self, databases: BTreeSet<String>) {
        let before = std::mem::take(&mut self.0);
        let times = |name: &String| before.get(name).copied().unwrap_or(0).saturating_add(1);
        self.0 = databases
            .into_iter()
            .map(|name| (name.clone(), times(&name)))
            .collect();
    }

    /// Those the next snapshot need not copy.
    pub(super) fn tolerated(&self) -> BTreeSet<String> {
        let often = self.0.iter().filter(|(_, times)| **times >= MAX_FAILED_COPIES);
        often.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_file_is_tolerated_only_after_three_consecutive_failures() {
        let mut uncopied = Uncopied::default();
        for (failed, then) in [
            (&["a"][..], &[][..]),
            (&["a", "b"], &[]),
            (&["a"], &["a"]),
            (&["a", "b"], &["a"]),
            (&["a", "b"], &["a"]),
            (&["b"], &["b"]),
            (&["a"], &[]),
            (&[], &[]),
        ] {
            uncopied.record(set(failed));
            assert_eq!(uncopied.tolerated(), set(then), "after {failed:?}");
        }
    }
}
