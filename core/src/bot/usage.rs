//! What a bot uses of its machine, as its supervisor says it: every number bounded, because whoever has taken over a
//! container says what they like. What no machine has is taken for nothing said.

use serde::{Deserialize, Serialize};

use crate::wire::control::Status;

/// Bytes that no container has: a pebibyte. D1 counts in doubles, which are exact up to there and further.
const MAX_BYTES: u64 = 1 << 50;
/// Milliseconds of processor time that no container has used: a thousand cores for a year.
const MAX_CPU_MS: u64 = 1_000 * 365 * 24 * 60 * 60 * 1_000;
/// An answer that takes longer is none: the supervisor gives a probe up after ten seconds.
const MAX_PROBE_MS: u64 = 60_000;
/// Thousandths of a core that no container has: those of a thousand cores.
const MAX_CPU: u64 = 1_000_000;

/// What is used of a machine's memory or disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Share {
    /// In use; null while nothing runs.
    pub used: Option<u64>,
    /// The most there was in the current run, or the last one; null where nobody counts that.
    pub peak: Option<u64>,
    /// What there is; null where nothing limits it.
    pub size: Option<u64>,
}

impl Share {
    /// Whether anything is known of it.
    pub fn known(self) -> Option<Self> {
        (self.used.is_some() || self.peak.is_some() || self.size.is_some()).then_some(self)
    }
}

/// What a bot uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The most there were in this run.
    pub memory_peak: Option<u64>,
    /// What there may be.
    pub memory_limit: Option<u64>,
    /// Bytes of the disk.
    pub disk: Option<u64>,
    /// What there are.
    pub disk_size: Option<u64>,
    /// Processor time used in this run, in milliseconds of one core.
    pub cpu_ms: Option<u64>,
    /// How long the gateway took to answer its last probe.
    pub probe_ms: Option<u64>,
}

impl ResourceUsage {
    /// How much of its memory it uses.
    pub fn memory_share(&self) -> Option<Share> {
        let share = Share {
            used: self.memory,
            peak: self.memory_peak,
            size: self.memory_limit,
        };
        share.known()
    }

    /// How full its disk is.
    pub fn disk_share(&self) -> Option<Share> {
        let share = Share {
            used: self.disk,
            peak: None,
            size: self.disk_size,
        };
        share.known()
    }
}

impl From<&Status> for ResourceUsage {
    fn from(status: &Status) -> Self {
        let bytes = |bytes: u64| Some(bytes).filter(|bytes| *bytes <= MAX_BYTES);
        let memory = status.memory.as_ref();
        let disk = status.disk.as_ref();
        Self {
            memory: memory.and_then(|memory| bytes(memory.current)),
            memory_peak: memory.and_then(|memory| bytes(memory.peak?)),
            memory_limit: memory.and_then(|memory| bytes(memory.limit?)),
            disk: disk.and_then(|disk| bytes(disk.used)),
            disk_size: disk.and_then(|disk| bytes(disk.size)),
            cpu_ms: status.cpu_ms.filter(|millis| *millis <= MAX_CPU_MS),
            probe_ms: status.probe_ms.filter(|millis| *millis <= MAX_PROBE_MS),
        }
    }
}

/// Thousandths of a core that were used on average between two looks, each with its time and the processor time used by
/// then. Nothing where no time has passed, or where that went backwards, as it does in another container.
pub fn cpu_between(before: (u64, u64), after: (u64, u64)) -> Option<u64> {
    let took = after.0.checked_sub(before.0).filter(|took| *took > 0)?;
    let used = after.1.checked_sub(before.1)?;
    let thousandths = used.saturating_mul(1_000) / took;
    Some(thousandths).filter(|thousandths| *thousandths <= MAX_CPU)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::control::{Disk, Memory};
    use proptest::prelude::*;

    fn said(numbers: [u64; 7]) -> Status {
        let golden = include_str!("../../../tests/contract/status.json");
        let mut status: Status = serde_json::from_str(golden).unwrap();
        let [current, peak, limit, used, size, cpu, probe] = numbers;
        status.memory = Some(Memory {
            current,
            peak: Some(peak),
            limit: Some(limit),
            oom_kills: 0,
        });
        status.disk = Some(Disk { used, size });
        (status.cpu_ms, status.probe_ms) = (Some(cpu), Some(probe));
        status
    }

    #[test]
    fn what_no_machine_has_is_taken_for_nothing_said() {
        let usage = ResourceUsage::from(&said([1, 2, 3, 4, 5, 6, 7]));
        let memory = Share {
            used: Some(1),
            peak: Some(2),
            size: Some(3),
        };
        assert_eq!(usage.memory_share(), Some(memory));
        assert_eq!((usage.disk, usage.disk_size), (Some(4), Some(5)));
        assert_eq!((usage.cpu_ms, usage.probe_ms), (Some(6), Some(7)));
        let absurd = ResourceUsage::from(&said([u64::MAX; 7]));
        assert_eq!(absurd, ResourceUsage::default());
        assert_eq!((absurd.memory_share(), absurd.disk_share()), (None, None));
        let most = ResourceUsage::from(&said([MAX_BYTES; 7]));
        assert_eq!(most.memory, Some(MAX_BYTES));
    }

    #[test]
    fn processor_use_is_an_average_between_two_looks() {
        for (before, after, expected) in [
            ((0, 0), (60_000, 30_000), Some(500)),
            ((60_000, 30_000), (120_000, 150_000), Some(2_000)),
            ((5, 5), (5, 9), None),
            ((9, 5), (5, 9), None),
            ((5, 9), (9, 5), None),
            ((0, 0), (1, MAX_CPU_MS), None),
        ] {
            assert_eq!(cpu_between(before, after), expected, "{before:?} {after:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_stays_within_bounds(numbers: [u64; 7], before: (u64, u64), after: (u64, u64)) {
            let usage = ResourceUsage::from(&said(numbers));
            for bytes in [usage.memory, usage.memory_peak, usage.memory_limit, usage.disk, usage.disk_size] {
                prop_assert!(bytes.unwrap_or_default() <= MAX_BYTES);
            }
            prop_assert!(usage.probe_ms.unwrap_or_default() <= MAX_PROBE_MS);
            prop_assert!(cpu_between(before, after).unwrap_or_default() <= MAX_CPU);
        }
    }
}
