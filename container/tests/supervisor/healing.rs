//! A gateway that dies, hangs or cannot start: what is seen, what is done, and what is said about it.

use std::net::TcpListener;

use moltworker_core::wire::control::{EndReason, Ending, ExitReason, GatewayPhase, RESTART_PATH, Status};

use crate::fixture::{Fixture, Setup, ask, authorised, kill};

/// Probes that find a hang in seconds, and not in half a minute. A gateway that is well answers within the patience
/// also on a busy machine.
const SHORT_PROBES: [(&str, &str); 2] = [("TEST_PROBE_EVERY_MS", "50"), ("TEST_PROBE_PATIENCE_MS", "2000")];

fn is_ready_again(status: &Status) -> bool {
    status.restarts == 1 && status.phase == GatewayPhase::Ready
}

fn only_ending(status: &Status) -> &Ending {
    assert_eq!(status.endings.len(), 1, "{:?}", status.endings);
    &status.endings[0]
}

#[test]
fn a_gateway_that_hangs_is_replaced() {
    let fixture = Fixture::start(&Setup {
        env: &SHORT_PROBES,
        ..Setup::default()
    });
    let first = fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    kill("STOP", first.gateway_pid.unwrap());
    // Asked of one that hangs, answered by the next.
    assert_eq!(fixture.get("/headers").status, 200);
    let status = fixture.until("it was replaced", is_ready_again);
    assert_eq!(only_ending(&status).reason, EndReason::ProbeTimeout);
    assert_ne!(status.gateway_pid, first.gateway_pid);
    assert!(
        fixture.output().contains("ended with 137: probe-timeout"),
        "{}",
        fixture.output()
    );
}

#[test]
fn an_html_page_does_not_satisfy_a_probe() {
    let fixture = Fixture::start(&Setup {
        gateway: "--page",
        env: &SHORT_PROBES,
        ..Setup::default()
    });
    let status = fixture.until("it was replaced", |status| status.restarts >= 1);
    assert_eq!(status.endings[0].reason, EndReason::ProbeTimeout);
}

#[test]
fn a_gateway_that_answers_probes_is_not_restarted() {
    let fixture = Fixture::start(&Setup {
        env: &SHORT_PROBES,
        ..Setup::default()
    });
    let status = fixture.until("many probes have passed", |status| {
        status.ready_for_ms.is_some_and(|ready| ready > 2_000)
    });
    assert_eq!((status.restarts, status.endings), (0, vec![]));
    assert_eq!(status.gateway_version.as_deref(), Some("2026.0.0-fake"));
}

#[test]
fn a_start_that_exceeds_its_deadline_is_retried() {
    let fixture = Fixture::start(&Setup {
        gateway: "--never-ready",
        env: &[("TEST_START_DEADLINE_MS", "500")],
        ..Setup::default()
    });
    let status = fixture.until("it was tried again", |status| status.restarts >= 1);
    assert_eq!(status.endings[0].reason, EndReason::StartTimeout);
}

#[test]
fn a_full_heap_is_distinguished_from_a_crash() {
    let fixture = Fixture::ready();
    // It dies of the question, and of its repetition.
    assert_eq!(fixture.get("/heap").code(), "bot-interrupted");
    let status = fixture.until("it is back", |status| {
        status.restarts == 2 && status.phase == GatewayPhase::Ready
    });
    for ending in &status.endings {
        assert_eq!(
            (ending.reason, &ending.exit),
            (EndReason::HeapExhausted, &ExitReason::Signal(6))
        );
        let message = ending.message.as_deref().unwrap();
        assert!(message.ends_with("JavaScript heap out of memory"), "{message}");
    }
}

#[test]
fn a_rejected_config_is_reported_and_a_corrected_one_recovers() {
    let fixture = Fixture::start(&Setup {
        config: Some("{ foo: 1, talk: { mine: true } }"),
        ..Setup::default()
    });
    let status = fixture.until("it is given up", |status| {
        status.phase == GatewayPhase::CrashLooped
    });
    let ending = only_ending(&status);
    assert_eq!((ending.reason, status.restarts), (EndReason::ConfigRejected, 0));
    let crash_loop = status.crash_loop.unwrap();
    assert_eq!(
        (crash_loop.reason, crash_loop.failures),
        (EndReason::ConfigRejected, 1)
    );
    let message = crash_loop.message.unwrap();
    assert!(
        message.ends_with("<root>: Unrecognized key: \"foo\""),
        "{message}"
    );

    // Callers are told at once, and why.
    let refused = fixture.get("/headers");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "bot-crash-looped")
    );
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["detail"], format!("config-rejected: {message}"));

    let path = fixture.home.join(".openclaw/openclaw.json");
    std::fs::write(&path, "{ talk: { mine: true } }").unwrap();
    let status = fixture.until("it is cured", is_ready_again);
    assert_eq!(status.crash_loop, None);
    assert_eq!(fixture.get("/headers").status, 200);
}

#[test]
fn a_crash_loop_stops_retrying_until_a_restart_order() {
    let fixture = Fixture::start(&Setup {
        gateway: "--crash",
        env: &[("TEST_CRASH_LOOP_FAILURES", "2")],
        ..Setup::default()
    });
    let given_up = |status: &Status| status.phase == GatewayPhase::CrashLooped;
    let status = fixture.until("it is given up", given_up);
    assert_eq!((status.endings.len(), status.restarts), (2, 1));
    let crash_loop = status.crash_loop.unwrap();
    assert_eq!((crash_loop.reason, crash_loop.failures), (EndReason::Crash, 2));
    assert_eq!(crash_loop.message.as_deref(), Some("Error: this one crashes"));
    let answer = authorised(&fixture, &format!("POST {RESTART_PATH}"));
    assert_eq!(answer.status, 202);
    let status = fixture.until("it was tried again and given up", |status| {
        status.endings.len() == 4 && given_up(status)
    });
    assert_eq!(status.restarts, 3);
}

#[test]
fn an_occupied_port_is_reported_and_retried() {
    let port = Fixture::free_port();
    let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let fixture = Fixture::start(&Setup {
        gateway_port: Some(port),
        env: &[("TEST_CRASH_LOOP_FAILURES", "1000")],
        ..Setup::default()
    });
    let status = fixture.until("it was tried", |status| !status.endings.is_empty());
    let ending = &status.endings[0];
    assert_eq!(ending.reason, EndReason::PortTaken);
    assert!(ending.message.as_ref().unwrap().contains(&port.to_string()));
    drop(holder);
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
}

#[test]
fn leftover_processes_are_killed_before_the_next_gateway_start() {
    let fixture = Fixture::ready();
    let stray: u32 = fixture.get("/stray").text().parse().unwrap();
    let locks = fixture.home.join(".openclaw/tmp/openclaw-0");
    std::fs::create_dir_all(&locks).unwrap();
    std::fs::write(locks.join("gateway.1a2b.lock"), r#"{"pid":4294967295}   "#).unwrap();
    kill("KILL", fixture.status().gateway_pid.unwrap());
    fixture.until("it is back", is_ready_again);
    assert!(!crate::fixture::exists(stray));
    assert!(!locks.join("gateway.1a2b.lock").exists());
    let output = fixture.output();
    assert_eq!(output.matches("0 locks were there").count(), 2, "{output}");
}

#[test]
fn a_gateway_that_exits_by_itself_restarts_at_once() {
    let fixture = Fixture::ready();
    ask(fixture.ingress, "POST /leave HTTP/1.1", b"x");
    let status = fixture.until("it is back", is_ready_again);
    assert_eq!(only_ending(&status).reason, EndReason::CleanExit);
    assert!(status.crash_loop.is_none());
}

#[test]
fn an_ordered_restart_loses_no_request() {
    let fixture = Fixture::ready();
    let first = fixture.status().gateway_pid;
    assert_eq!(authorised(&fixture, &format!("POST {RESTART_PATH}")).status, 202);
    while fixture.status().restarts == 0 || fixture.status().phase != GatewayPhase::Ready {
        assert_eq!(fixture.get("/headers").status, 200);
    }
    let status = fixture.status();
    assert_eq!(only_ending(&status).reason, EndReason::RestartAsked);
    assert_ne!(status.gateway_pid, first);
    assert!(
        fixture.output().contains("asked to end within"),
        "{}",
        fixture.output()
    );
}
