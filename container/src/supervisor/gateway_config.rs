//! The keys of `openclaw.json` that belong to the platform: how the gateway listens, whom it trusts, and
//! the model the platform offers. Every other key is the owner's and stays as it is.
//!
//! The text is a stranger's, and so are the time and the memory it takes to read it: only the process of
//! `confined_config.rs` does.

use serde_json::{Map, Value, json};

use crate::supervisor::included;
use crate::supervisor::platform_settings::{self, PlatformConfig};

/// The file's name in the state directory.
pub(crate) const FILE: &str = "openclaw.json";
/// Our name among the providers of models.
const PROVIDER: &str = "platform";
/// The gateway wants some text where a key would be. There is none: no shared credential is in a container.
const NO_KEY: &str = "no-key-needed";
/// Deeper nesting is refused before it is parsed: the parser recurses.
const MAX_DEPTH: usize = 100;
/// An existing file that cannot be edited without harm. It is left as it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Not JSON5.
    #[error("openclaw.json cannot be read and was left as it is: {0}")]
    Unreadable(String),
    /// Nested beyond reason.
    #[error("openclaw.json cannot be read and was left as it is: nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A platform key lies below something that is no object.
    #[error("openclaw.json was left as it is: \"{0}\" must be an object")]
    NotAnObject(String),
}

/// The text the file should have, or `None` when it is right already. `included` is the text of a file that the
/// config includes, by its path from the config's directory.
///
/// # Errors
/// When the existing text cannot be edited without harm.
pub(crate) fn edit(
    existing: Option<&str>,
    platform: &PlatformConfig,
    mut included: impl FnMut(&str) -> Option<String>,
) -> Result<Option<String>, ConfigError> {
    let before = existing.map(read).transpose()?;
    let mut config = before.clone().unwrap_or_else(|| Value::Object(Map::new()));
    let mut resolve = |config: &Value| {
        included::resolve(config, &mut |path| {
            included(path).and_then(|text| read(&text).ok())
        })
    };
    let whole = resolve(&config);
    for key in platform_settings::keys(platform) {
        set(&mut config, key.path, key.value)?;
    }
    for name in platform_settings::config_must_not_set() {
        let path = ["env", "vars", name];
        let is_set = |config: &Value| at(config, &path).is_some_and(|value| *value != "");
        if is_set(&config) {
            remove(&mut config, &path);
        }
        // What stands in the file itself wins over an included one.
        if resolve(&config).is_some_and(|whole| is_set(&whole)) {
            set(&mut config, &path, json!(""))?;
        }
    }
    offer_model(&mut config, platform, whole.as_ref())?;
    if before.as_ref() == Some(&config) {
        return Ok(None);
    }
    Ok(Some(format!("{config:#}\n")))
}

fn read(text: &str) -> Result<Value, ConfigError> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(ConfigError::TooDeep);
        }
    }
    // An empty file is what a crash of somebody else's write leaves; there is nothing in it to lose.
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    json5::from_str(text).map_err(|e| ConfigError::Unreadable(e.to_string()))
}

/// Keeps the provider `platform` in step with what is offered, and makes it the default model of a bot
/// whose owner has chosen none: in the file itself or in one it includes. `whole` is both, where it can be known.
fn offer_model(
    config: &mut Value,
    platform: &PlatformConfig,
    whole: Option<&Value>,
) -> Result<(), ConfigError> {
    const PRIMARY: [&str; 4] = ["agents", "defaults", "model", "primary"];
    // The gateway also takes a bare text for `model`; then that is the choice.
    let [agents, defaults, model, _] = PRIMARY;
    let choice = |config: &Value| {
        let chosen = at(config, &[agents, defaults, model]).filter(|model| model.is_string());
        let chosen = chosen.or_else(|| at(config, &PRIMARY));
        chosen.and_then(Value::as_str).map(str::to_owned)
    };
    let is_ours = |chosen: &String| chosen.starts_with(&format!("{PROVIDER}/"));
    // Our own choice is only ever in the file itself.
    let ours = choice(config).as_ref().is_some_and(is_ours);
    let choose = ours || whole.is_some_and(|whole| choice(whole).is_none());

    let Some(offered) = &platform.offered_model else {
        remove(config, &["models", "providers", PROVIDER]);
        if ours {
            remove(config, &PRIMARY);
        }
        return Ok(());
    };
    let provider = json!({
        "baseUrl": offered.base_url,
        "apiKey": NO_KEY,
        "api": "openai-completions",
        "models": [{
            "id": offered.id,
            "name": offered.id,
            "reasoning": false,
            "input": ["text"],
            "cost": { "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0 },
            "contextWindow": 128_000,
            "maxTokens": 8_192,
        }],
    });
    set(config, &["models", "providers", PROVIDER], provider)?;
    if whole.is_some_and(|whole| at(whole, &["models", "mode"]).is_none()) {
        set(config, &["models", "mode"], json!("merge"))?;
    }
    if choose {
        set(config, &PRIMARY, json!(format!("{PROVIDER}/{}", offered.id)))?;
    }
    Ok(())
}

/// Sets the value at `path`, making the objects on the way to it.
fn set(config: &mut Value, path: &[&str], value: Value) -> Result<(), ConfigError> {
    let mut here = config;
    for (depth, key) in path.iter().enumerate() {
        let above = || match path.get(..depth) {
            None | Some([]) => "the whole file".to_owned(),
            Some(above) => above.join("."),
        };
        here = here
            .as_object_mut()
            .ok_or_else(|| ConfigError::NotAnObject(above()))?
            .entry(*key)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    *here = value;
    Ok(())
}

fn at<'a>(config: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(config, |here, key| here.get(*key))
}

fn remove(config: &mut Value, path: &[&str]) {
    let Some((last, way)) = path.split_last() else {
        return;
    };
    let parent = way.iter().try_fold(config, |here, key| here.get_mut(*key));
    if let Some(parent) = parent.and_then(Value::as_object_mut) {
        parent.shift_remove(*last);
    }
}

#[cfg(test)]
mod tests {
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
        let theirs =
            r#"{ env: { vars: { OPENCLAW_GATEWAY_TOKEN: "t", OPENCLAW_PROFILE: "dev", MINE: "m" } } }"#;
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
}
