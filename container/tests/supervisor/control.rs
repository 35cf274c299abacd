//! The control port: who may ask, and what is answered.

use moltworker_core::control::{GatewayPhase, LOGS_PATH, STATUS_PATH};
use moltworker_core::run::Run;

use crate::bed::{Bed, TOKEN, USER, ask, authorised};

#[test]
fn without_this_runs_token_nothing_is_told() {
    let bed = Bed::ready();
    let wrong = TOKEN.replace('0', "1");
    for credentials in [
        String::new(),
        format!("\r\nauthorization: Bearer {wrong}"),
        format!("\r\nauthorization: {TOKEN}"),
        format!("\r\ncookie: token={TOKEN}"),
    ] {
        for path in [STATUS_PATH, LOGS_PATH, "/", "/v1/nothing"] {
            let answer = ask(bed.control, &format!("GET {path} HTTP/1.1{credentials}"), b"");
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "bearer-required"),
                "{credentials}"
            );
        }
    }
}

#[test]
fn the_status_is_this_runs() {
    let bed = Bed::ready();
    let status = bed.status();
    assert_eq!((status.user.to_string().as_str(), status.run), (USER, Run(7)));
    assert_eq!(
        (status.phase, status.restarts, status.last_exit),
        (GatewayPhase::Ready, 0, None)
    );
    assert!(status.start.tcp_ms <= status.start.ready_ms && status.start.ready_ms.is_some());
    assert_eq!(
        u64::from(status.gateway_pid.unwrap()),
        bed.gateway()["pid"].as_u64().unwrap()
    );
}

#[test]
fn the_last_lines_are_told() {
    let bed = Bed::ready();
    ask(bed.ingress, "POST /say HTTP/1.1", b"one\ntwo\nthree");
    bed.wait_for("they have come through", || {
        authorised(&bed, &format!("GET {LOGS_PATH}"))
            .text()
            .contains("three")
            .then_some(())
    });
    let last = authorised(&bed, &format!("GET {LOGS_PATH}?lines=2"));
    assert_eq!((last.status, last.text().as_str()), (200, "two\nthree\n"));
}

#[test]
fn what_does_not_exist_is_not_there() {
    let bed = Bed::ready();
    let missing = authorised(&bed, "GET /v1/nothing");
    assert_eq!((missing.status, missing.code().as_str()), (404, "not-found"));
    let method = authorised(&bed, &format!("POST {STATUS_PATH}"));
    assert_eq!((method.status, method.code().as_str()), (405, "wrong-method"));
}
