//! What the bucket says when no run is there to be heard: at the end of one, and before the next.

use super::{Ledger, Newest};
use crate::bot::history::Kind;
use crate::wire::run::{RestorePoint, Run, SnapshotId};

/// A snapshot that the bucket has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InBucket {
    /// What names it.
    pub id: SnapshotId,
    /// When the bucket got it.
    pub stored_at: u64,
    /// Whether it is known to have lost too much, so that `latest` passes it over.
    pub suspicious: bool,
}

impl Ledger {
    /// `run` is over, and `stored` is what the bucket has: what the run saved last, only the bucket knows. What was not
    /// saved, and is not there either, is worth an entry.
    pub fn ended(&mut self, run: Run, stored: &[InBucket]) -> Option<(Kind, Option<String>)> {
        let newest = stored.iter().max_by_key(|snapshot| snapshot.stored_at);
        let is_known = |known: &Newest| stored.iter().any(|snapshot| snapshot.id == known.id);
        // A known one that is missing stays known, and keeps the next run from beginning with less.
        if let Some(newest) = newest
            && self.newest.as_ref().is_none_or(is_known)
            && self.newest.as_ref().is_none_or(|known| known.id != newest.id)
        {
            self.newest = Some(Newest {
                id: newest.id.clone(),
                at: i64::try_from(newest.stored_at).unwrap_or(i64::MAX),
            });
        }
        if run != self.run {
            return None;
        }
        let since = self.unsaved_since.take()?;
        self.overdue = false;
        let saved = newest.is_some_and(|newest| newest.stored_at >= since);
        (!saved).then_some((Kind::ChangesLost, None))
    }

    /// Whether starting a run takes knowing what the bucket has.
    pub fn asks_the_bucket(&self) -> bool {
        self.wanted.is_some() || self.newest.is_some()
    }

    /// What `run`, which is about to start, makes its home from; `stored` is what the bucket has.
    ///
    /// # Errors
    /// The newest snapshot that is known, when the bucket does not have it: the policy never forgets that one, so this
    /// is the wrong bucket, or not all of it. An older state, or a blank one, must not be taken for the newest.
    pub fn point_for(&mut self, run: Run, stored: &[InBucket]) -> Result<RestorePoint, SnapshotId> {
        // One that came after the ordered restore holds what was restored, and what was done with it since.
        let good = stored.iter().filter(|snapshot| !snapshot.suspicious);
        let newest_good = good.map(|snapshot| snapshot.stored_at).max();
        let over = |done_at: Option<u64>| done_at.is_some() && done_at < newest_good;
        self.wanted.take_if(|wanted| over(wanted.done_at));
        let point = match &mut self.wanted {
            Some(wanted) => {
                wanted.given_to = Some(run);
                wanted.restored_before = None;
                wanted.failed_before = None;
                wanted.done_at = None;
                wanted.point.clone()
            }
            None => RestorePoint::Latest,
        };
        match &self.newest {
            Some(newest) if point == RestorePoint::Latest => {
                let there = stored.iter().any(|snapshot| snapshot.id == newest.id);
                there.then_some(point).ok_or_else(|| newest.id.clone())
            }
            _ => Ok(point),
        }
    }

    /// Somebody accepts that the bucket has what it has, and nothing newer.
    pub fn accept_the_bucket(&mut self) {
        self.newest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Newest;
    use super::super::tests::{R1, R2, at_rest, hear, id, report, snapshot};
    use super::*;

    fn stored(digit: char, stored_at: u64) -> InBucket {
        InBucket {
            id: id(digit),
            stored_at,
            suspicious: false,
        }
    }

    /// A run whose home an order has made from `a`, at 6; before that `b` was its newest snapshot.
    fn restored() -> Ledger {
        let mut ledger = Ledger::default();
        let mut backup = at_rest();
        backup.taken = vec![snapshot('b', 20)];
        hear(&mut ledger, 1, R1, backup.clone());
        ledger.want(2, RestorePoint::Snapshot(id('a')));
        assert_eq!(
            ledger.point_for(R1, &[]),
            Ok(RestorePoint::Snapshot(id('a'))),
            "whatever the bucket has: the supervisor asks for this one"
        );
        backup.restored = Some(report(Some('a'), 30));
        hear(&mut ledger, 6, R1, backup);
        ledger
    }

    #[test]
    fn what_a_run_took_with_it_is_told() {
        let mut changed = at_rest();
        changed.changed = true;
        for (newest, lost) in [
            (None, true),
            (Some(stored('a', 99)), true),
            (Some(stored('a', 100)), false),
        ] {
            let mut ledger = Ledger::default();
            hear(&mut ledger, 100, R1, changed.clone());
            let bucket: Vec<_> = newest.clone().into_iter().collect();
            let entry = ledger.ended(R1, &bucket);
            assert_eq!(entry.is_some(), lost, "{newest:?}");
            let known = ledger.summary().newest.map(|newest| newest.id);
            assert_eq!(known, newest.map(|newest| newest.id));
            assert_eq!(ledger.ended(R1, &[]), None, "once");
        }
        let mut saved = Ledger::default();
        hear(&mut saved, 100, R1, at_rest());
        assert_eq!(saved.ended(R1, &[]), None);
    }

    #[test]
    fn a_run_may_save_one_that_nobody_heard_of_and_a_known_one_is_missed() {
        let mut ledger = Ledger::default();
        let mut backup = at_rest();
        backup.taken = vec![snapshot('b', 20)];
        hear(&mut ledger, 1, R1, backup);
        ledger.ended(R1, &[stored('a', 1), stored('b', 2), stored('c', 3)]);
        assert_eq!(ledger.summary().newest, Some(Newest { id: id('c'), at: 3 }));
        ledger.ended(R1, &[stored('a', 1), stored('b', 2)]);
        assert_eq!(ledger.summary().newest, Some(Newest { id: id('c'), at: 3 }));
    }

    #[test]
    fn a_restore_is_given_again_until_a_good_snapshot_has_what_it_brought() {
        let ordered = Ok(RestorePoint::Snapshot(id('a')));
        let before = stored('b', 5);
        assert_eq!(
            restored().point_for(R2, std::slice::from_ref(&before)),
            ordered,
            "`latest` would undo it"
        );
        let mut lossy = stored('c', 7);
        lossy.suspicious = true;
        assert_eq!(
            restored().point_for(R2, &[before.clone(), lossy]),
            ordered,
            "`latest` would pass that over"
        );
        let mut ledger = restored();
        let after = ledger.point_for(R2, &[before, stored('c', 7)]);
        assert_eq!(after, Ok(RestorePoint::Latest));
        assert_eq!(ledger.summary().restore_wanted, None);
    }

    #[test]
    fn what_is_known_and_not_in_the_bucket_starts_nothing() {
        let mut ledger = Ledger::default();
        assert!(!ledger.asks_the_bucket());
        assert_eq!(ledger.point_for(R1, &[]), Ok(RestorePoint::Latest), "a new bot");
        let mut backup = at_rest();
        backup.taken = vec![snapshot('a', 20), snapshot('b', 30)];
        hear(&mut ledger, 1, R1, backup);
        assert!(ledger.asks_the_bucket());
        let latest = Ok(RestorePoint::Latest);
        assert_eq!(ledger.point_for(R2, &[stored('a', 1), stored('b', 2)]), latest);
        for less in [vec![], vec![stored('a', 1)]] {
            assert_eq!(ledger.point_for(R2, &less), Err(id('b')), "{less:?}");
        }
        ledger.want(3, RestorePoint::Latest);
        assert_eq!(ledger.point_for(R2, &[]), Err(id('b')), "ordered or not");
        ledger.accept_the_bucket();
        assert_eq!(ledger.point_for(R2, &[]), latest);
    }
}
