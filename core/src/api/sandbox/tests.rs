//! What travels between the Worker and a Sandbox, as text.

use super::*;
use crate::identity::session::{SessionId, Tokens};
use crate::identity::token::Identity;
use crate::wire::run::RestorePoint;

fn identity() -> Identity {
    Identity {
        user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
        admin: false,
        email: Some("älice@example.com".into()),
        expires_at: 1_000,
    }
}

fn id() -> SnapshotId {
    "ab".repeat(32).parse().unwrap()
}

/// Each command that a body can be, and its text.
fn commands() -> Vec<(SandboxCommand, String)> {
    let session = SessionId::from_random([0; 16]);
    let tokens = Tokens {
        access_token: "a".into(),
        refresh_token: "r".into(),
    };
    let (snapshot, sessions) = (id(), "AAAAAAAAAAAAAAAAAAAAAA");
    let mut commands = vec![
        (SandboxCommand::Status, r#""status""#.to_owned()),
        (SandboxCommand::Poll, r#""poll""#.to_owned()),
        (SandboxCommand::FreeSlot, r#""free-slot""#.to_owned()),
        (
            SandboxCommand::Logs { lines: 200 },
            r#"{"logs":{"lines":200}}"#.to_owned(),
        ),
        (
            SandboxCommand::MayForget {
                run: Run(7),
                snapshot: id(),
            },
            format!(r#"{{"may-forget":{{"run":7,"snapshot":"{snapshot}"}}}}"#),
        ),
        (
            SandboxCommand::Session(SessionCommand::Begin {
                id: session.clone(),
                identity: identity(),
                tokens,
            }),
            format!(
                r#"{{"session":{{"begin":{{"id":"{sessions}","identity":{{"user":"{}","admin":false,"email":"älice@example.com","expires_at":1000}},"tokens":{{"access_token":"a","refresh_token":"r"}}}}}}}}"#,
                identity().user
            ),
        ),
        (
            SandboxCommand::Session(SessionCommand::Renew { id: session.clone() }),
            format!(r#"{{"session":{{"renew":{{"id":"{sessions}"}}}}}}"#),
        ),
        (
            SandboxCommand::Session(SessionCommand::End { id: session }),
            format!(r#"{{"session":{{"end":{{"id":"{sessions}"}}}}}}"#),
        ),
    ];
    let snapshots = [
        (SnapshotCommand::List, r#""list""#.to_owned()),
        (
            SnapshotCommand::Take { accept: true },
            r#"{"take":{"accept":true}}"#.to_owned(),
        ),
        (
            SnapshotCommand::Restore {
                point: RestorePoint::Latest,
                accept: false,
            },
            r#"{"restore":{"point":"latest","accept":false}}"#.to_owned(),
        ),
        (
            SnapshotCommand::Restore {
                point: RestorePoint::Snapshot(id()),
                accept: false,
            },
            format!(r#"{{"restore":{{"point":{{"snapshot":"{snapshot}"}},"accept":false}}}}"#),
        ),
        (
            SnapshotCommand::Pin { snapshot: id() },
            format!(r#"{{"pin":{{"snapshot":"{snapshot}"}}}}"#),
        ),
        (
            SnapshotCommand::Unpin { snapshot: id() },
            format!(r#"{{"unpin":{{"snapshot":"{snapshot}"}}}}"#),
        ),
        (
            SnapshotCommand::Browse {
                snapshot: id(),
                path: "nötes".into(),
            },
            format!(r#"{{"browse":{{"snapshot":"{snapshot}","path":"nötes"}}}}"#),
        ),
        (
            SnapshotCommand::Download {
                snapshot: id(),
                path: "a".into(),
            },
            format!(r#"{{"download":{{"snapshot":"{snapshot}","path":"a"}}}}"#),
        ),
    ];
    for (command, text) in snapshots {
        let text = format!(r#"{{"snapshots":{text}}}"#);
        commands.push((SandboxCommand::Snapshots(command), text));
    }
    let owners = Order::OWNERS.map(|order| (Authority::Owner, "owner", order));
    let admins = Order::ALL.map(|order| (Authority::Admin, "admin", order));
    for (by, who, order) in owners.into_iter().chain(admins) {
        let name = order.as_str();
        let text = format!(r#"{{"order":{{"by":"{who}","order":"{name}"}}}}"#);
        commands.push((SandboxCommand::Order { by, order }, text));
        assert_eq!(Order::parse(by, name), Some(order));
    }
    for scope in Scope::ALL {
        let name = scope.as_str();
        let text = format!(r#"{{"renew-token":{{"run":7,"scope":"{name}"}}}}"#);
        commands.push((SandboxCommand::RenewToken { run: Run(7), scope }, text));
    }
    commands
}

#[test]
fn a_command_is_read_as_it_was_written() {
    for (command, text) in commands() {
        assert_eq!(command.to_text().unwrap(), text);
        let read = SandboxCommand::from_body(&text).unwrap();
        assert_eq!(read.to_text().unwrap(), text);
        assert!(
            SandboxCommand::from_header(&text).is_none(),
            "{text} does not travel beside a stream"
        );
    }
    let serve = SandboxCommand::Serve.to_text().unwrap();
    assert!(matches!(
        SandboxCommand::from_header(&serve),
        Some(SandboxCommand::Serve)
    ));
    assert!(SandboxCommand::from_body(&serve).is_none(), "there is no stream");
    assert!(serve.is_ascii(), "a header has nothing else");
}

#[test]
fn what_is_not_a_command_is_none() {
    for text in [
        "",
        "status",
        r#""STATUS""#,
        r#""tick""#,
        r#"{"status":{}}"#,
        r#"{"order":{"by":"owner","order":"suspend"}}"#,
        r#"{"order":{"by":"owner","order":"release"}}"#,
        r#"{"order":{"by":"nobody","order":"stop"}}"#,
        r#"{"order":{"order":"stop"}}"#,
        r#"{"order":{"by":"admin","order":"stop","for":"ever"}}"#,
        r#"{"renew-token":{"run":-1,"scope":"append"}}"#,
        r#"{"renew-token":{"run":1,"scope":"admin"}}"#,
        r#"{"snapshots":"delete"}"#,
        r#"{"snapshots":{"pin":{"snapshot":"latest"}}}"#,
        r#"{"snapshots":{"take":{}}}"#,
        r#"{"session":{"renew":{"id":"a","for":"ever"}}}"#,
        r#"{"may-forget":{"run":1,"snapshot":"ab"}}"#,
        r#"{"logs":{"lines":-1}}"#,
        r#"{"logs":{"lines":70000}}"#,
        r#""status""status""#,
    ] {
        assert!(SandboxCommand::from_body(text).is_none(), "{text}");
        assert!(SandboxCommand::from_header(text).is_none(), "{text}");
    }
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let document = Document::of(&serde_json::json!({ "state": "asleep", "new": [1] })).unwrap();
    let answers = [
        (
            SandboxAnswer::Status(document.clone()),
            r#"{"status":{"new":[1],"state":"asleep"}}"#,
        ),
        (
            SandboxAnswer::Snapshots(document),
            r#"{"snapshots":{"new":[1],"state":"asleep"}}"#,
        ),
        (
            SandboxAnswer::Renewal(Renewal::Unavailable),
            r#"{"renewal":"unavailable"}"#,
        ),
        (
            SandboxAnswer::Token(RenewedToken {
                token: "t".into(),
                expires_at: 5,
            }),
            r#"{"token":{"token":"t","expires_at":5}}"#,
        ),
        (SandboxAnswer::Permission(false), r#"{"permission":false}"#),
        (SandboxAnswer::Done, r#""done""#),
        (
            Refusal::RunOver.into(),
            r#"{"refused":{"refusal":"run-over","detail":null}}"#,
        ),
        (
            SandboxAnswer::Refused {
                refusal: Refusal::NotRestored,
                detail: Some("nöch nicht".into()),
            },
            r#"{"refused":{"refusal":"not-restored","detail":"nöch nicht"}}"#,
        ),
    ];
    for (answer, text) in answers {
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        let read: SandboxAnswer = serde_json::from_slice(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
    let read = serde_json::from_str::<SandboxAnswer>;
    assert!(read(r#"{"refused":{"refusal":"a-new-one","detail":null}}"#).is_err());
}

#[test]
fn of_a_document_only_what_matters_is_read() {
    let document =
        Document::of(&serde_json::json!({ "state": "asleep", "expires_at": 5, "token": "t" })).unwrap();
    let token: RenewedToken = document.read().unwrap();
    assert_eq!((token.token.as_str(), token.expires_at), ("t", 5));
    assert!(document.read::<u64>().is_err());
}

#[test]
fn debug_output_hides_what_opens_a_repository() {
    let token = RenewedToken {
        token: "secret".into(),
        expires_at: 5,
    };
    assert!(!format!("{:?}", SandboxAnswer::Token(token)).contains("secret"));
    for (command, _) in commands() {
        assert!(!format!("{command:?}").contains("AAAA"), "a session's name");
    }
}
