//! What a deployment stands on: database, bucket, queues, containers, custom domains.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cloudflare::{Answer, Cloudflare, Missing, malformed, unknown};
use super::report::Check;
use super::wrangler_toml::Configuration;

/// What the names of objects in the bucket begin with.
const BUCKET_PREFIX: &str = "users/";

pub(super) async fn database(
    configuration: &Configuration,
    files: &[String],
    cloudflare: &Cloudflare,
) -> Vec<Check> {
    // That it is not in wrangler.toml is another check.
    let Some(name) = configuration.database() else {
        return Vec::new();
    };
    let found = match cloudflare.get(&format!("/d1/database/{name}")).await {
        Err(Missing::Absent(_)) => {
            let reason = format!("{name} does not exist in this account");
            let remedy = "cargo xtask deploy  (wrangler makes it when wrangler.toml names no database_id)";
            return vec![Check::bad("database", reason, remedy)];
        }
        Err(missing) => return vec![unknown("database", &missing)],
        Ok(found) => found,
    };
    let Some(uuid) = found.get("uuid").and_then(Value::as_str) else {
        return vec![malformed("database", "database")];
    };
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'd1_migrations'";
    let applied = match cloudflare.query(uuid, tables).await {
        Ok(tables) if tables.is_empty() => Ok(Vec::new()),
        Ok(_) => {
            cloudflare
                .query(uuid, "SELECT name FROM d1_migrations ORDER BY id")
                .await
        }
        Err(missing) => Err(missing),
    };
    vec![
        Check::ok("database", format!("{name} exists")),
        migrations(&applied, files),
    ]
}

fn migrations(applied: &Answer<Vec<Value>>, files: &[String]) -> Check {
    let applied = match applied {
        Err(missing) => return unknown("migrations", missing),
        Ok(rows) => rows,
    };
    let names: Option<Vec<_>> = applied.iter().map(|row| row.get("name")?.as_str()).collect();
    let Some(applied) = names else {
        return malformed("migrations", "applied migrations");
    };
    let pending: Vec<_> = files
        .iter()
        .map(String::as_str)
        .filter(|file| !applied.contains(file))
        .collect();
    let foreign: Vec<_> = applied
        .iter()
        .copied()
        .filter(|name| !files.iter().any(|file| file == name))
        .collect();
    if !pending.is_empty() {
        return Check::bad(
            "migrations",
            format!("not applied: {}", pending.join(", ")),
            "cargo xtask deploy  (or by themselves: cargo xtask wrangler d1 migrations apply DB --remote)",
        );
    }
    if !foreign.is_empty() {
        return Check::bad(
            "migrations",
            format!(
                "the database has some that this checkout does not know: {}",
                foreign.join(", ")
            ),
            "git pull  (this checkout is older than what was deployed)",
        );
    }
    Check::ok("migrations", format!("all {} are applied", files.len()))
}

pub(super) async fn bucket(configuration: &Configuration, cloudflare: &Cloudflare) -> Vec<Check> {
    let Some(name) = configuration.bucket() else {
        return Vec::new();
    };
    match cloudflare.get(&format!("/r2/buckets/{name}")).await {
        Err(Missing::Absent(_)) => {
            let reason = format!("{name} does not exist in this account");
            return vec![Check::bad(
                "bucket",
                reason,
                "cargo xtask deploy  (wrangler makes it)",
            )];
        }
        Err(missing) => return vec![unknown("bucket", &missing)],
        Ok(_) => {}
    }
    let rules = cloudflare.get(&format!("/r2/buckets/{name}/lock")).await;
    vec![
        Check::ok("bucket", format!("{name} exists")),
        lock_rules(&rules, name),
    ]
}

/// A lock over the backups would also refuse what maintenance deletes and what the platform writes anew.
fn lock_rules(answer: &Answer<Value>, bucket: &str) -> Check {
    let rules = match answer {
        Err(missing) => return unknown("bucket lock", missing),
        Ok(value) => value.get("rules").and_then(Value::as_array),
    };
    let Some(rules) = rules else {
        return malformed("bucket lock", "lock rules");
    };
    let harmful = rules.iter().find(|rule| {
        let prefix = rule.get("prefix").and_then(Value::as_str).unwrap_or_default();
        let overlaps = prefix.starts_with(BUCKET_PREFIX) || BUCKET_PREFIX.starts_with(prefix);
        overlaps && rule.get("enabled").and_then(Value::as_bool) != Some(false)
    });
    let Some(rule) = harmful else {
        return Check::ok(
            "bucket lock",
            "no lock rule covers the backups, as maintenance needs it",
        );
    };
    let id = rule.get("id").and_then(Value::as_str).unwrap_or("<id>");
    Check::bad(
        "bucket lock",
        format!(
            "the rule {id} covers {BUCKET_PREFIX}: maintenance could delete nothing, and holds could not be changed"
        ),
        format!(
            "cargo xtask wrangler r2 bucket lock remove {bucket} --name {id}  (docs/operations.md says what guards backups instead)"
        ),
    )
}

pub(super) async fn queues(configuration: &Configuration, cloudflare: &Cloudflare) -> Option<Check> {
    let wanted = configuration.queues();
    if wanted.is_empty() {
        return None;
    }
    let listed = match cloudflare
        .list(&format!("/accounts/{}/queues", cloudflare.account))
        .await
    {
        Err(missing) => return Some(unknown("queues", &missing)),
        Ok(listed) => listed,
    };
    let there: BTreeSet<_> = listed
        .iter()
        .filter_map(|queue| queue.get("queue_name")?.as_str())
        .collect();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| !there.contains(name.as_str()))
        .collect();
    if missing.is_empty() {
        return Some(Check::ok("queues", format!("all {} exist", wanted.len())));
    }
    let names: Vec<_> = missing.iter().map(|name| name.as_str()).collect();
    let how: Vec<_> = names
        .iter()
        .map(|name| format!("cargo xtask wrangler queues create {name}"))
        .collect();
    let reason = format!("do not exist: {}", names.join(", "));
    Some(Check::bad("queues", reason, how.join("\n")))
}

pub(super) async fn container(configuration: &Configuration, cloudflare: &Cloudflare) -> Option<Check> {
    let (name, instances) = configuration.container()?;
    let answer = cloudflare
        .get(&format!("/containers/applications?name={name}"))
        .await;
    Some(application(&answer, &name, instances))
}

fn application(answer: &Answer<Value>, name: &str, instances: i64) -> Check {
    const CHECK: &str = "deployed container";
    let listed = match answer {
        Err(missing) => return unknown(CHECK, missing),
        Ok(value) => value.as_array(),
    };
    let Some(listed) = listed else {
        return malformed(CHECK, "applications");
    };
    let found = listed
        .iter()
        .find(|application| application.get("name").and_then(Value::as_str) == Some(name));
    let Some(found) = found else {
        let reason = format!("there is no application {name}: no bot can start");
        return Check::bad(CHECK, reason, "cargo xtask deploy");
    };
    let most = found.get("max_instances").and_then(Value::as_i64);
    if most != Some(instances) {
        let most = most.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
        let reason = format!("max_instances is {most}, and {instances} in wrangler.toml");
        return Check::bad(CHECK, reason, "cargo xtask deploy");
    }
    let image = found.pointer("/configuration/image").and_then(Value::as_str);
    let Some(image) = image else {
        return malformed(CHECK, "applications");
    };
    if found.get("active_rollout_id").is_some_and(|id| !id.is_null()) {
        return Check::unknown(
            CHECK,
            "a rollout is under way: bots change to the new image one after the other",
        )
        .remedied_by(format!(
            "cargo xtask wrangler containers list  (until {name} is active again)"
        ));
    }
    // wrangler names an image by the Worker's version that first had it, so that it does not tell which checkout it is of.
    Check::ok(CHECK, format!("{image}, at most {instances} at once"))
}

pub(super) fn custom_hostnames(answer: &Answer<Vec<Value>>) -> Check {
    const CHECK: &str = "custom domains";
    /// Named in one line; the rest is counted.
    const NAMED: usize = 10;
    let listed = match answer {
        Err(Missing::Absent(_)) => {
            let remedy = "mend CF_ZONE_ID in wrangler.toml: the zone's overview in Cloudflare shows it";
            return Check::bad(CHECK, "the zone of CF_ZONE_ID does not exist", remedy);
        }
        Err(missing) => return unknown(CHECK, missing),
        Ok(listed) => listed,
    };
    let mut waiting = Vec::new();
    for entry in listed {
        let field = |path: &str| entry.pointer(path).and_then(Value::as_str);
        let (Some(host), Some(status), Some(ssl)) =
            (field("/hostname"), field("/status"), field("/ssl/status"))
        else {
            return malformed(CHECK, "custom hostnames");
        };
        if (status, ssl) != ("active", "active") {
            let why = field("/ssl/validation_errors/0/message").or_else(|| field("/verification_errors/0"));
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            waiting.push(format!("{host} ({status}, certificate {ssl}{why})"));
        }
    }
    if waiting.is_empty() {
        let reason = format!("all {} are active, with a certificate", listed.len());
        return Check::ok(CHECK, reason);
    }
    let more = waiting.len().saturating_sub(NAMED);
    waiting.truncate(NAMED);
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    Check::bad(
        CHECK,
        format!("not active: {}{more}", waiting.join(", ")),
        "have each owner point a CNAME of that name to the zone's fallback origin, then run this again",
    )
}
