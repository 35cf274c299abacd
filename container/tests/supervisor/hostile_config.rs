//! A config that its tenant has written to be read: PID 1 reads nothing of it.

use moltworker_core::wire::control::{EndReason, ExitReason, GatewayPhase};

use crate::fixture::{Fixture, Setup, cannot_run, kill};
use crate::kept::is_ready;

/// The supervisor's own memory, in KiB: what it takes at rest, four times.
const MAX_RESIDENT_KIB: u64 = 64 * 1024;
/// What is told where root may not give a process a root directory of its own.
const NO_ROOT: &str = "has no root directory of its own";

/// Two megabytes that become a hundred times as many when they are put in order: a line for each number, far indented.
fn bomb() -> String {
    const LEVELS: usize = 90;
    let numbers = "0,".repeat(1_000_000);
    format!(
        "{{ mine: {}{numbers}{} }}",
        "[".repeat(LEVELS),
        "]".repeat(LEVELS)
    )
}

fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_config_that_takes_too_much_is_refused_at_no_cost_to_pid_1() {
    let bomb = bomb();
    let fixture = Fixture::start(&Setup {
        config: Some(&bomb),
        ..Setup::default()
    });
    let status = fixture.until("it was tried", |status| status.last_exit.is_some());
    let peak = peak_kib(fixture.pid());
    assert!(peak < MAX_RESIDENT_KIB, "{peak} KiB");
    let Some(ExitReason::NotSpawned(reason)) = status.last_exit else {
        panic!("{:?}", status.last_exit);
    };
    assert!(reason.contains("takes more time or memory"), "{reason}");
    assert_eq!(status.endings[0].reason, EndReason::ConfigRejected);
    let path = fixture.home.join(".openclaw/openclaw.json");
    assert!(
        std::fs::read_to_string(&path).unwrap() == bomb,
        "it is left as it was"
    );
    std::fs::write(&path, "{}").unwrap();
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
}

/// Whether a process that judges the config has read it: it works through it.
fn is_judged(fixture: &Fixture) -> bool {
    fixture.children().into_iter().any(|pid| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after
            .split_whitespace()
            .nth(11)
            .and_then(|ticks| ticks.parse::<u32>().ok());
        arguments.split(|byte| *byte == 0).nth(1) == Some(b"edit-config") && ticks > Some(2)
    })
}

#[test]
fn a_config_that_is_mended_while_it_is_refused_is_noticed() {
    // Long, and wrong at its end.
    let wrong = format!("{{ mine: [{}", "0,".repeat(300_000));
    let fixture = Fixture::start(&Setup {
        config: Some(&wrong),
        ..Setup::default()
    });
    fixture.wait_for("it is being judged", || is_judged(&fixture).then_some(()));
    std::fs::write(fixture.home.join(".openclaw/openclaw.json"), "{}").unwrap();
    let status = fixture.until("it is ready", is_ready);
    assert_eq!(status.endings[0].reason, EndReason::ConfigRejected);
}

#[test]
fn what_a_machine_lacks_to_confine_processes_is_told_once() {
    if !rustix::process::geteuid().is_root() {
        return cannot_run("what root may not do", "only root can give it up");
    }
    let lines = |fixture: &Fixture| fixture.output().matches(NO_ROOT).count();
    let fixture = Fixture::start(&Setup {
        under: &["setpriv", "--bounding-set=-sys_chroot"],
        ..Setup::default()
    });
    let status = fixture.until("the gateway is ready", is_ready);
    kill("KILL", status.gateway_pid.unwrap());
    fixture.until("it is back", |status| status.restarts == 1 && is_ready(status));
    assert_eq!(lines(&fixture), 1, "{}", fixture.output());

    let whole = Fixture::ready();
    assert_eq!(lines(&whole), 0, "{}", whole.output());
}
