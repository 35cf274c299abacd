//! `cargo xtask openapi`: what follows from the one table of endpoints (`core/src/api/table.rs`), from the bindings
//! (`core/src/settings/bindings.rs`) and from the table of metrics (`core/src/metrics/table.rs`), written down. A test here fails while any of it is out of date.

mod guide;
mod metrics;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use moltworker_core::api::openapi;
use moltworker_core::api::table::endpoints;
use moltworker_core::settings::BINDINGS;
use serde_json::{Value, json};

/// Writes every file.
pub(crate) fn write(root: &Path) -> Result<ExitCode> {
    for (path, text) in files()? {
        fs::write(root.join(path), text).with_context(|| format!("{path} cannot be written"))?;
        println!("{path}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Every file, and what has to stand in it.
fn files() -> Result<[(&'static str, String); 5]> {
    Ok([
        ("docs/openapi.json", pretty(openapi::document())?),
        ("docs/admin-api.md", guide::text()),
        ("docs/metrics.md", metrics::text()),
        ("tests/contract/endpoints.json", rows()?),
        ("tests/contract/bindings.json", bindings()?),
    ])
}

/// How deep the document is laid out in lines. What is deeper stands in one: a line is an operation, a schema or a
/// response, so that a change of one is a line of a diff, and the Worker, which carries it, is not half blanks.
const LINES_DEEP: usize = 3;

fn pretty(mut value: Value) -> Result<String> {
    // A crate of the same build may ask `serde_json` to keep the order of insertion; the files are the same either way.
    value.sort_all_objects();
    let mut text = String::new();
    lay_out(&value, 0, &mut text)?;
    text.push('\n');
    Ok(text)
}

fn lay_out(value: &Value, depth: usize, text: &mut String) -> Result<()> {
    let Value::Object(map) = value else {
        text.push_str(&serde_json::to_string(value)?);
        return Ok(());
    };
    if depth == LINES_DEEP || map.is_empty() {
        text.push_str(&serde_json::to_string(value)?);
        return Ok(());
    }
    let indent = "  ".repeat(depth);
    let mut before = "{";
    for (name, value) in map {
        text.push_str(&format!("{before}\n{indent}  {}: ", serde_json::to_string(name)?));
        lay_out(value, depth + 1, text)?;
        before = ",";
    }
    text.push_str(&format!("\n{indent}}}"));
    Ok(())
}

/// All rows of the table, for tests in other languages: one a line.
fn rows() -> Result<String> {
    let rows = endpoints().map(|endpoint| {
        let mut row = json!({
            "method": endpoint.method().allow(),
            "path": endpoint.path(),
            "hosts": endpoint.hosts().as_str(),
            "access": endpoint.access().as_str(),
            "changes": endpoint.changes(),
            "audit": endpoint.audit().as_str(),
            "action": endpoint.name(),
        });
        row.sort_all_objects();
        serde_json::to_string(&row)
    });
    let rows: Vec<String> = rows.collect::<Result<_, _>>().context("the table is not JSON")?;
    Ok(format!("[\n  {}\n]\n", rows.join(",\n  ")))
}

/// What is bound to the Worker, by the list of `wrangler.toml` that has it: for the tests' harness, which binds the same.
fn bindings() -> Result<String> {
    let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for binding in BINDINGS {
        let (list, _) = binding.kind.place();
        lists.entry(list).or_default().push(binding.name);
    }
    pretty(json!(lists))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_the_table_of_endpoints_is_up_to_date() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (path, text) in files().unwrap() {
            let written = fs::read_to_string(root.join(path)).unwrap_or_default();
            assert!(
                written == text,
                "{path} is out of date: run `cargo xtask openapi`"
            );
        }
    }
}
