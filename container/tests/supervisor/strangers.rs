//! Callers that are not the Sandbox, and gateways that answer as a stranger wants them to.

use std::io::{BufReader, ErrorKind, Read, Write};

use moltworker_core::wire::run::INGRESS_SECRET_HEADER;

use crate::fixture::{Fixture, SECRET, Setup, TOKEN, ask, begin, connect, read_head};

#[test]
fn an_early_answer_arrives_and_ends_the_upload() {
    const DECLARED: usize = 64 * 1024 * 1024;
    let fixture = Fixture::ready();
    for path in ["/nothing", "/nothing/held"] {
        for framing in [
            format!("content-length: {DECLARED}"),
            "transfer-encoding: chunked".to_owned(),
        ] {
            let stream = begin(
                fixture.ingress,
                &format!("POST {path} HTTP/1.1\r\nconnection: close\r\n{framing}"),
            );
            let mut writer = stream.try_clone().unwrap();
            // More than all buffers on the way hold. It goes on until all is sent or somebody hangs up.
            let sending = std::thread::spawn(move || {
                let mut piece = vec![b'x'; 0x10000];
                if framing.starts_with("transfer") {
                    piece = [b"10000\r\n", piece.as_slice(), b"\r\n"].concat();
                }
                let pieces = DECLARED / piece.len();
                (0..pieces).all(|_| writer.write_all(&piece).is_ok())
            });
            let mut reader = BufReader::new(&stream);
            let (status, head) = read_head(&mut reader);
            assert_eq!(status, 404, "{path}: {head}");
            // A gateway that takes nothing more keeps neither the upload nor the connection.
            sending.join().unwrap();
            let mut rest = Vec::new();
            let end = reader.read_to_end(&mut rest);
            assert!(
                end.as_ref()
                    .map_or_else(|e| e.kind() == ErrorKind::ConnectionReset, |_| true),
                "{path}: {end:?}"
            );
            assert!(rest.is_empty(), "{path}");
        }
    }
}

#[test]
fn only_the_sandbox_of_its_run_is_answered() {
    let fixture = Fixture::ready();
    let ask = |lines: &str| {
        let mut stream = connect(fixture.ingress);
        let head = format!("POST /say HTTP/1.1\r\nhost: h\r\ncontent-length: 8\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"heard it").unwrap();
        read_head(&mut BufReader::new(stream))
    };
    let name = INGRESS_SECRET_HEADER;
    for lines in [
        String::new(),
        format!("{name}: \r\n"),
        format!("{name}: {}\r\n", SECRET.trim_start_matches('5')),
        format!("{name}: {SECRET}x\r\n"),
        format!("{name}: {TOKEN}\r\n"),
        format!("{name}: {SECRET}\r\n{name}: {SECRET}\r\n"),
        format!("authorization: Bearer {SECRET}\r\nx-moltbot-client-ip: 127.0.0.1\r\n"),
    ] {
        let (status, head) = ask(&lines);
        assert_eq!(status, 401, "{lines}: {head}");
        assert!(
            head.contains("x-moltbot-refusal: ingress-secret-required"),
            "{head}"
        );
    }
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
    assert_eq!(ask(upgrade).0, 401);
    assert!(!fixture.output().contains("heard it"));
    assert_eq!(fixture.status().open.requests, 0);
    assert_eq!(ask(&format!("{}: {SECRET}\r\n", name.to_uppercase())).0, 200);
    fixture.wait_for("the gateway heard of it", || {
        fixture.output().contains("heard it").then_some(())
    });
    let seen = fixture.get("/headers").text();
    assert!(
        seen.contains("x-forwarded-user") && !seen.contains(SECRET),
        "{seen}"
    );
    let gateway = fixture.gateway().to_string();
    assert!(!gateway.contains(SECRET), "{gateway}");
    assert!(!fixture.output().contains(SECRET));
}

#[test]
fn a_sandbox_that_sends_no_secret_is_served_if_it_gave_none() {
    let fixture = Fixture::start(&Setup {
        older_sandbox: true,
        ..Setup::default()
    });
    let mut stream = connect(fixture.ingress);
    stream
        .write_all(b"GET /headers HTTP/1.1\r\nhost: h\r\n\r\n")
        .unwrap();
    assert_eq!(read_head(&mut BufReader::new(stream)).0, 200);
    let said = "the Sandbox gave no ingress secret";
    assert!(fixture.output().contains(said), "{}", fixture.output());
}

#[test]
fn an_odd_answer_becomes_a_bad_answer_and_costs_nobody_else() {
    let fixture = Fixture::ready();
    let odd = |answer: &str| {
        let head = "POST /raw HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket";
        ask(fixture.ingress, head, answer.as_bytes())
    };
    for first in [
        "HTTP/1.1 600 X",
        "HTTP/1.1 999 X",
        "HTTP/1.1 199 X",
        "HTTP/1.1 099 X",
        "HTTP/1.1 1000 X",
        "HTTP/1.1 0 X",
        "HTTP/1.1 -1 X",
        "HTTP/1.1 101 X",
        "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: h2c",
        "HTTP/1.1 200 X\r\nx v: 1",
        "HTTP/1.1 200 X\r\n: 1",
        "HTTP/1.1 200 X\r\nx: a\u{1}b",
        "HTTP/1.1 200 X\r\nx: a\0b",
        "HTTP/1.1 200 X\r\nx: 1\r\n folded",
        "HTTP/9.9 200 X",
        "nonsense",
        "\u{16}\u{3}\u{1}",
        &format!("HTTP/1.1 200 X\r\nx: {}", "a".repeat(1_000_000)),
    ] {
        let answer = odd(&format!("{first}\r\ncontent-length: 2\r\n\r\nhi"));
        let shown = first.get(..60).unwrap_or(first);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "bad-answer"),
            "{shown:?}"
        );
        assert_eq!(fixture.get("/headers").status, 200, "{shown:?}");
    }
    for (status, good) in [
        (200, "HTTP/1.1 200 X"),
        (599, "HTTP/1.1 599 X"),
        (418, "HTTP/1.0 418"),
        (404, "HTTP/1.1 404 X\r\nx: caf\u{e9}"),
    ] {
        let answer = odd(&format!("{good}\r\ncontent-length: 2\r\n\r\nhi"));
        assert_eq!((answer.status, answer.text().as_str()), (status, "hi"), "{good}");
    }
}
