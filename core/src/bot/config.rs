//! Changes of a bot's config: merge patches (RFC 7396), what leads from one config to another, and what of a config is
//! secret.

use serde_json::{Map, Value};

mod secrets;

pub use secrets::{HIDDEN, hide_secrets, keep_hidden, without_strings};

/// So many paths of a change are told, and so many characters of each.
const MAX_PATHS: usize = 20;
const MAX_PATH: usize = 200;
/// So many lists may one change replace, and so many bytes has the path of one: the gateway is told each by its path, and all of them
/// stay far below what a call to it may have.
const MAX_LISTS: usize = 200;
const MAX_LIST_PATH: usize = 500;
const TOO_MANY_LISTS: &str =
    "a change replaces 200 lists at most, and the path of each has 500 bytes at most";
/// What means something else than a member's name where JavaScript merges: the gateway leaves it out without a word.
const NO_NAMES: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Which name in a patch the gateway would not take for one.
pub fn no_name(patch: &Value) -> Option<&'static str> {
    match patch {
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let unfit = NO_NAMES.into_iter().find(|unfit| unfit == name);
            unfit.or_else(|| no_name(value))
        }),
        Value::Array(items) => items.iter().find_map(no_name),
        _ => None,
    }
}

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
    // At once, because taking out one after the other moves the rest each time.
    members.retain(|member, _| !patch.get(member).is_some_and(Value::is_null));
    for (name, value) in patch.iter().filter(|(_, value)| !value.is_null()) {
        merge(members.entry(name).or_insert(Value::Null), value);
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
///
/// # Errors
/// There are more than can be told.
pub fn replaced_lists(config: &Value, patch: &Value) -> Result<Vec<String>, &'static str> {
    let mut found = Vec::new();
    collect_replaced(Some(config), patch, "", &mut found)?;
    Ok(found)
}

fn collect_replaced(
    config: Option<&Value>,
    patch: &Value,
    path: &str,
    found: &mut Vec<String>,
) -> Result<(), &'static str> {
    let Value::Object(patch) = patch else {
        if let Some(there) = config {
            collect_lists(there, path, found)?;
        }
        return if patch.is_array() {
            list(path, found)
        } else {
            Ok(())
        };
    };
    if config.is_some_and(Value::is_array) {
        list(path, found)?;
    }
    for (name, value) in patch {
        let there = config.and_then(|config| config.get(name));
        collect_replaced(there, value, &cut(below(path, name)), found)?;
    }
    Ok(())
}

fn collect_lists(config: &Value, path: &str, found: &mut Vec<String>) -> Result<(), &'static str> {
    match config {
        Value::Array(_) => list(path, found),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, value)| collect_lists(value, &cut(below(path, name)), found)),
        _ => Ok(()),
    }
}

fn list(path: &str, found: &mut Vec<String>) -> Result<(), &'static str> {
    if found.last().is_some_and(|last| last == path) {
        return Ok(());
    }
    if found.len() >= MAX_LISTS || path.len() > MAX_LIST_PATH {
        return Err(TOO_MANY_LISTS);
    }
    found.push(path.to_owned());
    Ok(())
}

/// Keeps what lies deep below long names short, and still too long.
fn cut(mut path: String) -> String {
    let end = path.ceil_char_boundary(MAX_LIST_PATH + 1);
    path.truncate(end);
    path
}

/// By which an object of a config takes in what stands in another file.
const INCLUDE: &str = "$include";

/// Whether the patch changes what may stand in another file, or which one that is: nobody can tell then what there was before.
pub fn reaches_included(config: &Value, patch: &Value) -> bool {
    match (config, patch) {
        (Value::Object(config), Value::Object(patch)) => {
            let includes = config.contains_key(INCLUDE) || patch.contains_key(INCLUDE);
            includes && !patch.is_empty()
                || patch
                    .iter()
                    .any(|(name, value)| reaches_included(config.get(name).unwrap_or(&Value::Null), value))
        }
        _ => names_include(config) || names_include(patch),
    }
}

fn names_include(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key(INCLUDE) || members.values().any(names_include),
        Value::Array(items) => items.iter().any(names_include),
        _ => false,
    }
}

/// What a patch changes, for people: the first paths, each in short.
pub fn changed_paths(patch: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_changed(patch, "", &mut found);
    found
}

fn collect_changed(patch: &Value, path: &str, found: &mut Vec<String>) {
    if found.len() >= MAX_PATHS {
        return;
    }
    match patch {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                collect_changed(value, &path_in_short(&below(path, name)), found);
            }
        }
        _ => found.push(path.to_owned()),
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
            assert_eq!(replaced_lists(&config, &patch).unwrap(), paths, "{patch}");
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
    fn more_replaced_lists_than_can_be_told_are_refused() {
        let lists = |count: usize, name: &str| {
            let lists = (0..count).map(|number| (format!("{name}{number}"), json!([1])));
            Value::Object(lists.collect())
        };
        assert_eq!(
            replaced_lists(&json!({}), &lists(MAX_LISTS, "a")).map(|all| all.len()),
            Ok(MAX_LISTS)
        );
        for (config, patch) in [
            (json!({}), lists(MAX_LISTS + 1, "a")),
            (json!({ "a": lists(MAX_LISTS + 1, "a") }), json!({ "a": null })),
            (json!({}), lists(1, &"ü".repeat(MAX_LIST_PATH / 2))),
            (json!({}), json!({ "a".repeat(MAX_LIST_PATH + 1): lists(1, "a") })),
        ] {
            assert_eq!(replaced_lists(&config, &patch), Err(TOO_MANY_LISTS));
        }
    }

    #[test]
    fn a_change_of_what_another_file_may_say_is_known() {
        let config = json!({"a": {"$include": "x", "b": 1}, "c": {"d": [{"$include": "y"}], "e": 1}});
        for (patch, reaches) in [
            (json!({"a": {"b": 2}}), true),
            (json!({"a": {"f": {"g": null}}}), true),
            (json!({"a": null}), true),
            (json!({"c": 1}), true),
            (json!({"c": {"d": [1]}}), true),
            (json!({"new": {"$include": "z"}}), true),
            (json!({"new": [{"$include": "z"}]}), true),
            (json!({"c": {"e": 2}, "a": {}}), false),
            (json!({"f": {"g": 1}}), false),
        ] {
            assert_eq!(reaches_included(&config, &patch), reaches, "{patch}");
        }
    }

    #[test]
    fn names_that_javascript_takes_for_something_else_are_found() {
        for (patch, found) in [
            (json!({"a": {"__proto__": {"b": 1}}}), Some("__proto__")),
            (json!({"a": [{"constructor": 1}]}), Some("constructor")),
            (json!({"prototype": null}), Some("prototype")),
            (json!({"proto": "__proto__"}), None),
        ] {
            assert_eq!(no_name(&patch), found, "{patch}");
        }
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
