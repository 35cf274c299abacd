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

/// How the gateway says that its config is not the one any more that it told.
const CHANGED_SINCE: &str = "config changed since last load";
const INCLUDED: &str =
    "the config takes this from another file by $include: change it there, or in the bot's own page";

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
    let _place = control
        .looks
        .try_acquire()
        .map_err(|_| (Refusal::TooMany, None))?;
    match *request.method() {
        Method::GET => {
            let found = found(control).await?;
            Ok(answer::json(&control.shown(&found)))
        }
        Method::POST => {
            let patch: Patch = serde_json::from_slice(&body(request).await?)
                .map_err(|error| (Refusal::BadRequest, Some(error.to_string())))?;
            // Of two changes at once the second one starts from what the first has made.
            let _turn = control.config_turn.lock().await;
            let known = known(control).await;
            let found = found(control).await?;
            if patch
                .digest
                .is_some_and(|digest| digest != control.digest_of(&found.text))
            {
                return Err((Refusal::ConfigChanged, None));
            }
            let change = Change {
                patch: patch.patch,
                was_in_force: false,
            };
            Ok(answer::json(&change.make(control, known, found).await?))
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

impl Control {
    /// Tells one config from another in this run, and nothing else about it: whoever guesses what is hidden cannot try it out.
    fn digest_of(&self, text: &str) -> String {
        let keyed = |said: &[u8]| {
            Sha256::new()
                .chain_update(self.config_key)
                .chain_update(said)
                .finalize()
        };
        hex::encode(&keyed(&keyed(text.as_bytes())))
    }

    fn shown(&self, found: &Found) -> ShownConfig {
        let mut config = found.config.clone();
        config::hide_secrets(&mut config);
        ShownConfig {
            config: config.to_string(),
            digest: self.digest_of(&found.text),
        }
    }

    /// The config after a change. That it cannot be read, or is said to be what it was, takes nothing back: then it is what was wanted.
    async fn shown_after(&self, wanted: Value) -> (ShownConfig, Value) {
        let now = found(self).await.unwrap_or_else(|_| Found {
            text: wanted.to_string(),
            config: wanted,
        });
        (self.shown(&now), now.config)
    }
}

/// Makes the config what it was, as far as it is the owner's: what of it is the platform's stays.
async fn put_back(control: &Control, wanted: &Value) -> Result<ChangedConfig, Refused> {
    let Value::Object(to) = wanted else {
        return Err((Refusal::BadRequest, Some("a config is an object".to_owned())));
    };
    let known = known(control).await;
    match found(control).await {
        Ok(found) => {
            let from = found.config.as_object().cloned().unwrap_or_default();
            let patch = Value::Object(config::difference(&from, to));
            let change = Change {
                patch,
                was_in_force: true,
            };
            change.make(control, known, found).await
        }
        // Nobody can read what there is, the gateway neither: the way back leads out of that as well.
        Err((Refusal::ConfigUnreadable, _)) if has_none(control) => {
            write(control, wanted)?;
            let (now, _) = control.shown_after(wanted.clone()).await;
            Ok(ChangedConfig {
                before: None,
                now,
                paths: Vec::new(),
            })
        }
        Err(refused) => Err(refused),
    }
}

/// A patch that is wanted. One that `was_in_force` is put back by the supervisor where the gateway does not answer.
struct Change {
    patch: Value,
    was_in_force: bool,
}

impl Change {
    /// What the config would be, where it may be that.
    fn wanted(&mut self, control: &Control, found: &Found) -> Result<Value, Refused> {
        let bad = |reason: &str| (Refusal::BadRequest, Some(reason.to_owned()));
        let refused = |reason: String| (Refusal::ConfigRefused, Some(reason));
        if !self.patch.is_object() {
            return Err(bad("a patch is an object"));
        }
        if !self.was_in_force {
            let mut shown = found.config.clone();
            config::hide_secrets(&mut shown);
            config::keep_hidden(&mut self.patch, &shown).map_err(bad)?;
        }
        if let Some(name) = config::no_name(&self.patch) {
            return Err(bad(&format!("{name} cannot be the name of a setting")));
        }
        let platform = PlatformConfig::new(&control.settings.run, control.settings.gateway);
        let mut wanted = found.config.clone();
        config::merge(&mut wanted, &self.patch);
        if let Some(key) = changed_platform_key(&found.config, &wanted, &platform) {
            if !self.was_in_force {
                return Err((Refusal::PlatformSetting, Some(key)));
            }
            // What it was then is of another run.
            gateway_config::keep_platform_keys(&found.config, &mut wanted, &platform)
                .map_err(|error| refused(error.to_string()))?;
            if let (Value::Object(from), Value::Object(to)) = (&found.config, &wanted) {
                self.patch = Value::Object(config::difference(from, to));
            }
        }
        gateway_config::check(&wanted).map_err(|error| refused(error.to_string()))?;
        // The gateway changes what both say together; a file that is put back as a whole includes what it did.
        if (answers(control) || !self.was_in_force) && config::reaches_included(&found.config, &self.patch) {
            return Err(refused(INCLUDED.to_owned()));
        }
        Ok(wanted)
    }

    /// Merges it into what was found.
    async fn make(
        mut self,
        control: &Control,
        known: Option<GatewayConfig>,
        found: Found,
    ) -> Result<ChangedConfig, Refused> {
        let wanted = self.wanted(control, &found)?;
        if wanted == found.config {
            return Ok(ChangedConfig {
                now: control.shown(&found),
                before: Some(found.text),
                paths: Vec::new(),
            });
        }
        if answers(control) {
            let known = known.ok_or((Refusal::GatewayUnavailable, None))?;
            order(control, &known, &found, &self.patch).await?;
        } else if self.was_in_force && has_none(control) {
            write(control, &wanted)?;
        } else {
            return Err((Refusal::GatewayUnavailable, None));
        }
        let (now, config) = control.shown_after(wanted).await;
        // The gateway may know that nothing changes by it.
        let is_same = config == found.config;
        let paths = config::changed_paths(&self.patch);
        Ok(ChangedConfig {
            now,
            before: Some(found.text),
            paths: if is_same { Vec::new() } else { paths },
        })
    }
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

/// What the gateway knows its config by. Asked for before the file is read: what somebody changes after that, it refuses to patch.
async fn known(control: &Control) -> Option<GatewayConfig> {
    if !answers(control) {
        return None;
    }
    let known = control.rpc.order("config.get", json!({}), ANSWER_DEADLINE).await;
    known.ok()
}

/// Has the gateway change it, which writes it if its schema allows that.
async fn order(
    control: &Control,
    known: &GatewayConfig,
    found: &Found,
    patch: &Value,
) -> Result<(), Refused> {
    let replaced = config::replaced_lists(&found.config, patch);
    let replaced = replaced.map_err(|reason| (Refusal::ConfigRefused, Some(reason.to_owned())))?;
    let params = json!({
        "raw": patch.to_string(),
        "baseHash": known.hash,
        "replacePaths": replaced,
    });
    let changed: Result<Value, _> = control.rpc.order("config.patch", params, CHANGE_DEADLINE).await;
    match changed {
        Ok(_) => Ok(()),
        Err(NotDone::Refused(words)) if words.starts_with(CHANGED_SINCE) => {
            Err((Refusal::ConfigChanged, None))
        }
        Err(NotDone::Refused(words)) => {
            let words = config::without_strings(&words, &found.config, patch);
            Err((Refusal::ConfigRefused, Some(words)))
        }
        // One that starts anew for it, or waits for work that is under way, has written it and does not say so.
        Err(NotDone::Unavailable) => {
            let now = self::found(control).await?;
            if now.text == found.text {
                return Err((Refusal::GatewayUnavailable, None));
            }
            Ok(())
        }
    }
}

/// Puts a config there that was in force before. The supervisor's loop sees it and starts a gateway again.
fn write(control: &Control, wanted: &Value) -> Result<(), Refused> {
    gateway_config::check(wanted).map_err(|error| (Refusal::ConfigRefused, Some(error.to_string())))?;
    let settings = &control.settings;
    let written = StateDirectory::open(&settings.home, settings.owner)
        .and_then(|state| state.replace(gateway_config::FILE, &format!("{wanted:#}\n")));
    written.map_err(|error| (Refusal::ConfigUnreadable, Some(error.to_string())))
}
