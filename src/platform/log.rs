//! Log lines: one JSON object each, so that Workers Logs can be searched by field. Never a secret.

use std::fmt::Display;

use moltworker_core::json::object;

/// Writes one line. `event` is a stable name; values are turned to text.
pub(crate) fn line(event: &str, fields: &[(&str, &dyn Display)]) {
    let texts: Vec<String> = fields.iter().map(|(_, value)| value.to_string()).collect();
    let names = fields.iter().map(|(name, _)| *name);
    let mut members = vec![("event", event)];
    members.extend(names.zip(texts.iter().map(String::as_str)));
    worker::console_log!("{}", object(&members));
}
