//! Log lines: one JSON object each, so that Workers Logs can be searched by field. Never a secret.

use std::fmt::Display;

/// Writes one line. `event` is a stable name; values are turned to text.
pub(crate) fn line(event: &str, fields: &[(&str, &dyn Display)]) {
    let mut object = serde_json::Map::new();
    object.insert("event".into(), event.into());
    for (name, value) in fields {
        object.insert((*name).into(), value.to_string().into());
    }
    worker::console_log!("{}", serde_json::Value::Object(object));
}
