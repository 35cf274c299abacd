//! `wrangler.toml` against the code: what is bound, what is set, and the limits both know.

#![expect(clippy::panic, reason = "a test reports by failing")]

#[path = "shared/texts.rs"]
mod texts;

use std::collections::BTreeSet;

use moltworker_core::bot::lifecycle::STOP_DEADLINE_MS;
use moltworker_core::cost::prices::Instance;
use moltworker_core::http::problem::RATE_PERIOD_SECONDS;
use moltworker_core::settings::{BINDINGS, OPTIONAL, REQUIRED};

use texts::{read, root, toml};

/// What the entries of a list have under this name; the list of a table is named with it, `table.list`. A table by itself is a
/// list of one.
fn names(table: &toml::Table, list: &str, name: &str) -> Vec<String> {
    let entries = match list.split_once('.') {
        Some((table_name, list)) => table.get(table_name).and_then(|inner| inner.get(list)),
        None => table.get(list),
    };
    let entries = match entries {
        Some(toml::Value::Array(entries)) => entries.clone(),
        Some(one @ toml::Value::Table(_)) => vec![one.clone()],
        _ => Vec::new(),
    };
    entries
        .iter()
        .filter_map(|entry| entry.get(name)?.as_str().map(str::to_owned))
        .collect()
}

#[test]
fn wrangler_toml_and_code_use_the_same_names() {
    let wrangler = toml("wrangler.toml");
    let objects = wrangler["durable_objects"].as_table().expect("durable_objects");
    let mut lists: BTreeSet<(&str, &str)> = BINDINGS.iter().map(|binding| binding.kind.place()).collect();
    // What is declared nowhere is missed as well.
    lists.extend(
        wrangler
            .keys()
            .filter(|list| !names(&wrangler, list, "binding").is_empty())
            .map(|list| (list.as_str(), "binding")),
    );
    for (list, key) in lists {
        let declared = BINDINGS
            .iter()
            .filter(|binding| binding.kind.place() == (list, key));
        let declared: Vec<_> = declared.map(|binding| binding.name).collect();
        // What an account has to be prepared for is there for whoever wants it.
        let commented_out = format!("# [[{list}]]\n# {key} = \"{}\"\n", declared.join(""));
        if names(&wrangler, list, key).is_empty() && read("wrangler.toml").contains(&commented_out) {
            continue;
        }
        assert_eq!(names(&wrangler, list, key), declared, "[[{list}]]");
    }
    for limit in wrangler["ratelimits"].as_array().expect("ratelimits") {
        let period = limit["simple"]["period"].as_integer();
        assert_eq!(
            period,
            Some(i64::from(RATE_PERIOD_SECONDS)),
            "Retry-After tells it"
        );
    }

    let vars = wrangler["vars"].as_table().expect("vars");
    let known: BTreeSet<_> = REQUIRED
        .iter()
        .chain(&OPTIONAL)
        .map(|setting| setting.name)
        .collect();
    for name in vars.keys() {
        assert!(known.contains(name.as_str()), "[vars] {name} is read by nobody");
    }
    for setting in REQUIRED {
        let secret = setting.how.contains("wrangler secret put");
        assert_ne!(
            secret,
            vars.contains_key(setting.name),
            "{}: a secret or a variable, not both",
            setting.name
        );
    }

    let class = names(&wrangler, "containers", "class_name");
    assert_eq!(names(objects, "bindings", "class_name"), class);
    let migrated: Vec<_> = wrangler["migrations"]
        .as_array()
        .expect("migrations")
        .iter()
        .collect();
    assert!(
        migrated
            .iter()
            .any(|step| step["new_sqlite_classes"].as_array().is_some_and(|new| {
                new.iter()
                    .any(|name| name.as_str() == class.first().map(String::as_str))
            }))
    );
    let sandbox = read("src/sandbox/mod.rs");
    for class in class {
        assert!(
            sandbox.contains(&format!("pub struct {class}")),
            "no Durable Object class {class}"
        );
    }
}

#[test]
fn the_awake_limit_matches_max_instances() {
    let wrangler = toml("wrangler.toml");
    let container = wrangler["containers"]
        .as_array()
        .and_then(|list| list.first())
        .expect("one container");
    let instances = container["max_instances"]
        .as_integer()
        .expect("max_instances")
        .to_string();
    assert_eq!(wrangler["vars"]["MAX_AWAKE"].as_str(), Some(instances.as_str()));
}

#[test]
fn bots_are_priced_by_the_type_they_run_on() {
    let wrangler = toml("wrangler.toml");
    let containers = wrangler["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 1, "one price for all");
    let written = match &containers[0]["instance_type"] {
        toml::Value::String(name) => name.clone(),
        custom => ["vcpu", "memory_mib", "disk_mb"]
            .map(|name| format!("{name}={}", custom[name]))
            .join(","),
    };
    assert!(Instance::parse(&written).is_some(), "{written} has no price");
    assert_eq!(wrangler["vars"]["INSTANCE_TYPE"].as_str(), Some(written.as_str()));
}

#[test]
fn the_rollout_grace_period_covers_a_stop() {
    let wrangler = toml("wrangler.toml");
    let container = wrangler["containers"]
        .as_array()
        .and_then(|list| list.first())
        .expect("one container");
    let grace = container["rollout_active_grace_period"]
        .as_integer()
        .expect("a grace period");
    assert!(u64::try_from(grace).expect("positive") * 1_000 > STOP_DEADLINE_MS);
    let image = container["image"].as_str().expect("an image");
    assert!(root().join(image).is_file(), "{image}");
}

#[test]
fn nobody_enters_a_container_by_ssh() {
    let wrangler = toml("wrangler.toml");
    for container in wrangler["containers"].as_array().expect("containers") {
        assert_eq!(container["ssh"]["enabled"].as_bool(), Some(false));
        assert!(container.get("authorized_keys").is_none());
    }
}
