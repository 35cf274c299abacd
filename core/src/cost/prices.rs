//! The one table of prices: Cloudflare's lists as of [`AS_OF`], beyond what Workers Paid includes, and what an instance of
//! each type has. Whoever changes a price changes the date, and `docs/limits.md`.

use super::money::Money;

/// When the lists were last read: developers.cloudflare.com, the pricing pages of Containers, R2, D1, Durable Objects, Queues and
/// Workers, and the page of instance types.
pub const AS_OF: &str = "2026-11-26";

const PICO: u64 = 1_000_000_000_000;
const MILLION: u64 = 1_000_000;

/// So many thousandths of a dollar for a million.
const fn a_million(millidollars: u64) -> Money {
    Money::of_pico(millidollars * PICO / 1_000 / MILLION)
}

/// Memory of a container that runs, by its size: $0.0000025 for a GiB and second.
pub const MEMORY_GIB_S: Money = Money::of_pico(2_500_000);
/// Processor of a container, by use: $0.000020 for a core and second.
pub const VCPU_S: Money = Money::of_pico(20_000_000);
/// Disk of a container that runs, by its size: $0.00000007 for a GB and second.
pub const DISK_GB_S: Money = Money::of_pico(70_000);

/// An operation of R2 that writes or lists.
pub const R2_CLASS_A: Money = a_million(4_500);
/// An operation of R2 that reads. Deleting is free.
pub const R2_CLASS_B: Money = a_million(360);
/// A GB in R2 for a month.
pub const R2_GB_MONTH: Money = Money::of_pico(15 * PICO / 1_000);

/// A row that D1 read.
pub const D1_ROW_READ: Money = a_million(1);
/// A row that D1 wrote, a place in an index included.
pub const D1_ROW_WRITTEN: Money = a_million(1_000);

/// A request of a Durable Object; an alarm is one.
pub const OBJECT_REQUEST: Money = a_million(150);
/// A Durable Object in memory: $12.50 for a million GB and seconds; each has 128 MB.
pub const OBJECT_GB_S: Money = a_million(12_500);
/// A row that a Durable Object wrote; an alarm that is set is one.
pub const OBJECT_ROW_WRITTEN: Money = a_million(1_000);
/// A row that a Durable Object read.
pub const OBJECT_ROW_READ: Money = a_million(1);

/// An operation of a queue. A message is written, read and deleted: three.
pub const QUEUE_OPERATION: Money = a_million(400);
/// A request of a Worker.
pub const WORKER_REQUEST: Money = a_million(300);

/// How often the alarm of an awake bot rings (`bot::lifecycle::PROBE_AGAIN_MS`; a test compares them).
const ALARM_MS: u64 = 60_000;
/// How often what it counted is written, beside its heartbeat (`bot::heartbeat::HEARTBEAT_MS`).
pub const WRITTEN_MS: u64 = 5 * 60_000;
/// Rows of D1 in that time: that of the heartbeat with its place in an index, and that of the usage.
const ROWS_A_HEARTBEAT: u64 = 3;

/// What an awake bot's own clock costs in a millisecond: its alarm, set and rung, and what is written beside its heartbeat. Derived
/// from how long it ran, not counted.
pub const CLOCK_MS: Money = Money::of_pico(
    (OBJECT_REQUEST.pico() + OBJECT_ROW_WRITTEN.pico()) / ALARM_MS
        + (ROWS_A_HEARTBEAT * D1_ROW_WRITTEN.pico() + OBJECT_ROW_WRITTEN.pico()) / WRITTEN_MS,
);
/// What a request of the owner's costs before it reaches the container.
pub const REQUEST: Money = Money::of_pico(WORKER_REQUEST.pico() + OBJECT_REQUEST.pico());

/// What a container has. Memory and disk are paid by their size, the processor by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Thousandths of a core.
    pub vcpu_thousandths: u32,
    /// MiB of memory.
    pub memory_mib: u32,
    /// MB of disk.
    pub disk_mb: u32,
}

/// The types with a name.
pub const INSTANCE_TYPES: [(&str, Instance); 6] = [
    // A sixteenth of a core, rounded up.
    ("lite", instance(63, 256, 2_000)),
    ("basic", instance(250, 1_024, 4_000)),
    ("standard-1", instance(500, 4_096, 8_000)),
    ("standard-2", instance(1_000, 6_144, 12_000)),
    ("standard-3", instance(2_000, 8_192, 16_000)),
    ("standard-4", instance(4_000, 12_288, 20_000)),
];
/// More than the largest custom type has (4 cores, 12 GiB, 20 GB), by a margin for larger ones to come.
const MOST: Instance = instance(64_000, 512 * 1_024, 1_000_000);

const fn instance(vcpu_thousandths: u32, memory_mib: u32, disk_mb: u32) -> Instance {
    Instance {
        vcpu_thousandths,
        memory_mib,
        disk_mb,
    }
}

impl Instance {
    /// The type of this name, or a custom one: `vcpu=1,memory_mib=3072,disk_mb=8000`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, named)) = INSTANCE_TYPES.iter().find(|(name, _)| *name == text) {
            return Some(*named);
        }
        let (mut vcpu, mut memory, mut disk) = (None, None, None);
        for part in text.split(',') {
            let (name, value) = part.split_once('=')?;
            let place = match name.trim() {
                "vcpu" => &mut vcpu,
                "memory_mib" => &mut memory,
                "disk_mb" => &mut disk,
                _ => return None,
            };
            let number: u32 = value.trim().parse().ok()?;
            if place.replace(number).is_some() {
                return None;
            }
        }
        let custom = instance(vcpu?.checked_mul(1_000)?, memory?, disk?);
        let is_one = |value: u32, most: u32| value > 0 && value <= most;
        let fits = is_one(custom.vcpu_thousandths, MOST.vcpu_thousandths)
            && is_one(custom.memory_mib, MOST.memory_mib)
            && is_one(custom.disk_mb, MOST.disk_mb);
        fits.then_some(custom)
    }

    /// A millisecond of it, without its processor.
    pub fn running_ms(self) -> Money {
        let memory = MEMORY_GIB_S.times(self.memory_mib.into()).part(1, 1_024 * 1_000);
        let disk = DISK_GB_S.times(self.disk_mb.into()).part(1, 1_000 * 1_000);
        memory + disk
    }

    /// The most that its processor can do in so many milliseconds, in milliseconds of a core.
    pub fn most_cpu_ms(self, ms: u64) -> u64 {
        ms.saturating_mul(self.vcpu_thousandths.into()).div_ceil(1_000)
    }
}

/// A millisecond of a core.
pub const CPU_MS: Money = Money::of_pico(VCPU_S.pico() / 1_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::heartbeat::HEARTBEAT_MS;
    use crate::bot::lifecycle::PROBE_AGAIN_MS;

    const MONTH_MS: u64 = 30 * 24 * 60 * 60_000;

    fn standard() -> Instance {
        Instance::parse("standard-1").unwrap()
    }

    #[test]
    fn a_month_of_a_standard_bot_costs_what_the_document_says() {
        let cents = |money: Money| money.micro() / 10_000;
        assert_eq!(cents(MEMORY_GIB_S.times(4 * MONTH_MS / 1_000)), 2_592);
        assert_eq!(cents(DISK_GB_S.times(8 * MONTH_MS / 1_000)), 145);
        assert_eq!(cents(standard().running_ms().times(MONTH_MS)), 2_737);
        assert_eq!(cents(CPU_MS.times(3_600_000)), 7, "an hour of a core");
        assert_eq!(cents(CLOCK_MS.times(MONTH_MS)), 8);
        assert_eq!(REQUEST.times(1_000_000).to_string(), "$0.45");
        assert_eq!(R2_CLASS_A.times(6 * MONTH_MS / 60_000).to_string(), "$1.16");
    }

    #[test]
    fn the_clock_is_that_of_an_awake_bot() {
        assert_eq!((ALARM_MS, WRITTEN_MS), (PROBE_AGAIN_MS, HEARTBEAT_MS));
    }

    #[test]
    fn a_custom_type_is_read_and_nonsense_is_not() {
        let custom = Instance::parse("vcpu=1, memory_mib=3072, disk_mb=8000");
        assert_eq!(custom, Some(instance(1_000, 3_072, 8_000)));
        for wrong in [
            "",
            "standard",
            "Standard-1",
            "vcpu=1",
            "vcpu=1,memory_mib=3072",
            "vcpu=0,memory_mib=3072,disk_mb=8000",
            "vcpu=1,memory_mib=3072,disk_mb=8000,disk_mb=1",
            "vcpu=1,memory_mib=-1,disk_mb=8000",
            "vcpu=5000000,memory_mib=3072,disk_mb=8000",
            "vcpu=1,memory_mib=3072,disk_mb=4000000000",
        ] {
            assert_eq!(Instance::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_processor_does_no_more_than_it_can() {
        assert_eq!(standard().most_cpu_ms(1_000), 500);
        assert_eq!(standard().most_cpu_ms(1), 1, "rounded up");
        assert!(standard().most_cpu_ms(u64::MAX) > 0);
    }
}
