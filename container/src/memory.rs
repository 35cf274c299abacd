//! How much heap the gateway may use, from what the container has.

use std::fs;

/// Where the limit of a container is: cgroup v2, then v1.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
const MACHINE: &str = "/proc/meminfo";
/// Below this the gateway dies of its own heap limit while it starts.
const LEAST_MIB: u64 = 384;
/// More than this a gateway was never seen to need.
const MOST_MIB: u64 = 2_048;
/// When nothing can be read. Measured to be comfortable.
const UNKNOWN_MIB: u64 = 1_024;

/// V8's old space in MiB: a quarter of the container. The rest of the gateway (native memory, workers,
/// the tools it runs) was measured to need as much again, and the file cache wants some.
pub(crate) fn heap_mib() -> u64 {
    let limits = LIMITS
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    let machine = fs::read_to_string(MACHINE).ok().and_then(|text| total(&text));
    limits.chain(machine).min().map_or(UNKNOWN_MIB, |bytes: u64| {
        (bytes / 4 / 1024 / 1024).clamp(LEAST_MIB, MOST_MIB)
    })
}

/// `MemTotal` in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(
            total("MemTotal:       4014512 kB\nMemFree: 1 kB\n"),
            Some(4_014_512 * 1024)
        );
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!((LEAST_MIB..=MOST_MIB).contains(&heap_mib()));
    }
}
