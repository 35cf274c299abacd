//! How often in a row something has failed.

use std::collections::HashMap;

use moltworker_core::wire::control::Doing;

/// Failures in a row, for each thing that is done: that another one fails or works in between says nothing about it.
#[derive(Default)]
pub(super) struct Failures(HashMap<Doing, u32>);

impl Failures {
    /// It has failed once more; how often by now.
    pub(super) fn record_failure(&mut self, doing: Doing) -> u32 {
        let count = self.0.entry(doing).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// It works.
    pub(super) fn over(&mut self, doing: Doing) {
        self.0.remove(&doing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_per_job() {
        let mut failures = Failures::default();
        assert_eq!(failures.record_failure(Doing::Snapshot), 1);
        assert_eq!(failures.record_failure(Doing::Maintain), 1);
        assert_eq!(failures.record_failure(Doing::Snapshot), 2);
        failures.over(Doing::Maintain);
        assert_eq!(failures.record_failure(Doing::Snapshot), 3);
        failures.over(Doing::Snapshot);
        assert_eq!(failures.record_failure(Doing::Snapshot), 1);
    }
}
