//! The Sandbox's questions and orders about the config of the bot's gateway.
//!
//! The file is a stranger's: a process that has nothing to lose reads it. What goes into force the gateway decides by its own
//! schema, and it writes the file; only a config that was in force before is put back without it, when it does not run.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use moltworker_core::bot::config;
use moltworker_core::hex;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::config::{ChangedConfig, MAX_CONFIG_BYTES, ShownConfig};
use moltworker_core::wire::control::GatewayPhase;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::control::{Control, Refused};
use crate::http::answer;
use crate::http::body::Body;
use crate::supervisor::confined_config::{self, NotEdited};
use crate::supervisor::gateway_config::{self, changed_platform_key};
use crate::supervisor::gateway_rpc::NotDone;
use crate::supervisor::home::StateDirectory;
use crate::supervisor::platform_settings::PlatformConfig;

/// The gateway answers when the change is in force, which may mean that a channel is started anew.
const CHANGE_DEADLINE: Duration = Duration::from_secs(20);
const ANSWER_DEADLINE: Duration = Duration::from_secs(4);

/// A patch, as the platform's caller sent it.
#[derive(Deserialize)]
struct Patch {
    patch: Value,
    #[serde(default)]
    digest: Option<String>,
}

/// What the gateway's `config.get` says that is asked for.
#[derive(Deserialize)]
struct GatewayConfig {
    hash: String,
}

/// What the file says now.
struct Found {
    text: String,
    config: Value,
}

/// Answers one question, or makes one change.
pub(crate) async fn handle(control: &Control, request: Request<Incoming>) -> Result<Response<Body>, Refused> {
    match *request.method() {
        Method::GET => Ok(answer::json(&shown(&found(control).await?))),
        Method::POST => {
            let patch: Patch = serde_json::from_slice(&body(request).await?)
                .map_err(|error| (Refusal::BadRequest, Some(error.to_string())))?;
            // Of two changes at once the second one starts from what the first has made.
            let _turn = control.config_turn.lock().await;
            let found = found(control).await?;
            if patch
                .digest
                .is_some_and(|digest| digest != digest_of(&found.text))
            {
                return Err((Refusal::ConfigChanged, None));
            }
            Ok(answer::json(&change(control, found, patch.patch, false).await?))
        }
        Method::PUT => {
            let wanted: Value = serde_json::from_slice(&body(request).await?)
                .map_err(|error| (Refusal::BadRequest, Some(error.to_string())))?;
            let _turn = control.config_turn.lock().await;
            Ok(answer::json(&put_back(control, &wanted).await?))
        }
        _ => Err((Refusal::WrongMethod, None)),
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Refused> {
    let body = Limited::new(request.into_body(), MAX_CONFIG_BYTES)
        .collect()
        .await;
    let body = body.map_err(|error| (Refusal::BadRequest, Some(error.to_string())))?;
    Ok(body.to_bytes())
}

async fn found(control: &Control) -> Result<Found, Refused> {
    let unreadable = |reason: String| (Refusal::ConfigUnreadable, Some(reason));
    let settings = &control.settings;
    let state = StateDirectory::open(&settings.home, settings.owner)
        .map_err(|error| unreadable(error.to_string()))?;
    let said = confined_config::said(&state, settings, &control.logs).await;
    let text = match said {
        Ok(text) => text.unwrap_or_else(|| "{}".to_owned()),
        Err(NotEdited::Refused(reason) | NotEdited::NotRead(reason)) => return Err(unreadable(reason)),
    };
    let config = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    Ok(Found { text, config })
}

fn digest_of(text: &str) -> String {
    hex::encode(&Sha256::digest(text))
}

fn shown(found: &Found) -> ShownConfig {
    let mut config = found.config.clone();
    config::hide_secrets(&mut config);
    ShownConfig {
        config: config.to_string(),
        digest: digest_of(&found.text),
    }
}

/// Makes the config what it was, as far as it is the owner's: what of it is the platform's stays.
async fn put_back(control: &Control, wanted: &Value) -> Result<ChangedConfig, Refused> {
    let Value::Object(to) = wanted else {
        return Err((Refusal::BadRequest, Some("a config is an object".to_owned())));
    };
    match found(control).await {
        Ok(found) => {
            let from = found.config.as_object().cloned().unwrap_or_default();
            let patch = Value::Object(config::difference(&from, to));
            change(control, found, patch, true).await
        }
        // Nobody can read what there is, the gateway neither: the way back leads out of that as well.
        Err((Refusal::ConfigUnreadable, _)) if has_none(control) => {
            write(control, wanted)?;
            let now = self::found(control).await?;
            Ok(ChangedConfig {
                before: None,
                now: shown(&now),
                paths: Vec::new(),
            })
        }
        Err(refused) => Err(refused),
    }
}

/// Merges a patch into what was found. One that `was_in_force` is put back by the supervisor where the gateway does not answer.
async fn change(
    control: &Control,
    found: Found,
    mut patch: Value,
    was_in_force: bool,
) -> Result<ChangedConfig, Refused> {
    if !patch.is_object() {
        return Err((Refusal::BadRequest, Some("a patch is an object".to_owned())));
    }
    config::keep_hidden(&mut patch).map_err(|reason| (Refusal::BadRequest, Some(reason.to_owned())))?;
    let platform = PlatformConfig::new(&control.settings.run, control.settings.gateway);
    let mut wanted = found.config.clone();
    config::merge(&mut wanted, &patch);
    if let Some(key) = changed_platform_key(&found.config, &wanted, &platform) {
        if !was_in_force {
            return Err((Refusal::PlatformSetting, Some(key)));
        }
        // What it was then is of another run.
        gateway_config::keep_platform_keys(&found.config, &mut wanted, &platform)
            .map_err(|error| (Refusal::ConfigRefused, Some(error.to_string())))?;
        patch = match (&found.config, &wanted) {
            (Value::Object(from), Value::Object(to)) => Value::Object(config::difference(from, to)),
            _ => patch,
        };
    }
    if wanted == found.config {
        return Ok(ChangedConfig {
            before: Some(found.text.clone()),
            now: shown(&found),
            paths: Vec::new(),
        });
    }
    if answers(control) {
        order(control, &found, &patch).await?;
    } else if was_in_force && has_none(control) {
        write(control, &wanted)?;
    } else {
        return Err((Refusal::GatewayUnavailable, None));
    }
    let now = self::found(control).await?;
    Ok(ChangedConfig {
        now: shown(&now),
        before: Some(found.text),
        paths: config::changed_paths(&patch),
    })
}

/// Whether there is a gateway that can be asked.
fn answers(control: &Control) -> bool {
    let phase = control.account.view.borrow().phase;
    matches!(phase, GatewayPhase::Ready | GatewayPhase::Suspect)
}

/// Whether there is none, and the next one reads the config anew.
fn has_none(control: &Control) -> bool {
    let phase = control.account.view.borrow().phase;
    matches!(phase, GatewayPhase::CrashLooped | GatewayPhase::Restarting)
}

/// Has the gateway change it, which writes it if its schema allows that.
async fn order(control: &Control, found: &Found, patch: &Value) -> Result<(), Refused> {
    let unavailable = (Refusal::GatewayUnavailable, None);
    let known: Result<GatewayConfig, _> = control.rpc.order("config.get", json!({}), ANSWER_DEADLINE).await;
    let known = known.map_err(|_| unavailable.clone())?;
    let params = json!({
        "raw": patch.to_string(),
        "baseHash": known.hash,
        "replacePaths": config::replaced_lists(&found.config, patch),
    });
    let changed: Result<Value, _> = control.rpc.order("config.patch", params, CHANGE_DEADLINE).await;
    match changed {
        Ok(_) => Ok(()),
        Err(NotDone::Refused(words)) => Err((Refusal::ConfigRefused, Some(words))),
        // One that starts anew for it, or waits for work that is under way, has written it and does not say so.
        Err(NotDone::Unavailable) => {
            let now = self::found(control).await?;
            if now.text == found.text {
                return Err(unavailable);
            }
            Ok(())
        }
    }
}

/// Puts a config there that was in force before. The supervisor's loop sees it and starts a gateway again.
fn write(control: &Control, wanted: &Value) -> Result<(), Refused> {
    let settings = &control.settings;
    let written = StateDirectory::open(&settings.home, settings.owner)
        .and_then(|state| state.replace(gateway_config::FILE, &format!("{wanted:#}\n")));
    written.map_err(|error| (Refusal::ConfigUnreadable, Some(error.to_string())))
}
