//! What passes through the ingress, and how.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use moltworker_core::wire::control::GatewayPhase;

use crate::fixture::{Fixture, Setup, USER, ask, begin, read_head};

#[test]
fn a_request_is_proxied_and_its_response_returned() {
    let fixture = Fixture::ready();
    let answer = ask(
        fixture.ingress,
        "PUT /echo?a=b%20c HTTP/1.1\r\ncontent-type: x/y",
        b"a body",
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, "a body"));
    let seen: serde_json::Value = serde_json::from_slice(&fixture.get("/headers?a=b%20c").body).unwrap();
    assert_eq!(
        (&seen["uri"], &seen["method"]),
        (&"/headers?a=b%20c".into(), &"GET".into())
    );
    // A proxy is asked for a whole URL; a server is not.
    let whole = ask(fixture.ingress, "GET http://evil.example/headers HTTP/1.1", b"");
    let seen: serde_json::Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!(seen["uri"], "/headers");
    assert_eq!(
        ask(fixture.ingress, "CONNECT evil.example:443 HTTP/1.1", b"").status,
        405
    );
}

#[test]
fn only_the_ingress_sets_identity_headers() {
    let fixture = Fixture::ready();
    let forged = "GET /headers HTTP/1.1\r\n\
        X-Forwarded-User: somebody-else\r\nx-forwarded-user: twice\r\nX-FORWARDED-FOR: 127.0.0.1\r\n\
        Forwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-Anything: x\r\nX-Moltbot-Run: 1\r\n\
        X-Moltbot-Client-Ip: 203.0.113.9\r\nTE: trailers\r\nConnection: x-forwarded-user\r\n\
        Origin: https://bots.example.com\r\nAccept: a/b";
    let seen: serde_json::Value = serde_json::from_slice(&ask(fixture.ingress, forged, b"").body).unwrap();
    let mut headers: Vec<_> = seen["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            r#"["accept","a/b"]"#.to_owned(),
            r#"["host","bots.example.com"]"#.to_owned(),
            r#"["origin","https://bots.example.com"]"#.to_owned(),
            r#"["x-forwarded-for","203.0.113.9"]"#.to_owned(),
            r#"["x-forwarded-proto","https"]"#.to_owned(),
            format!(r#"["x-forwarded-user","{USER}"]"#),
        ]
    );
}

#[test]
fn an_upgraded_connection_carries_every_byte_both_ways() {
    let fixture = Fixture::ready();
    let head = "GET /upgrade HTTP/1.1\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket";
    let mut stream = begin(fixture.ingress, head);
    // What is sent before the answer belongs to the new protocol already.
    stream.write_all(b"early\n").unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (status, head) = read_head(&mut reader);
    assert_eq!(status, 101, "{head}");
    assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "hello from the gateway\nearly\n");

    let every_byte: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = every_byte.clone();
    let sending = std::thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        // Only this side has finished: the other still has something to say.
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).unwrap();
    sending.join().unwrap();
    let (echo, rest) = received.split_at(every_byte.len());
    assert!(echo == every_byte);
    assert_eq!(rest, b"goodbye\n");
}

#[test]
fn a_gateway_that_does_not_begin_to_answer_is_not_waited_for() {
    let fixture = Fixture::start(&Setup {
        env: &[("TEST_ANSWER_DEADLINE_MS", "300")],
        ..Setup::default()
    });
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    let head = "GET /upgrade HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket";
    let mut socket = begin(fixture.ingress, head);
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    assert_eq!(read_head(&mut reader).0, 101);
    let mut events = BufReader::new(begin(fixture.ingress, "GET /events HTTP/1.1"));
    assert_eq!(read_head(&mut events).0, 200);
    for method in ["GET", "POST"] {
        let answer = ask(fixture.ingress, &format!("{method} /stall HTTP/1.1"), b"");
        assert_eq!((answer.status, answer.code().as_str()), (504, "bot-silent"));
    }
    // What has begun goes on for longer than that.
    socket.write_all(b"still\n").unwrap();
    let mut lines = reader.lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "still"));
    assert_eq!(fixture.get("/events/next").status, 200);
    let mut events = events.lines().map(Result::unwrap);
    assert!(events.any(|line| line == "data: 1"));
}

#[test]
fn a_declined_upgrade_is_returned_as_an_ordinary_response() {
    let fixture = Fixture::ready();
    let head = "POST /echo HTTP/1.1\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 2";
    let mut stream = begin(fixture.ingress, head);
    stream.write_all(b"hi").unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).0, 200);
    let mut body = [0; 2];
    reader.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"hi");
}

#[test]
fn events_arrive_one_by_one_and_end_with_the_listener() {
    let fixture = Fixture::ready();
    let stream = begin(fixture.ingress, "GET /events HTTP/1.1");
    let mut reader = BufReader::new(stream);
    assert!(read_head(&mut reader).1.contains("text/event-stream"));
    for number in 0..5 {
        let mut event = String::new();
        while !event.ends_with("\n\n\r\n") {
            assert_ne!(reader.read_line(&mut event).unwrap(), 0);
        }
        assert!(event.contains(&format!("data: {number}\n\n")), "{event:?}");
        // The gateway has not made the next one yet: it waits for this.
        assert_eq!(fixture.get("/events/next").status, 200);
    }
    drop(reader);
    // It waits for another word and does not get one: it ends because nobody listens.
    assert_eq!(fixture.get("/events/dropped").text(), "dropped");
}

#[test]
fn large_bodies_pass_unchanged_without_being_buffered() {
    const SIZE: usize = 200 * 1024 * 1024;
    let fixture = Fixture::ready();
    let chunk: Vec<u8> = (0..65_521_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let expected = || chunk.iter().copied().cycle().take(SIZE);

    let down = fixture.get(&format!("/bytes?count={SIZE}"));
    assert!(
        down.head.contains(&format!("content-length: {SIZE}")),
        "{}",
        down.head
    );
    assert!(down.body.len() == SIZE && down.body.chunks(chunk.len()).all(|part| chunk.starts_with(part)));

    let head = format!("POST /echo HTTP/1.1\r\nconnection: close\r\ncontent-length: {SIZE}");
    let mut stream = begin(fixture.ingress, &head);
    let mut writer = stream.try_clone().unwrap();
    let sent: Vec<u8> = expected().collect();
    let sending = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut reader = BufReader::with_capacity(chunk.len(), &mut stream);
    assert_eq!(read_head(&mut reader).0, 200);
    let mut echoed = Vec::with_capacity(SIZE);
    reader.read_to_end(&mut echoed).unwrap();
    sending.join().unwrap();
    assert!(echoed.len() == SIZE, "{} bytes", echoed.len());
    assert!(echoed == down.body);

    let status = std::fs::read_to_string(format!("/proc/{}/status", fixture.pid())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak of the supervisor's memory: {peak} kB");
    assert!(peak < 20 * 1024, "{peak} kB");
}

#[test]
fn a_request_waits_for_a_gateway_that_is_not_ready() {
    let fixture = Fixture::start(&Setup::default());
    // Asked at once; the gateway is still starting.
    assert_eq!(fixture.get("/headers").status, 200);
}

#[test]
fn a_waiting_request_times_out() {
    let fixture = Fixture::start(&Setup {
        gateway: "--never-ready",
        env: &[("TEST_HOLD_MS", "50")],
        ..Setup::default()
    });
    // It answers, but has not started: what came through now would meet half a gateway.
    fixture.until("it listens", |status| status.start.tcp_ms.is_some());
    let refused = fixture.get("/headers");
    assert_eq!((refused.status, refused.code().as_str()), (503, "bot-waking"));
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
}

#[test]
fn a_request_is_retried_while_the_gateway_briefly_does_not_listen() {
    let fixture = Fixture::ready();
    fixture.get("/deaf");
    let gateway = ("127.0.0.1", fixture.gateway_port);
    fixture.wait_for("it does not listen", || TcpStream::connect(gateway).err());
    assert_eq!(fixture.get("/headers").status, 200);
    assert_eq!(fixture.status().restarts, 0);
}

#[test]
fn owner_activity_is_distinguished_from_keep_alive_traffic() {
    let fixture = Fixture::ready();
    fixture.get("/headers");
    let head = "GET /upgrade HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket";
    let mut stream = begin(fixture.ingress, head);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    read_head(&mut reader);
    fixture.until("it is counted", |status| status.open.upgrades == 1);
    reader.read_line(&mut String::new()).unwrap();
    let mut exchange = |frame: &[u8]| {
        stream.write_all(frame).unwrap();
        let mut echo = vec![0; frame.len()];
        reader.read_exact(&mut echo).unwrap();
        assert_eq!(echo, frame);
    };
    let mut idle = |frame: &[u8]| {
        let before = fixture
            .until("a while has passed", |status| status.idle_ms >= 200)
            .idle_ms;
        let begun = Instant::now();
        exchange(frame);
        assert_eq!(fixture.get("/healthz").status, 200);
        let after = fixture.status().idle_ms;
        (before, after, begun.elapsed())
    };
    for keeps in [[0x89, 0x80, 1, 2, 3, 4], [0x8a, 0x80, 1, 2, 3, 4]] {
        let (before, after, _) = idle(&keeps);
        assert!(after >= before, "{keeps:x?}");
    }
    // However long all of that took: idle since the exchange, and not since before it.
    let (_, after, since) = idle(&[0x81, 0x81, 1, 2, 3, 4, 5]);
    assert!(u128::from(after) <= since.as_millis(), "{after} after {since:?}");
    drop((stream, reader));
    fixture.until("it is closed", |status| status.open.upgrades == 0);
}

#[test]
fn a_request_is_open_until_its_response_is_complete() {
    let fixture = Fixture::ready();
    let stream = begin(fixture.ingress, "GET /events HTTP/1.1");
    let mut reader = BufReader::new(stream);
    read_head(&mut reader);
    fixture.until("it is counted", |status| status.open.requests == 1);
    drop(reader);
    fixture.until("it is closed", |status| status.open.requests == 0);
}
