//! The supervisor's account as Prometheus text.

use std::fmt::Write;

use moltworker_core::wire::control::{EndReason, GatewayPhase, Status};

/// What a [`Status`] does not have.
pub(crate) struct ExtraMetrics {
    /// The owner's requests since the supervisor started.
    pub(crate) requests: u64,
    /// Events that meant nothing where they came.
    pub(crate) ignored_events: u64,
    /// The supervisor's own memory in bytes.
    pub(crate) own_resident: u64,
}

/// All numbers.
pub(crate) fn text(status: &Status, more: &ExtraMetrics) -> String {
    let mut text = Text::default();
    let serves = matches!(status.phase, GatewayPhase::Ready | GatewayPhase::Suspect);
    text.gauge(
        "moltbot_gateway_up",
        "Whether requests are served.",
        u64::from(serves),
    );
    let given_up = u64::from(status.crash_loop.is_some());
    text.gauge(
        "moltbot_gateway_crash_looped",
        "Whether the gateway was given up.",
        given_up,
    );
    text.counter(
        "moltbot_gateway_restarts_total",
        "Gateways started after the first.",
        status.restarts.into(),
    );
    text.counter(
        "moltbot_outlived_total",
        "Processes of the bot that outlived a gateway and were ended.",
        status.outlived.unwrap_or_default().into(),
    );
    text.head(
        "moltbot_gateway_endings",
        "gauge",
        "Of the last ends, how many had this reason.",
    );
    for reason in EndReason::ALL {
        let count = status
            .endings
            .iter()
            .filter(|ending| ending.reason == reason)
            .count();
        text.line(
            "moltbot_gateway_endings",
            &format!("{{reason=\"{}\"}}", reason.as_str()),
            count,
        );
    }
    for (name, help, milliseconds) in [
        (
            "moltbot_gateway_start_seconds",
            "How long its last start took.",
            status.start.ready_ms,
        ),
        (
            "moltbot_gateway_ready_seconds",
            "For how long it has been ready.",
            status.ready_for_ms,
        ),
        (
            "moltbot_uptime_seconds",
            "Since the supervisor started.",
            Some(status.uptime_ms),
        ),
        (
            "moltbot_idle_seconds",
            "Since the owner did something.",
            Some(status.idle_ms),
        ),
    ] {
        if let Some(milliseconds) = milliseconds {
            text.head(name, "gauge", help);
            text.line(
                name,
                "",
                format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000),
            );
        }
    }
    text.counter("moltbot_requests_total", "The owner's requests.", more.requests);
    text.gauge(
        "moltbot_open_requests",
        "Requests without their whole answer.",
        status.open.requests.into(),
    );
    text.gauge(
        "moltbot_open_upgrades",
        "Open WebSockets.",
        status.open.upgrades.into(),
    );
    text.gauge(
        "moltbot_processes",
        "Processes in the container.",
        status.processes.all.into(),
    );
    text.gauge(
        "moltbot_zombies",
        "Processes nobody collects.",
        status.processes.zombies.into(),
    );
    if let Some(memory) = status.memory {
        for (name, help, bytes) in [
            ("moltbot_memory_bytes", "Memory in use.", Some(memory.current)),
            (
                "moltbot_memory_peak_bytes",
                "The most there ever was.",
                memory.peak,
            ),
            ("moltbot_memory_limit_bytes", "What there may be.", memory.limit),
        ] {
            if let Some(bytes) = bytes {
                text.gauge(name, help, bytes);
            }
        }
        text.counter(
            "moltbot_oom_kills_total",
            "Kills for want of memory.",
            memory.oom_kills,
        );
    }
    if let Some(disk) = status.disk {
        text.gauge("moltbot_disk_bytes", "Disk in use.", disk.used);
        text.gauge("moltbot_disk_size_bytes", "Disk there is.", disk.size);
    }
    text.gauge(
        "moltbot_supervisor_memory_bytes",
        "The supervisor's own memory.",
        more.own_resident,
    );
    text.counter(
        "moltbot_ignored_events_total",
        "Events that meant nothing where they came.",
        more.ignored_events,
    );
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(name, "", value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_is_declared_once_and_has_a_value() {
        let golden = include_str!("../../../tests/contract/status.json");
        let status: Status = serde_json::from_str(golden).unwrap();
        let more = ExtraMetrics {
            requests: 9,
            ignored_events: 0,
            own_resident: 8_000_000,
        };
        let text = text(&status, &more);
        let announced: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        let valued: BTreeSet<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split(['{', ' ']).next().unwrap())
            .collect();
        assert_eq!(announced.iter().copied().collect::<BTreeSet<_>>(), valued);
        assert_eq!(announced.len(), valued.len());
        for line in [
            "moltbot_gateway_up 1",
            "moltbot_gateway_crash_looped 1",
            "moltbot_gateway_endings{reason=\"out-of-memory\"} 1",
            "moltbot_idle_seconds 1.000",
            "moltbot_gateway_start_seconds 14.800",
            "moltbot_memory_limit_bytes 4294967296",
            "moltbot_outlived_total 25",
            "moltbot_requests_total 9",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in {text}");
        }
    }
}
