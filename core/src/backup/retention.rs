//! Which snapshots are kept.
//!
//! Hourly for a day, daily for two weeks, weekly for two months: of each hour, day and week the last good one.
//! Beside that what is younger than two hours, what is pinned, what was verified last, what a restore could need
//! (the newest, and the newest that is not suspicious), and for as long as somebody may want back: what was taken before a
//! restore or an upgrade, of each hour the last suspicious one, and what has what another one lost. What a start passed
//! over is held beside that until somebody decides (`state`), as if it were pinned.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::control::{Snapshot, SnapshotReason};
use crate::wire::run::SnapshotId;

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// All of them are kept for this long: what somebody did in the last hour is what they want undone most often.
pub const ALL_FOR: i64 = 2 * HOUR;
/// One of each hour is kept for this long.
pub const HOURLY_FOR: i64 = DAY;
/// One of each day is kept for this long.
pub const DAILY_FOR: i64 = 14 * DAY;
/// One of each week is kept for this long.
pub const WEEKLY_FOR: i64 = 61 * DAY;
/// What was taken before a change by the platform, is suspicious, or has what was lost is kept for this long.
pub const REMARKABLE_FOR: i64 = 30 * DAY;

/// What must stay whatever its age.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeldSnapshots<'a> {
    /// Pinned by the owner or an admin.
    pub pinned: &'a [SnapshotId],
    /// Restored and compared last.
    pub verified: Option<&'a SnapshotId>,
}

/// Which of `snapshots` may be deleted at the time `now` (Unix milliseconds).
pub fn forgettable(snapshots: &[Snapshot], held: HeldSnapshots<'_>, now: i64) -> BTreeSet<SnapshotId> {
    let mut kept = BTreeSet::new();
    let mut newest_first: Vec<&Snapshot> = snapshots.iter().collect();
    newest_first.sort_by(|a, b| (b.taken_at, &b.id).cmp(&(a.taken_at, &a.id)));
    let good = || {
        newest_first
            .iter()
            .filter(|snapshot| snapshot.suspicious.is_none())
    };

    kept.extend(newest_first.first().map(|snapshot| snapshot.id.clone()));
    kept.extend(good().next().map(|snapshot| snapshot.id.clone()));
    for snapshot in &newest_first {
        let age = now.saturating_sub(snapshot.taken_at);
        let before_a_change = matches!(
            snapshot.reason,
            Some(SnapshotReason::BeforeRestore | SnapshotReason::BeforeUpgrade)
        );
        if age < ALL_FOR
            || (before_a_change && age < REMARKABLE_FOR)
            || held.pinned.contains(&snapshot.id)
            || held.verified == Some(&snapshot.id)
        {
            kept.insert(snapshot.id.clone());
        }
    }
    for (span, span_for) in [(HOUR, HOURLY_FOR), (DAY, DAILY_FOR), (WEEK, WEEKLY_FOR)] {
        let mut last_of = BTreeMap::new();
        let young = good().filter(|snapshot| now.saturating_sub(snapshot.taken_at) < span_for);
        for snapshot in young {
            last_of
                .entry(snapshot.taken_at.div_euclid(span))
                .or_insert(&snapshot.id);
        }
        kept.extend(last_of.into_values().cloned());
    }
    let (mut suspicious, mut lacking) = (BTreeMap::new(), BTreeMap::new());
    for snapshot in &newest_first {
        if now.saturating_sub(snapshot.taken_at) < REMARKABLE_FOR {
            let hour = snapshot.taken_at.div_euclid(HOUR);
            if snapshot.suspicious.is_some() {
                suspicious.entry(hour).or_insert(&snapshot.id);
            }
            // The first of an hour: what it lacks is there just before.
            if let Some(lost) = &snapshot.lost {
                lacking.insert(hour, &lost.before);
            }
        }
    }
    kept.extend(suspicious.into_values().chain(lacking.into_values()).cloned());
    let ids = snapshots.iter().map(|snapshot| &snapshot.id);
    ids.filter(|id| !kept.contains(id)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::control::{Amount, LeftOut, Named};
    use proptest::prelude::*;

    const NOW: i64 = 1_790_000_000_000;

    fn id(number: usize) -> SnapshotId {
        format!("{number:064x}").parse().unwrap()
    }

    fn snapshot(number: usize, age: i64) -> Snapshot {
        Snapshot {
            id: id(number),
            taken_at: NOW - age,
            reason: Some(SnapshotReason::Change),
            run: Some(1),
            gateway_version: None,
            amount: Amount::default(),
            added_bytes: 0,
            suspicious: None,
            lost: None,
            raw: Vec::new(),
            disk_bytes: None,
            lacks: Named::default(),
            left_out: LeftOut::default(),
            moments: Named::default(),
            pause_ms: None,
            accepted: false,
        }
    }

    fn kept(snapshots: &[Snapshot], held: HeldSnapshots<'_>) -> Vec<SnapshotId> {
        let gone = forgettable(snapshots, held, NOW);
        let ids = snapshots.iter().map(|snapshot| snapshot.id.clone());
        ids.filter(|id| !gone.contains(id)).collect()
    }

    /// What a bot has that takes one a minute and is never put to sleep.
    #[test]
    fn a_busy_bot_keeps_a_bounded_number_of_snapshots() {
        let minutes = 90 * 24 * 60;
        let all: Vec<_> = (0..minutes).map(|n| snapshot(n, n as i64 * 60_000)).collect();
        let kept = kept(&all, HeldSnapshots::default());
        // Two hours of minutes, then at most 22 or 23 hours, 13 or 14 days, 7 or 8 weeks more.
        assert!(
            (120 + 22 + 12 + 6..=120 + 25 + 15 + 10).contains(&kept.len()),
            "{}",
            kept.len()
        );
    }

    #[test]
    fn pinned_and_last_verified_snapshots_are_never_deleted() {
        let all: Vec<_> = (0..10).map(|n| snapshot(n, n as i64 * 400 * DAY)).collect();
        let pinned = [id(7), id(3)];
        let verified = id(5);
        let held = HeldSnapshots {
            pinned: &pinned,
            verified: Some(&verified),
        };
        assert_eq!(kept(&all, held), [id(0), id(3), id(5), id(7)]);
    }

    #[test]
    fn the_newest_good_snapshot_is_kept_behind_suspicious_ones() {
        let mut all: Vec<_> = (0..5).map(|n| snapshot(n, 100 * DAY + n as i64 * DAY)).collect();
        for lost in &mut all[..3] {
            lost.suspicious = Some("much is gone".into());
        }
        assert_eq!(kept(&all, HeldSnapshots::default()), [id(0), id(3)]);
    }

    #[test]
    fn pre_restore_snapshots_are_kept_for_a_month() {
        let mut all: Vec<_> = (0..3).map(|n| snapshot(n, 20 * DAY + n as i64 * HOUR)).collect();
        all[1].reason = Some(SnapshotReason::BeforeRestore);
        assert_eq!(kept(&all, HeldSnapshots::default()), [id(0), id(1)]);
    }

    /// To the millisecond: what is as old as that is not kept for its age any more.
    #[test]
    fn each_period_ends_with_its_last_millisecond() {
        let suspicious = |age| Snapshot {
            suspicious: Some("much is gone".into()),
            ..snapshot(2, age)
        };
        let changed = |age| Snapshot {
            reason: Some(SnapshotReason::BeforeUpgrade),
            ..snapshot(2, age)
        };
        type Made<'a> = &'a dyn Fn(i64) -> Snapshot;
        let plain: Made<'_> = &|age| snapshot(2, age);
        for (what, made, period) in [
            ("all", plain, ALL_FOR),
            ("suspicious", &suspicious as Made<'_>, REMARKABLE_FOR),
            ("before a change", &changed as Made<'_>, REMARKABLE_FOR),
        ] {
            for (age, stays) in [(period - 1, true), (period, false)] {
                // A later one of the same hour, and the newest.
                let all = [snapshot(0, 0), snapshot(1, age - 60_000), made(age)];
                assert_eq!(
                    kept(&all, HeldSnapshots::default()).contains(&id(2)),
                    stays,
                    "{what} {age}"
                );
            }
        }
        for (age, stays) in [(WEEKLY_FOR - 1, true), (WEEKLY_FOR, false)] {
            let all = [snapshot(0, 0), snapshot(2, age)];
            assert_eq!(
                kept(&all, HeldSnapshots::default()).contains(&id(2)),
                stays,
                "weekly {age}"
            );
        }
    }

    fn some() -> impl Strategy<Value = Vec<Snapshot>> {
        let one = (-HOUR..200 * DAY, prop::bool::weighted(0.1), 0..5_usize);
        prop::collection::vec(one, 0..200).prop_map(|all| {
            let made = all
                .into_iter()
                .enumerate()
                .map(|(n, (age, suspicious, reason))| Snapshot {
                    suspicious: suspicious.then(|| "lost".into()),
                    reason: Some(SnapshotReason::ALL[reason]),
                    ..snapshot(n, age)
                });
            made.collect()
        })
    }

    proptest! {
        #[test]
        fn protected_snapshots_are_kept_for_any_snapshot_set(all in some(), pin in any::<prop::sample::Index>(), verified in any::<prop::sample::Index>()) {
            prop_assume!(!all.is_empty());
            let pinned = [all[pin.index(all.len())].id.clone()];
            let verified = all[verified.index(all.len())].id.clone();
            let gone = forgettable(&all, HeldSnapshots { pinned: &pinned, verified: Some(&verified) }, NOW);
            prop_assert!(!gone.contains(&pinned[0]));
            prop_assert!(!gone.contains(&verified));
            let latest_good = all.iter().filter(|s| s.suspicious.is_none()).max_by(|a, b| (a.taken_at, &a.id).cmp(&(b.taken_at, &b.id)));
            prop_assert!(latest_good.is_none_or(|s| !gone.contains(&s.id)));
            prop_assert!(all.iter().all(|s| !gone.contains(&s.id) || NOW - s.taken_at >= ALL_FOR));
        }

        /// A point in time within reach has a good snapshot near it, if one was ever there.
        #[test]
        fn every_retained_period_keeps_its_last_snapshot(all in some()) {
            let gone = forgettable(&all, HeldSnapshots::default(), NOW);
            for (span, span_for) in [(HOUR, HOURLY_FOR), (DAY, DAILY_FOR), (WEEK, WEEKLY_FOR)] {
                for one in all.iter().filter(|s| s.suspicious.is_none() && NOW - s.taken_at < span_for) {
                    let kept = all.iter().any(|s| !gone.contains(&s.id) && s.suspicious.is_none()
                        && s.taken_at.div_euclid(span) == one.taken_at.div_euclid(span) && s.taken_at >= one.taken_at);
                    prop_assert!(kept, "{one:?}");
                }
            }
        }

        #[test]
        fn retention_is_idempotent(all in some()) {
            let gone = forgettable(&all, HeldSnapshots::default(), NOW);
            let left: Vec<_> = all.into_iter().filter(|s| !gone.contains(&s.id)).collect();
            prop_assert!(forgettable(&left, HeldSnapshots::default(), NOW).is_empty());
        }
    }
}
