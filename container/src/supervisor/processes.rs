//! The processes of the container, as `/proc` has them.

use std::cmp::Reverse;
use std::fs;
use std::os::unix::fs::MetadataExt;

use moltworker_core::wire::control::{Process, ProcessCount};

const PROC: &str = "/proc";
/// The kernel counts processor time for user space in hundredths of a second, on every machine there is.
const TICK_MS: u64 = 10;
const ZOMBIE: char = 'Z';
/// About to be a zombie, or no more.
const DEAD: char = 'X';

/// So many are told: a bot may start as many as its machine lets it.
const MAX_TOLD: usize = 500;
/// By a signal, and by whoever traces it.
const STOPPED: [char; 2] = ['T', 't'];

/// Those with the most memory, by process id. Those that end while this looks are left out.
pub(crate) fn largest() -> Vec<Process> {
    let mut all: Vec<_> = pids().filter_map(process).collect();
    all.sort_by_key(|process| Reverse(process.resident));
    all.truncate(MAX_TOLD);
    all.sort_by_key(|process| process.pid);
    all
}

/// How many there are.
pub(crate) fn count() -> ProcessCount {
    let mut count = ProcessCount::default();
    for pid in pids() {
        let stat = stat(pid).unwrap_or_default();
        let Some((_, state, _)) = parsed(&stat) else {
            continue;
        };
        count.all = count.all.saturating_add(1);
        count.zombies = count.zombies.saturating_add(u32::from(state == ZOMBIE));
    }
    count
}

/// A process that has not ended, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relative {
    /// Process id.
    pub(crate) pid: u32,
    /// Its parent's.
    pub(crate) parent: u32,
    /// Its real user.
    pub(crate) user: u32,
    /// The user it may become again.
    pub(crate) saved_user: u32,
    /// What it calls itself.
    pub(crate) name: String,
}

impl Relative {
    /// Whether this user's processes may signal it.
    pub(crate) fn is_of(&self, user: u32) -> bool {
        self.user == user || self.saved_user == user
    }
}

/// All that have not ended. Those that end while this looks may be left out.
pub(crate) fn living() -> Vec<Relative> {
    pids().filter_map(|pid| relative(pid, &status(pid)?)).collect()
}

fn relative(pid: u32, status: &str) -> Option<Relative> {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let state = field("State:")?.chars().next()?;
    // With further threads it is its first one that has ended, and the others go on.
    let is_alone = field("Threads:").is_none_or(|threads| threads == "1");
    if (state == ZOMBIE || state == DEAD) && is_alone {
        return None;
    }
    // Real, effective, saved, and that of the file system.
    let mut users = field("Uid:")?.split_whitespace().map(str::parse);
    Some(Relative {
        pid,
        parent: field("PPid:")?.parse().ok()?,
        user: users.next()?.ok()?,
        saved_user: users.nth(1)?.ok()?,
        name: field("Name:")?.to_owned(),
    })
}

/// Whether nothing of a process runs: each of its threads is stopped, by a signal or by whoever traces it, or has ended.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("{PROC}/{pid}/task")).into_iter().flatten();
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        parsed(&stat).is_none_or(|(_, state, _)| STOPPED.contains(&state) || matches!(state, ZOMBIE | DEAD))
    })
}

/// The supervisor's own resident memory in bytes.
pub(crate) fn own_resident() -> u64 {
    resident(std::process::id())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(PROC).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A process may call itself by any bytes.
fn stat(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("{PROC}/{pid}/stat")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn status(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("{PROC}/{pid}/status")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn process(pid: u32) -> Option<Process> {
    let stat = stat(pid)?;
    let (name, state, fields) = parsed(&stat)?;
    // Numbered as in proc(5), of which the first three are `pid`, `name` and `state`.
    let field = |number: usize| fields.get(number.checked_sub(4)?)?.parse::<u64>().ok();
    let ticks = field(14)?.saturating_add(field(15)?);
    Some(Process {
        pid,
        parent: u32::try_from(field(4)?).ok()?,
        name: name.to_owned(),
        state,
        user: fs::metadata(format!("{PROC}/{pid}")).ok()?.uid(),
        resident: resident(pid),
        cpu_ms: ticks.saturating_mul(TICK_MS),
    })
}

/// Nothing for a kernel thread and for a zombie.
fn resident(pid: u32) -> u64 {
    let status = status(pid).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

/// Name, state and what follows. The name is in brackets and may hold anything, brackets too.
fn parsed(stat: &str) -> Option<(&str, char, Vec<&str>)> {
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((name, state, fields.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_list_contains_the_current_process() {
        let own = std::process::id();
        let all = largest();
        let found = all.iter().find(|process| process.pid == own).unwrap();
        assert!(found.resident > 1024 * 1024 && found.parent > 0);
        assert!(own_resident() > 1024 * 1024);
        assert!(count().all as usize >= all.len() / 2);
    }

    #[test]
    fn a_process_name_may_contain_any_character() {
        let (name, state, fields) = parsed("7 (a) b (c) Z 1 2 3").unwrap();
        assert_eq!((name, state, fields), ("a) b (c", 'Z', vec!["1", "2", "3"]));
        assert_eq!(parsed(""), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_still_there() {
        let status = |state: &str, threads: u32| {
            format!("Name:\tsh\nState:\t{state}\nPPid:\t7\nUid:\t0\t1500\t1500\t1500\nThreads:\t{threads}\n")
        };
        let expected = Relative {
            pid: 5,
            parent: 7,
            user: 0,
            saved_user: 1_500,
            name: "sh".into(),
        };
        assert!(expected.is_of(0) && expected.is_of(1_500) && !expected.is_of(7));
        for (state, threads, is_there) in [
            ("S (sleeping)", 1, true),
            ("Z (zombie)", 3, true),
            ("Z (zombie)", 1, false),
            ("X (dead)", 1, false),
        ] {
            let found = relative(5, &status(state, threads));
            assert_eq!(found, is_there.then(|| expected.clone()), "{state} {threads}");
        }
        let own = std::process::id();
        assert!(living().iter().any(|process| process.pid == own));
    }
}
