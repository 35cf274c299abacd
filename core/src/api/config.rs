//! The config of a bot's gateway, as its owner and admins see and change it. Times are milliseconds since 1970.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::raw_document::RawDocument;
use crate::http::problem::Refusal;
use crate::json::Json;
use crate::user_id::UserId;

/// So many changes are kept, the newest: each with all of the config before it, which has 256 KB at most and
/// 350 KB when it is sealed, of the 2 MB that a row may have.
pub const MAX_CONFIG_CHANGES: u32 = 20;

/// A call about a bot's config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigCall {
    /// The config without its secrets.
    Read,
    /// Merge a patch into it.
    Patch,
    /// Which changes were made here.
    List,
    /// Make it what it was before one of these.
    RollBack,
}

impl ConfigCall {
    /// Why it can be refused beside what follows from who may call.
    pub const fn problems(self) -> &'static [Refusal] {
        match self {
            Self::List => &[],
            Self::Read => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::ConfigUnreadable,
                Refusal::GatewayUnavailable,
                Refusal::TooMany,
            ],
            Self::Patch => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::ConfigUnreadable,
                Refusal::ConfigChanged,
                Refusal::ConfigRefused,
                Refusal::PlatformSetting,
                Refusal::GatewayUnavailable,
                Refusal::TooMany,
            ],
            Self::RollBack => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::NoSuchEntry,
                Refusal::ConfigUnreadable,
                Refusal::ConfigChanged,
                Refusal::ConfigRefused,
                Refusal::GatewayUnavailable,
                Refusal::TooMany,
            ],
        }
    }
}

/// The config of a bot's gateway: what stands in its file, without files that it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotConfig {
    /// A JSON object. Where a secret stands, a text says `[hidden]`.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub config: String,
    /// Tells this config from another one: a patch that comes with it is refused where it is not this one any more.
    pub digest: String,
}

impl BotConfig {
    /// The text of the document. `config` is the text of an object.
    pub fn text(&self) -> String {
        let Self { config, digest } = self;
        format!(r#"{{"config":{config},"digest":"{digest}"}}"#)
    }

    /// Of what a container says: a JSON object, and a digest.
    pub fn of_container(config: String, digest: String) -> Option<Self> {
        let is_object = matches!(crate::json::parse(config.as_bytes()), Ok(Json::Object(_)));
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_object && is_digest).then_some(Self { config, digest })
    }
}

/// A change of a bot's config that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigPatch {
    /// A merge patch (RFC 7396). A secret that was shown as `[hidden]` and comes back so stays what it is.
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub patch: PatchObject,
    /// The `digest` of the config that it was made for; without one it is for whatever there is.
    pub digest: Option<String>,
}

/// An object, whatever is in it: it goes on as the text it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchObject;

impl<'de> Deserialize<'de> for PatchObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Object(_) => Ok(Self),
            _ => Err(D::Error::custom("a patch is an object")),
        }
    }
}

/// Names one change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigChangeName {
    /// Its `id` in the list.
    pub id: u32,
}

/// The changes that were made through the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConfigHistory {
    /// The newest first, twenty at most.
    pub changes: Vec<ConfigChange>,
}

/// One change of a bot's config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConfigChange {
    /// By which the config is made what it was before it.
    pub id: u32,
    /// When it was made.
    pub at: u64,
    /// Who made it.
    pub by: UserId,
    /// Whether that was an admin.
    pub by_admin: bool,
    /// What was changed, as paths with dots: the first twenty.
    pub paths: Vec<String>,
    /// Before which change it made the config what it was; null for a patch.
    pub rolled_back: Option<u32>,
}

/// Who changes a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigAuthor {
    /// The person.
    pub user: UserId,
    /// Whether they act as an admin.
    pub is_admin: bool,
}

/// What the Worker wants of a Sandbox about the bot's config: [`SandboxAnswer::Document`] of a [`BotConfig`] or a
/// [`ConfigHistory`].
///
/// [`SandboxAnswer::Document`]: super::sandbox::SandboxAnswer::Document
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConfigCommand {
    /// See [`ConfigCall::Read`].
    Read,
    /// See [`ConfigCall::Patch`]: the text of a [`ConfigPatch`].
    Patch(ConfigAuthor, RawDocument),
    /// See [`ConfigCall::List`].
    List,
    /// See [`ConfigCall::RollBack`].
    RollBack(ConfigAuthor, u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_patch_is_an_object_and_its_text_stays_as_it_came() {
        let read = |text: &str| json::exactly::<ConfigPatch>(text.as_bytes());
        assert!(read(r#"{"patch": {"a": {"b": 1.5, "c": null}}, "digest": "x"}"#).is_ok());
        assert!(read(r#"{"patch": {}}"#).is_ok());
        for wrong in [
            r#"{"patch": [1]}"#,
            r#"{"patch": null}"#,
            "{}",
            r#"{"patch": {}, "more": 1}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_an_object_with_a_digest_is_taken_for_a_config() {
        let digest = "ab".repeat(32);
        let taken = |config: &str, digest: &str| BotConfig::of_container(config.into(), digest.into());
        let config = taken(r#"{"a":1.5}"#, &digest).unwrap();
        assert_eq!(
            config.text(),
            format!(r#"{{"config":{{"a":1.5}},"digest":"{digest}"}}"#)
        );
        for (config, digest) in [
            ("[1]", digest.as_str()),
            ("{", &digest),
            ("{}", "x\"y"),
            ("{}", ""),
        ] {
            assert_eq!(taken(config, digest), None, "{config} {digest}");
        }
    }
}
