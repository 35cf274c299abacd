//! Collects every process that ends below PID 1, the gateway's and those that lost their parents.
//!
//! All waiting happens here, so that the gateway's exit status cannot be taken by the collector of
//! orphans: whoever started a process asks this list for its end.

use moltworker_core::wire::control::ExitReason;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

/// Collects everything that has ended by now.
pub(crate) fn ended() -> Vec<(u32, ExitReason)> {
    std::iter::from_fn(|| wait(WaitOptions::NOHANG).ok().flatten())
        .filter_map(|(pid, status)| Some((number(pid), reason(status)?)))
        .collect()
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
