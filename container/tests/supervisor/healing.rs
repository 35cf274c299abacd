//! A gateway that dies, hangs or cannot start: what is seen, what is done, and what is said about it.

use std::net::TcpListener;

use moltworker_core::wire::control::{EndReason, Ending, ExitReason, GatewayPhase, RESTART_PATH, Status};

use crate::bed::{Bed, Setup, ask, authorised, kill};

/// Probes that find a hang in half a second, and not in half a minute.
const SHORT_PROBES: [(&str, &str); 2] = [
    ("MOLTBOT_PROBE_EVERY_MS", "100"),
    ("MOLTBOT_PROBE_PATIENCE_MS", "100"),
];

fn is_ready_again(status: &Status) -> bool {
    status.restarts == 1 && status.phase == GatewayPhase::Ready
}

fn only_ending(status: &Status) -> &Ending {
    assert_eq!(status.endings.len(), 1, "{:?}", status.endings);
    &status.endings[0]
}

#[test]
fn a_gateway_that_hangs_is_replaced() {
    let bed = Bed::start(&Setup {
        env: &SHORT_PROBES,
        ..Setup::default()
    });
    let first = bed.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    kill("STOP", first.gateway_pid.unwrap());
    // Asked of one that hangs, answered by the next.
    assert_eq!(bed.get("/headers").status, 200);
    let status = bed.until("it was replaced", is_ready_again);
    assert_eq!(only_ending(&status).reason, EndReason::ProbeTimeout);
    assert_ne!(status.gateway_pid, first.gateway_pid);
    assert!(
        bed.output().contains("ended with 137: probe-timeout"),
        "{}",
        bed.output()
    );
}

#[test]
fn a_page_is_no_answer_to_a_probe() {
    let bed = Bed::start(&Setup {
        gateway: "--page",
        env: &SHORT_PROBES,
        ..Setup::default()
    });
    let status = bed.until("it was replaced", |status| status.restarts >= 1);
    assert_eq!(status.endings[0].reason, EndReason::ProbeTimeout);
}

#[test]
fn a_gateway_that_answers_its_probes_is_left_alone() {
    let bed = Bed::start(&Setup {
        env: &SHORT_PROBES,
        ..Setup::default()
    });
    let status = bed.until("many probes have passed", |status| {
        status.ready_for_ms.is_some_and(|ready| ready > 2_000)
    });
    assert_eq!((status.restarts, status.endings), (0, vec![]));
    assert_eq!(status.gateway_version.as_deref(), Some("2026.0.0-fake"));
}

#[test]
fn a_start_that_takes_too_long_is_tried_again() {
    let bed = Bed::start(&Setup {
        gateway: "--never-ready",
        env: &[("MOLTBOT_START_DEADLINE_MS", "500")],
        ..Setup::default()
    });
    let status = bed.until("it was tried again", |status| status.restarts == 1);
    assert_eq!(only_ending(&status).reason, EndReason::StartTimeout);
}

#[test]
fn a_full_heap_is_told_from_a_crash() {
    let bed = Bed::ready();
    // It dies of the question, and of its repetition.
    assert_eq!(bed.get("/heap").code(), "bot-interrupted");
    let status = bed.until("it is back", |status| {
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
fn a_rejected_config_is_explained_and_cured_by_a_better_one() {
    let bed = Bed::start(&Setup {
        config: Some("{ foo: 1, talk: { mine: true } }"),
        ..Setup::default()
    });
    let status = bed.until("it is given up", |status| {
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
    let refused = bed.get("/headers");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "bot-crash-looped")
    );
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["detail"], format!("config-rejected: {message}"));

    let path = bed.home.join(".openclaw/openclaw.json");
    std::fs::write(&path, "{ talk: { mine: true } }").unwrap();
    let status = bed.until("it is cured", is_ready_again);
    assert_eq!(status.crash_loop, None);
    assert_eq!(bed.get("/headers").status, 200);
}

#[test]
fn a_crash_loop_ends_in_rest_and_an_order_leads_out_of_it() {
    let bed = Bed::start(&Setup {
        gateway: "--crash",
        env: &[("MOLTBOT_CRASH_LOOP_FAILURES", "2")],
        ..Setup::default()
    });
    let given_up = |status: &Status| status.phase == GatewayPhase::CrashLooped;
    let status = bed.until("it is given up", given_up);
    assert_eq!((status.endings.len(), status.restarts), (2, 1));
    let crash_loop = status.crash_loop.unwrap();
    assert_eq!((crash_loop.reason, crash_loop.failures), (EndReason::Crash, 2));
    assert_eq!(crash_loop.message.as_deref(), Some("Error: this one crashes"));
    let answer = authorised(&bed, &format!("POST {RESTART_PATH}"));
    assert_eq!(answer.status, 202);
    let status = bed.until("it was tried again and given up", |status| {
        status.endings.len() == 4 && given_up(status)
    });
    assert_eq!(status.restarts, 3);
}

#[test]
fn a_port_that_is_taken_is_named_and_waited_for() {
    let port = Bed::free_port();
    let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let bed = Bed::start(&Setup {
        gateway_port: Some(port),
        env: &[("MOLTBOT_CRASH_LOOP_FAILURES", "1000")],
        ..Setup::default()
    });
    let status = bed.until("it was tried", |status| !status.endings.is_empty());
    let ending = &status.endings[0];
    assert_eq!(ending.reason, EndReason::PortTaken);
    assert!(ending.message.as_ref().unwrap().contains(&port.to_string()));
    drop(holder);
    bed.until("it is ready", |status| status.phase == GatewayPhase::Ready);
}

#[test]
fn what_a_dead_gateway_leaves_is_gone_before_the_next_one_starts() {
    let bed = Bed::ready();
    let stray: u32 = bed.get("/stray").text().parse().unwrap();
    let locks = bed.home.join(".openclaw/tmp/openclaw-0");
    std::fs::create_dir_all(&locks).unwrap();
    std::fs::write(locks.join("gateway.1a2b.lock"), r#"{"pid":4294967295}   "#).unwrap();
    kill("KILL", bed.status().gateway_pid.unwrap());
    bed.until("it is back", is_ready_again);
    assert!(!crate::bed::exists(stray));
    assert!(!locks.join("gateway.1a2b.lock").exists());
    let output = bed.output();
    assert_eq!(output.matches("0 locks were there").count(), 2, "{output}");
}

#[test]
fn a_gateway_that_leaves_by_itself_comes_back_at_once() {
    let bed = Bed::ready();
    ask(bed.ingress, "POST /leave HTTP/1.1", b"x");
    let status = bed.until("it is back", is_ready_again);
    assert_eq!(only_ending(&status).reason, EndReason::CleanExit);
    assert!(status.crash_loop.is_none());
}

#[test]
fn a_restart_that_is_asked_for_loses_no_request() {
    let bed = Bed::ready();
    let first = bed.status().gateway_pid;
    assert_eq!(authorised(&bed, &format!("POST {RESTART_PATH}")).status, 202);
    while bed.status().restarts == 0 || bed.status().phase != GatewayPhase::Ready {
        assert_eq!(bed.get("/headers").status, 200);
    }
    let status = bed.status();
    assert_eq!(only_ending(&status).reason, EndReason::RestartAsked);
    assert_ne!(status.gateway_pid, first);
    assert!(bed.output().contains("asked to end within"), "{}", bed.output());
}
