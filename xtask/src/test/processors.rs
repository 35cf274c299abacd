//! How busy the machine's processors were: where a phase waits, another one could run.

use std::fs;

/// What the kernel has counted since it started, in its own unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    idle: u64,
    all: u64,
}

/// From one moment on.
pub(super) struct Busy(Option<Counted>);

impl Busy {
    pub(super) fn now() -> Self {
        Self(counted())
    }

    /// In percent, from that moment until now; nothing on a machine that does not say.
    pub(super) fn share(&self) -> Option<u8> {
        share(self.0?, counted()?)
    }
}

fn counted() -> Option<Counted> {
    parse(&fs::read_to_string("/proc/stat").ok()?)
}

/// `cpu  user nice system idle iowait irq softirq steal …`, of all processors together (proc_stat(5)).
fn parse(stat: &str) -> Option<Counted> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line
        .split_whitespace()
        .map_while(|time| time.parse().ok())
        .take(8)
        .collect();
    let idle = times.get(3)? + times.get(4)?;
    Some(Counted {
        idle,
        all: times.iter().sum(),
    })
}

fn share(before: Counted, after: Counted) -> Option<u8> {
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let idle = after.idle.saturating_sub(before.idle).min(all);
    u8::try_from((all - idle) * 100 / all).ok()
}

#[cfg(test)]
mod tests {
    use super::{Counted, parse, share};

    #[test]
    fn waiting_for_a_disk_counts_as_idle() {
        let before = parse("cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1 1\n").expect("a line of the kernel's");
        assert_eq!(before, Counted { idle: 80, all: 100 });
        let after = parse("cpu  60 0 35 85 20 0 0 0 5 5\n").expect("a line of the kernel's");
        assert_eq!(share(before, after), Some(75));
    }

    #[test]
    fn other_text_and_no_time_say_nothing() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("cpu  1 2\n"), None);
        let now = Counted { idle: 80, all: 100 };
        assert_eq!(share(now, now), None);
    }
}
