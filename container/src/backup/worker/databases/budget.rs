//! What the databases of one snapshot may take together. Each has its own limits (`confined`), but a bot may make as many as it
//! likes that stay just below them, and everything else of its home waits meanwhile.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::backup::worker::confined::{BYTES_A_SECOND, SHARE};

/// In a snapshot so many databases may take all the time one may, or be held by somebody for as long, and all of them together as
/// much. With more of it the others are copied without being waited for and without being checked: a home full of such databases
/// would keep everything else from being saved.
const TIMES: u32 = 12;
/// With so much more, they are stored as the files they are.
const MAX_TIMES: u32 = 2 * TIMES;
/// What a process takes until it begins, on a slow core.
const START: Duration = Duration::from_millis(50);
/// The kernel counts processor time for user space in hundredths of a second, on every machine there is.
const TICK_MS: u64 = 10;

/// See the top of this file.
pub(super) struct Budget {
    /// What one database may take of processor time, beside what its size does.
    time: Duration,
    /// Processor time of the processes that read databases, before the first of this snapshot.
    before: Duration,
    /// What of it their sizes and their number explain.
    explained_ms: AtomicU64,
    /// How long they were waited for while they did nothing.
    waited_ms: AtomicU64,
    /// Those that took all the time one may, and came to nothing.
    failed: AtomicU32,
}

impl Budget {
    /// Nothing is taken yet.
    pub(super) fn new(time: Duration) -> Self {
        Self {
            time,
            before: spent(),
            explained_ms: AtomicU64::new(0),
            waited_ms: AtomicU64::new(0),
            failed: AtomicU32::new(0),
        }
    }

    /// A database of so many bytes is going to be read.
    pub(super) fn explain(&self, bytes: u64) {
        let by_size = bytes.saturating_mul(1_000) / BYTES_A_SECOND;
        let explained = by_size.saturating_add(millis(START));
        self.explained_ms.fetch_add(explained, Ordering::Relaxed);
    }

    /// One has taken so long, with so much processor time.
    pub(super) fn wait(&self, long: Duration, time: Duration) {
        let waited = long.saturating_sub(time.saturating_mul(SHARE));
        self.waited_ms.fetch_add(millis(waited), Ordering::Relaxed);
    }

    /// One has taken all the time one may, and came to nothing.
    pub(super) fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How long whoever holds one is waited for, of as long as for a single one.
    pub(super) fn patience(&self, patience: Duration) -> Duration {
        if self.is_spent() || self.has_waited(patience.saturating_mul(TIMES)) {
            Duration::ZERO
        } else {
            patience
        }
    }

    fn has_waited(&self, most: Duration) -> bool {
        self.waited_ms.load(Ordering::Relaxed) >= millis(most)
    }

    /// Whether there is time for the most necessary only.
    pub(super) fn is_spent(&self) -> bool {
        self.failed.load(Ordering::Relaxed) >= TIMES || self.has_taken(TIMES)
    }

    /// Whether there is no time at all.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.has_taken(MAX_TIMES)
    }

    /// Whether they have taken, beyond what is explained, so many times what one of them may.
    fn has_taken(&self, times: u32) -> bool {
        self.unexplained(spent()) >= self.time.saturating_mul(times)
    }

    fn unexplained(&self, spent: Duration) -> Duration {
        let explained = Duration::from_millis(self.explained_ms.load(Ordering::Relaxed));
        spent.saturating_sub(self.before).saturating_sub(explained)
    }
}

/// The processor time of all processes that this one has started and that are over. A job starts none but those that read
/// databases.
pub(super) fn spent() -> Duration {
    // Without it each database has its own limits still.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Duration::from_millis(ticks(&stat).saturating_mul(TICK_MS))
}

/// Of a line of `stat` (proc_pid_stat(5)): what children took for themselves and in the kernel.
fn ticks(stat: &str) -> u64 {
    // The name before may hold anything, parentheses too.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let children = after.split_whitespace().skip(13).take(2);
    children.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget {
            before: Duration::from_secs(5),
            ..Budget::new(Duration::from_secs(10))
        }
    }

    #[test]
    fn many_databases_that_each_stay_within_their_time_spend_the_budget() {
        let budget = budget();
        let mut spent = Duration::from_secs(5);
        for number in 1..=12 {
            budget.explain(8 * 1024 * 1024);
            // Nine seconds that nothing explains.
            spent += Duration::from_secs(10) + START;
            assert_eq!(budget.unexplained(spent), Duration::from_secs(9 * number));
        }
    }

    #[test]
    fn what_sizes_explain_spends_nothing() {
        let budget = budget();
        for _ in 0..1_000 {
            budget.explain(80 * 1024 * 1024);
        }
        assert_eq!(budget.unexplained(Duration::from_secs(10_000)), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_what_a_share_of_the_processor_does_not_explain() {
        let budget = budget();
        budget.wait(Duration::from_secs(9), Duration::from_millis(900));
        assert!(!budget.has_waited(Duration::from_millis(1)));
        budget.wait(Duration::from_secs(9), Duration::ZERO);
        assert!(budget.has_waited(Duration::from_secs(9)) && !budget.has_waited(Duration::from_secs(10)));
    }

    #[test]
    fn the_time_of_those_that_are_over_is_known() {
        assert_eq!(ticks("1 (a) b) S 2 3 4 5 6 7 8 9 10 11 12 13 700 30 16 17"), 730);
        let before = spent();
        let busy = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"])
            .status();
        assert!(busy.unwrap().success());
        assert!(spent() > before);
    }
}
