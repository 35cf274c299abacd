//! What the developer's own environment says; read here and nowhere else.

use anyhow::{Result, bail};

/// A real model, reached with the developer's key.
#[derive(Clone)]
pub(crate) struct RealModel {
    /// Base of an OpenAI-compatible API, with its version: `https://api.openai.com/v1`.
    pub(crate) base_url: String,
    /// The model's id there.
    pub(crate) model_id: String,
    /// The key; never printed.
    pub(crate) key: String,
}

impl std::fmt::Debug for RealModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RealModel({} at {})", self.model_id, self.base_url)
    }
}

const KEY: &str = "OPENAI_API_KEY";
const BASE_URL: &str = "OPENAI_BASE_URL";
const MODEL: &str = "OPENAI_MODEL";
/// What neither wrangler nor anything it starts needs to know.
pub(crate) const KEPT_FROM_THE_WORKER: [&str; 3] = [KEY, BASE_URL, MODEL];
const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
/// What the gateway itself takes when nobody chose a model.
const DEFAULT_MODEL: &str = "gpt-6-astra";

impl RealModel {
    /// The model the developer has a key for, if there is one.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        Self::from_lookup(variable)
    }

    fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let Some(key) = get(KEY) else { return Ok(None) };
        let base_url = get(BASE_URL).unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
        if !base_url.starts_with("https://") && !base_url.starts_with("http://") {
            bail!("{BASE_URL} is not a URL; it looks like {DEFAULT_BASE_URL}");
        }
        let model_id = get(MODEL).unwrap_or_else(|| DEFAULT_MODEL.to_owned());
        Ok(Some(Self {
            base_url,
            model_id,
            key,
        }))
    }
}

/// A variable; an empty one counts as not set, as it does for most programs.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of `dev` that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(set: &[(&str, &str)]) -> Result<Option<RealModel>> {
        RealModel::from_lookup(|name| {
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_an_api_key_no_real_model_is_used() {
        assert!(from(&[(BASE_URL, "https://models.test/v1")]).unwrap().is_none());
    }

    #[test]
    fn a_key_alone_is_enough_and_the_rest_can_be_chosen() {
        let plain = from(&[(KEY, "sk-1")]).unwrap().unwrap();
        assert_eq!(
            (plain.base_url.as_str(), plain.model_id.as_str()),
            (DEFAULT_BASE_URL, DEFAULT_MODEL)
        );
        let chosen = [(KEY, "sk-1"), (BASE_URL, "http://127.0.0.1:1/v1"), (MODEL, "m")];
        let chosen = from(&chosen).unwrap().unwrap();
        assert_eq!(
            (chosen.base_url.as_str(), chosen.model_id.as_str()),
            ("http://127.0.0.1:1/v1", "m")
        );
    }

    #[test]
    fn an_invalid_base_url_is_named() {
        let error = from(&[(KEY, "sk-1"), (BASE_URL, "models.test")]).unwrap_err();
        assert!(error.to_string().contains(BASE_URL));
    }

    #[test]
    fn debug_output_hides_the_key() {
        assert!(!format!("{:?}", from(&[(KEY, "sk-1")]).unwrap()).contains("sk-1"));
    }
}
