//! What the container's cgroup says about memory and processor: version 2 where it is, else version 1.
//!
//! A container sees its own cgroup at the root of the file system's mount. A machine that is a container as a
//! whole (a micro VM) has no limit there; then the machine's memory is the limit, and the kernel's own count
//! of kills is ours.

use std::fs;
use std::path::PathBuf;

use moltworker_core::wire::control::Memory;

/// Below this the gateway dies of its own heap limit while it starts.
const MIN_HEAP_MIB: u64 = 384;
/// More than this a gateway was never seen to need.
const MAX_HEAP_MIB: u64 = 2_048;
/// When nothing can be read. Measured to be comfortable.
const UNKNOWN_HEAP_MIB: u64 = 1_024;
/// How version 1 says "no limit": the largest number of whole pages, whatever a page is.
const NO_LIMIT: u64 = 1 << 60;

/// Where the kernel tells.
pub(crate) struct Cgroup {
    root: PathBuf,
}

impl Cgroup {
    /// As this machine has it.
    pub(crate) fn here() -> Self {
        Self { root: "/".into() }
    }

    /// Memory in use, its peak and its limit; `None` where no cgroup can be read.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let current = self
            .number("sys/fs/cgroup/memory.current")
            .or_else(|| self.v1("usage_in_bytes"))?;
        let peak = self
            .number("sys/fs/cgroup/memory.peak")
            .or_else(|| self.v1("max_usage_in_bytes"));
        Some(Memory {
            current,
            peak,
            limit: self.limit(),
            oom_kills: self.oom_kills(),
        })
    }

    /// Milliseconds of a core that were used since the container started; of the machine, where it is the container.
    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        let of_v2 =
            || field(&self.text("sys/fs/cgroup/cpu.stat")?, "usage_usec ").map(|micros| micros / 1_000);
        let of_v1 = || Some(self.number("sys/fs/cgroup/cpuacct/cpuacct.usage")? / 1_000_000);
        of_v2().or_else(of_v1)
    }

    /// How many processes the kernel has killed for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        let counts = [
            "sys/fs/cgroup/memory.events",
            "sys/fs/cgroup/memory/memory.oom_control",
            "proc/vmstat",
        ];
        counts
            .iter()
            .find_map(|path| field(&self.text(path)?, "oom_kill "))
            .unwrap_or(0)
    }

    /// V8's old space in MiB: a quarter of what the container has. The rest of the gateway (native memory,
    /// workers, the tools it runs) was measured to need as much again, and the file cache wants some.
    pub(crate) fn heap_mib(&self) -> u64 {
        let machine = self
            .text("proc/meminfo")
            .and_then(|text| field(&text, "MemTotal:"));
        let machine = machine.map(|kib| kib.saturating_mul(1024));
        let least = self.limit().into_iter().chain(machine).min();
        least.map_or(UNKNOWN_HEAP_MIB, |bytes| {
            (bytes / 4 / 1024 / 1024).clamp(MIN_HEAP_MIB, MAX_HEAP_MIB)
        })
    }

    fn limit(&self) -> Option<u64> {
        // "max" is no number, and no limit.
        let limit = self
            .number("sys/fs/cgroup/memory.max")
            .or_else(|| self.v1("limit_in_bytes"));
        limit.filter(|bytes| *bytes < NO_LIMIT)
    }

    fn v1(&self, name: &str) -> Option<u64> {
        self.number(&format!("sys/fs/cgroup/memory/memory.{name}"))
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// The number behind `name` on a line of its own; a unit may follow.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let temp = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = temp.path().to_owned();
        (temp, Cgroup { root })
    }

    #[test]
    fn cgroup_v1_and_v2_memory_limits_are_read() {
        let expected = Memory {
            current: 5,
            peak: Some(7),
            limit: Some(4 * GIB),
            oom_kills: 2,
        };
        let limit = (4 * GIB).to_string();
        let v2 = machine(&[
            ("sys/fs/cgroup/memory.current", "5\n"),
            ("sys/fs/cgroup/memory.peak", "7\n"),
            ("sys/fs/cgroup/memory.max", &limit),
            (
                "sys/fs/cgroup/memory.events",
                "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n",
            ),
        ]);
        assert_eq!(v2.1.memory(), Some(expected));
        let v1 = machine(&[
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n"),
            ("sys/fs/cgroup/memory/memory.max_usage_in_bytes", "7\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", &limit),
            (
                "sys/fs/cgroup/memory/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            ),
            ("proc/vmstat", "oom_kill 77\n"),
        ]);
        assert_eq!(v1.1.memory(), Some(expected));
        let vm = machine(&[("proc/vmstat", "nr_free_pages 3\noom_kill 2\n")]);
        assert_eq!((vm.1.memory(), vm.1.oom_kills()), (None, 2));
    }

    #[test]
    fn cgroup_v1_and_v2_processor_times_are_read() {
        let v2 = machine(&[(
            "sys/fs/cgroup/cpu.stat",
            "usage_usec 61000999\nuser_usec 1\nsystem_usec 2\n",
        )]);
        assert_eq!(v2.1.cpu_ms(), Some(61_000));
        let v1 = machine(&[("sys/fs/cgroup/cpuacct/cpuacct.usage", "61000999999\n")]);
        assert_eq!(v1.1.cpu_ms(), Some(61_000));
        assert_eq!(machine(&[]).1.cpu_ms(), None);
    }

    #[test]
    fn the_heap_limit_is_a_quarter_of_the_memory_limit() {
        let meminfo = |gib: u64| format!("MemTotal:       {} kB\nMemFree: 1 kB\n", gib * 1024 * 1024);
        for (limit, gib, heap) in [
            ((4 * GIB).to_string(), 64, 1_024),
            ((2 * GIB).to_string(), 64, 512),
            (GIB.to_string(), 64, MIN_HEAP_MIB),
            ((12 * GIB).to_string(), 64, MAX_HEAP_MIB),
            // No limit, in the words of either version: the machine is.
            ("max".to_owned(), 4, 1_024),
            ("9223372036854771712".to_owned(), 4, 1_024),
            // A limit beyond the machine.
            ((8 * GIB).to_string(), 4, 1_024),
        ] {
            let meminfo = meminfo(gib);
            for path in [
                "sys/fs/cgroup/memory.max",
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
            ] {
                let (_temp, cgroup) = machine(&[(path, &limit), ("proc/meminfo", &meminfo)]);
                assert_eq!(cgroup.heap_mib(), heap, "{limit} of {gib} GiB");
            }
        }
        assert_eq!(machine(&[]).1.heap_mib(), UNKNOWN_HEAP_MIB);
    }

    #[test]
    fn the_memory_of_the_current_machine_is_read() {
        let here = Cgroup::here();
        assert!((MIN_HEAP_MIB..=MAX_HEAP_MIB).contains(&here.heap_mib()));
    }
}
