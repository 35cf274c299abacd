//! Whether a bot may be put to sleep: what the gateway is asked, and what is answered.

use moltworker_core::wire::control::{GatewayPhase, QUIESCE_PATH, Quiesce};
use moltworker_core::wire::job::JobKind;

use crate::fixture::{Fixture, Setup, authorised, begin};
use crate::kept::{self, QUICK, failure, settled, until_settled};
use crate::repository::{Fault, Repository, What};

fn quiesce(fixture: &Fixture) -> Quiesce {
    let answer = authorised(fixture, &format!("POST {QUIESCE_PATH}"));
    assert_eq!(answer.status, 200, "{}", answer.head);
    serde_json::from_slice(&answer.body).unwrap()
}

fn start(gateway: &str, env: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::start(&Setup {
        gateway,
        env,
        ..Setup::default()
    });
    fixture.until("the gateway is ready", |status| {
        status.phase == GatewayPhase::Ready
    });
    fixture
}

fn blockers(answer: Quiesce) -> Vec<String> {
    match answer {
        Quiesce::Busy { blockers, .. } => blockers,
        other => vec![format!("{other:?}")],
    }
}

#[test]
fn a_quiesced_gateway_takes_no_work_and_is_not_restarted() {
    let mut fixture = start(
        "",
        &[("TEST_PROBE_EVERY_MS", "50"), ("TEST_PROBE_PATIENCE_MS", "10000")],
    );
    assert_eq!(quiesce(&fixture), Quiesce::Ready);
    assert_eq!(fixture.get("/startupz").status, 503);
    // A Sandbox that missed the answer asks again.
    assert_eq!(quiesce(&fixture), Quiesce::Ready);
    let asked = fixture.status().uptime_ms;
    let status = fixture.until("many probes have passed", |status| {
        status.uptime_ms > asked + 1_000
    });
    assert_eq!((status.phase, status.restarts), (GatewayPhase::Ready, 0));
    assert_eq!(fixture.get("/startupz").status, 503);

    // It can be ended in the way that has an end.
    fixture.signal("TERM");
    assert_eq!(fixture.ended().code(), Some(0));
    assert!(
        fixture.output().contains("asked to end within"),
        "{}",
        fixture.output()
    );
}

#[test]
fn a_request_during_quiesce_is_served() {
    let fixture = Fixture::ready();
    assert_eq!(quiesce(&fixture), Quiesce::Ready);
    assert_eq!(fixture.get("/startupz").status, 503, "a look is no use");
    assert_eq!(fixture.get("/headers").status, 200);
    fixture.wait_for("it takes new work", || {
        (fixture.get("/startupz").status == 200).then_some(())
    });
    assert_eq!(quiesce(&fixture), Quiesce::Ready);
}

#[test]
fn a_gateway_that_quiesces_too_late_is_resumed() {
    let fixture = start("--agrees-late", &[]);
    assert_eq!(blockers(quiesce(&fixture)), ["no answer"]);
    fixture.wait_for("it is told so", || {
        fixture.output().contains("goes on").then_some(())
    });
    assert_eq!(fixture.get("/startupz").status, 200);
}

#[test]
fn a_running_turn_keeps_the_bot_awake() {
    let fixture = Fixture::ready();
    let _turn = begin(fixture.ingress, "POST /stall HTTP/1.1\r\ncontent-length: 0");
    fixture.wait_for("it has begun", || {
        fixture.output().contains("stalling").then_some(())
    });
    assert_eq!(
        quiesce(&fixture),
        Quiesce::Busy {
            blockers: vec!["1 embedded-run".into()],
            retry_after_ms: 20_000,
        }
    );
    assert_eq!(fixture.get("/startupz").status, 200, "it goes on");
}

#[test]
fn a_listening_channel_keeps_the_bot_awake() {
    let fixture = start("--polls", &[]);
    assert_eq!(blockers(quiesce(&fixture)), ["channel telegram default"]);
    assert_eq!(fixture.get("/startupz").status, 200, "it was not asked to rest");
}

#[test]
fn an_unreachable_gateway_is_distinguished_from_none() {
    assert_eq!(quiesce(&start("--no-rpc", &[])), Quiesce::Unsupported);

    let starting = Fixture::start(&Setup {
        gateway: "--never-ready",
        ..Setup::default()
    });
    assert_eq!(blockers(quiesce(&starting)), ["no answer"]);

    let crashing = Fixture::start(&Setup {
        gateway: "--crash",
        env: &[("TEST_CRASH_LOOP_FAILURES", "1")],
        ..Setup::default()
    });
    crashing.until("it is given up", |status| {
        status.phase == GatewayPhase::CrashLooped
    });
    assert_eq!(quiesce(&crashing), Quiesce::NoGateway);
}

/// Waits until the bot may sleep, and fails where anything but what is not saved stands against it.
fn until_it_may(fixture: &Fixture, sleep: &Quiesce) {
    let answer = fixture.wait_for("it may sleep", || {
        Some(quiesce(fixture)).filter(|answer| *answer != Quiesce::Unsaved)
    });
    assert_eq!(answer, *sleep);
}

#[test]
fn unsavable_changes_delay_sleep() {
    let repository = Repository::start();
    let fixture = kept::start(&repository, &QUICK);
    until_settled(&fixture);
    until_it_may(&fixture, &Quiesce::Ready);
    // It takes up its work again.
    assert_eq!(fixture.get("/headers").status, 200);
    fixture.wait_for("it goes on", || {
        (fixture.get("/startupz").status == 200).then_some(())
    });

    repository.break_with(Fault::always("POST", "data/", What::Status(500)));
    std::fs::write(fixture.home.join("memory"), "of years").unwrap();
    fixture.until("it cannot be saved", |status| {
        failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(quiesce(&fixture), Quiesce::Unsaved);
    assert_eq!(fixture.get("/startupz").status, 200, "it was not asked to rest");
    repository.mend();
    until_it_may(&fixture, &Quiesce::Ready);
}

#[test]
fn recent_changes_do_not_delay_sleep() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("memory"), "of today").unwrap();
    fixture.until("the change is noticed", |status| {
        status.backup.as_ref().unwrap().changed
    });
    assert_eq!(quiesce(&fixture), Quiesce::Ready);
}

#[test]
fn unsavable_changes_delay_sleep_without_a_gateway_too() {
    let repository = Repository::start();
    repository.break_with(Fault::always("POST", "data/", What::Status(500)));
    let mut env = QUICK.to_vec();
    env.push(("TEST_CRASH_LOOP_FAILURES", "1"));
    let fixture = Fixture::start(&Setup {
        gateway: "--crash",
        env: &env,
        repository: Some(repository.access()),
        ..Setup::default()
    });
    fixture.until("it is given up, and nothing is saved", |status| {
        status.phase == GatewayPhase::CrashLooped && failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(quiesce(&fixture), Quiesce::Unsaved);
    repository.mend();
    until_it_may(&fixture, &Quiesce::NoGateway);
}
