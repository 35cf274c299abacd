//! The bot's config on the control port. Its texts are JSON and pass through the Sandbox as they are: what stands in them is
//! the owner's, numbers of every kind included.

use serde::{Deserialize, Serialize};

/// `GET`: the config as a [`ShownConfig`]. `POST`: a `ConfigPatch` (`core::api::config`) is merged into it and goes into force,
/// if the gateway takes it. `PUT`: the body is a whole config and takes the place of it. Both answer a [`ChangedConfig`], or
/// refuse and have changed nothing.
pub const CONFIG_PATH: &str = "/v1/config";
/// Bytes of a config that is shown or changed here, written without spaces. The gateway's own example of everything has 30 KB.
pub const MAX_CONFIG_BYTES: usize = 256 * 1024;
/// Bytes of an answer that has two of them as strings, in which every quote is escaped.
pub const MAX_CONFIG_ANSWER_BYTES: usize = 4 * MAX_CONFIG_BYTES + 64 * 1024;

/// A config as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownConfig {
    /// The text of a JSON object without secrets.
    pub config: String,
    /// Tells all of it, secrets included, from another config in this run: 64 hexadecimal digits, which depend on a key that no other
    /// run has.
    pub digest: String,
}

/// What became of a change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedConfig {
    /// The text of the config before, whole, so that there is a way back, or `None` where nobody could read that. Secrets are
    /// in it.
    pub before: Option<String>,
    /// The config as it is now.
    pub now: ShownConfig,
    /// What was changed, in short; nothing where it was so already.
    pub paths: Vec<String>,
}
