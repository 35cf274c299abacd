//! When a snapshot of a running bot is taken: after changes have settled, not too often, and when asked for.
//!
//! No clock or randomness; times are counted from the supervisor's start. The last snapshot before a stop is not
//! decided here but in [`crate::bot::gateway`].

use std::time::Duration;

use crate::wire::control::SnapshotReason;
use crate::wire::job::SnapshotJob;

/// A change is settled when nothing else has changed for this long: an agent's turn writes in bursts.
pub const SETTLE: Duration = Duration::from_secs(5);
/// Changes that never settle are not waited for longer than this.
pub const MAX_WAIT: Duration = Duration::from_secs(30);
/// From the beginning of one snapshot to that of the next. Losing the machine loses at most a minute, and what
/// it takes to take one.
pub const SPACING: Duration = Duration::from_secs(60);
/// What a gateway changes while it starts waits until it is ready, but no longer than this: a snapshot beside a start takes
/// processor time from it, at half a CPU by seconds. A start over this is in trouble, and its traces are worth saving.
pub const MAX_START: Duration = Duration::from_secs(180);
/// The pause after a snapshot that failed; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: a repository that was away for an hour is not asked less often than a bot changes.
pub const MAX_PAUSE: Duration = SPACING;

/// So often in a row a snapshot of several moments is followed by another one at once. What writes that much goes on, and the
/// next one comes when it would anyway.
pub const MAX_FOLLOWING: u32 = 2;

/// What may be set about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRules {
    /// See [`SETTLE`].
    pub settle: Duration,
    /// See [`SPACING`].
    pub spacing: Duration,
}

impl Default for SnapshotRules {
    fn default() -> Self {
        Self {
            settle: SETTLE,
            spacing: SPACING,
        }
    }
}

/// What is to be saved and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    first: Duration,
    last: Duration,
}

/// When the next snapshot is due, by what changed and what was saved.
#[derive(Debug)]
pub struct Schedule {
    rules: SnapshotRules,
    change: Option<Change>,
    ordered: Option<SnapshotJob>,
    /// What is being taken.
    taking: Option<SnapshotJob>,
    /// The first change that is being saved by that.
    saving: Option<Duration>,
    begun: Option<Duration>,
    failed: u32,
    /// How many in a row were of several moments.
    several: u32,
    not_before: Duration,
    /// Since when the gateway starts; nothing while it does not.
    starting: Option<Duration>,
    /// When the home was last made from a snapshot.
    restored: Option<Duration>,
}

impl Schedule {
    /// A schedule on which nothing is.
    pub fn new(rules: SnapshotRules) -> Self {
        Self {
            rules,
            change: None,
            ordered: None,
            taking: None,
            saving: None,
            begun: None,
            failed: 0,
            several: 0,
            not_before: Duration::ZERO,
            starting: None,
            restored: None,
        }
    }

    /// The gateway begins to start, or no longer does.
    pub fn starts(&mut self, now: Duration, starting: bool) {
        self.starting = starting.then(|| self.starting.unwrap_or(now));
    }

    /// The home was made from a snapshot. That is to be saved as well, for what the start of a gateway changes in it, but what
    /// it was made from is stored.
    pub fn restored(&mut self, now: Duration) {
        self.restored = Some(now);
        self.change = Some(Change {
            first: now,
            last: now,
        });
    }

    /// Something has changed.
    pub fn changed(&mut self, now: Duration) {
        let first = self.change.map_or(now, |change| change.first);
        self.change = Some(Change { first, last: now });
    }

    /// Somebody wants one. A loss that one of two orders accepts is accepted.
    pub fn order(&mut self, job: SnapshotJob) {
        let accept = job.accept || self.ordered.is_some_and(|earlier| earlier.accept);
        self.ordered = Some(SnapshotJob { accept, ..job });
    }

    /// Whether the one that was taken is of one moment. Another follows at once if it is not, unless it is in vain.
    pub fn taken(&mut self, is_of_one_moment: bool) {
        if is_of_one_moment || self.several >= MAX_FOLLOWING {
            self.several = 0;
            return;
        }
        self.several = self.several.saturating_add(1);
        self.ordered
            .get_or_insert(SnapshotJob::new(SnapshotReason::Change));
    }

    /// Whether something is not saved yet.
    pub fn has_changed(&self) -> bool {
        self.change.is_some()
    }

    /// Whether something is known not to be saved now: one is being taken, or the last one failed. What has changed
    /// just now does not count; a snapshot before a stop saves that.
    pub fn is_unsaved(&self) -> bool {
        self.taking.is_some() || (self.failed > 0 && self.has_changed())
    }

    /// When the first change was noticed that is in no snapshot yet.
    pub fn unsaved_since(&self) -> Option<Duration> {
        self.saving.or(self.change.map(|change| change.first))
    }

    /// When the next one is to begin; `None` while there is nothing to save, or one is being taken.
    pub fn due(&self) -> Option<Duration> {
        if self.taking.is_some() {
            return None;
        }
        if self.ordered.is_some() {
            // Whoever waits for it is not made to wait for the spacing, but for the repository to recover.
            return Some(self.not_before);
        }
        let change = self.change?;
        let settled = (change.last + self.rules.settle).min(change.first + MAX_WAIT);
        let spaced = self
            .begun
            .map_or(Duration::ZERO, |begun| begun + self.rules.spacing);
        // What was changed before is the owner's, and at stake; unless it is what was just restored.
        let is_stored = self.restored == Some(change.first);
        let started = self.starting.filter(|since| is_stored || change.first >= *since);
        let started = started.map_or(Duration::ZERO, |since| since + MAX_START);
        Some(settled.max(spaced).max(started).max(self.not_before))
    }

    /// Begins the next one if it is due.
    pub fn begin(&mut self, now: Duration) -> Option<SnapshotJob> {
        self.due().filter(|due| *due <= now)?;
        let job = self
            .ordered
            .take()
            .unwrap_or(SnapshotJob::new(SnapshotReason::Change));
        self.saving = self.change.take().map(|change| change.first);
        self.begun = Some(now);
        self.taking = Some(job);
        Some(job)
    }

    /// The one that was begun is over. `chance` is a fresh random number in `0.0..1.0`.
    pub fn over(&mut self, now: Duration, chance: f64, well: bool) {
        let Some(taken) = self.taking.take() else { return };
        let saving = self.saving.take();
        if well {
            self.failed = 0;
            return;
        }
        self.failed = self.failed.saturating_add(1);
        let doublings = self.failed.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE);
        self.not_before = now + pause.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        // What was to be saved still is, since before this attempt.
        self.changed(now);
        if let (Some(change), Some(begun)) = (&mut self.change, self.begun) {
            change.first = change.first.min(saving.unwrap_or(begun));
        }
        if taken.reason != SnapshotReason::Change {
            self.order(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const MANUAL: SnapshotJob = SnapshotJob {
        reason: SnapshotReason::Manual,
        accept: false,
    };

    #[test]
    fn a_change_is_saved_after_the_settle_time() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        assert_eq!(schedule.due(), None);
        schedule.changed(at(10));
        schedule.changed(at(12));
        assert_eq!(schedule.due(), Some(at(12) + SETTLE));
        assert_eq!(schedule.begin(at(16)), None);
        assert_eq!(schedule.begin(at(17)).unwrap().reason, SnapshotReason::Change);
        assert_eq!((schedule.due(), schedule.has_changed()), (None, false));
    }

    #[test]
    fn changes_of_a_starting_gateway_wait_until_it_is_ready() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        schedule.starts(at(1), true);
        schedule.changed(at(2));
        schedule.starts(at(3), true);
        assert_eq!(schedule.due(), Some(at(1) + MAX_START));
        schedule.order(MANUAL);
        assert_eq!(schedule.due(), Some(at(0)));
        assert_eq!(schedule.begin(at(2)), Some(MANUAL));
        schedule.over(at(3), 1.0, true);
        schedule.changed(at(4));
        schedule.starts(at(70), false);
        assert_eq!(schedule.due(), Some(at(2) + SPACING));
    }

    #[test]
    fn a_restored_home_is_saved_once_the_gateway_is_ready() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        schedule.changed(at(1));
        schedule.restored(at(10));
        schedule.starts(at(11), true);
        schedule.changed(at(12));
        assert_eq!(schedule.due(), Some(at(11) + MAX_START));
        schedule.starts(at(70), false);
        assert_eq!(schedule.due(), Some(at(12) + SETTLE));
    }

    #[test]
    fn changes_from_before_a_start_do_not_wait_for_it() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        schedule.changed(at(10));
        schedule.starts(at(11), true);
        schedule.changed(at(12));
        assert_eq!(schedule.due(), Some(at(12) + SETTLE));
    }

    #[test]
    fn changes_that_never_settle_are_saved_after_the_maximum_wait() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        for second in 10..100 {
            schedule.changed(at(second));
        }
        assert_eq!(schedule.due(), Some(at(10) + MAX_WAIT));
    }

    #[test]
    fn changes_during_a_snapshot_wait_for_the_next_one() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        schedule.changed(at(0));
        schedule.begin(at(5));
        schedule.changed(at(6));
        assert_eq!(schedule.due(), None);
        schedule.over(at(8), 1.0, true);
        assert_eq!(schedule.due(), Some(at(5) + SPACING));
    }

    #[test]
    fn a_change_is_unsaved_until_its_snapshot_is_taken() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        assert_eq!(schedule.unsaved_since(), None);
        schedule.changed(at(1));
        schedule.changed(at(2));
        schedule.begin(at(7));
        schedule.changed(at(8));
        assert_eq!(schedule.unsaved_since(), Some(at(1)));
        schedule.over(at(9), 1.0, false);
        assert_eq!(schedule.unsaved_since(), Some(at(1)), "it failed");
        schedule.begin(at(70));
        schedule.changed(at(71));
        schedule.over(at(72), 1.0, true);
        assert_eq!(schedule.unsaved_since(), Some(at(71)));
    }

    #[test]
    fn failed_changes_are_distinguished_from_pending_ones() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        schedule.changed(at(0));
        assert!(!schedule.is_unsaved());
        schedule.begin(at(5));
        assert!(schedule.is_unsaved());
        schedule.over(at(6), 1.0, false);
        assert!(schedule.is_unsaved());
        let again = schedule.due().unwrap();
        schedule.begin(again);
        schedule.over(again, 1.0, true);
        assert!(!schedule.is_unsaved());
        schedule.changed(again);
        assert!(!schedule.is_unsaved());
    }

    #[test]
    fn an_order_does_not_wait_and_is_not_lost_by_a_failure() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        schedule.changed(at(0));
        schedule.begin(at(5));
        schedule.order(SnapshotJob {
            accept: true,
            ..MANUAL
        });
        schedule.order(MANUAL);
        schedule.over(at(8), 1.0, true);
        assert_eq!(schedule.due(), Some(at(0)));
        let accepted = SnapshotJob {
            accept: true,
            ..MANUAL
        };
        assert_eq!(schedule.begin(at(9)), Some(accepted));
        schedule.over(at(10), 1.0, false);
        assert_eq!(schedule.due(), Some(at(10) + FIRST_PAUSE));
        assert_eq!(schedule.begin(at(15)), Some(accepted));
    }

    #[test]
    fn a_snapshot_of_several_moments_is_followed_at_once_a_few_times() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        let mut now = at(5);
        schedule.changed(at(0));
        for _ in 0..=MAX_FOLLOWING {
            assert!(schedule.due().unwrap() <= now);
            assert_eq!(schedule.begin(now).unwrap().reason, SnapshotReason::Change);
            schedule.taken(false);
            now += at(1);
            schedule.over(now, 1.0, true);
        }
        assert_eq!(schedule.due(), None);
        // The next one has as many tries.
        schedule.order(MANUAL);
        schedule.begin(now).unwrap();
        schedule.taken(false);
        schedule.order(MANUAL);
        schedule.over(now, 1.0, true);
        assert_eq!(schedule.begin(now), Some(MANUAL));
        schedule.taken(true);
        schedule.over(now, 1.0, true);
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn backoff_doubles_up_to_a_limit() {
        let mut schedule = Schedule::new(SnapshotRules::default());
        let mut now = at(0);
        schedule.changed(now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            now = schedule.due().unwrap().max(now + SPACING);
            schedule.begin(now).unwrap();
            schedule.over(now, 1.0, false);
            pauses.push(schedule.not_before - now);
        }
        assert_eq!(pauses[..3], [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]);
        assert_eq!(pauses[7], MAX_PAUSE);
    }

    proptest! {
        /// Whatever happens, a change is begun to be saved within the longest wait and the spacing, and without an
        /// order never sooner than the spacing.
        #[test]
        fn a_change_is_never_forgotten(steps in prop::collection::vec((0_u64..20, 0..4), 1..200)) {
            let mut schedule = Schedule::new(SnapshotRules::default());
            let (mut now, mut begun, mut unsaved) = (Duration::ZERO, None::<Duration>, None::<Duration>);
            for (seconds, what) in steps {
                now += Duration::from_secs(seconds);
                match what {
                    0 => {
                        schedule.changed(now);
                        unsaved.get_or_insert(now);
                    }
                    1 => schedule.over(now, 0.5, true),
                    _ => {}
                }
                prop_assert_eq!(schedule.has_changed(), unsaved.is_some());
                if let Some(since) = unsaved && schedule.taking.is_none() {
                    let latest = (since + MAX_WAIT).max(begun.unwrap_or_default() + SPACING);
                    prop_assert!(schedule.due().unwrap() <= latest);
                }
                if schedule.begin(now).is_some() {
                    prop_assert!(begun.is_none_or(|begun| now - begun >= SPACING));
                    (begun, unsaved) = (Some(now), None);
                }
            }
        }
    }
}
