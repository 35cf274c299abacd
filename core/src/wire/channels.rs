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
/// Letters of the two parts of a token of Discord's that stand before the secret: whose it is, and since when.
const MIN_ID: usize = 17;
const MIN_TIME: usize = 6;

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

    /// What a `BotConfig` says of them, which does not tell how they are.
    pub fn of_config(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let channels = document.pointer("/config/channels").and_then(Value::as_object);
        let channels = channels.into_iter().flatten();
        // Some names in there hold what is for all of them.
        let channels =
            channels.filter(|(_, settings)| settings.get("enabled").is_some_and(Value::is_boolean));
        let channels = channels.map(|(kind, settings)| BotChannel {
            kind: in_short(kind),
            account: "default".to_owned(),
            configured: true,
            enabled: settings.get("enabled") == Some(&Value::Bool(true)),
            error: Some("the gateway has not told yet how it is".to_owned()),
            ..BotChannel::default()
        });
        Self {
            channels: channels.take(MAX_ACCOUNTS).collect(),
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

/// Without what could be a token: of Telegram's, which stands in the addresses that errors name, of Slack's and Discord's, and whatever
/// comes after `Bearer`.
fn in_short(text: &str) -> String {
    let printable: String = text
        .chars()
        .filter(|one| !one.is_control())
        .take(MAX_TEXT)
        .collect();
    let mut is_bearer = false;
    let words = printable.split_inclusive(' ').map(|word| {
        let hidden = is_bearer && !word.trim().is_empty();
        is_bearer = word.trim().to_ascii_lowercase().ends_with("bearer") || is_bearer && !hidden;
        if hidden { "[hidden] " } else { word }
    });
    let printable: String = words.collect();
    let is_end = |one: char| !(one.is_ascii_alphanumeric() || matches!(one, ':' | '_' | '-' | '.'));
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

fn is_token(word: &str) -> bool {
    let of_telegram = word.split_once(':').is_some_and(|(number, secret)| {
        secret.len() >= MIN_BOT_TOKEN && number.ends_with(|last: char| last.is_ascii_digit())
    });
    let of_slack =
        word.contains("xapp-") || word.split("xox").skip(1).any(|rest| rest.get(1..2) == Some("-"));
    let parts = word.trim_end_matches('.').rsplitn(3, '.').map(str::len);
    let of_discord = matches!(
        parts.collect::<Vec<_>>()[..],
        [last, middle, first] if last >= MIN_BOT_TOKEN && middle >= MIN_TIME && first >= MIN_ID
    );
    of_telegram || of_slack || of_discord
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
    fn tokens_of_every_channel_are_taken_out_of_errors() {
        let discord = format!("{}.Cl2FMQ.{}", "M".repeat(24), "Zn-_".repeat(7));
        for (text, left) in [
            ("invalid xoxb-12-ab, xapp-1-A", "invalid [hidden], [hidden]"),
            (
                &*format!("token \"{discord}\" is bad"),
                "token \"[hidden]\" is bad",
            ),
            (&*format!("It is {discord}."), "It is [hidden]"),
            (
                "authorization: Bearer  a/b+c= x",
                "authorization: Bearer  [hidden] x",
            ),
            (
                "see gateway.discord.gg:443, 12:30",
                "see gateway.discord.gg:443, 12:30",
            ),
        ] {
            assert_eq!(in_short(text), left);
            assert_eq!(in_short(left), left);
        }
    }

    #[test]
    fn channels_are_read_from_a_config_where_nobody_tells_how_they_are() {
        let document = json!({ "config": { "channels": {
            "telegram": { "enabled": true, "botToken": "[hidden]" }, "slack": { "enabled": false }, "defaults": {}
        } } });
        let list = ChannelList::of_config(&document.to_string());
        let mut told: Vec<_> = list
            .channels
            .iter()
            .map(|one| (one.kind.as_str(), one.enabled))
            .collect();
        // Maps keep the order of a document or not, as the whole build wants it.
        told.sort_unstable();
        assert_eq!(told, [("slack", false), ("telegram", true)]);
        assert_eq!(ChannelList::of_config("no"), ChannelList::default());
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
