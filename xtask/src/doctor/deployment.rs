//! What Cloudflare has, against `wrangler.toml` and this checkout.

use std::collections::BTreeSet;

use moltworker_core::settings::{BINDINGS, BindingKind, CF_ZONE_ID, SANDBOX_BINDING, Setting};
use serde_json::Value;

use super::cloudflare::{Answer, Cloudflare, Missing, malformed, unknown};
use super::configuration::CRON;
use super::report::Check;
use super::resources;
use super::wrangler_toml::{self, Configuration};

/// What this checkout has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checkout {
    /// The commit, as deployments are tagged with it; `None` outside of git.
    pub(crate) tag: Option<String>,
    /// The files of the migrations' directory, in order.
    pub(crate) migrations: Vec<String>,
    /// The gateway's version.
    pub(crate) gateway: Option<String>,
}

/// Makes all checks of what is deployed.
pub(super) async fn judge(
    configuration: &Configuration,
    checkout: &Checkout,
    cloudflare: &Cloudflare,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let Some(worker) = configuration.worker() else {
        let remedy = "set name = \"moltbot-sandbox\" in wrangler.toml";
        return vec![Check::bad("worker", "wrangler.toml does not name it", remedy)];
    };
    let script = format!("/workers/scripts/{worker}");
    let deployments = cloudflare.get(&format!("{script}/deployments")).await;
    let deployed = match active_version(&deployments) {
        Err(check) => {
            checks.push(check);
            false
        }
        Ok(version) => {
            let details = cloudflare.get(&format!("{script}/versions/{version}")).await;
            checks.push(version_of_the_worker(&details, version, checkout.tag.as_deref()));
            true
        }
    };
    if deployed {
        let answer = cloudflare.get(&format!("{script}/secrets")).await;
        checks.push(secrets(&answer, &configuration.needed_secrets()));
        let settings = cloudflare.get(&format!("{script}/settings")).await;
        checks.extend(deployed_bindings(&settings, configuration));
        checks.push(schedules(&cloudflare.get(&format!("{script}/schedules")).await));
    }
    checks.extend(resources::database(configuration, &checkout.migrations, cloudflare).await);
    checks.extend(resources::bucket(configuration, cloudflare).await);
    checks.extend(resources::queues(configuration, cloudflare).await);
    if deployed {
        checks.extend(resources::container(configuration, cloudflare).await);
    }
    if let Some(zone) = configuration.variable(CF_ZONE_ID) {
        let path = format!("/zones/{zone}/custom_hostnames");
        checks.push(resources::custom_hostnames(&cloudflare.list(&path).await));
    }
    checks
}

/// The version that answers, or what is wrong with that.
fn active_version(deployments: &Answer<Value>) -> Result<&str, Check> {
    let deployments = match deployments {
        Err(Missing::Absent(_)) => return Err(not_deployed()),
        Err(missing) => return Err(unknown("worker", missing)),
        Ok(value) => value.get("deployments").and_then(Value::as_array),
    };
    let Some(deployments) = deployments else {
        return Err(malformed("worker", "deployments"));
    };
    let Some(newest) = deployments.first() else {
        return Err(not_deployed());
    };
    let versions = newest.get("versions").and_then(Value::as_array);
    match versions.map(Vec::as_slice) {
        Some([only]) => only
            .get("version_id")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("worker", "deployments")),
        Some([_, ..]) => Err(Check::bad(
            "worker",
            "requests are divided among several versions, and a bot's Sandbox may change between them",
            "cargo xtask wrangler versions deploy  (and give one version 100 %)",
        )),
        _ => Err(malformed("worker", "deployments")),
    }
}

fn not_deployed() -> Check {
    Check::bad("worker", "is not deployed", "cargo xtask deploy")
}

fn version_of_the_worker(details: &Answer<Value>, version: &str, tag: Option<&str>) -> Check {
    let details = match details {
        Err(missing) => return unknown("worker", missing),
        Ok(details) => details,
    };
    let deployed = details
        .pointer("/annotations/workers~1tag")
        .and_then(Value::as_str);
    match (deployed, tag) {
        (Some(deployed), Some(tag)) if deployed == tag => Check::ok(
            "worker",
            format!("version {version} is this checkout's commit {tag}"),
        ),
        (Some(deployed), Some(tag)) => Check::bad(
            "worker",
            format!("version {version} was made of commit {deployed}, and this checkout is {tag}"),
            format!("cargo xtask deploy  (or git checkout {deployed}, to look at what is deployed)"),
        ),
        (Some(_), None) => Check::unknown(
            "worker",
            "this checkout's commit is not known: git does not tell it",
        ),
        (None, _) => Check::unknown(
            "worker",
            format!("version {version} does not say which commit it was made of"),
        )
        .remedied_by("cargo xtask deploy  (it tags each version with its commit)"),
    }
}

fn secrets(answer: &Answer<Value>, needed: &[Setting]) -> Check {
    let listed = match answer {
        Err(missing) => return unknown("secrets", missing),
        Ok(value) => value.as_array(),
    };
    let Some(listed) = listed else {
        return malformed("secrets", "secrets");
    };
    let there: BTreeSet<_> = listed
        .iter()
        .filter_map(|secret| secret.get("name")?.as_str())
        .collect();
    let missing: Vec<_> = needed
        .iter()
        .filter(|setting| !there.contains(setting.name))
        .collect();
    if missing.is_empty() {
        return Check::ok("secrets", "the required ones are set");
    }
    let names: Vec<_> = missing.iter().map(|setting| setting.name).collect();
    let how: Vec<_> = missing
        .iter()
        .map(|setting| wrangler_toml::how(**setting))
        .collect();
    Check::bad(
        "secrets",
        format!("not set: {}", names.join(", ")),
        how.join("\n"),
    )
}

/// What the platform calls the kind of a binding that has this list in `wrangler.toml`.
pub(super) fn deployed_type(kind: BindingKind) -> &'static str {
    match kind.place().0 {
        "durable_objects.bindings" => "durable_object_namespace",
        "d1_databases" => "d1",
        "r2_buckets" => "r2_bucket",
        "ratelimits" => "ratelimit",
        "queues.producers" => "queue",
        "assets" => "assets",
        "analytics_engine_datasets" => "analytics_engine",
        // Not known here: looked for under this name, found missing, and added above.
        other => other,
    }
}

fn deployed_bindings(answer: &Answer<Value>, configuration: &Configuration) -> Vec<Check> {
    let bindings = match answer {
        Err(missing) => return vec![unknown("deployed bindings", missing)],
        Ok(value) => value.get("bindings").and_then(Value::as_array),
    };
    let Some(bindings) = bindings else {
        return vec![malformed("deployed bindings", "settings")];
    };
    let has = |kind: &str, name: &str| {
        bindings.iter().find(|entry| {
            entry.get("type").and_then(Value::as_str) == Some(kind)
                && entry.get("name").and_then(Value::as_str) == Some(name)
        })
    };
    let mut checks = Vec::new();
    let missing: Vec<_> = BINDINGS
        .iter()
        .filter(|binding| binding.required && has(deployed_type(binding.kind), binding.name).is_none())
        .map(|binding| binding.name)
        .collect();
    checks.push(if missing.is_empty() {
        Check::ok("deployed bindings", "all that the Worker uses are there")
    } else {
        let reason = format!("the deployed Worker lacks {}", missing.join(", "));
        Check::bad("deployed bindings", reason, "cargo xtask deploy")
    });
    let differing: Vec<_> = configuration
        .variables()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            let deployed = has("plain_text", name).and_then(|entry| entry.get("text")?.as_str());
            // An empty variable counts as none.
            deployed.unwrap_or_default() != value.as_str().unwrap_or_default()
        })
        .map(|(name, _)| name.as_str())
        .collect();
    checks.push(if differing.is_empty() {
        Check::ok("deployed settings", "are those of wrangler.toml")
    } else {
        let reason = format!("differ from wrangler.toml: {}", differing.join(", "));
        Check::bad("deployed settings", reason, "cargo xtask deploy")
    });
    checks
}

fn schedules(answer: &Answer<Value>) -> Check {
    let schedules = match answer {
        Err(missing) => return unknown("deployed cron trigger", missing),
        Ok(value) => value.get("schedules").and_then(Value::as_array),
    };
    let Some(schedules) = schedules else {
        return malformed("deployed cron trigger", "schedules");
    };
    let there = schedules
        .iter()
        .any(|entry| entry.get("cron").and_then(Value::as_str) == Some(CRON));
    if there {
        return Check::ok("deployed cron trigger", format!("\"{CRON}\" is on"));
    }
    let reason = format!("\"{CRON}\" is not on: nothing would notice a bot whose own alarm is lost");
    Check::bad(
        "deployed cron trigger",
        reason,
        "cargo xtask wrangler triggers deploy",
    )
}

/// Whether a version is one of this Worker, and not the empty one that stands for it before its first deployment.
pub(crate) fn is_a_deployment(version: &Value) -> bool {
    let bindings = version.pointer("/resources/bindings").and_then(Value::as_array);
    bindings.is_some_and(|bindings| {
        bindings
            .iter()
            .any(|binding| binding.get("name").and_then(Value::as_str) == Some(SANDBOX_BINDING))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_a_deployment;

    #[test]
    fn the_empty_version_that_holds_secrets_is_no_deployment() {
        let with = |bindings| json!({ "resources": { "bindings": bindings } });
        assert!(is_a_deployment(&with(
            json!([{ "type": "durable_object_namespace", "name": "SANDBOX" }])
        )));
        assert!(!is_a_deployment(&with(
            json!([{ "type": "secret_text", "name": "SESSION_KEY" }])
        )));
        assert!(!is_a_deployment(&json!({ "id": "1" })));
    }
}
