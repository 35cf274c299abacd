//! Changes of a bot's config: merge patches (RFC 7396), what leads from one config to another, and what of a config is
//! secret.

use serde_json::{Map, Value};

/// Stands where a secret is. In a patch it means that the secret stays what it is.
pub const HIDDEN: &str = "[hidden]";
/// So many paths of a change are told, and so many characters of each.
const MAX_PATHS: usize = 20;
const MAX_PATH: usize = 200;
/// Below these names whatever is set may be a secret: variables of an environment, headers of a request.
const SECRET_BELOW: [&str; 2] = ["env", "headers"];
/// What a name has in it whose value is a secret.
const SECRET_PARTS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "authorization",
    "cookie",
    "privatekey",
];
/// How a name ends whose value is a secret. Also those of keys of an API, and of those that sign.
const SECRET_END: &str = "key";

/// Changes `config` as the patch says.
pub fn merge(config: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        config.clone_from(patch);
        return;
    };
    if !config.is_object() {
        *config = Value::Object(Map::new());
    }
    let Some(members) = config.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.retain(|member, _| member != name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The patch that leads from one config to another. A patch cannot say `null`, so a member that is so there is left out.
pub fn difference(from: &Map<String, Value>, to: &Map<String, Value>) -> Map<String, Value> {
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    let mut patch: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    for (name, value) in to {
        match (from.get(name), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                patch.insert(name.clone(), Value::Object(difference(old, new)));
            }
            (_, new) => {
                patch.insert(name.clone(), new.clone());
            }
        }
    }
    patch
}

/// Which lists of `config` the patch replaces or removes, as paths with dots: the gateway wants to be told that no entry is
/// lost by mistake, and would merge some lists by the ids in them otherwise.
pub fn replaced_lists(config: &Value, patch: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_replaced(Some(config), patch, "", &mut found);
    found.dedup();
    found
}

fn collect_replaced(config: Option<&Value>, patch: &Value, path: &str, found: &mut Vec<String>) {
    let Value::Object(patch) = patch else {
        if let Some(there) = config {
            collect_lists(there, path, found);
        }
        if patch.is_array() {
            found.push(path.to_owned());
        }
        return;
    };
    if config.is_some_and(Value::is_array) {
        found.push(path.to_owned());
    }
    for (name, value) in patch {
        let there = config.and_then(|config| config.get(name));
        collect_replaced(there, value, &below(path, name), found);
    }
}

fn collect_lists(config: &Value, path: &str, found: &mut Vec<String>) {
    match config {
        Value::Array(_) => found.push(path.to_owned()),
        Value::Object(members) => {
            for (name, value) in members {
                collect_lists(value, &below(path, name), found);
            }
        }
        _ => {}
    }
}

/// What a patch changes, for people: the first paths, each in short.
pub fn changed_paths(patch: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_changed(patch, "", &mut found);
    found
}

fn collect_changed(patch: &Value, path: &str, found: &mut Vec<String>) {
    match patch {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                collect_changed(value, &below(path, name), found);
            }
        }
        _ if found.len() < MAX_PATHS => found.push(path_in_short(path)),
        _ => {}
    }
}

fn path_in_short(path: &str) -> String {
    let printable = path.chars().filter(|character| !character.is_control());
    printable.take(MAX_PATH).collect()
}

fn below(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Takes every secret out of a config that is to be shown.
pub fn hide_secrets(config: &mut Value) {
    hide(config, false);
}

fn hide(value: &mut Value, is_secret: bool) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let below = SECRET_BELOW.contains(&name.to_ascii_lowercase().as_str());
                hide(value, is_secret || below || is_secret_name(name));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, is_secret)),
        Value::String(text) if (is_secret && !is_reference(text)) || has_password(text) => {
            HIDDEN.clone_into(text);
        }
        _ => {}
    }
}

/// Whether the value of this name is a secret, as far as the name tells.
fn is_secret_name(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    plain.ends_with(SECRET_END) || SECRET_PARTS.iter().any(|part| plain.contains(part))
}

/// Nothing, or the name of a variable that the gateway fills in: no secret by itself.
fn is_reference(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    text.is_empty()
        || name.is_some_and(|name| name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_'))
}

/// Whether an address brings a password along.
fn has_password(text: &str) -> bool {
    let authority = text
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}

/// Takes out of a patch what [`HIDDEN`] stands for: it was shown so, and stays what it is.
///
/// # Errors
/// It stands in a list, which a patch replaces as a whole.
pub fn keep_hidden(patch: &mut Value) -> Result<(), &'static str> {
    match patch {
        Value::Object(members) => {
            members.retain(|_, value| value != HIDDEN);
            members.values_mut().try_for_each(keep_hidden)
        }
        list @ Value::Array(_) if names_hidden(list) => {
            Err("a list is replaced as a whole, and a secret in it was hidden: write that in full")
        }
        _ => Ok(()),
    }
}

fn names_hidden(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.values().any(names_hidden),
        Value::Array(items) => items.iter().any(names_hidden),
        other => other == HIDDEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Appendix A of RFC 7396.
    #[test]
    fn a_patch_is_merged_as_the_standard_says() {
        for (before, patch, after) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let mut config = before.clone();
            merge(&mut config, &patch);
            assert_eq!(config, after, "{before} {patch}");
        }
    }

    #[test]
    fn lists_that_a_patch_replaces_or_removes_are_named() {
        let config = json!({"a": [1], "b": {"c": [{"d": [1]}], "e": 1}, "f": {"g": []}});
        for (patch, paths) in [
            (json!({"a": [2], "x": [1]}), vec!["a", "x"]),
            (json!({"a": null}), vec!["a"]),
            (json!({"b": null}), vec!["b.c"]),
            (json!({"b": {"e": 2}}), vec![]),
            (json!({"a": {"b": 1}, "f": 7}), vec!["a", "f.g"]),
        ] {
            assert_eq!(replaced_lists(&config, &patch), paths, "{patch}");
        }
    }

    #[test]
    fn what_a_patch_changes_is_told_in_short() {
        let patch = json!({"a": {"b": 1, "c\n": null}, "d": [1], "e": {}});
        assert_eq!(changed_paths(&patch), ["a.b", "a.c", "d", "e"]);
        let many: Map<String, Value> = (0..100)
            .map(|number| (format!("{number}").repeat(300), Value::Null))
            .collect();
        let paths = changed_paths(&Value::Object(many));
        assert_eq!(paths.len(), MAX_PATHS);
        assert!(paths.iter().all(|path| path.chars().count() <= MAX_PATH));
    }

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
                "env": {"vars": {"ANY": HIDDEN, "NUMBER": 7}},
                "gateway": {"auth": {"password": "${OPENCLAW_GATEWAY_PASSWORD}"}, "port": 1},
                "skills": {"tokens": [HIDDEN, HIDDEN], "credentials": {"user": HIDDEN}},
                "agents": {"defaults": {"maxTokens": 4096, "workspace": "https://h/a@b:c", "empty": {"token": ""}}},
            })
        );
    }

    #[test]
    fn a_secret_that_comes_back_hidden_stays_what_it_is() {
        let mut patch = json!({"a": {"token": HIDDEN, "b": 1}, "token": HIDDEN, "c": null});
        assert_eq!(keep_hidden(&mut patch), Ok(()));
        assert_eq!(patch, json!({"a": {"b": 1}, "c": null}));
        assert!(keep_hidden(&mut json!({"a": [{"token": HIDDEN}]})).is_err());
    }

    /// Of objects alone: what a patch cannot say is `null`.
    fn config() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            any::<i8>().prop_map(Value::from),
            Just(json!([1])),
            Just(json!({}))
        ];
        let value = leaf.prop_recursive(3, 12, 3, |inner| {
            proptest::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        });
        proptest::collection::btree_map("[a-c]", value, 0..3)
            .prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_config_to_the_other(from in config(), to in config()) {
            let mut config = Value::Object(from.clone());
            merge(&mut config, &Value::Object(difference(&from, &to)));
            prop_assert_eq!(config, Value::Object(to));
        }
    }
}
