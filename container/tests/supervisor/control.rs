//! The control port: who may ask, and what is answered.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

use moltworker_core::wire::control::{
    DRAIN_PATH, GatewayPhase, LOGS_PATH, METRICS_PATH, PROCESSES_PATH, Process, QUIESCE_PATH, RESTART_PATH,
    STATUS_PATH,
};
use moltworker_core::wire::run::Run;

use crate::fixture::{Fixture, Setup, TOKEN, USER, ask, authorised, cannot_run, connect, read_head};

#[test]
fn the_control_port_requires_the_token_of_the_current_run() {
    let fixture = Fixture::ready();
    let wrong = TOKEN.replace('0', "1");
    for credentials in [
        String::new(),
        format!("\r\nauthorization: Bearer {wrong}"),
        format!("\r\nauthorization: {TOKEN}"),
        format!("\r\ncookie: token={TOKEN}"),
    ] {
        for (method, path) in [
            ("GET", STATUS_PATH),
            ("GET", LOGS_PATH),
            ("GET", PROCESSES_PATH),
            ("GET", METRICS_PATH),
            ("POST", QUIESCE_PATH),
            ("POST", RESTART_PATH),
            ("POST", DRAIN_PATH),
            ("GET", "/"),
            ("GET", "/v1/nothing"),
        ] {
            let answer = ask(
                fixture.control,
                &format!("{method} {path} HTTP/1.1{credentials}"),
                b"",
            );
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "bearer-required"),
                "{credentials}"
            );
        }
    }
    // Nor done.
    let status = fixture.status();
    assert_eq!((status.phase, status.restarts), (GatewayPhase::Ready, 0));
}

#[test]
fn the_status_describes_the_current_run() {
    let fixture = Fixture::ready();
    let status = fixture.status();
    assert_eq!((status.user.to_string().as_str(), status.run), (USER, Run(7)));
    assert_eq!(
        (status.phase, status.restarts, status.last_exit),
        (GatewayPhase::Ready, 0, None)
    );
    assert!(status.start.tcp_ms <= status.start.ready_ms && status.start.ready_ms.is_some());
    assert_eq!(
        u64::from(status.gateway_pid.unwrap()),
        fixture.gateway()["pid"].as_u64().unwrap()
    );
}

#[test]
fn the_last_log_lines_are_returned() {
    let fixture = Fixture::ready();
    ask(fixture.ingress, "POST /say HTTP/1.1", b"one\ntwo\nthree");
    fixture.wait_for("they have come through", || {
        authorised(&fixture, &format!("GET {LOGS_PATH}"))
            .text()
            .contains("three")
            .then_some(())
    });
    let last = authorised(&fixture, &format!("GET {LOGS_PATH}?lines=2"));
    assert_eq!((last.status, last.text().as_str()), (200, "two\nthree\n"));
}

#[test]
fn lines_that_contain_a_text_are_told_and_followed_alone() {
    let fixture = Fixture::ready();
    ask(
        fixture.ingress,
        "POST /say HTTP/1.1",
        "one cafÉ\nTwo\nthree café\nfour".as_bytes(),
    );
    fixture.wait_for("they have come through", || {
        fixture.output().contains("four").then_some(())
    });
    let told = |query: &str| authorised(&fixture, &format!("GET {LOGS_PATH}?{query}")).text();
    assert_eq!(told("contains=CAF%C3%A9"), "one cafÉ\nthree café\n");
    assert_eq!(told("lines=1&contains=caf%C3%89"), "three café\n");
    assert_eq!(told("contains=nowhere+there"), "");
    assert_eq!(
        authorised(&fixture, &format!("GET {LOGS_PATH}?contains=%zz")).status,
        404
    );

    let mut stream = connect(fixture.control);
    let head = format!(
        "GET {LOGS_PATH}?lines=1&contains=caf&follow=1 HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\nhost: h\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).0, 200);
    ask(fixture.ingress, "POST /say HTTP/1.1", b"other\ncafeteria");
    let mut heard = String::new();
    while !heard.contains("cafeteria") {
        assert_ne!(reader.read_line(&mut heard).unwrap(), 0, "{heard}");
    }
    assert!(heard.contains("three café") && !heard.contains("one"), "{heard}");
    assert!(!heard.contains("other"), "{heard}");
}

#[test]
fn there_are_so_many_places_for_those_who_follow() {
    let fixture = Fixture::ready();
    let follow = |more: &str| {
        let head = format!(
            "GET {LOGS_PATH}?lines=0&follow=1{more} HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\nhost: h\r\n\r\n"
        );
        let mut stream = connect(fixture.control);
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let status = read_head(&mut reader).0;
        (status, reader)
    };
    let mut followers: Vec<_> = (0..12).map(|_| follow("")).collect();
    assert!(followers.iter().all(|(status, _)| *status == 200));
    assert_eq!(follow("").0, 429);
    followers.extend((0..4).map(|_| follow("&admin=1")));
    assert!(followers.iter().all(|(status, _)| *status == 200));
    assert_eq!(follow("&admin=1").0, 429);
    drop(followers);
    fixture.wait_for("there is a place again", || (follow("").0 == 200).then_some(()));
}

#[test]
fn an_unknown_path_is_not_found() {
    let fixture = Fixture::ready();
    let missing = authorised(&fixture, "GET /v1/nothing");
    assert_eq!((missing.status, missing.code().as_str()), (404, "not-found"));
    for (path, right, wrong) in [
        (STATUS_PATH, "GET", "POST"),
        (LOGS_PATH, "GET", "POST"),
        (PROCESSES_PATH, "GET", "DELETE"),
        (METRICS_PATH, "GET", "POST"),
        // What changes something is never a GET.
        (QUIESCE_PATH, "POST", "GET"),
        (RESTART_PATH, "POST", "GET"),
        (DRAIN_PATH, "POST", "GET"),
    ] {
        let method = authorised(&fixture, &format!("{wrong} {path}"));
        assert_eq!(
            (method.status, method.code().as_str()),
            (405, "wrong-method"),
            "{wrong} {path}, and not {right}"
        );
    }
    for query in ["lines=x", "follow=yes"] {
        assert_eq!(
            authorised(&fixture, &format!("GET {LOGS_PATH}?{query}")).status,
            404
        );
    }
    assert_eq!(
        authorised(&fixture, &format!("POST {DRAIN_PATH}?grace_ms=x")).status,
        404
    );
    assert_eq!(fixture.status().restarts, 0);
}

#[test]
fn the_log_can_be_followed_to_the_end() {
    let mut fixture = Fixture::ready();
    ask(fixture.ingress, "POST /say HTTP/1.1", b"before\nlast");
    fixture.wait_for("it came through", || {
        fixture.output().contains("last").then_some(())
    });
    let mut stream = connect(fixture.control);
    let head = format!(
        "GET {LOGS_PATH}?lines=1&follow=1 HTTP/1.1\r\nauthorization: Bearer {TOKEN}\r\nhost: h\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).0, 200);
    let next = |reader: &mut BufReader<_>, wanted: &str| {
        let mut line = String::new();
        while line.trim_end() != wanted {
            line.clear();
            assert_ne!(
                reader.read_line(&mut line).unwrap(),
                0,
                "the end before {wanted:?}"
            );
            assert!(!line.contains("before"), "older than was asked for");
        }
    };
    next(&mut reader, "last");
    ask(
        fixture.ingress,
        "POST /say HTTP/1.1",
        format!("new {TOKEN}").as_bytes(),
    );
    next(&mut reader, "new [hidden]");
    // Somebody who follows does not hold the end up.
    fixture.signal("TERM");
    assert_eq!(fixture.ended().code(), Some(0));
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "ended, not cut off: {rest:?}");
}

#[test]
fn processes_and_metrics_are_returned() {
    let fixture = Fixture::ready();
    let processes: Vec<Process> =
        serde_json::from_slice(&authorised(&fixture, &format!("GET {PROCESSES_PATH}")).body).unwrap();
    let gateway = fixture.status().gateway_pid.unwrap();
    let found = processes.iter().find(|process| process.pid == gateway).unwrap();
    assert_eq!(
        (found.name.as_str(), found.parent),
        ("fake-gateway", fixture.pid())
    );
    let metrics = authorised(&fixture, &format!("GET {METRICS_PATH}"));
    assert!(
        metrics.head.contains("text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    assert!(
        metrics.text().contains("\nmoltbot_gateway_up 1\n"),
        "{}",
        metrics.text()
    );
}

#[test]
fn connections_from_inside_leave_places_for_the_platform() {
    // As many as the port has places, and some. Those from inside may have this many.
    const CONNECTIONS: usize = 450;
    const INSIDE: usize = 300;
    let outside = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent; it is asked by which address one would leave this machine.
    let outside = outside
        .connect("192.0.2.1:9")
        .and_then(|()| outside.local_addr().map(|address| address.ip()));
    let Some(outside) = outside.ok().filter(|address| !address.is_loopback()) else {
        return cannot_run("places for the platform", "this machine has only loopback");
    };
    let fixture = Fixture::start(&Setup {
        env: &[("TEST_CONTROL_ADDRESS", "0.0.0.0:0")],
        ..Setup::default()
    });
    // By the address that others reach it by: whoever sits here may go that way too.
    let way_in = (outside, fixture.control.port()).into();
    let held: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = connect(way_in);
            // One that is turned away may be gone by now.
            let _ = stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n");
            stream
        })
        .collect();
    // Who has a place is answered and keeps it for a while, but not for long.
    let answered = held.into_iter().filter_map(|mut stream| {
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        assert!(
            end.as_ref()
                .map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true),
            "{end:?}"
        );
        answer.starts_with(b"HTTP/1.1 401").then_some(())
    });
    assert_eq!(answered.count(), INSIDE);
    let head = format!("GET /v1/status HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
    assert_eq!(ask(way_in, &head, b"").status, 200);
}
