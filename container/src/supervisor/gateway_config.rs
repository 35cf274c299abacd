//! The keys of `openclaw.json` that belong to the platform: how the gateway listens, whom it trusts, and
//! the model the platform offers. Every other key is the owner's and stays as it is.
//!
//! The text is a stranger's, and so are the time and the memory it takes to read it: only the process of
//! `confined_config.rs` does.

use std::io;

use moltworker_core::wire::config::MAX_CONFIG_BYTES;
use serde_json::{Map, Value, json};

use crate::supervisor::home::MAX_FILE_BYTES;
use crate::supervisor::included;
use crate::supervisor::platform_settings::{self, PlatformConfig};

mod depth;

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
    /// More than is shown.
    #[error("openclaw.json has more than {} KB", MAX_CONFIG_BYTES / 1024)]
    TooLarge,
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

/// What the text says, as JSON without spaces.
///
/// # Errors
/// When it is none that can be shown.
pub(crate) fn as_json(text: &str) -> Result<String, ConfigError> {
    let config = read(text)?;
    if !config.is_object() {
        return Err(ConfigError::NotAnObject("the whole file".to_owned()));
    }
    let text = config.to_string();
    (text.len() <= MAX_CONFIG_BYTES)
        .then_some(text)
        .ok_or(ConfigError::TooLarge)
}

/// Whether a gateway would be started with this config, and it can be shown.
///
/// # Errors
/// Why not.
pub(crate) fn check(config: &Value) -> Result<(), ConfigError> {
    let text = config.to_string();
    // Before it is parsed.
    if text.len() > MAX_CONFIG_BYTES {
        return Err(ConfigError::TooLarge);
    }
    as_json(&text)?;
    // As whoever writes it does, with spaces, which may be more than the text.
    let mut length = Length(0);
    let written = serde_json::to_writer_pretty(&mut length, config);
    written.map_err(|error| ConfigError::Unreadable(error.to_string()))?;
    (length.0 < MAX_FILE_BYTES)
        .then_some(())
        .ok_or(ConfigError::TooLarge)
}

/// How much was written.
struct Length(u64);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The name of the first of the platform's keys that is another one in `after` than in `before`.
pub(crate) fn changed_platform_key(
    before: &Value,
    after: &Value,
    platform: &PlatformConfig,
) -> Option<String> {
    let mut changed = platform_paths(platform).filter(|path| at(before, path) != at(after, path));
    changed.next().map(|path| path.join("."))
}

/// Gives `config` the platform's keys as they are in `now`.
///
/// # Errors
/// One of them lies below something that is no object.
pub(crate) fn keep_platform_keys(
    now: &Value,
    config: &mut Value,
    platform: &PlatformConfig,
) -> Result<(), ConfigError> {
    for path in platform_paths(platform) {
        match at(now, &path) {
            Some(value) => set(config, &path, value.clone())?,
            None => remove(config, &path),
        }
    }
    Ok(())
}

fn platform_paths(platform: &PlatformConfig) -> impl Iterator<Item = Vec<&'static str>> {
    let variables = platform_settings::config_must_not_set().map(|name| vec!["env", "vars", name]);
    let keys = platform_settings::keys(platform)
        .into_iter()
        .map(|key| key.path.to_vec());
    keys.chain(variables)
        .chain([vec!["models", "providers", PROVIDER]])
}

fn read(text: &str) -> Result<Value, ConfigError> {
    if depth::of(text) > MAX_DEPTH {
        return Err(ConfigError::TooDeep);
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
mod tests;
