//! The config and the devices of a bot's gateway, by the control port.

use std::fs;

use moltworker_core::bot::config::HIDDEN;
use moltworker_core::wire::channels::{CHANNELS_PATH, ChannelList};
use moltworker_core::wire::config::{CONFIG_PATH, ChangedConfig, ShownConfig};
use moltworker_core::wire::control::GatewayPhase;
use moltworker_core::wire::devices::{DEVICES_PATH, DeviceList};
use serde_json::{Value, json};

use crate::fixture::{Answer, Fixture, Setup, TOKEN, ask, authorised};

fn order(fixture: &Fixture, request: &str, body: &Value) -> Answer {
    let head = format!("{request} HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
    ask(fixture.control, &head, body.to_string().as_bytes())
}

fn patch(fixture: &Fixture, patch: &Value) -> Answer {
    order(
        fixture,
        &format!("POST {CONFIG_PATH}"),
        &json!({ "patch": patch }),
    )
}

fn changed(answer: &Answer) -> ChangedConfig {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn shown(fixture: &Fixture) -> (Value, String) {
    let answer = authorised(fixture, &format!("GET {CONFIG_PATH}"));
    let shown: ShownConfig = serde_json::from_slice(&answer.body).unwrap();
    (serde_json::from_str(&shown.config).unwrap(), shown.digest)
}

fn file(fixture: &Fixture) -> Value {
    let text = fs::read_to_string(fixture.home.join(".openclaw/openclaw.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a refusal says.
fn refusal(answer: &Answer) -> (u16, String, Value) {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, answer.code(), problem["detail"].clone())
}

#[test]
fn a_config_is_shown_without_secrets_and_changed_by_its_gateway() {
    let fixture = Fixture::start(&Setup {
        config: Some("{ channels: { telegram: { botToken: '1:secret', allow: [1, 2] } }, mine: 1.5 }"),
        ..Setup::default()
    });
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    let (config, digest) = shown(&fixture);
    assert_eq!(config["channels"]["telegram"]["botToken"], HIDDEN);
    assert_eq!(
        (&config["mine"], &config["gateway"]["bind"]),
        (&json!(1.5), &json!("loopback"))
    );

    let wanted = json!({ "mine": null, "yours": 2.5, "channels": { "telegram": { "botToken": HIDDEN, "allow": [3] } } });
    let body = json!({ "patch": wanted, "digest": digest });
    let answer = changed(&order(&fixture, &format!("POST {CONFIG_PATH}"), &body));
    assert!(
        answer.before.unwrap().contains("1:secret"),
        "so that there is a way back"
    );
    assert!(!answer.now.config.contains("1:secret"), "{}", answer.now.config);
    assert_eq!(answer.paths, ["mine", "yours", "channels.telegram.allow"]);
    let file = file(&fixture);
    assert_eq!(
        (&file["channels"]["telegram"], file.get("mine"), &file["yours"]),
        (
            &json!({ "botToken": "1:secret", "allow": [3] }),
            None,
            &json!(2.5)
        )
    );
    assert!(
        fixture
            .output()
            .contains(r#"replaces ["channels.telegram.allow"]"#)
    );
    let again = order(&fixture, &format!("POST {CONFIG_PATH}"), &body);
    assert_eq!(refusal(&again), (409, "config-changed".into(), Value::Null));
    assert_eq!(shown(&fixture).1, answer.now.digest);
}

#[test]
fn a_config_that_may_not_be_is_refused_and_nothing_is_changed() {
    let fixture = Fixture::ready();
    let before = file(&fixture);
    let words = "invalid config: <root>: Unrecognized key: \"foo\"";
    for (wanted, expected) in [
        (json!({ "foo": 1 }), (422, "config-refused", json!(words))),
        (
            json!({ "gateway": { "bind": "lan" } }),
            (422, "platform-setting", json!("gateway.bind")),
        ),
        (
            json!({ "gateway": null }),
            (422, "platform-setting", json!("gateway.mode")),
        ),
        (json!([1]), (400, "bad-request", json!("a patch is an object"))),
        (
            json!({ "a": { "__proto__": 1 } }),
            (
                400,
                "bad-request",
                json!("__proto__ cannot be the name of a setting"),
            ),
        ),
        (
            json!({ "token": HIDDEN }),
            (
                400,
                "bad-request",
                json!("[hidden] stands where no secret was hidden"),
            ),
        ),
        (
            json!({ "echo": "the-secret-of-it" }),
            (
                422,
                "config-refused",
                json!("invalid config: echo is \"[hidden]\""),
            ),
        ),
    ] {
        let (status, code, detail) = refusal(&patch(&fixture, &wanted));
        assert_eq!((status, code.as_str(), detail), expected, "{wanted}");
    }
    let broken = ask(
        fixture.control,
        &format!("POST {CONFIG_PATH} HTTP/1.1\r\nauthorization: Bearer {TOKEN}"),
        b"{",
    );
    assert_eq!(broken.status, 400);
    assert_eq!(file(&fixture), before);
}

#[test]
fn what_no_gateway_would_be_started_with_is_refused() {
    let fixture = Fixture::ready();
    let before = file(&fixture);
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
    let filler = |letters: usize| json!({ "filler": "x".repeat(letters) });
    changed(&patch(&fixture, &filler(200_000)));
    for wanted in [json!({ "deep": deep }), json!({ "more": "x".repeat(100_000) })] {
        let refused = patch(&fixture, &wanted);
        assert_eq!(refusal(&refused).1, "config-refused", "{}", refused.text());
    }
    changed(&patch(
        &fixture,
        &json!({ "filler": null, "brackets": "[".repeat(200) }),
    ));
    changed(&patch(&fixture, &json!({ "brackets": null })));
    assert_eq!(file(&fixture), before);
}

#[test]
fn what_another_file_may_say_is_not_changed() {
    let fixture = Fixture::start(&Setup {
        config: Some("{ mine: { $include: './other.json5' }, yours: 1 }"),
        ..Setup::default()
    });
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    let before = changed(&patch(&fixture, &json!({ "yours": 2 }))).before.unwrap();
    for wanted in [json!({ "mine": { "a": 1 } }), json!({ "mine": null })] {
        let refused = patch(&fixture, &wanted);
        assert_eq!(refusal(&refused).1, "config-refused", "{}", refused.text());
    }
    let back: Value = serde_json::from_str(&before).unwrap();
    changed(&order(&fixture, &format!("PUT {CONFIG_PATH}"), &back));
    assert_eq!(file(&fixture)["mine"], json!({ "$include": "./other.json5" }));
}

#[test]
fn what_somebody_else_changed_meanwhile_is_not_overwritten() {
    let fixture = Fixture::ready();
    changed(&patch(&fixture, &json!({ "edited": 1 })));
    let refused = patch(&fixture, &json!({ "mine": 1 }));
    assert_eq!(refusal(&refused), (409, "config-changed".into(), Value::Null));
}

#[test]
fn a_digest_is_of_one_run_alone() {
    let config = Some("{ token: 'a-guess' }");
    let digest = || {
        let setup = Setup {
            config,
            ..Setup::default()
        };
        let fixture = Fixture::start(&setup);
        fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
        let digest = shown(&fixture).1;
        assert_eq!(shown(&fixture).1, digest);
        digest
    };
    assert_ne!(digest(), digest());
}

#[test]
fn a_change_that_is_written_counts_though_the_gateway_does_not_say_so() {
    let fixture = Fixture::ready();
    let answer = changed(&patch(&fixture, &json!({ "restarts": 1 })));
    assert_eq!(answer.paths, ["restarts"]);
    // What is so already is no change.
    assert_eq!(
        changed(&patch(&fixture, &json!({ "restarts": 1 }))).paths,
        [""; 0]
    );
}

#[test]
fn a_broken_config_is_rolled_back_where_no_gateway_runs() {
    let fixture = Fixture::ready();
    let before = changed(&patch(&fixture, &json!({ "mine": 1 }))).before.unwrap();
    let mut broken = file(&fixture);
    broken["foo"] = json!(1);
    fs::write(fixture.home.join(".openclaw/openclaw.json"), broken.to_string()).unwrap();
    order(&fixture, "POST /v1/restart", &json!(null));
    fixture.until("it has given up", |status| {
        status.phase == GatewayPhase::CrashLooped
    });
    let refused = patch(&fixture, &json!({ "foo": null }));
    assert_eq!(refusal(&refused).1, "gateway-unavailable");
    let wanted: Value = serde_json::from_str(&before).unwrap();
    let back = changed(&order(&fixture, &format!("PUT {CONFIG_PATH}"), &wanted));
    assert!(back.before.unwrap().contains("\"foo\""));
    fixture.until("it runs again", |status| status.phase == GatewayPhase::Ready);
    assert_eq!(
        (file(&fixture).get("foo"), file(&fixture).get("mine")),
        (None, None)
    );
}

#[test]
fn a_roll_back_keeps_what_is_the_platforms() {
    let fixture = Fixture::ready();
    let wanted = json!({ "mine": 2, "gateway": { "bind": "lan" }, "foo": 1 });
    let refused = order(&fixture, &format!("PUT {CONFIG_PATH}"), &wanted);
    assert_eq!(refusal(&refused).1, "config-refused", "the gateway has its say");
    let wanted = json!({ "mine": 2, "gateway": { "bind": "lan" } });
    changed(&order(&fixture, &format!("PUT {CONFIG_PATH}"), &wanted));
    let file = file(&fixture);
    assert_eq!(
        (&file["mine"], &file["gateway"]["bind"]),
        (&json!(2), &json!("loopback"))
    );
}

#[test]
fn devices_are_listed_let_in_turned_away_and_revoked() {
    let fixture = Fixture::ready();
    let ids = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let list: DeviceList = serde_json::from_slice(&answer.body).unwrap();
        let of = |devices: Vec<_>| -> Vec<String> {
            let ids = devices.into_iter();
            ids.map(|device: moltworker_core::wire::devices::Device| device.id)
                .collect()
        };
        (of(list.pending), of(list.paired))
    };
    let call = |verb: &str, id: &str| {
        order(
            &fixture,
            &format!("POST {DEVICES_PATH}/{verb}"),
            &json!({ "id": id }),
        )
    };
    let listed = ids(&authorised(&fixture, &format!("GET {DEVICES_PATH}")));
    assert_eq!(listed, (vec!["r-1".to_owned()], vec!["d-2".to_owned()]));
    let refused = call("approve", "r-7");
    assert_eq!(
        refusal(&refused),
        (404, "no-such-entry".into(), json!("unknown id"))
    );
    assert_eq!(refusal(&call("reject", "../x")).0, 400);
    assert_eq!(
        ids(&call("approve", "r-1")),
        (vec![], vec!["d-2".to_owned(), "d-1".to_owned()])
    );
    assert_eq!(ids(&call("revoke", "d-2")), (vec![], vec!["d-1".to_owned()]));
    assert_eq!(
        authorised(&fixture, &format!("GET {DEVICES_PATH}/approve")).status,
        405
    );
}

#[test]
fn a_gateway_without_calls_leaves_its_config_readable_alone() {
    let fixture = Fixture::start(&Setup {
        gateway: "--no-rpc",
        ..Setup::default()
    });
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    assert_eq!(shown(&fixture).0["gateway"]["bind"], "loopback");
    assert_eq!(
        refusal(&patch(&fixture, &json!({ "a": 1 }))).1,
        "gateway-unavailable"
    );
    let devices = authorised(&fixture, &format!("GET {DEVICES_PATH}"));
    assert_eq!(refusal(&devices).1, "gateway-unavailable");
}

#[test]
fn channels_are_told_as_the_gateway_tells_them() {
    let fixture = Fixture::start(&Setup {
        gateway: "--polls",
        ..Setup::default()
    });
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    let answer = authorised(&fixture, &format!("GET {CHANNELS_PATH}"));
    let list: ChannelList = serde_json::from_slice(&answer.body).unwrap();
    let told = list.channels.first().unwrap();
    assert_eq!(
        (told.kind.as_str(), told.running, told.mode.as_deref()),
        ("telegram", true, Some("polling"))
    );
    assert_eq!(authorised(&fixture, &format!("POST {CHANNELS_PATH}")).status, 405);
}
