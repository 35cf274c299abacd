//! Collects every process that ends below PID 1, the gateway's and those that lost their parents.
//!
//! All waiting happens here, so that the gateway's exit status cannot be taken by the collector of
//! orphans: whoever started a process asks this list for its end.

use std::collections::BTreeSet;
use std::time::Duration;

use moltworker_core::wire::control::ExitReason;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

/// Between two looks at what is left of a killed process tree.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// A process that outlives this after being killed is held by the kernel; the container's end takes it.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Collects everything that has ended by now.
pub(crate) fn ended() -> Vec<(u32, ExitReason)> {
    std::iter::from_fn(|| wait(WaitOptions::NOHANG).ok().flatten())
        .filter_map(|(pid, status)| Some((number(pid), reason(status)?)))
        .collect()
}

/// Ends and collects every process that is left, generation by generation: the children of a killed
/// process become ours. Those in `spared` go on.
pub(crate) async fn end_the_rest(spared: &BTreeSet<u32>) {
    let all_gone = async {
        loop {
            ended();
            let mut children = children();
            children.retain(|child| !spared.contains(&number(*child)));
            if children.is_empty() {
                return;
            }
            for child in children {
                // Gone already is as good as killed.
                let _ = kill_process(child, Signal::KILL);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let _ = tokio::time::timeout(GIVE_UP, all_gone).await;
}

/// A process id as the wire has it.
pub(crate) fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// The exit code a shell or an init would report for this end.
pub(crate) fn exit_code(reason: &ExitReason) -> i32 {
    match reason {
        ExitReason::Code(code) => *code,
        ExitReason::Signal(signal) => 128 + signal,
        // As for a command that is not found.
        ExitReason::NotSpawned(_) => 127,
    }
}

fn reason(status: WaitStatus) -> Option<ExitReason> {
    let code = status.exit_status().map(ExitReason::Code);
    code.or_else(|| status.terminating_signal().map(ExitReason::Signal))
}

/// Our children now. Every thread has its own; processes are started by the main thread only.
fn children() -> Vec<Pid> {
    let listed = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_reported_as_by_an_init_process() {
        assert_eq!(exit_code(&ExitReason::Code(78)), 78);
        assert_eq!(exit_code(&ExitReason::Signal(9)), 137);
        assert_eq!(exit_code(&ExitReason::NotSpawned("no such file".into())), 127);
    }
}
