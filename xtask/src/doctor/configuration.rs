//! `wrangler.toml` against what the code declares: settings, bindings, cron, containers. Asks nobody.

use std::collections::BTreeSet;

use moltworker_core::bot::lifecycle::STOP_DEADLINE_MS;
use moltworker_core::settings::{BINDINGS, INSTANCE_TYPE, MAX_AWAKE, OPTIONAL, REQUIRED};
use toml::Value;

use super::report::Check;
use super::wrangler_toml::{Configuration, how, is_secret, text};

/// The cron trigger the Worker is written for.
pub(super) const CRON: &str = "* * * * *";
/// What older versions of `wrangler.toml` had in place of an id.
const NO_DATABASE_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Judges all of it. `migrations` are the files of the migrations' directory.
pub(super) fn judge(configuration: &Configuration, migrations: &[String]) -> Vec<Check> {
    let mut checks = variables(configuration);
    checks.extend(bindings(configuration));
    checks.extend(database(configuration, migrations));
    checks.push(cron(configuration));
    checks.extend(container(configuration));
    checks
}

fn variables(configuration: &Configuration) -> Vec<Check> {
    let mut checks = Vec::new();
    let Some(vars) = configuration.variables() else {
        let remedy = "add [vars] with PUBLIC_URL, SUPABASE_URL and SUPABASE_ANON_KEY to wrangler.toml";
        return vec![Check::bad("settings", "wrangler.toml has no [vars]", remedy)];
    };
    for (name, value) in vars {
        let check = format!("setting {name}");
        let known = REQUIRED
            .iter()
            .chain(&OPTIONAL)
            .find(|setting| setting.name == name);
        match known {
            None => checks.push(Check::bad(
                check,
                "nothing reads it",
                format!("take {name} out of [vars] in wrangler.toml, or mend its spelling"),
            )),
            Some(&setting) if is_secret(setting) => checks.push(Check::bad(
                check,
                "is a secret and stands in wrangler.toml, where whoever has the file reads it",
                format!("take it out there, make a new value, and {}", how(setting)),
            )),
            Some(_) if value.as_str().is_none() => checks.push(Check::bad(
                check,
                "is no text",
                format!("put the value of {name} into quotes in wrangler.toml"),
            )),
            Some(_) => {}
        }
    }
    for problem in configuration.problems() {
        // A secret is not in the file; whether the deployment has it is another check.
        if is_secret(problem.setting) && !vars.contains_key(problem.setting.name) {
            continue;
        }
        checks.push(Check::bad(
            format!("setting {}", problem.setting.name),
            problem.reason,
            format!("{}: {}", how(problem.setting), problem.setting.meaning),
        ));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            "settings",
            "those in wrangler.toml are complete and well-formed",
        ));
    }
    checks
}

fn bindings(configuration: &Configuration) -> Vec<Check> {
    let mut checks = Vec::new();
    for binding in BINDINGS {
        if configuration.bound(binding.kind, binding.name).is_some() {
            continue;
        }
        let (list, key) = binding.kind.place();
        if !binding.required {
            let reason = format!("{} is not bound; the platform does without", binding.meaning);
            checks.push(Check::unknown(format!("binding {}", binding.name), reason));
            continue;
        }
        checks.push(Check::bad(
            format!("binding {}", binding.name),
            format!("{} is not bound", binding.meaning),
            format!(
                "add [[{list}]] with {key} = \"{}\" to wrangler.toml, as the repository's has it",
                binding.name
            ),
        ));
    }
    let lists: BTreeSet<_> = BINDINGS.iter().map(|binding| binding.kind.place()).collect();
    for (list, key) in lists {
        let declared = |name: &str| {
            BINDINGS
                .iter()
                .any(|binding| binding.name == name && binding.kind.place() == (list, key))
        };
        for name in configuration.list(list).filter_map(|entry| text(entry, key)) {
            if !declared(name) {
                checks.push(Check::bad(
                    format!("binding {name}"),
                    format!("[[{list}]] has it and nothing uses it"),
                    "take it out of wrangler.toml, or mend its spelling",
                ));
            }
        }
    }
    if checks.is_empty() {
        let reason = format!("all {} that the Worker uses are in wrangler.toml", BINDINGS.len());
        checks.push(Check::ok("bindings", reason));
    }
    checks
}

fn database(configuration: &Configuration, migrations: &[String]) -> Vec<Check> {
    let mut checks = Vec::new();
    if configuration.database() == Some(NO_DATABASE_ID) {
        checks.push(Check::bad(
            "database id",
            "is a row of zeros, which no database has",
            "take the line database_id out of wrangler.toml: wrangler finds the database by its name, or makes it",
        ));
    }
    if migrations.is_empty() {
        checks.push(Check::bad(
            "migrations directory",
            format!("{} has no .sql file", configuration.migrations_dir()),
            "set migrations_dir = \"migrations\" under [[d1_databases]] in wrangler.toml",
        ));
    }
    checks
}

fn cron(configuration: &Configuration) -> Check {
    let crons = configuration
        .table
        .get("triggers")
        .and_then(|triggers| triggers.get("crons"))
        .and_then(Value::as_array);
    let there = crons.is_some_and(|crons| crons.iter().any(|cron| cron.as_str() == Some(CRON)));
    if there {
        return Check::ok("cron trigger", format!("wrangler.toml has \"{CRON}\""));
    }
    Check::bad(
        "cron trigger",
        "wrangler.toml does not have the one of each minute: nothing would notice a bot whose own alarm is lost",
        format!("set crons = [\"{CRON}\"] under [triggers] in wrangler.toml"),
    )
}

fn container(configuration: &Configuration) -> Vec<Check> {
    let Some((_, instances)) = configuration.container() else {
        let remedy = "add [[containers]] to wrangler.toml, as the repository's has it";
        return vec![Check::bad("container", "wrangler.toml has none", remedy)];
    };
    let mut checks = Vec::new();
    let awake = configuration.variable(MAX_AWAKE);
    if let Some(awake) = awake.and_then(|awake| awake.parse::<i64>().ok())
        && awake != instances
    {
        checks.push(Check::bad(
            "container max_instances",
            format!("is {instances} and MAX_AWAKE is {awake}: bots would be refused by whichever is less"),
            "set both to the same number in wrangler.toml",
        ));
    }
    let priced = configuration.variable(INSTANCE_TYPE);
    for entry in configuration.list("containers") {
        let named = entry.get("instance_type").and_then(Value::as_str);
        if let (Some(named), Some(priced)) = (named, priced)
            && named != priced
        {
            checks.push(Check::bad(
                "container instance_type",
                format!(
                    "is {named} and INSTANCE_TYPE is {priced}: costs and limits would be those of another"
                ),
                "set both to the same type in wrangler.toml",
            ));
        }
        let grace = entry
            .get("rollout_active_grace_period")
            .and_then(Value::as_integer);
        let least = i64::try_from(STOP_DEADLINE_MS / 1_000).unwrap_or(i64::MAX);
        if grace.unwrap_or_default() <= least {
            checks.push(Check::bad(
                "container rollout_active_grace_period",
                format!(
                    "is not longer than the {least} s a stop may take: a deploy would cut snapshots short"
                ),
                format!(
                    "set rollout_active_grace_period = {} under [[containers]] in wrangler.toml",
                    least + 30
                ),
            ));
        }
        let ssh = entry.get("ssh").and_then(|ssh| ssh.get("enabled"));
        if ssh.and_then(Value::as_bool) != Some(false) {
            checks.push(Check::bad(
                "container ssh",
                "is not off: who may deploy could enter anybody's bot, and nothing would tell its owner",
                "set ssh = { enabled = false } under [[containers]] in wrangler.toml",
            ));
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            "container",
            format!("at most {instances} at once, no ssh"),
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;

    /// The repository's own file, with what an operator fills in.
    fn complete() -> String {
        include_str!("../../../wrangler.toml")
            .replace("PUBLIC_URL = \"\"", "PUBLIC_URL = \"https://bots.example.com\"")
            .replace(
                "SUPABASE_URL = \"\"",
                "SUPABASE_URL = \"https://abcd.supabase.co\"",
            )
            .replace(
                "SUPABASE_ANON_KEY = \"\"",
                "SUPABASE_ANON_KEY = \"sb_publishable_x\"",
            )
    }

    fn bad(text: &str) -> Vec<(String, String)> {
        let configuration = Configuration::parse(text).unwrap();
        judge(&configuration, &["0001_bots.sql".to_owned()])
            .into_iter()
            .filter(|check| check.verdict != Verdict::Ok)
            // The repository's own file leaves it out: an account has to be prepared for it.
            .filter(|check| check.check != "binding SERIES")
            .map(|check| (check.check, check.remedy.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn a_completed_wrangler_toml_has_no_finding() {
        assert_eq!(bad(&complete()), []);
    }

    #[test]
    fn the_repository_as_it_is_lacks_exactly_its_three_settings() {
        let names: Vec<_> = bad(include_str!("../../../wrangler.toml"))
            .into_iter()
            .map(|(check, _)| check)
            .collect();
        assert_eq!(
            names,
            [
                "setting PUBLIC_URL",
                "setting SUPABASE_URL",
                "setting SUPABASE_ANON_KEY"
            ]
        );
    }

    #[test]
    fn each_defect_of_a_configuration_is_found_with_its_remedy() {
        for (from, to, check, remedy) in [
            (
                "PUBLIC_URL = \"https://bots.example.com\"",
                "PUBLIC_URL = \"bots.example.com\"",
                "setting PUBLIC_URL",
                "[vars]",
            ),
            (
                "sb_publishable_x",
                "sb_secret_x",
                "setting SUPABASE_ANON_KEY",
                "[vars]",
            ),
            (
                "OAUTH_PROVIDERS = \"\"",
                "OAUTH_PROVIDER = \"\"",
                "setting OAUTH_PROVIDER",
                "spelling",
            ),
            (
                "OAUTH_PROVIDERS = \"\"",
                "REPOSITORY_OPERATOR_TOKEN = \"0123456789012345678901234567890123456789\"",
                "setting REPOSITORY_OPERATOR_TOKEN",
                "cargo xtask wrangler secret put",
            ),
            (
                "BOT_DOMAIN = \"\"",
                "BOT_DOMAIN = 1",
                "setting BOT_DOMAIN",
                "quotes",
            ),
            (
                "name = \"USER_LIMIT\"",
                "name = \"USER_LIMITS\"",
                "binding USER_LIMIT",
                "ratelimits",
            ),
            ("\"* * * * *\"", "\"0 * * * *\"", "cron trigger", "* * * * *"),
            (
                "max_instances = 20",
                "max_instances = 10",
                "container max_instances",
                "same number",
            ),
            (
                "enabled = false",
                "enabled = true",
                "container ssh",
                "ssh = { enabled = false }",
            ),
            (
                "rollout_active_grace_period = 120",
                "rollout_active_grace_period = 10",
                "container rollout_active_grace_period",
                "[[containers]]",
            ),
            (
                "database_name = \"moltbot\"",
                "database_name = \"moltbot\"\ndatabase_id = \"00000000-0000-0000-0000-000000000000\"",
                "database id",
                "take the line",
            ),
        ] {
            let text = complete();
            assert!(text.contains(from), "{from}");
            let found = bad(&text.replacen(from, to, 1));
            assert!(
                found
                    .iter()
                    .any(|(name, said)| name == check && said.contains(remedy)),
                "{to}: {found:?}"
            );
            // What is misspelled is also missing under its right name.
            let expected = if check == "binding USER_LIMIT" { 2 } else { 1 };
            assert_eq!(found.len(), expected, "{to}: {found:?}");
        }
    }

    #[test]
    fn a_secrets_value_is_not_in_what_is_said() {
        let text = complete().replace("OAUTH_PROVIDERS = \"\"", "BACKUP_KEY = \"c2VjcmV0LXZhbHVl\"");
        let configuration = Configuration::parse(&text).unwrap();
        let said = format!("{:?}", judge(&configuration, &["0001_bots.sql".to_owned()]));
        assert!(
            said.contains("BACKUP_KEY") && !said.contains("c2VjcmV0LXZhbHVl"),
            "{said}"
        );
    }
}
