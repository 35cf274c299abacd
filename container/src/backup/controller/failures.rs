//! How often in a row jobs have failed.

use std::collections::HashMap;

use moltworker_core::backup::job::JobKind;

/// Failures in a row, for each kind of job: that another one fails or works in between says nothing about it.
#[derive(Default)]
pub(super) struct Failures(HashMap<JobKind, u32>);

impl Failures {
    /// It has failed once more; how often by now.
    pub(super) fn record_failure(&mut self, kind: JobKind) -> u32 {
        let count = self.0.entry(kind).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// It works.
    pub(super) fn over(&mut self, kind: JobKind) {
        self.0.remove(&kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_per_job() {
        let mut failures = Failures::default();
        assert_eq!(failures.record_failure(JobKind::Snapshot), 1);
        assert_eq!(failures.record_failure(JobKind::Maintain), 1);
        assert_eq!(failures.record_failure(JobKind::Snapshot), 2);
        failures.over(JobKind::Maintain);
        assert_eq!(failures.record_failure(JobKind::Snapshot), 3);
        failures.over(JobKind::Snapshot);
        assert_eq!(failures.record_failure(JobKind::Snapshot), 1);
    }
}
