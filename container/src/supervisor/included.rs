//! What a config is with the files it includes (`$include`): the gateway's own rules, as far as they decide what an
//! owner has chosen.

use serde_json::{Map, Value};

/// The key that names the files.
const INCLUDE: &str = "$include";
/// So deep the gateway follows them.
const MAX_DEPTH: usize = 10;
/// So many files are read: an owner has a dozen, and two that include each other twice have a thousand.
const MAX_FILES: usize = 64;

/// The config with what it includes, or `None` where that cannot be known: a file is missing, leads out of the
/// directory, or there are too many. `read` reads a file by its path from the config's own directory.
pub(crate) fn resolve(config: &Value, read: &mut dyn FnMut(&str) -> Option<Value>) -> Option<Value> {
    let mut files = Files {
        read,
        left: MAX_FILES,
    };
    files.resolve(config, "", 0)
}

struct Files<'a> {
    read: &'a mut dyn FnMut(&str) -> Option<Value>,
    left: usize,
}

impl Files<'_> {
    /// `directory` is where the file with this value lies.
    fn resolve(&mut self, value: &Value, directory: &str, depth: usize) -> Option<Value> {
        match value {
            Value::Object(object) => {
                let mut own = Map::new();
                for (key, value) in object.iter().filter(|(key, _)| *key != INCLUDE) {
                    own.insert(key.clone(), self.resolve(value, directory, depth)?);
                }
                let Some(include) = object.get(INCLUDE) else {
                    return Some(Value::Object(own));
                };
                let paths = match include {
                    Value::String(path) => vec![path.as_str()],
                    Value::Array(paths) => paths.iter().map(Value::as_str).collect::<Option<_>>()?,
                    _ => return None,
                };
                let mut all = Value::Object(Map::new());
                for path in paths {
                    merge(&mut all, self.file(path, directory, depth)?);
                }
                // What stands beside it wins.
                if !own.is_empty() {
                    merge(&mut all, Value::Object(own));
                }
                Some(all)
            }
            Value::Array(list) => {
                let list = list.iter().map(|value| self.resolve(value, directory, depth));
                list.collect::<Option<Vec<_>>>().map(Value::Array)
            }
            other => Some(other.clone()),
        }
    }

    fn file(&mut self, path: &str, directory: &str, depth: usize) -> Option<Value> {
        if depth == MAX_DEPTH {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{directory}{path}")
        };
        let directory = path
            .rsplit_once('/')
            .map_or(String::new(), |(above, _)| format!("{above}/"));
        let value = (self.read)(&path)?;
        self.resolve(&value, &directory, depth + 1)
    }
}

/// Objects are merged, anything else is replaced.
fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (key, value) in other {
                match into.get_mut(&key) {
                    Some(there) => merge(there, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (into, other) => *into = other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved(config: &Value, files: &[(&str, Value)]) -> Option<Value> {
        resolve(config, &mut |path| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn included_files_are_merged_in_order_below_what_stands_beside_them() {
        let config = json!({ "$include": ["a", "sub/b"], "x": { "own": 1 }, "list": [{ "$include": "a" }] });
        let files = [
            ("a", json!({ "x": { "own": 2, "a": 2 }, "y": 2 })),
            ("sub/b", json!({ "$include": "./c", "y": 3 })),
            ("sub/./c", json!({ "z": 4, "y": 4 })),
        ];
        assert_eq!(
            resolved(&config, &files),
            Some(json!({
                "x": { "own": 1, "a": 2 }, "y": 3, "z": 4,
                "list": [{ "x": { "own": 2, "a": 2 }, "y": 2 }]
            }))
        );
        let whole = json!({ "model": { "$include": "name" } });
        assert_eq!(
            resolved(&whole, &[("name", json!("a/b"))]),
            Some(json!({ "model": "a/b" }))
        );
    }

    #[test]
    fn what_cannot_be_read_makes_the_config_unknown() {
        for config in [
            json!({ "$include": "missing" }),
            json!({ "$include": 7 }),
            json!({ "a": [{ "$include": [1] }] }),
        ] {
            assert_eq!(resolved(&config, &[]), None, "{config}");
        }
        // Itself, and more files than anybody has.
        let endless = [("a", json!({ "$include": "a" }))];
        assert_eq!(resolved(&json!({ "$include": "a" }), &endless), None);
        let many = json!({ "$include": vec!["b"; MAX_FILES + 1] });
        assert_eq!(resolved(&many, &[("b", json!({}))]), None);
        let double = [("c", json!({ "$include": ["c", "c"] }))];
        assert_eq!(resolved(&json!({ "$include": "c" }), &double), None);
    }
}
