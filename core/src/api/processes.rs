//! What runs in a bot's container, and what it takes of its memory and disk.

use serde::{Deserialize, Serialize};

use crate::wire::control::{Disk, Memory, Process, ProcessCount};

/// So many processes are told, the largest. A gateway has five; what a bot starts beside it is a few dozen.
const MAX_SHOWN: usize = 200;
/// Characters of a name: the kernel keeps 15 bytes of it.
const MAX_NAME: usize = 32;

/// What the Sandbox is told of them, at most: so many as a supervisor tells, each with the longest numbers.
pub const MAX_PROCESSES_BYTES: usize = 256 * 1024;

/// The inside of a bot's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotProcesses {
    /// The processes that take most memory, the largest first.
    pub processes: Vec<BotProcess>,
    /// How many there are in all.
    pub total: u32,
    /// How many of them have ended, and wait for their parent to notice.
    pub zombies: u32,
    /// Bytes of memory in use, the file cache included.
    pub memory: Option<u64>,
    /// The most there ever was in this run.
    pub memory_peak: Option<u64>,
    /// What there may be.
    pub memory_limit: Option<u64>,
    /// Bytes in use on the disk of the home.
    pub disk: Option<u64>,
    /// What there is of it.
    pub disk_size: Option<u64>,
}

/// One process. Its arguments are not told: they may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotProcess {
    /// Process id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// What it calls itself.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, `T`: as in `ps`.
    pub state: String,
    /// User id.
    pub user: u32,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Processor time it has used, in milliseconds.
    pub cpu_ms: u64,
}

impl BotProcesses {
    /// Of what a supervisor tells, in short.
    pub fn new(
        mut processes: Vec<Process>,
        count: ProcessCount,
        memory: Option<Memory>,
        disk: Option<Disk>,
    ) -> Self {
        processes.sort_by(|one, other| other.resident.cmp(&one.resident).then(one.pid.cmp(&other.pid)));
        processes.truncate(MAX_SHOWN);
        Self {
            processes: processes.iter().map(BotProcess::of).collect(),
            total: count.all,
            zombies: count.zombies,
            memory: memory.map(|memory| memory.current),
            memory_peak: memory.and_then(|memory| memory.peak),
            memory_limit: memory.and_then(|memory| memory.limit),
            disk: disk.map(|disk| disk.used),
            disk_size: disk.map(|disk| disk.size),
        }
    }
}

impl BotProcess {
    fn of(process: &Process) -> Self {
        let visible = |character: char| if character.is_control() { '?' } else { character };
        Self {
            pid: process.pid,
            parent: process.parent,
            name: process.name.chars().map(visible).take(MAX_NAME).collect(),
            state: visible(process.state).to_string(),
            user: process.user,
            resident: process.resident,
            cpu_ms: process.cpu_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_processes_are_told_with_names_that_can_be_read() {
        let process = |pid: u32, resident: u64, name: &str| Process {
            pid,
            parent: 1,
            name: name.to_owned(),
            state: 'S',
            user: 1_500,
            resident,
            cpu_ms: 1,
        };
        let many = (0..1_000).map(|pid| process(pid, u64::from(pid), "a\u{1b}[31m\n<b>"));
        let long = "é".repeat(1_000);
        let all = many.chain([process(7_000, 1 << 40, &long)]).collect();
        let count = ProcessCount {
            all: 1_001,
            zombies: 2,
        };
        let memory = Memory {
            current: 5,
            peak: Some(6),
            limit: None,
            oom_kills: 0,
        };
        let told = BotProcesses::new(all, count, Some(memory), None);
        assert_eq!(
            (told.processes.len(), told.total, told.zombies),
            (MAX_SHOWN, 1_001, 2)
        );
        assert_eq!(told.processes[0].name.chars().count(), MAX_NAME);
        assert_eq!(
            (told.processes[1].pid, told.processes[1].name.as_str()),
            (999, "a?[31m?<b>")
        );
        assert_eq!(
            (told.memory, told.memory_peak, told.memory_limit, told.disk),
            (Some(5), Some(6), None, None)
        );
    }
}
