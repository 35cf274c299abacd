//! Whether a bot may be put to sleep: what the gateway is asked, and what is answered.

use std::io::Write;

use moltworker_core::wire::control::{Doing, GatewayPhase, QUIESCE_PATH, Quiesce};

use crate::bed::{Bed, Setup, authorised, connect};
use crate::kept::{self, QUICK, failure, settled, until_settled};
use crate::repository::{Fault, Repository, What};

fn quiesce(bed: &Bed) -> Quiesce {
    let answer = authorised(bed, &format!("POST {QUIESCE_PATH}"));
    assert_eq!(answer.status, 200, "{}", answer.head);
    serde_json::from_slice(&answer.body).unwrap()
}

fn start(gateway: &str, env: &[(&str, &str)]) -> Bed {
    let bed = Bed::start(&Setup {
        gateway,
        env,
        ..Setup::default()
    });
    bed.until("the gateway is ready", |status| {
        status.phase == GatewayPhase::Ready
    });
    bed
}

fn blockers(answer: Quiesce) -> Vec<String> {
    match answer {
        Quiesce::Busy { blockers, .. } => blockers,
        other => vec![format!("{other:?}")],
    }
}

#[test]
fn a_gateway_that_rests_takes_no_new_work_and_is_left_alone() {
    let mut bed = start(
        "",
        &[
            ("MOLTBOT_PROBE_EVERY_MS", "50"),
            ("MOLTBOT_PROBE_PATIENCE_MS", "1000"),
        ],
    );
    assert_eq!(quiesce(&bed), Quiesce::Ready);
    assert_eq!(bed.get("/startupz").status, 503);
    // A Sandbox that missed the answer asks again.
    assert_eq!(quiesce(&bed), Quiesce::Ready);
    let asked = bed.status().uptime_ms;
    let status = bed.until("many probes have passed", |status| {
        status.uptime_ms > asked + 1_000
    });
    assert_eq!((status.phase, status.restarts), (GatewayPhase::Ready, 0));
    assert_eq!(bed.get("/startupz").status, 503);

    // It can be ended in the way that has an end.
    bed.signal("TERM");
    assert_eq!(bed.ended().code(), Some(0));
    assert!(bed.output().contains("asked to end within"), "{}", bed.output());
}

#[test]
fn an_owner_who_comes_back_is_served() {
    let bed = Bed::ready();
    assert_eq!(quiesce(&bed), Quiesce::Ready);
    assert_eq!(bed.get("/startupz").status, 503, "a look is no use");
    assert_eq!(bed.get("/headers").status, 200);
    bed.wait_for("it takes new work", || {
        (bed.get("/startupz").status == 200).then_some(())
    });
    assert_eq!(quiesce(&bed), Quiesce::Ready);
}

#[test]
fn a_gateway_that_agrees_too_late_goes_on() {
    let bed = start("--agrees-late", &[]);
    assert_eq!(blockers(quiesce(&bed)), ["no answer"]);
    bed.wait_for("it is told so", || bed.output().contains("goes on").then_some(()));
    assert_eq!(bed.get("/startupz").status, 200);
}

#[test]
fn a_turn_under_way_keeps_the_bot_awake() {
    let bed = Bed::ready();
    let mut turn = connect(bed.ingress);
    turn.write_all(b"POST /stall HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    bed.wait_for("it has begun", || bed.output().contains("stalling").then_some(()));
    assert_eq!(
        quiesce(&bed),
        Quiesce::Busy {
            blockers: vec!["1 embedded-run".into()],
            retry_after_ms: 20_000,
        }
    );
    assert_eq!(bed.get("/startupz").status, 200, "it goes on");
}

#[test]
fn a_channel_that_listens_keeps_the_bot_awake() {
    let bed = start("--polls", &[]);
    assert_eq!(blockers(quiesce(&bed)), ["channel telegram default"]);
    assert_eq!(bed.get("/startupz").status, 200, "it was not asked to rest");
}

#[test]
fn a_gateway_that_cannot_be_asked_is_told_from_none() {
    assert_eq!(quiesce(&start("--no-rpc", &[])), Quiesce::Unsupported);

    let starting = Bed::start(&Setup {
        gateway: "--never-ready",
        ..Setup::default()
    });
    assert_eq!(blockers(quiesce(&starting)), ["no answer"]);

    let crashing = Bed::start(&Setup {
        gateway: "--crash",
        env: &[("MOLTBOT_CRASH_LOOP_FAILURES", "1")],
        ..Setup::default()
    });
    crashing.until("it is given up", |status| {
        status.phase == GatewayPhase::CrashLooped
    });
    assert_eq!(quiesce(&crashing), Quiesce::NoGateway);
}

/// Waits until the bot may sleep, and fails where anything but what is not saved stands against it.
fn until_it_may(bed: &Bed, sleep: &Quiesce) {
    let answer = bed.wait_for("it may sleep", || {
        Some(quiesce(bed)).filter(|answer| *answer != Quiesce::Unsaved)
    });
    assert_eq!(answer, *sleep);
}

#[test]
fn what_cannot_be_saved_puts_sleep_off() {
    let repository = Repository::start();
    let bed = kept::start(&repository, &QUICK);
    until_settled(&bed);
    until_it_may(&bed, &Quiesce::Ready);
    // It takes up its work again.
    assert_eq!(bed.get("/headers").status, 200);
    bed.wait_for("it goes on", || {
        (bed.get("/startupz").status == 200).then_some(())
    });

    repository.break_with(Fault::always("POST", "data/", What::Status(500)));
    std::fs::write(bed.home.join("memory"), "of years").unwrap();
    bed.until("it cannot be saved", |status| {
        failure(status, Doing::Snapshot).is_some()
    });
    assert_eq!(quiesce(&bed), Quiesce::Unsaved);
    assert_eq!(bed.get("/startupz").status, 200, "it was not asked to rest");
    repository.mend();
    until_it_may(&bed, &Quiesce::Ready);
}

#[test]
fn what_has_just_changed_puts_nothing_off() {
    let repository = Repository::start();
    let bed = settled(&repository);
    std::fs::write(bed.home.join("memory"), "of today").unwrap();
    bed.until("the change is noticed", |status| {
        status.backup.as_ref().unwrap().changed
    });
    assert_eq!(quiesce(&bed), Quiesce::Ready);
}

#[test]
fn what_cannot_be_saved_puts_sleep_off_without_a_gateway_as_well() {
    let repository = Repository::start();
    repository.break_with(Fault::always("POST", "data/", What::Status(500)));
    let mut env = QUICK.to_vec();
    env.push(("MOLTBOT_CRASH_LOOP_FAILURES", "1"));
    let bed = Bed::start(&Setup {
        gateway: "--crash",
        env: &env,
        repository: Some(repository.access()),
        ..Setup::default()
    });
    bed.until("it is given up, and nothing is saved", |status| {
        status.phase == GatewayPhase::CrashLooped && failure(status, Doing::Snapshot).is_some()
    });
    assert_eq!(quiesce(&bed), Quiesce::Unsaved);
    repository.mend();
    until_it_may(&bed, &Quiesce::NoGateway);
}
