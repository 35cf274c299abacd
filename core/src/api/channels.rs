//! What owners and admins can do about a bot's chat channels, and the change of the config by which one is added or removed.

use serde::{Deserialize, Serialize};

use super::config::ConfigAuthor;
use super::raw_document::RawDocument;
use crate::http::problem::Refusal;
use crate::json;

/// Characters of a token: those of Slack, the longest, have some 90.
pub const MAX_CHANNEL_TOKEN: usize = 300;

/// A call about a bot's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelCall {
    /// Which there are, and whether they work.
    List,
    /// Add one, or give it another token.
    Set,
    /// Remove one.
    Remove,
}

impl ChannelCall {
    /// Why it can be refused beside what follows from who may call.
    pub const fn problems(self) -> &'static [Refusal] {
        match self {
            Self::List => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::GatewayUnavailable,
                Refusal::TooMany,
            ],
            Self::Set | Self::Remove => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::ConfigUnreadable,
                Refusal::ConfigChanged,
                Refusal::ConfigRefused,
                Refusal::GatewayUnavailable,
                Refusal::TooMany,
            ],
        }
    }
}

/// A channel that is added by a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// By the token that BotFather gives.
    Telegram,
    /// By the token of an application's bot.
    Discord,
    /// By a bot token and an app-level token, over a socket.
    Slack,
}

impl ChannelKind {
    /// Its name in the gateway's config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Slack => "slack",
        }
    }
}

/// A channel that is wanted.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelRequest {
    /// Which one.
    pub kind: ChannelKind,
    /// The bot's token. No call tells it again.
    pub token: String,
    /// Of Slack alone, which needs it: the app-level token.
    pub app_token: Option<String>,
}

/// Names a channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelName {
    /// Which one.
    pub kind: ChannelKind,
}

impl ChannelRequest {
    /// The text of the `ConfigPatch` that adds it. What else is set of the channel stays.
    ///
    /// # Errors
    /// What is wrong with it, in words without the token.
    pub fn patch(&self) -> Result<String, &'static str> {
        let is_token = |token: &str| {
            (1..=MAX_CHANNEL_TOKEN).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'$')
        };
        if !is_token(&self.token) || self.app_token.as_deref().is_some_and(|token| !is_token(token)) {
            return Err("a token has printable characters alone, without spaces");
        }
        let token = |name, token: &str| {
            let members = json::object(&[(name, token)]);
            members.trim_matches(['{', '}']).to_owned()
        };
        let members = match (self.kind, &self.app_token) {
            (ChannelKind::Telegram, None) => token("botToken", &self.token),
            (ChannelKind::Discord, None) => token("token", &self.token),
            (ChannelKind::Slack, Some(app)) => {
                let (bot, app) = (token("botToken", &self.token), token("appToken", app));
                format!(r#""mode":"socket",{bot},{app}"#)
            }
            (ChannelKind::Slack, None) => return Err("Slack needs an app_token as well"),
            (_, Some(_)) => return Err("app_token goes with Slack alone"),
        };
        Ok(patch(self.kind, &format!(r#"{{"enabled":true,{members}}}"#)))
    }
}

/// The text of the `ConfigPatch` that removes it, with all that is set of it.
pub fn removing_patch(kind: ChannelKind) -> String {
    patch(kind, "null")
}

fn patch(kind: ChannelKind, value: &str) -> String {
    let kind = kind.as_str();
    format!(r#"{{"patch":{{"channels":{{"{kind}":{value}}}}}}}"#)
}

/// What the Worker wants of a Sandbox about the bot's channels: [`SandboxAnswer::Document`] of a [`ChannelList`].
///
/// [`SandboxAnswer::Document`]: super::sandbox::SandboxAnswer::Document
/// [`ChannelList`]: crate::wire::channels::ChannelList
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChannelCommand {
    /// See [`ChannelCall::List`].
    List,
    /// [`ChannelCall::Set`] and [`ChannelCall::Remove`]: the text of a `ConfigPatch`.
    Change(ConfigAuthor, RawDocument),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_channel_is_added_and_removed_by_a_patch_of_the_config() {
        let of = |kind, token: &str, app: Option<&str>| {
            let request = ChannelRequest {
                kind,
                token: token.into(),
                app_token: app.map(str::to_owned),
            };
            let patch = request.patch()?;
            Ok::<Value, &str>(serde_json::from_str(&patch).unwrap())
        };
        let channels = |channels: Value| json!({ "patch": { "channels": channels } });
        assert_eq!(
            of(ChannelKind::Telegram, "1:a\"b}", None),
            Ok(channels(
                json!({ "telegram": { "enabled": true, "botToken": "1:a\"b}" } })
            ))
        );
        assert_eq!(
            of(ChannelKind::Slack, "xoxb-1", Some("xapp-1")),
            Ok(channels(json!({ "slack": {
                "enabled": true, "mode": "socket", "botToken": "xoxb-1", "appToken": "xapp-1",
            } })))
        );
        assert!(of(ChannelKind::Discord, "t", None).is_ok());
        for (kind, token, app) in [
            (ChannelKind::Telegram, "", None),
            (ChannelKind::Telegram, "a b", None),
            (ChannelKind::Telegram, "${HOME}", None),
            (ChannelKind::Telegram, "1:a", Some("x")),
            (ChannelKind::Slack, "xoxb-1", None),
        ] {
            assert!(of(kind, token, app).is_err(), "{token}");
        }
        let removed: Value = serde_json::from_str(&removing_patch(ChannelKind::Discord)).unwrap();
        assert_eq!(removed, channels(json!({ "discord": null })));
    }
}
