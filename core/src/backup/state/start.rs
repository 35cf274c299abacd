//! What the bucket says when no run is there to be asked: at the end of one, and before the next.

use super::{BackupState, NewestSnapshot};
use crate::backup::newest_first;
use crate::bot::history::{HistoryKind, truncate_detail};
use crate::bot::incidents::IncidentKind;
use crate::wire::job::JobKind;
use crate::wire::run::{RestorePoint, Run, SnapshotId};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it should: its supervisor took what there was to save.
    Saved,
    /// It was told to stop then, and nobody saw how it ended: as it should if the bucket got a snapshot since.
    Unseen {
        /// When it was told.
        stopping_since: u64,
    },
    /// It ended in another way, or was never asked to stop: nothing says that it saved what it had.
    Broken,
}

/// A snapshot that the bucket has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// What names it.
    pub id: SnapshotId,
    /// When the bucket got it.
    pub stored_at: u64,
    /// What it is known to have lost that nobody should have deleted, so that `latest` passes it over.
    pub suspicious: Option<String>,
}

impl BackupState {
    /// `run` has ended like this, and `stored` is what the bucket has: what the run saved last, only the bucket knows. What
    /// was not saved, and is not there either, is worth an entry.
    pub fn ended(
        &mut self,
        now: u64,
        run: Run,
        how: Ended,
        stored: &[StoredSnapshot],
    ) -> Option<(HistoryKind, Option<String>)> {
        let newest = stored.iter().max_by_key(|snapshot| snapshot.stored_at);
        let is_known = |known: &NewestSnapshot| stored.iter().any(|snapshot| snapshot.id == known.id);
        // A known one that is missing stays known, and keeps the next run from beginning with less.
        if let Some(newest) = newest
            && self.newest.as_ref().is_none_or(is_known)
            && self.newest.as_ref().is_none_or(|known| known.id != newest.id)
        {
            self.newest = Some(NewestSnapshot {
                id: newest.id.clone(),
                at: i64::try_from(newest.stored_at).unwrap_or(i64::MAX),
            });
        }
        if run != self.run {
            return None;
        }
        let how = match how {
            Ended::Unseen { stopping_since }
                if newest.is_some_and(|newest| newest.stored_at >= stopping_since) =>
            {
                Ended::Saved
            }
            // Without changes there is no last snapshot.
            Ended::Unseen { .. } if self.unsaved_since.is_none() => Ended::Saved,
            Ended::Unseen { .. } => Ended::Broken,
            seen => seen,
        };
        let (unsaved_since, saved_at) = (self.unsaved_since.take(), self.saved_at.take());
        let trouble = self.trouble.take();
        // With the run ends the wait for its snapshot.
        self.incidents.close(now, IncidentKind::BackupOverdue);
        let since = match how {
            Ended::Saved => {
                // What it saved before it ended has it all.
                let saved = |since: u64| newest.is_some_and(|newest| newest.stored_at >= since);
                unsaved_since.filter(|since| !saved(*since))
            }
            // What was changed after the last answer nobody can tell any more, nor whether a snapshot that was stored
            // since has it.
            Ended::Broken | Ended::Unseen { .. } => unsaved_since.or(saved_at),
        };
        let seconds = now.saturating_sub(since?).div_ceil(1_000);
        let why = trouble.filter(|trouble| trouble.job == JobKind::Snapshot);
        let why = why.map(|trouble| format!("; the last snapshot failed: {}", trouble.reason));
        let detail = match (how, unsaved_since) {
            (Ended::Saved, _) => format!("{seconds} seconds of changes{}", why.unwrap_or_default()),
            (_, Some(_)) => format!(
                "at most {seconds} seconds of changes: the run ended before they were saved{}",
                why.unwrap_or_default()
            ),
            (_, None) => format!(
                "whatever was changed in its last {seconds} seconds: the run ended without a last snapshot"
            ),
        };
        Some((HistoryKind::ChangesLost, Some(truncate_detail(&detail))))
    }

    /// Whether starting a run takes knowing what the bucket has.
    pub fn needs_bucket_listing(&self) -> bool {
        self.wanted.is_some() || self.newest.is_some()
    }

    /// What `run`, which is about to start at `now`, makes its home from; `stored` is what the bucket has.
    ///
    /// # Errors
    /// The newest snapshot that is known, when the bucket does not have it: the policy never forgets that one, so this
    /// is the wrong bucket, or not all of it. An older state, or a blank one, must not be taken for the newest.
    pub fn restore_point_for(
        &mut self,
        now: u64,
        run: Run,
        stored: &[StoredSnapshot],
    ) -> Result<RestorePoint, SnapshotId> {
        self.lapse_choice(now);
        // One that came after the ordered restore holds what was restored, and what was done with it since.
        let good = stored.iter().filter(|snapshot| snapshot.suspicious.is_none());
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
        if point == RestorePoint::Latest {
            self.expect_passed_over(now, stored);
        }
        match &self.newest {
            Some(newest) if point == RestorePoint::Latest => {
                let there = stored.iter().any(|snapshot| snapshot.id == newest.id);
                there.then_some(point).ok_or_else(|| newest.id.clone())
            }
            _ => Ok(point),
        }
    }

    /// What of `stored` the start will pass over is known before it begins, unless nobody could say of the last one what is
    /// in it: then the report of the restore says so.
    fn expect_passed_over(&mut self, now: u64, stored: &[StoredSnapshot]) {
        let newest_first = newest_first(stored, |snapshot| (snapshot.stored_at, &snapshot.id));
        let good = newest_first
            .iter()
            .position(|snapshot| snapshot.suspicious.is_none());
        let passed = newest_first.get(..good.unwrap_or_default()).unwrap_or_default();
        let ids: Vec<SnapshotId> = passed.iter().map(|snapshot| snapshot.id.clone()).collect();
        let why = passed.first().and_then(|newest| newest.suspicious.as_deref());
        let instead = good.and_then(|good| newest_first.get(good));
        self.passes_over(now, &ids, why, instead.map(|snapshot| &snapshot.id));
    }

    /// Somebody accepts that the bucket has what it has, and nothing newer.
    pub fn accept_bucket_contents(&mut self) {
        self.newest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::NewestSnapshot;
    use super::super::tests::{R1, R2, at_rest, id, observe_backup, report, snapshot};
    use super::*;

    fn stored(digit: char, stored_at: u64) -> StoredSnapshot {
        StoredSnapshot {
            id: id(digit),
            stored_at,
            suspicious: None,
        }
    }

    /// A run whose home an order has made from `a`, at 6; before that `b` was its newest snapshot.
    fn restored() -> BackupState {
        let mut backup_state = BackupState::default();
        let mut backup = at_rest();
        backup.taken = vec![snapshot('b', 20)];
        observe_backup(&mut backup_state, 1, R1, backup.clone());
        backup_state.set_ordered_restore(2, RestorePoint::Snapshot(id('a')));
        assert_eq!(
            backup_state.restore_point_for(9, R1, &[]),
            Ok(RestorePoint::Snapshot(id('a'))),
            "whatever the bucket has: the supervisor asks for this one"
        );
        backup.restored = Some(report(Some('a'), 30));
        observe_backup(&mut backup_state, 6, R1, backup);
        backup_state
    }

    #[test]
    fn data_lost_with_a_run_is_reported() {
        let mut changed = at_rest();
        changed.changed = true;
        for (newest, lost) in [
            (None, true),
            (Some(stored('a', 99)), true),
            (Some(stored('a', 100)), false),
        ] {
            let mut backup_state = BackupState::default();
            observe_backup(&mut backup_state, 100, R1, changed.clone());
            let bucket: Vec<_> = newest.clone().into_iter().collect();
            let entry = backup_state.ended(200, R1, Ended::Saved, &bucket);
            assert_eq!(entry.is_some(), lost, "{newest:?}");
            let known = backup_state.summary().newest.map(|newest| newest.id);
            assert_eq!(known, newest.map(|newest| newest.id));
            assert_eq!(backup_state.ended(200, R1, Ended::Saved, &[]), None, "once");
        }
        let mut saved = BackupState::default();
        observe_backup(&mut saved, 100, R1, at_rest());
        assert_eq!(saved.ended(200, R1, Ended::Saved, &[]), None);
    }

    #[test]
    fn an_end_nobody_saw_is_good_if_the_bucket_got_a_snapshot_since() {
        let mut changed = at_rest();
        changed.changed = true;
        let unseen = Ended::Unseen { stopping_since: 150 };
        for (newest, lost) in [
            (None, true),
            (Some(stored('a', 149)), true),
            (Some(stored('a', 150)), false),
        ] {
            let mut backup_state = BackupState::default();
            observe_backup(&mut backup_state, 100, R1, changed.clone());
            let bucket: Vec<_> = newest.clone().into_iter().collect();
            assert_eq!(
                backup_state.ended(200, R1, unseen, &bucket).is_some(),
                lost,
                "{newest:?}"
            );
        }
        let mut saved = BackupState::default();
        observe_backup(&mut saved, 100, R1, at_rest());
        assert_eq!(saved.ended(200, R1, unseen, &[]), None, "nothing was to be saved");
    }

    #[test]
    fn an_unreported_snapshot_is_allowed_and_a_known_one_is_required() {
        let mut backup_state = BackupState::default();
        let mut backup = at_rest();
        backup.taken = vec![snapshot('b', 20)];
        observe_backup(&mut backup_state, 1, R1, backup);
        backup_state.ended(
            200,
            R1,
            Ended::Saved,
            &[stored('a', 1), stored('b', 2), stored('c', 3)],
        );
        assert_eq!(
            backup_state.summary().newest,
            Some(NewestSnapshot { id: id('c'), at: 3 })
        );
        backup_state.ended(200, R1, Ended::Saved, &[stored('a', 1), stored('b', 2)]);
        assert_eq!(
            backup_state.summary().newest,
            Some(NewestSnapshot { id: id('c'), at: 3 })
        );
    }

    #[test]
    fn a_restore_is_repeated_until_a_good_snapshot_contains_it() {
        let ordered = Ok(RestorePoint::Snapshot(id('a')));
        let before = stored('b', 5);
        assert_eq!(
            restored().restore_point_for(9, R2, std::slice::from_ref(&before)),
            ordered,
            "`latest` would undo it"
        );
        let mut lossy = stored('c', 7);
        lossy.suspicious = Some("much is gone".into());
        assert_eq!(
            restored().restore_point_for(9, R2, &[before.clone(), lossy]),
            ordered,
            "`latest` would pass that over"
        );
        let mut backup_state = restored();
        let after = backup_state.restore_point_for(9, R2, &[before, stored('c', 7)]);
        assert_eq!(after, Ok(RestorePoint::Latest));
        assert_eq!(backup_state.summary().restore_wanted, None);
    }

    #[test]
    fn a_known_snapshot_missing_from_the_bucket_prevents_the_start() {
        let mut backup_state = BackupState::default();
        assert!(!backup_state.needs_bucket_listing());
        assert_eq!(
            backup_state.restore_point_for(9, R1, &[]),
            Ok(RestorePoint::Latest),
            "a new bot"
        );
        let mut backup = at_rest();
        backup.taken = vec![snapshot('a', 20), snapshot('b', 30)];
        observe_backup(&mut backup_state, 1, R1, backup);
        assert!(backup_state.needs_bucket_listing());
        let latest = Ok(RestorePoint::Latest);
        assert_eq!(
            backup_state.restore_point_for(9, R2, &[stored('a', 1), stored('b', 2)]),
            latest
        );
        for less in [vec![], vec![stored('a', 1)]] {
            assert_eq!(
                backup_state.restore_point_for(9, R2, &less),
                Err(id('b')),
                "{less:?}"
            );
        }
        backup_state.set_ordered_restore(3, RestorePoint::Latest);
        assert_eq!(
            backup_state.restore_point_for(9, R2, &[]),
            Err(id('b')),
            "ordered or not"
        );
        backup_state.accept_bucket_contents();
        assert_eq!(backup_state.restore_point_for(9, R2, &[]), latest);
    }
}
