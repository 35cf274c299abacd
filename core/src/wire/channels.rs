//! The chat channels of a bot, as its gateway tells them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET` on the control port: a [`ChannelList`].
pub const CHANNELS_PATH: &str = "/v1/channels";
/// So many accounts are told, of all channels. Somebody has one or two.
const MAX_ACCOUNTS: usize = 50;
/// Characters of a text.
const MAX_TEXT: usize = 300;
/// Bytes of a [`ChannelList`] that the Sandbox reads.
pub const MAX_CHANNELS_BYTES: usize = 256 * 1024;
/// Letters behind the colon of a token of Telegram's.
const MIN_BOT_TOKEN: usize = 20;

/// The channels of a bot, as its gateway tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChannelList {
    /// One for each account.
    pub channels: Vec<BotChannel>,
}

/// One account of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotChannel {
    /// Which channel.
    pub kind: String,
    /// Which account of it.
    pub account: String,
    /// What it is called there, once the gateway knows.
    pub name: Option<String>,
    /// Whether it has what it needs.
    pub configured: bool,
    /// Whether it is wanted.
    pub enabled: bool,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is connected; null where the gateway does not say.
    pub connected: Option<bool>,
    /// How it gets messages, such as `polling`.
    pub mode: Option<String>,
    /// What is wrong, in the gateway's words.
    pub error: Option<String>,
}

impl ChannelList {
    /// What a gateway answers to `channels.status`.
    pub fn of_gateway(answer: &Value) -> Self {
        let channels = answer.get("channelAccounts").and_then(Value::as_object);
        let accounts = channels.into_iter().flatten().flat_map(|(kind, accounts)| {
            let accounts = accounts.as_array().into_iter().flatten();
            accounts.map(move |account| BotChannel::of_gateway(kind, account))
        });
        Self {
            channels: accounts.take(MAX_ACCOUNTS).collect(),
        }
    }

    /// Takes no more of it than a supervisor says.
    pub fn bound(&mut self) {
        self.channels.truncate(MAX_ACCOUNTS);
        for channel in &mut self.channels {
            let texts = [&mut channel.name, &mut channel.mode, &mut channel.error];
            let texts = texts.into_iter().flatten();
            for text in texts.chain([&mut channel.kind, &mut channel.account]) {
                *text = in_short(text);
            }
        }
    }
}

impl BotChannel {
    fn of_gateway(kind: &str, account: &Value) -> Self {
        let text = |name: &str| account.get(name).and_then(Value::as_str).map(in_short);
        let flag = |name: &str| account.get(name).and_then(Value::as_bool);
        let probed = account.get("probe");
        let of_probe = |way: &[&str]| {
            let found = way.iter().try_fold(probed?, |here, name| here.get(*name));
            found.and_then(Value::as_str).map(in_short)
        };
        Self {
            kind: in_short(kind),
            account: text("accountId").unwrap_or_default(),
            name: of_probe(&["bot", "username"]).or_else(|| text("name")),
            configured: flag("configured").unwrap_or_default(),
            enabled: flag("enabled").unwrap_or_default(),
            running: flag("running").unwrap_or_default(),
            connected: flag("connected"),
            mode: text("mode"),
            error: of_probe(&["error"]).or_else(|| text("lastError")),
        }
    }
}

/// Without what could be a token of Telegram's, which stands in the addresses that errors name.
fn in_short(text: &str) -> String {
    let printable: String = text
        .chars()
        .filter(|one| !one.is_control())
        .take(MAX_TEXT)
        .collect();
    let is_end = |one: char| !(one.is_ascii_alphanumeric() || matches!(one, ':' | '_' | '-'));
    let is_token = |word: &str| {
        let parts = word.split_once(':');
        parts.is_some_and(|(number, secret)| {
            secret.len() >= MIN_BOT_TOKEN && number.ends_with(|last: char| last.is_ascii_digit())
        })
    };
    let words = printable.split_inclusive(is_end).map(|piece| {
        let word = piece.trim_end_matches(is_end);
        if is_token(word) {
            format!("[hidden]{}", piece.get(word.len()..).unwrap_or_default())
        } else {
            piece.to_owned()
        }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As OpenClaw 2026.9.6 answers.
    #[test]
    fn channels_are_read_from_what_a_gateway_answers() {
        let token = format!("12345678:{}", "Ab_-9".repeat(7));
        let answer = json!({ "channelAccounts": { "telegram": [{
            "accountId": "default", "configured": true, "enabled": true, "running": true, "mode": "polling",
            "probe": { "ok": true, "bot": { "username": "paw_bot" } },
            "lastError": format!("GET https://h/bot{token}/getMe: refused"),
        }], "odd": 7 } });
        let list = ChannelList::of_gateway(&answer);
        assert_eq!(
            list.channels,
            [BotChannel {
                kind: "telegram".into(),
                account: "default".into(),
                name: Some("paw_bot".into()),
                configured: true,
                enabled: true,
                running: true,
                connected: None,
                mode: Some("polling".into()),
                error: Some("GET https://h/[hidden]/getMe: refused".into()),
            }]
        );
        assert_eq!(ChannelList::of_gateway(&json!(null)), ChannelList::default());
    }

    #[test]
    fn what_is_said_of_channels_is_cut() {
        let account = json!({ "accountId": "é".repeat(5_000), "lastError": "x\n".repeat(5_000) });
        let many = ChannelList::of_gateway(&json!({ "channelAccounts": { "a": vec![&account; 500] } }));
        assert_eq!(many.channels.len(), MAX_ACCOUNTS);
        let mut said = many.clone();
        said.bound();
        assert_eq!(said, many);
        assert!(serde_json::to_string(&said).unwrap().len() < MAX_CHANNELS_BYTES);
    }
}
