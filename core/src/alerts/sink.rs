//! Sinks: where alerts are told.

use serde::{Deserialize, Serialize};

use super::internal_hosts::InternalHosts;
use super::target;
use crate::base64;

/// Sinks there may be: each is asked in every tick that has something to tell.
pub const MAX_SINKS: u32 = 10;
/// Characters of a name.
const MAX_NAME: usize = 32;
/// Bytes of a webhook's secret (Standard Webhooks: 24 to 64).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Characters of any other secret, or of a chat's id.
const MAX_SECRET: usize = 500;
/// Where Telegram's bots are asked.
const TELEGRAM: &str = "https://api.telegram.org";
/// What a webhook's secret begins with.
const SECRET_PREFIX: &str = "whsec_";

/// What a sink speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum SinkKind {
    /// JSON, signed as Standard Webhooks says.
    Webhook,
    /// An incoming webhook of Slack's.
    Slack,
    /// A webhook of Discord's.
    Discord,
    /// A bot of Telegram's.
    Telegram,
    /// Prometheus Alertmanager, API v2.
    Alertmanager,
}

impl SinkKind {
    /// Its text in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Telegram => "telegram",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// A document that sets a sink up, with what whoever may send it names beside. One that contained the other would need a
/// reader of its own for every type in it.
macro_rules! sink_request {
    ($(#[$words:meta])+ $name:ident, $kind:literal, $url:literal, $secret:literal { $($(#[$meaning:meta])+ $own:ident: $type:ty,)* }) => {
        $(#[$words])+
        #[derive(Clone, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name {
            $($(#[$meaning])+ pub $own: $type,)*
            #[doc = $kind]
            pub kind: SinkKind,
            #[doc = $url]
            #[serde(default)]
            pub url: Option<String>,
            #[doc = $secret]
            #[serde(default)]
            pub secret: Option<String>,
            /// Telegram's id of the chat.
            #[serde(default)]
            pub chat: Option<String>,
        }
    };
}

sink_request! {
    /// A sink as an admin sets it up. It is never shown again.
    SinkRequest,
    "What it speaks.",
    "Where it is: the webhook's address, or an Alertmanager's without `/api/v2/alerts`. Telegram needs none.",
    "A webhook's `whsec_…`, the token of a Telegram bot, or a bearer token for Alertmanager." {
        /// Its name: lower-case letters, digits and hyphens. An existing one of this name is replaced.
        name: String,
    }
}

sink_request! {
    /// A sink as an owner sets it up. It is never shown again.
    OwnerSinkRequest,
    "What it speaks: any but Alertmanager.",
    "Where it is: the webhook's address. Telegram needs none.",
    "A webhook's `whsec_…`, or the token of a Telegram bot." {}
}

/// What opens a sink; sealed where it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkAccess {
    /// What it speaks.
    pub kind: SinkKind,
    /// Where messages go.
    pub url: String,
    /// What signs them, or names who sends them.
    pub secret: Option<String>,
    /// In which chat.
    pub chat: Option<String>,
}

/// Why there is no such sink. Never carries what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSink {
    /// A name that is none.
    #[error("name: 1 to 32 lower-case letters, digits and hyphens")]
    Name,
    /// Where to?
    #[error("url: it is missing")]
    NoUrl,
    /// Not there.
    #[error(transparent)]
    Target(#[from] target::BadTarget),
    /// A webhook's secret.
    #[error(
        "secret: a webhook's is whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)"
    )]
    WebhookSecret,
    /// A token that is none.
    #[error(
        "secret: Telegram's token of the bot is missing or is none; Alertmanager's bearer token has letters, digits and -._~+/="
    )]
    Token,
    /// A secret nobody uses.
    #[error("secret: Slack and Discord have it in the url")]
    NeedlessSecret,
    /// Not for owners.
    #[error("kind: webhook, slack, discord or telegram")]
    NotForOwners,
    /// A chat that is none.
    #[error("chat: the id of a chat for Telegram, such as -1001234567890 or @channel; for nothing else")]
    Chat,
}

/// Whether this is a name of a sink.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

impl SinkRequest {
    /// What opens the sink, and its host for those who look at it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, internal: &InternalHosts) -> Result<(SinkAccess, String), BadSink> {
        if !is_name(&self.name) {
            return Err(BadSink::Name);
        }
        let is_telegram = self.kind == SinkKind::Telegram;
        let is_chat = |chat: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_@".contains(&byte);
            (1..=MAX_SECRET).contains(&chat.len()) && chat.bytes().all(plain)
        };
        if self.chat.as_ref().is_some_and(is_chat) != is_telegram || (self.chat.is_some() && !is_telegram) {
            return Err(BadSink::Chat);
        }
        let base = match self.url {
            Some(url) => url,
            None if is_telegram => TELEGRAM.to_owned(),
            None => return Err(BadSink::NoUrl),
        };
        let secret = self.secret.as_deref();
        let url = match self.kind {
            SinkKind::Webhook => {
                secret.and_then(signing_key).ok_or(BadSink::WebhookSecret)?;
                base
            }
            SinkKind::Slack | SinkKind::Discord if secret.is_some() => return Err(BadSink::NeedlessSecret),
            SinkKind::Slack | SinkKind::Discord => base,
            SinkKind::Telegram => {
                let token = secret
                    .filter(|token| is_token(token, b":_-"))
                    .ok_or(BadSink::Token)?;
                let bot = format!("bot{token}");
                [base.trim_end_matches('/'), &bot, "sendMessage"].join("/")
            }
            SinkKind::Alertmanager => {
                if secret.is_some_and(|token| !is_token(token, b"-._~+/=")) {
                    return Err(BadSink::Token);
                }
                format!("{}/api/v2/alerts", base.trim_end_matches('/'))
            }
        };
        let host = target::check(&url, internal)?.to_owned();
        // Telegram's stands in the address.
        let secret = self.secret.filter(|_| !is_telegram);
        let access = SinkAccess {
            kind: self.kind,
            url,
            secret,
            chat: self.chat,
        };
        Ok((access, host))
    }
}

fn is_token(token: &str, more: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
    (1..=MAX_SECRET).contains(&token.len()) && token.bytes().all(plain)
}

/// The key that signs a webhook's messages.
pub fn signing_key(secret: &str) -> Option<Vec<u8>> {
    let bytes = base64::decode(secret.strip_prefix(SECRET_PREFIX)?)?;
    SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: SinkKind, url: Option<&str>, secret: Option<&str>, chat: Option<&str>) -> SinkRequest {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        SinkRequest {
            name: "ops".into(),
            kind,
            url: owned(url),
            secret: owned(secret),
            chat: owned(chat),
        }
    }

    #[test]
    fn each_kind_of_sink_takes_what_it_needs_and_nothing_else() {
        use BadSink::{Chat, NeedlessSecret, NoUrl, Token, WebhookSecret};
        use SinkKind::{Alertmanager, Discord, Slack, Telegram, Webhook};
        let url = Some("https://alerts.example.org/x");
        let key = format!("whsec_{}", base64::encode([7_u8; 32]));
        let short = format!("whsec_{}", base64::encode([7_u8; 23]));
        for (kind, url, secret, chat, expected) in [
            (
                Webhook,
                url,
                Some(key.as_str()),
                None,
                Ok("https://alerts.example.org/x"),
            ),
            (Webhook, url, Some(short.as_str()), None, Err(WebhookSecret)),
            (Webhook, url, key.get(6..), None, Err(WebhookSecret)),
            (Webhook, url, None, None, Err(WebhookSecret)),
            (Webhook, None, Some(key.as_str()), None, Err(NoUrl)),
            (Webhook, url, Some(key.as_str()), Some("1"), Err(Chat)),
            (Slack, url, None, None, Ok("https://alerts.example.org/x")),
            (Slack, url, Some("x"), None, Err(NeedlessSecret)),
            (Discord, url, None, None, Ok("https://alerts.example.org/x")),
            (
                Telegram,
                None,
                Some("1:a_-b"),
                Some("-100"),
                Ok("https://api.telegram.org/bot1:a_-b/sendMessage"),
            ),
            (Telegram, None, Some("1:a_-b"), None, Err(Chat)),
            (Telegram, None, Some("1/../x"), Some("-100"), Err(Token)),
            (Telegram, None, None, Some("-100"), Err(Token)),
            (
                Alertmanager,
                Some("https://am.example.org/"),
                None,
                None,
                Ok("https://am.example.org/api/v2/alerts"),
            ),
            (
                Alertmanager,
                Some("https://am.example.org"),
                Some("a\r\nb"),
                None,
                Err(Token),
            ),
        ] {
            let made = request(kind, url, secret, chat).check(&InternalHosts::default());
            let made = made
                .as_ref()
                .map(|(access, _)| access.url.as_str())
                .map_err(|error| *error);
            assert_eq!(made, expected, "{kind:?} {url:?} {chat:?}");
        }
        let mut named = request(Slack, url, None, None);
        named.name = "Ops!".into();
        assert!(matches!(
            named.check(&InternalHosts::default()),
            Err(BadSink::Name)
        ));
    }
}
