//! What a config becomes, and which of its keys are whose.

use super::*;
use moltworker_core::wire::run::{ControlToken, OfferedModel, Run, RunSettings};

const USER: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

fn platform(model: Option<&str>) -> PlatformConfig {
    let run = RunSettings {
        user: USER.parse().unwrap(),
        run: Run(1),
        control_token: ControlToken::new("0123456789abcdef0123456789abcdef").unwrap(),
        ingress_secret: None,
        allowed_origins: vec!["https://bots.example.com".into()],
        offered_model: model.map(|id| OfferedModel {
            base_url: "http://models.test/v1".into(),
            id: id.into(),
        }),
        repository: None,
    };
    PlatformConfig::new(&run, "127.0.0.1:18789".parse().unwrap())
}

fn edited(existing: Option<&str>, model: Option<&str>) -> Result<Option<String>, ConfigError> {
    including(existing, model, &[])
}

fn including(
    existing: Option<&str>,
    model: Option<&str>,
    files: &[(&str, &str)],
) -> Result<Option<String>, ConfigError> {
    edit(existing, &platform(model), |path| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned())
    })
}

fn value(existing: Option<&str>, model: Option<&str>) -> Value {
    serde_json::from_str(&edited(existing, model).unwrap().unwrap()).unwrap()
}

#[test]
fn a_new_config_gets_the_platform_keys() {
    let config = value(None, Some("m-1"));
    assert_eq!(config["gateway"]["bind"], "loopback");
    assert_eq!(config["gateway"]["trustedProxies"], json!(["127.0.0.1"]));
    assert_eq!(
        config["gateway"]["auth"]["password"],
        "${OPENCLAW_GATEWAY_PASSWORD}"
    );
    assert_eq!(
        config["gateway"]["auth"]["trustedProxy"]["allowUsers"],
        json!([USER])
    );
    // What comes in by the ingress is the owner's, with a device key or without.
    let auth = &config["gateway"]["auth"];
    assert_eq!(
        auth["identityScopes"][USER],
        auth["trustedProxy"]["deviceAutoApprove"]["scopes"]
    );
    assert_eq!(
        config["gateway"]["controlUi"]["allowedOrigins"],
        json!(["https://bots.example.com"])
    );
    assert_eq!(config["plugins"]["entries"]["admin-http-rpc"]["enabled"], true);
    assert_eq!(config["agents"]["defaults"]["model"]["primary"], "platform/m-1");
    assert_eq!(config["models"]["mode"], "merge");
    assert_eq!(value(None, None).get("models"), None);
}

#[test]
fn a_correct_config_is_not_rewritten() {
    let first = edited(None, Some("m-1")).unwrap().unwrap();
    assert_eq!(edited(Some(&first), Some("m-1")), Ok(None));
}

#[test]
fn the_owners_keys_stay_and_keep_their_order() {
    let theirs = r"// my bot
    { zebra: {last: [1, 2.5, 'x']}, gateway: {bind: 'lan', reload: {mode: 'hot'}, auth: {mode: 'token', token: 't'}},
      apple: null, agents: {defaults: {model: {primary: 'anthropic/claude', fallbacks: ['a/b']}}},
      models: {mode: 'replace', providers: {mine: {baseUrl: 'http://x'}}}, }";
    let text = edited(Some(theirs), Some("m-1")).unwrap().unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["zebra"], json!({"last": [1, 2.5, "x"]}));
    assert_eq!(config["gateway"]["reload"], json!({"mode": "hot"}));
    assert_eq!(
        config["agents"]["defaults"]["model"]["primary"],
        "anthropic/claude"
    );
    assert_eq!(config["agents"]["defaults"]["model"]["fallbacks"], json!(["a/b"]));
    assert_eq!(config["models"]["providers"]["mine"]["baseUrl"], "http://x");
    assert_eq!(config["models"]["mode"], "replace");
    assert_eq!(config["gateway"]["bind"], "loopback");
    assert_eq!(
        config["gateway"]["auth"].get("token"),
        None,
        "one way in at a time"
    );
    let keys: Vec<_> = config.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "zebra", "gateway", "apple", "agents", "models", "plugins", "update"
        ]
    );
}

#[test]
fn the_offered_model_is_updated_until_the_owner_chooses_one() {
    let offered = edited(None, Some("m-1")).unwrap().unwrap();
    let changed = value(Some(&offered), Some("m-2"));
    assert_eq!(changed["agents"]["defaults"]["model"]["primary"], "platform/m-2");
    assert_eq!(
        changed["models"]["providers"]["platform"]["models"][0]["id"],
        "m-2"
    );
    let withdrawn = value(Some(&offered), None);
    assert_eq!(withdrawn["agents"]["defaults"]["model"], json!({}));
    assert_eq!(withdrawn["models"]["providers"], json!({}));
    let bare = value(Some("{agents: {defaults: {model: 'openai/x'}}}"), Some("m-1"));
    assert_eq!(bare["agents"]["defaults"]["model"], "openai/x");
}

#[test]
fn a_config_that_cannot_be_edited_safely_is_refused() {
    for broken in ["{", "{a: 1", "nonsense here", "{a: 1} {b: 2}"] {
        let refused = edited(Some(broken), None).unwrap_err();
        assert!(
            matches!(refused, ConfigError::Unreadable(_)),
            "{broken}: {refused}"
        );
    }
    assert_eq!(
        edited(Some(&"[".repeat(100_000)), None),
        Err(ConfigError::TooDeep)
    );
    for (text, path) in [
        ("[]", "the whole file"),
        ("{gateway: 1}", "gateway"),
        ("{plugins: {entries: []}}", "plugins.entries"),
    ] {
        assert_eq!(
            edited(Some(text), None),
            Err(ConfigError::NotAnObject(path.into()))
        );
    }
    assert!(
        edited(Some(" \n"), None).unwrap().is_some(),
        "nothing to lose in an empty file"
    );
}

/// Each key of the table, with the owner's value that was seen to keep people from their bot.
#[test]
fn every_platform_key_replaces_the_owners_value() {
    let theirs = r#"{ gateway: { mode: "remote", port: 1, bind: "lan", tls: { enabled: true, certPath: "c.pem" },
        tailscale: { mode: "serve" }, trustedProxies: ["0.0.0.0/0"], auth: { mode: "none" },
        controlUi: { enabled: false, basePath: "/x", allowedOrigins: ["*"] } },
        plugins: { entries: { "admin-http-rpc": { enabled: false } } }, update: { checkOnStart: true } }"#;
    let config = value(Some(theirs), None);
    for key in platform_settings::keys(&platform(None)) {
        assert_eq!(
            at(&config, key.path),
            Some(&key.value),
            "{:?}: {}",
            key.path,
            key.otherwise
        );
    }
    assert_eq!(
        config["gateway"]["tls"]["certPath"], "c.pem",
        "the rest is the owner's"
    );
}

#[test]
fn variables_of_the_platform_are_taken_out_of_the_config() {
    let theirs = r#"{ env: { vars: { OPENCLAW_GATEWAY_TOKEN: "t", OPENCLAW_PROFILE: "dev", MINE: "m" } } }"#;
    let config = value(Some(theirs), None);
    assert_eq!(config["env"], json!({ "vars": { "MINE": "m" } }));

    // In an included file they are overridden: that file is the owner's.
    let theirs = "{ $include: './a.json5' }";
    let files = [(
        "./a.json5",
        "{ env: { vars: { OPENCLAW_GATEWAY_TOKEN: 't', MINE: 'm' } } }",
    )];
    let text = including(Some(theirs), None, &files).unwrap().unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["env"], json!({ "vars": { "OPENCLAW_GATEWAY_TOKEN": "" } }));
    assert_eq!(including(Some(&text), None, &files), Ok(None), "once is enough");
}

#[test]
fn a_model_chosen_in_an_included_file_is_kept() {
    let theirs = "{ agents: { $include: './agents.json5' }, models: { $include: 'models.json5' } }";
    let chosen = [
        (
            "./agents.json5",
            "{ defaults: { model: { primary: 'anthropic/claude' } } }",
        ),
        ("models.json5", "{ mode: 'replace' }"),
    ];
    let text = including(Some(theirs), Some("m-1"), &chosen).unwrap().unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["agents"], json!({ "$include": "./agents.json5" }));
    assert_eq!(config["models"].get("mode"), None);
    assert_eq!(
        config["models"]["providers"]["platform"]["models"][0]["id"],
        "m-1"
    );
    // Nothing chosen there, and a file that nobody can read.
    let nothing = [("./agents.json5", "{ list: [] }"), ("models.json5", "{}")];
    for (files, primary) in [(&nothing[..], Some("platform/m-1")), (&nothing[..1], None)] {
        let text = including(Some(theirs), Some("m-1"), files).unwrap().unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let found = at(&config, &["agents", "defaults", "model", "primary"]);
        assert_eq!(found.and_then(Value::as_str), primary);
    }
}

#[test]
fn a_change_of_a_platform_key_is_seen_whatever_is_around_it() {
    let platform = platform(None);
    let before: Value = serde_json::from_str(&edited(None, None).unwrap().unwrap()).unwrap();
    let seen = |patch: Value| {
        let mut after = before.clone();
        moltworker_core::bot::config::merge(&mut after, &patch);
        changed_platform_key(&before, &after, &platform)
    };
    for (patch, key) in [
        (json!({"gateway": {"bind": "lan"}}), Some("gateway.bind")),
        (json!({"gateway": null}), Some("gateway.mode")),
        (
            json!({"gateway": {"auth": {"mode": "none"}}}),
            Some("gateway.auth"),
        ),
        (
            json!({"plugins": {"entries": {"admin-http-rpc": {"enabled": false}}}}),
            Some("plugins.entries.admin-http-rpc.enabled"),
        ),
        (
            json!({"models": {"providers": {"platform": {"baseUrl": "http://x"}}}}),
            Some("models.providers.platform"),
        ),
        (
            json!({"gateway": {"bind": "loopback", "reload": {"mode": "hot"}}}),
            None,
        ),
        (json!({"agents": {"defaults": {"workspace": "~/w"}}}), None),
    ] {
        assert_eq!(seen(patch.clone()).as_deref(), key, "{patch}");
    }
    for name in platform_settings::config_must_not_set() {
        assert!(seen(json!({"env": {"vars": {name: "x"}}})).is_some(), "{name}");
    }
}

#[test]
fn platform_keys_are_kept_in_a_config_that_is_put_back() {
    let platform = platform(None);
    let now: Value = serde_json::from_str(&edited(None, None).unwrap().unwrap()).unwrap();
    let mut config = json!({"mine": 1, "gateway": {"bind": "lan", "reload": {"mode": "hot"}}});
    assert_eq!(keep_platform_keys(&now, &mut config, &platform), Ok(()));
    assert_eq!(changed_platform_key(&now, &config, &platform), None);
    assert_eq!(config["mine"], 1);
    assert_eq!(config["gateway"]["reload"]["mode"], "hot");
    assert!(keep_platform_keys(&now, &mut json!({"gateway": 1}), &platform).is_err());
}

#[test]
fn a_config_is_told_as_json_up_to_a_size() {
    assert_eq!(as_json("// mine\n{a: 'b',}"), Ok(r#"{"a":"b"}"#.to_owned()));
    assert!(matches!(as_json("[]"), Err(ConfigError::NotAnObject(_))));
    let long = format!("{{a: '{}'}}", "x".repeat(MAX_CONFIG_BYTES));
    assert_eq!(as_json(&long), Err(ConfigError::TooLarge));
}
