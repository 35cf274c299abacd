//! The processes of the container, as `/proc` has them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use moltworker_core::wire::control::{Process, ProcessCount};

const PROC: &str = "/proc";
/// The kernel counts processor time for user space in hundredths of a second, on every machine there is.
const TICK_MS: u64 = 10;
const ZOMBIE: char = 'Z';

/// All of them, by process id. Those that end while this looks are left out.
pub(crate) fn all() -> Vec<Process> {
    let mut all: Vec<_> = pids().filter_map(process).collect();
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

/// Whether there is anything of this process.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(PROC).join(pid.to_string()).exists()
}

/// The supervisor's own resident memory in bytes.
pub(crate) fn own_resident() -> u64 {
    resident(std::process::id())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(PROC).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("{PROC}/{pid}/stat")).ok()
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
    let status = fs::read_to_string(format!("{PROC}/{pid}/status")).unwrap_or_default();
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
        let all = all();
        let found = all.iter().find(|process| process.pid == own).unwrap();
        assert!(found.resident > 1024 * 1024 && found.parent > 0);
        assert!(own_resident() > 1024 * 1024);
        assert!(exists(own));
        assert!(!exists(u32::MAX));
        assert!(count().all as usize >= all.len() / 2);
    }

    #[test]
    fn a_process_name_may_contain_any_character() {
        let (name, state, fields) = parsed("7 (a) b (c) Z 1 2 3").unwrap();
        assert_eq!((name, state, fields), ("a) b (c", 'Z', vec!["1", "2", "3"]));
        assert_eq!(parsed(""), None);
    }
}
