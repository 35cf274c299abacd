//! The gateway's settings that are the platform's, in one table: variables of its environment and keys of its config,
//! each with what the gateway (2026.9.6, tried for each but where its source is named) does where an owner's value stands.
//!
//! `OPENCLAW_HOME`, `OPENCLAW_PROFILE`, `OPENCLAW_SERVICE_MARKER` and `OPENCLAW_NIX_MODE` were tried one by one, left out of
//! the environment and written into `.openclaw/.env` and into `env.vars`: the gateway takes each from either place. With the
//! state directory and the config set as here, the first three change nothing that a start shows.
//!
//! A variable may also be written into `.openclaw/.env` or, as `env.vars.NAME`, into the config. The process's own
//! environment wins over both, with one exception: over a variable that is there and empty the config wins. So each is
//! in the environment, and the empty ones are taken out of the config.

use std::net::SocketAddr;
use std::path::Path;

use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::{OfferedModel, RunSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ingress::headers::USER_HEADER;

/// The gateway takes the password of its own loopback callers from here; its config names the variable.
const PASSWORD_VARIABLE: &str = "OPENCLAW_GATEWAY_PASSWORD";
/// What the owner may do on their own bot: everything.
const OWNER_SCOPES: [&str; 6] = [
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
];

/// What a variable of the gateway's environment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VariableValue {
    /// There and empty: no value, wherever else one is written.
    None,
    /// Always this.
    Fixed(&'static str),
    Home,
    StateDirectory,
    Config,
    Port,
    Password,
}

/// A variable, what it is, and what happens where an owner's value stands.
const VARIABLES: [(&str, VariableValue, &str); 13] = {
    use VariableValue::{Config, Fixed, Home, None, Password, Port, StateDirectory};
    [
        (
            "OPENCLAW_HOME",
            Home,
            "`~` in its config leads to where no snapshot is taken (by its source)",
        ),
        (
            "OPENCLAW_STATE_DIR",
            StateDirectory,
            "its state is where no snapshot is taken",
        ),
        (
            "OPENCLAW_CONFIG_PATH",
            Config,
            "it reads a config without the keys below",
        ),
        (
            "OPENCLAW_PROFILE",
            None,
            "its tools look for a service of another name (by their source)",
        ),
        (
            "OPENCLAW_GATEWAY_PORT",
            Port,
            "it listens elsewhere, and is killed as one that does not start",
        ),
        (
            "OPENCLAW_GATEWAY_TOKEN",
            None,
            "it does not start: a token and a trusted proxy exclude each other",
        ),
        (PASSWORD_VARIABLE, Password, "it refuses the supervisor's calls"),
        (
            "OPENCLAW_SUPERVISOR_MODE",
            Fixed("external"),
            "it restarts itself where the supervisor would",
        ),
        (
            "OPENCLAW_SERVICE_MARKER",
            None,
            "it ends whatever holds its port, and starts tools through a relay (by its source)",
        ),
        (
            "OPENCLAW_NIX_MODE",
            None,
            "it takes its config for somebody else's, and fails every change that the owner makes on its page",
        ),
        (
            "OPENCLAW_DISABLE_BUNDLED_PLUGINS",
            None,
            "it has no calls for the supervisor",
        ),
        (
            "OPENCLAW_DISABLE_BONJOUR",
            Fixed("1"),
            "it announces itself where nobody listens",
        ),
        (
            "OPENCLAW_NO_AUTO_UPDATE",
            Fixed("1"),
            "it replaces the version that the image has",
        ),
    ]
};

/// Where the gateway is, and how its callers in the container prove who they are.
pub(crate) struct GatewayPlace<'a> {
    /// The bot's home.
    pub(crate) home: &'a Path,
    /// Its state directory.
    pub(crate) state: &'a Path,
    pub(crate) config: &'a Path,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The password of its callers from inside the container.
    pub(crate) password: &'a str,
}

/// The platform's variables of the gateway's environment.
pub(crate) fn variables(place: &GatewayPlace<'_>) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let value = |value| match value {
        VariableValue::None => String::new(),
        VariableValue::Fixed(text) => text.to_owned(),
        VariableValue::Home => path(place.home),
        VariableValue::StateDirectory => path(place.state),
        VariableValue::Config => path(place.config),
        VariableValue::Port => place.address.port().to_string(),
        VariableValue::Password => place.password.to_owned(),
    };
    VARIABLES
        .iter()
        .map(|(name, kind, _)| (*name, value(*kind)))
        .collect()
}

/// The variables that a config may not set: those for which its word would count.
pub(crate) fn config_must_not_set() -> impl Iterator<Item = &'static str> {
    let empty = VARIABLES
        .iter()
        .filter(|(_, value, _)| *value == VariableValue::None);
    empty.map(|(name, ..)| *name)
}

/// A key of the config, the platform's value, and what happens where an owner's value stands.
pub(crate) struct PlatformKey {
    /// The way to it.
    pub(crate) path: &'static [&'static str],
    pub(crate) value: Value,
    /// What the gateway does with another one.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for whoever reads or changes the table")
    )]
    pub(crate) otherwise: &'static str,
}

/// What the platform's keys of the config follow from. Nothing of it is secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlatformConfig {
    user: UserId,
    allowed_origins: Vec<String>,
    gateway: SocketAddr,
    /// The model the platform offers, if any.
    pub(crate) offered_model: Option<OfferedModel>,
}

impl PlatformConfig {
    /// That of a run whose gateway listens there.
    pub(crate) fn new(run: &RunSettings, gateway: SocketAddr) -> Self {
        Self {
            user: run.user,
            allowed_origins: run.allowed_origins.clone(),
            gateway,
            offered_model: run.offered_model.clone(),
        }
    }
}

/// The platform's keys of the config. They are set in the file itself, and so win over every file it includes.
pub(crate) fn keys(platform: &PlatformConfig) -> Vec<PlatformKey> {
    let auth = json!({
        "mode": "trusted-proxy",
        // The gateway fills it in from its environment, so that no copy of the file holds the secret.
        "password": format!("${{{PASSWORD_VARIABLE}}}"),
        // A program that shows no device key, as its command line does at first, may do what the owner's page may.
        "identityScopes": { platform.user.to_string(): OWNER_SCOPES },
        "trustedProxy": {
            "userHeader": USER_HEADER,
            "allowUsers": [platform.user],
            "allowLoopback": true,
            "deviceAutoApprove": { "enabled": true, "scopes": OWNER_SCOPES },
        },
    });
    let key = |path, value, otherwise| PlatformKey {
        path,
        value,
        otherwise,
    };
    vec![
        key(&["gateway", "mode"], json!("local"), "it refuses to start"),
        key(
            &["gateway", "port"],
            json!(platform.gateway.port()),
            "tools that read the config look for it elsewhere",
        ),
        key(
            &["gateway", "bind"],
            json!("loopback"),
            "it listens to everybody in the container's network",
        ),
        key(
            &["gateway", "tls", "enabled"],
            json!(false),
            "it answers no probe and no request: the ingress speaks plain HTTP to it",
        ),
        key(
            &["gateway", "tailscale", "mode"],
            json!("off"),
            "it publishes itself past the ingress, or does not start without that program",
        ),
        key(
            &["gateway", "trustedProxies"],
            json!([platform.gateway.ip()]),
            "it believes others, or not the ingress",
        ),
        key(&["gateway", "auth"], auth, "the owner meets a prompt for a token"),
        key(
            &["gateway", "controlUi", "enabled"],
            json!(true),
            "the root is a bare 404",
        ),
        key(
            &["gateway", "controlUi", "basePath"],
            json!(""),
            "the root is a bare 404",
        ),
        key(
            &["gateway", "controlUi", "allowedOrigins"],
            json!(platform.allowed_origins),
            "it refuses the owner's page",
        ),
        key(
            &["plugins", "entries", "admin-http-rpc", "enabled"],
            json!(true),
            "it has no calls for the supervisor: it is ended by signal, and asked in vain whether it may sleep",
        ),
        // The image decides the version.
        key(
            &["update", "checkOnStart"],
            json!(false),
            "it asks elsewhere every day, and serves nobody by it",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_variable_is_in_the_environment_once() {
        let place = GatewayPlace {
            home: Path::new("/data/moltbot"),
            state: Path::new("/data/moltbot/.openclaw"),
            config: Path::new("/data/moltbot/.openclaw/openclaw.json"),
            address: "127.0.0.1:18789".parse().unwrap(),
            password: "secret",
        };
        let variables = variables(&place);
        let of = |name: &str| {
            let found: Vec<_> = variables.iter().filter(|(known, _)| *known == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].1.as_str()
        };
        assert_eq!(of("OPENCLAW_HOME"), "/data/moltbot");
        assert_eq!(of("OPENCLAW_STATE_DIR"), "/data/moltbot/.openclaw");
        assert_eq!(
            of("OPENCLAW_CONFIG_PATH"),
            "/data/moltbot/.openclaw/openclaw.json"
        );
        assert_eq!(of("OPENCLAW_GATEWAY_PORT"), "18789");
        assert_eq!(of(PASSWORD_VARIABLE), "secret");
        for name in config_must_not_set() {
            assert_eq!(of(name), "", "{name}");
        }
        for (name, _, otherwise) in VARIABLES {
            assert!(name.starts_with("OPENCLAW_") && !otherwise.is_empty(), "{name}");
            of(name);
        }
    }
}
