//! What travels between the Worker and a Sandbox, as text.

use super::*;
use crate::api::bot::{BotState, BotStatusSummary, Health};
use crate::bot::lifecycle::diagram::{NOW, lives};
use crate::bot::lifecycle::{Lifecycle, LifecycleRules};
use crate::identity::session::{Proven, SessionId, Tokens};
use crate::identity::token::Identity;
use crate::wire::home_path::HomePath;
use crate::wire::job::FileRequest;
use crate::wire::run::RestorePoint;

fn identity() -> Identity {
    Identity {
        user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
        admin: false,
        mfa: false,
        email: Some("älice@example.com".into()),
        expires_at: 1_000,
    }
}

fn id() -> SnapshotId {
    "ab".repeat(32).parse().unwrap()
}

fn token() -> RenewedToken {
    RenewedToken {
        token: "secret".into(),
        expires_at: 5,
    }
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
            SandboxCommand::Logs(LogRequest {
                lines: 200,
                contains: Some(HomePath::of("a b")),
                follow: false,
                by_admin: false,
            }),
            r#"{"logs":{"lines":200,"contains":"a%20b","follow":false,"by_admin":false}}"#.to_owned(),
        ),
        (
            SandboxCommand::Bulk(BulkVerb::Restart, None),
            r#"{"bulk":["restart",null]}"#.to_owned(),
        ),
        (
            SandboxCommand::Bulk(BulkVerb::Sleep, Some(5)),
            r#"{"bulk":["sleep",5]}"#.to_owned(),
        ),
        (
            SandboxCommand::Limit(LimitChoice::Unlimited),
            r#"{"limit":"unlimited"}"#.to_owned(),
        ),
        (
            SandboxCommand::MayForget(Run(7), id()),
            format!(r#"{{"may-forget":[7,"{snapshot}"]}}"#),
        ),
        (
            SandboxCommand::Session(SessionCommand::Begin {
                id: session.clone(),
                identity: identity(),
                tokens,
            }),
            format!(
                r#"{{"session":{{"begin":{{"id":"{sessions}","identity":{{"user":"{}","admin":false,"mfa":false,"email":"älice@example.com","expires_at":1000}},"tokens":{{"access_token":"a","refresh_token":"r"}}}}}}}}"#,
                identity().user
            ),
        ),
        (
            SandboxCommand::Session(SessionCommand::Renew(session.clone())),
            format!(r#"{{"session":{{"renew":"{sessions}"}}}}"#),
        ),
        (
            SandboxCommand::Session(SessionCommand::Prove(session.clone())),
            format!(r#"{{"session":{{"prove":"{sessions}"}}}}"#),
        ),
        (
            SandboxCommand::Session(SessionCommand::End(session.clone())),
            format!(r#"{{"session":{{"end":"{sessions}"}}}}"#),
        ),
        (
            SandboxCommand::SecondFactor(SecondFactorCommand::Find(session.clone())),
            format!(r#"{{"second-factor":{{"find":"{sessions}"}}}}"#),
        ),
        (
            SandboxCommand::SecondFactor(SecondFactorCommand::Prove {
                id: session,
                factor: serde_json::from_str(&format!("\"{}\"", identity().user)).unwrap(),
                code: "123456".into(),
            }),
            format!(
                r#"{{"second-factor":{{"prove":{{"id":"{sessions}","factor":"{}","code":"123456"}}}}}}"#,
                identity().user
            ),
        ),
    ];
    let snapshots = [
        (SnapshotCommand::List, r#""list""#.to_owned()),
        (SnapshotCommand::Take(true), r#"{"take":true}"#.to_owned()),
        (
            SnapshotCommand::Restore(RestorePoint::Latest, false),
            r#"{"restore":["latest",false]}"#.to_owned(),
        ),
        (
            SnapshotCommand::Restore(RestorePoint::Snapshot(id()), false),
            format!(r#"{{"restore":[{{"snapshot":"{snapshot}"}},false]}}"#),
        ),
        (SnapshotCommand::Pin(id()), format!(r#"{{"pin":"{snapshot}"}}"#)),
        (
            SnapshotCommand::Unpin(id()),
            format!(r#"{{"unpin":"{snapshot}"}}"#),
        ),
        (SnapshotCommand::Keep, r#""keep""#.to_owned()),
        (
            SnapshotCommand::ListAfter(format!("7.{snapshot}").parse().unwrap()),
            format!(r#"{{"list-after":"7.{snapshot}"}}"#),
        ),
        (
            SnapshotCommand::Browse(id(), HomePath::of("nötes")),
            format!(r#"{{"browse":["{snapshot}","n%C3%B6tes"]}}"#),
        ),
        (
            SnapshotCommand::Download(id(), FileRequest::default()),
            format!(
                r#"{{"download":["{snapshot}",{{"path":"","range":null,"if_range":null,"head":false}}]}}"#
            ),
        ),
        (
            SnapshotCommand::Archive(id(), HomePath::of(&b"\xff"[..])),
            format!(r#"{{"archive":["{snapshot}","%FF"]}}"#),
        ),
        (SnapshotCommand::PutBack, r#""put-back""#.to_owned()),
        (SnapshotCommand::Choose, r#""choose""#.to_owned()),
    ];
    for (command, text) in snapshots {
        let text = format!(r#"{{"snapshots":{text}}}"#);
        commands.push((SandboxCommand::Snapshots(command), text));
    }
    let owners = Order::OWNERS.map(|order| (Authority::Owner, "owner", order));
    let admins = Order::ALL.map(|order| (Authority::Admin, "admin", order));
    for (by, who, order) in owners.into_iter().chain(admins) {
        let name = order.as_str();
        let text = format!(r#"{{"order":["{who}","{name}"]}}"#);
        commands.push((SandboxCommand::Order(by, order), text));
    }
    for scope in Scope::ALL {
        let name = scope.as_str();
        let text = format!(r#"{{"renew-token":[7,"{name}"]}}"#);
        commands.push((SandboxCommand::RenewToken(Run(7), scope), text));
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
        r#"{"order":["owner","suspend"]}"#,
        r#"{"order":["owner","release"]}"#,
        r#"{"order":["nobody","stop"]}"#,
        r#"{"order":["stop"]}"#,
        r#"{"order":["admin","stop","for ever"]}"#,
        r#"{"order":["admin","stop"],"more":1}"#,
        r#"{"renew-token":[-1,"append"]}"#,
        r#"{"renew-token":[1,"admin"]}"#,
        r#"{"snapshots":"delete"}"#,
        r#"{"snapshots":{"pin":"latest"}}"#,
        r#"{"snapshots":{"take":{}}}"#,
        r#"{"session":{"renew":{"id":"a"}}}"#,
        r#"{"session":{"begin":{"id":"a","for":"ever"}}}"#,
        r#"{"second-factor":{"find":{}}}"#,
        r#"{"second-factor":{"prove":{"id":"a","factor":"../x","code":"1"}}}"#,
        r#"{"may-forget":[1,"ab"]}"#,
        r#"{"logs":-1}"#,
        r#"{"logs":70000}"#,
        r#""status""status""#,
    ] {
        assert!(SandboxCommand::from_body(text).is_none(), "{text}");
        assert!(SandboxCommand::from_header(text).is_none(), "{text}");
    }
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let document = RawDocument::of(&serde_json::json!({ "new": [1], "state": "asleep" })).unwrap();
    let token = token();
    let answers = [
        (
            SandboxAnswer::Status(document.clone()),
            r#"{"status":"{\"new\":[1],\"state\":\"asleep\"}"}"#,
        ),
        (
            SandboxAnswer::Snapshots(document),
            r#"{"snapshots":"{\"new\":[1],\"state\":\"asleep\"}"}"#,
        ),
        (
            SandboxAnswer::Renewal(Renewal::Unavailable),
            r#"{"renewal":"unavailable"}"#,
        ),
        (SandboxAnswer::Proven(Proven::Ended), r#"{"proven":"ended"}"#),
        (
            SandboxAnswer::Token(RawDocument::of(&token).unwrap()),
            r#"{"token":"{\"token\":\"secret\",\"expires_at\":5}"}"#,
        ),
        (
            SandboxAnswer::SecondFactor(SecondFactor::WrongCode),
            r#"{"second-factor":"wrong-code"}"#,
        ),
        (SandboxAnswer::Permission(false), r#"{"permission":false}"#),
        (SandboxAnswer::Done, r#""done""#),
        (
            SandboxAnswer::Skipped("it sleeps".into()),
            r#"{"skipped":"it sleeps"}"#,
        ),
        (Refusal::RunOver.into(), r#"{"refused":["run-over",null]}"#),
        (
            SandboxAnswer::Refused(Refusal::NotRestored, Some("nöch nicht".into())),
            r#"{"refused":["not-restored","nöch nicht"]}"#,
        ),
    ];
    for (answer, text) in answers {
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        let read: SandboxAnswer = serde_json::from_slice(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
    let read = serde_json::from_str::<SandboxAnswer>;
    assert!(read(r#"{"refused":["a-new-one",null]}"#).is_err());
}

#[test]
fn of_a_document_only_what_matters_is_read() {
    let document =
        RawDocument::of(&serde_json::json!({ "health": "unknown", "since": 5, "state": "asleep" })).unwrap();
    let summary: BotStatusSummary = document.read().unwrap();
    let expected = BotStatusSummary {
        state: BotState::Asleep,
        health: Health::Unknown,
        idle_ms: None,
    };
    assert_eq!(summary, expected);
    assert!(document.read::<u64>().is_err());
    assert_eq!(
        document.into_text(),
        r#"{"health":"unknown","since":5,"state":"asleep"}"#
    );
}

#[test]
fn debug_output_hides_what_opens_a_repository() {
    let answer = SandboxAnswer::Token(RawDocument::of(&token()).unwrap());
    assert!(!format!("{answer:?}").contains("secret"));
    for (command, _) in commands() {
        assert!(!format!("{command:?}").contains("AAAA"), "a session's name");
    }
}

#[test]
fn an_order_is_refused_where_the_bot_would_ignore_it() {
    let rules = LifecycleRules { sleep_after_ms: None };
    for desired in [Desired::Available, Desired::Stopped, Desired::Suspended] {
        for before in lives() {
            let before = Lifecycle { desired, ..before };
            for (by, order) in [Authority::Owner, Authority::Admin]
                .into_iter()
                .flat_map(|by| Order::ALL.map(|order| (by, order)))
                .filter(|(by, order)| order.may_come_from(*by))
            {
                let mut life = before.clone();
                life.on(&rules, NOW, 0.0, order.event(by));
                let refusal = order.refusal(by, &before, NOW);
                assert_eq!(
                    life.ignored > before.ignored,
                    refusal.is_some(),
                    "{by:?} {order:?} {before:?}"
                );
                assert!(
                    refusal.is_none_or(|refusal| order.problems(by).contains(&refusal)),
                    "{by:?} {order:?} is refused as its endpoint does not say"
                );
            }
        }
    }
}

#[test]
fn a_closed_account_suspends_its_bot_and_an_open_one_frees_it() {
    for status in [UserStatus::Suspended, UserStatus::Deleted] {
        for bot in [None, Some(BotState::Stopped), Some(BotState::Running)] {
            assert_eq!(Order::of_status(status, bot), Some(Order::Suspend), "{bot:?}");
        }
    }
    for bot in BotState::ALL {
        let expected = (bot != BotState::Stopped).then_some(Order::Start);
        assert_eq!(
            Order::of_status(UserStatus::Active, Some(bot)),
            expected,
            "{bot:?}"
        );
    }
}
