//! What of a config is secret, as far as names and texts tell.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Stands where a secret is. In a patch it means that the secret stays what it is.
pub const HIDDEN: &str = "[hidden]";
/// How names end below which whatever is set may be a secret: variables of an environment, headers of a request, what a program is
/// started with.
const SECRET_BELOW: [&str; 6] = ["env", "environment", "headers", "args", "argv", "arguments"];
/// What a name has in it whose value is a secret.
const SECRET_PARTS: [&str; 13] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "authorization",
    "cookie",
    "privatekey",
    "identitydata",
    "certificatedata",
    "knownhostsdata",
    "serviceaccount",
];
/// How a name ends whose value is a secret. Also those of keys of an API, and of those that sign.
const SECRET_ENDS: [&str; 3] = ["key", "keys", "cert"];
/// Names whose value is a secret, where they stand alone.
const SECRET_NAMES: [&str; 4] = ["pass", "pwd", "ca", AUTH];
/// It says itself how somebody shows who they are, or it is an object that says so beside what it is done with.
const AUTH: &str = "auth";
/// What an object of that name calls its secret by.
const VALUE: &str = "value";
/// Numbers below a name with this in it count what a model reads and writes.
const COUNTED: &str = "tokens";
/// A shorter text is no secret, and stands in words by chance.
const MIN_STRING: usize = 4;
/// By so many characters a text is known, also where whoever tells it has cut it.
const KNOWN_BY: usize = 8;

/// Takes every secret out of a config that is to be shown.
pub fn hide_secrets(config: &mut Value) {
    hide(config, false, false);
}

fn hide(value: &mut Value, is_secret: bool, in_auth: bool) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let plain = plain(name);
                let counts = value.is_number() && plain.contains(COUNTED);
                // An object of this name has secrets in it, and more.
                let is_auth = plain == AUTH && value.is_object();
                let named = !counts && !is_auth && is_secret_name(&plain) || in_auth && plain == VALUE;
                hide(value, is_secret || named, in_auth || is_auth);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, is_secret, in_auth)),
        Value::String(text) if (is_secret && !is_reference(text)) || has_secret_address(text) => {
            HIDDEN.clone_into(text);
        }
        Value::Number(_) if is_secret => *value = Value::from(HIDDEN),
        _ => {}
    }
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether the value of this name is a secret, as far as the name tells.
fn is_secret_name(plain: &str) -> bool {
    let mut ends = SECRET_ENDS.iter().chain(&SECRET_BELOW);
    SECRET_NAMES.contains(&plain)
        || ends.any(|end| plain.ends_with(end))
        || SECRET_PARTS.iter().any(|part| plain.contains(part))
}

/// Nothing, or the name of a variable that the gateway fills in: no secret by itself.
fn is_reference(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    text.is_empty()
        || name.is_some_and(|name| name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_'))
}

/// Whether an address in the text says who comes, or has a query: either may be a secret.
fn has_secret_address(text: &str) -> bool {
    let addresses = text.split("://").skip(1);
    let mut addresses = addresses.map(|rest| rest.split(char::is_whitespace).next().unwrap_or_default());
    addresses.any(|address| {
        let authority = address.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        authority.contains('@') || address.contains('?')
    })
}

/// Takes out of a patch what [`HIDDEN`] stands for: it was `shown` so, and stays what it is.
///
/// # Errors
/// Nothing was hidden there, or it stands in a list that is another one than was shown: a patch replaces a list as a whole.
pub fn keep_hidden(patch: &mut Value, shown: &Value) -> Result<(), &'static str> {
    match patch {
        Value::Object(members) => keep_members(members, shown),
        _ => Ok(()),
    }
}

fn keep_members(members: &mut Map<String, Value>, shown: &Value) -> Result<(), &'static str> {
    members.retain(|name, value| {
        let may_stay = value == HIDDEN || value.is_array() && names_hidden(value);
        !(may_stay && shown.get(name) == Some(value))
    });
    members.iter_mut().try_for_each(|(name, value)| match value {
        Value::Object(members) => keep_members(members, shown.get(name).unwrap_or(&Value::Null)),
        list @ Value::Array(_) if names_hidden(list) => {
            Err("a list is replaced as a whole, and a secret in it was hidden: write that in full")
        }
        other if other == HIDDEN => Err("[hidden] stands where no secret was hidden"),
        _ => Ok(()),
    })
}

fn names_hidden(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.values().any(names_hidden),
        Value::Array(items) => items.iter().any(names_hidden),
        other => other == HIDDEN,
    }
}

/// Takes out of words about a change what it would set, and what of the config is hidden.
pub fn without_strings(words: &str, config: &Value, patch: &Value) -> String {
    let mut strings = BTreeSet::new();
    collect_strings(patch, None, &mut strings);
    let mut shown = config.clone();
    hide_secrets(&mut shown);
    collect_strings(config, Some(&shown), &mut strings);
    let mut longest_first: Vec<String> = strings.into_iter().collect();
    longest_first.sort_by_key(|text| std::cmp::Reverse(text.len()));
    longest_first
        .iter()
        .fold(words.to_owned(), |words, text| without(&words, text))
}

/// All of them, or those that are not shown.
fn collect_strings(value: &Value, shown: Option<&Value>, strings: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if shown != Some(value) => {
            let printable: String = text.chars().filter(|one| !one.is_control()).collect();
            if printable.chars().count() >= MIN_STRING {
                strings.insert(printable);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_strings(item, shown.and_then(|shown| shown.get(index)), strings);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                collect_strings(value, shown.and_then(|shown| shown.get(name)), strings);
            }
        }
        _ => {}
    }
}

/// The words without this text, and without its beginning where the rest is cut off.
fn without(words: &str, text: &str) -> String {
    let known: String = text.chars().take(KNOWN_BY).collect();
    let mut pieces = words.split(known.as_str());
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    let rest = text.get(known.len()..).unwrap_or_default();
    for piece in pieces {
        let same = piece
            .chars()
            .zip(rest.chars())
            .take_while(|(one, other)| one == other);
        let length: usize = same.map(|(one, _)| one.len_utf8()).sum();
        kept.push_str(HIDDEN);
        kept.push_str(piece.get(length..).unwrap_or_default());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_secret_of_a_config_is_shown() {
        let mut config = json!({
            "channels": {"telegram": {"botToken": "1:abc", "enabled": true, "accounts": [{"bot_token": "x"}]}},
            "models": {"providers": {"a": {"apiKey": "sk-1", "headers": {"X-Any": "v"}, "baseUrl": "https://u:p@h/v1"}}},
            "env": {"vars": {"ANY": "thing", "NUMBER": 7}},
            "gateway": {"auth": {"password": "${OPENCLAW_GATEWAY_PASSWORD}"}, "port": 1},
            "skills": {"tokens": ["a", "b"], "credentials": {"user": "me"}},
            "agents": {"defaults": {"maxTokens": 4096, "workspace": "https://h/a@b:c", "empty": {"token": ""}}},
        });
        hide_secrets(&mut config);
        assert_eq!(
            config,
            json!({
                "channels": {"telegram": {"botToken": HIDDEN, "enabled": true, "accounts": [{"bot_token": HIDDEN}]}},
                "models": {"providers": {"a": {"apiKey": HIDDEN, "headers": {"X-Any": HIDDEN}, "baseUrl": HIDDEN}}},
                "env": {"vars": {"ANY": HIDDEN, "NUMBER": HIDDEN}},
                "gateway": {"auth": {"password": "${OPENCLAW_GATEWAY_PASSWORD}"}, "port": 1},
                "skills": {"tokens": [HIDDEN, HIDDEN], "credentials": {"user": HIDDEN}},
                "agents": {"defaults": {"maxTokens": 4096, "workspace": "https://h/a@b:c", "empty": {"token": ""}}},
            })
        );
    }

    #[test]
    fn secrets_are_known_by_what_stands_around_them() {
        for (config, shown) in [
            (
                json!({"auth": {"mode": "header", "headerName": "X", "value": "s"}}),
                json!({"auth": {"mode": "header", "headerName": "X", "value": HIDDEN}}),
            ),
            (
                json!({"auth": {"deep": [{"value": "s"}]}, "value": "v"}),
                json!({"auth": {"deep": [{"value": HIDDEN}]}, "value": "v"}),
            ),
            (
                json!({"mcp": {"args": ["--token", "s", 7, true]}}),
                json!({"mcp": {"args": [HIDDEN, HIDDEN, HIDDEN, true]}}),
            ),
            (
                json!({"extraHeaders": {"a": {"b": "s"}}, "shellEnv": {"b": "s"}, "environment": ["A=s"]}),
                json!({"extraHeaders": {"a": {"b": HIDDEN}}, "shellEnv": {"b": HIDDEN}, "environment": [HIDDEN]}),
            ),
        ] {
            let mut config = config;
            hide_secrets(&mut config);
            assert_eq!(config, shown);
        }
        for name in [
            "identityData",
            "certificateData",
            "knownHostsData",
            "cert",
            "clientCert",
            "ca",
            "serviceAccount",
            "apiKeys",
            "keys",
            "pass",
            "pwd",
            "auth",
            "pin_secret",
        ] {
            for value in [json!("s"), json!(["s"]), json!(1234)] {
                let hidden = if value.is_array() {
                    json!([HIDDEN])
                } else {
                    json!(HIDDEN)
                };
                let mut config = json!({ name: value });
                hide_secrets(&mut config);
                assert_eq!(config[name], hidden, "{name}");
            }
        }
        for plain in ["certPath", "cache", "author", "pages", "path"] {
            let mut config = json!({ plain: "s" });
            hide_secrets(&mut config);
            assert_eq!(config[plain], "s");
        }
    }

    #[test]
    fn addresses_that_may_bring_a_secret_along_are_hidden() {
        for text in [
            "https://user@h/",
            "https://u:p@h",
            "see https://h/ and wss://t@h:1",
            "https://h/hook?sig=1",
            "h://x y://h?k",
            "redis://:p@h\\x",
        ] {
            assert!(has_secret_address(text), "{text}");
        }
        for text in [
            "https://h/a@b:c",
            "what? https://h/ who?",
            "a@b",
            "://",
            "https://h/a#b",
        ] {
            assert!(!has_secret_address(text), "{text}");
        }
    }

    #[test]
    fn a_secret_that_comes_back_hidden_stays_what_it_is() {
        let shown = json!({"a": {"token": HIDDEN}, "token": HIDDEN, "args": [HIDDEN, {"b": 1}]});
        let mut patch =
            json!({"a": {"token": HIDDEN, "b": 1}, "token": HIDDEN, "c": null, "args": [HIDDEN, {"b": 1}]});
        assert_eq!(keep_hidden(&mut patch, &shown), Ok(()));
        assert_eq!(patch, json!({"a": {"b": 1}, "c": null}));
        for wrong in [
            json!({"args": [{"token": HIDDEN}]}),
            json!({"a": {"tokens": HIDDEN}}),
            json!({"b": {"token": HIDDEN}}),
            json!({"a": HIDDEN}),
        ] {
            assert!(keep_hidden(&mut wrong.clone(), &shown).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_about_a_change_repeat_nothing_of_it() {
        let config = json!({"token": "the-old-token-of-it", "name": "visible name"});
        let patch = json!({"a": [{"b": "new\nsecret value"}], "c": "is"});
        for (words, left) in [
            ("got \"newsecret value\" is bad", "got \"[hidden]\" is bad"),
            ("got newsecret v", "got [hidden]"),
            (
                "the-old-token-of-it, the-old-t… visible name",
                "[hidden], [hidden]… visible name",
            ),
        ] {
            assert_eq!(without_strings(words, &config, &patch), left);
        }
    }
}
