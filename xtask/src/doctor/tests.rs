//! `doctor` against a local counterpart of Cloudflare and of a deployment.

use moltworker_core::settings::BINDINGS;
use serde_json::{Value, json};

use super::counterpart::{ACCOUNT, Account, Counterpart};
use super::*;

const TAG: &str = "0123456789ab";
const TOKEN: &str = "the-api-token";
const PASSWORD: &str = "the-password";

fn configuration(url: &str) -> Configuration {
    let text = include_str!("../../../wrangler.toml")
        .replace("PUBLIC_URL = \"\"", "PUBLIC_URL = \"https://bots.example.com\"")
        .replace("SUPABASE_URL = \"\"", &format!("SUPABASE_URL = \"{url}\""))
        .replace(
            "SUPABASE_ANON_KEY = \"\"",
            "SUPABASE_ANON_KEY = \"sb_publishable_x\"",
        )
        .replace(
            "CF_ZONE_ID = \"\"",
            "CF_ZONE_ID = \"0123456789abcdef0123456789abcdef\"",
        );
    let queues = "\n[[queues.consumers]]\nqueue = \"doctor-jobs\"\ndead_letter_queue = \"doctor-lost\"\n";
    Configuration::parse(&text.replace("[triggers]", &format!("{queues}\n[triggers]"))).unwrap()
}

fn checkout() -> Checkout {
    Checkout {
        tag: Some(TAG.to_owned()),
        migrations: vec!["0001_bots.sql".to_owned(), "0002_users.sql".to_owned()],
        gateway: Some("2026.9.6".to_owned()),
    }
}

/// What the platform says of the bindings and variables of a deployment from this configuration.
fn bindings(configuration: &Configuration) -> Value {
    let mut all: Vec<Value> = BINDINGS
        .iter()
        .map(|binding| {
            let kind = deployment::deployed_type(binding.kind);
            json!({ "type": kind, "name": binding.name })
        })
        .collect();
    for (name, value) in configuration.variables().unwrap() {
        all.push(json!({ "type": "plain_text", "name": name, "text": value.as_str() }));
    }
    Value::Array(all)
}

/// A deployment of this checkout in which all is well.
fn healthy() -> Counterpart {
    let counterpart = Counterpart::start(Account {
        database: Some(checkout().migrations),
        bucket: true,
        lock_rules: json!([{ "id": "logs", "enabled": true, "prefix": "logs/" }]),
        secrets: ["SESSION_KEY", "BACKUP_KEY", "CF_API_TOKEN"]
            .map(str::to_owned)
            .to_vec(),
        crons: vec!["* * * * *".to_owned()],
        queues: configuration("https://abcd.supabase.co")
            .queues()
            .into_iter()
            .collect(),
        hostnames: vec![
            json!({ "hostname": "claw.example.org", "status": "active", "ssl": { "status": "active" } }),
        ],
        containers: json!([{
            "name": "moltbot-sandbox-sandbox", "max_instances": 20,
            "configuration": { "image": "registry.cloudflare.com/acc/moltbot-sandbox-sandbox:11111111" },
        }]),
        components: Some((
            200,
            json!({ "components": [
            { "component": "cron", "health": "healthy", "since": "2026-11-26T10:00:00Z", "reason": null },
            { "component": "database", "health": "healthy", "since": 1_790_000_000_000_i64, "more": [1] },
        ] }),
        )),
        ..Account::default()
    });
    let bindings = bindings(&configuration(&counterpart.url));
    counterpart.account().deployed(Some(TAG), bindings);
    counterpart
}

fn credentials(api: &str) -> Credentials {
    Credentials::from_lookup(|name| {
        let value = match name {
            "CLOUDFLARE_API_BASE_URL" => api,
            "CLOUDFLARE_API_TOKEN" => TOKEN,
            "CLOUDFLARE_ACCOUNT_ID" => ACCOUNT,
            "MOLTWORKER_MONITOR_TOKEN" => "the-monitor-token",
            "MOLTWORKER_TEST_EMAIL" => "test@example.com",
            "MOLTWORKER_TEST_PASSWORD" => PASSWORD,
            _ => return None,
        };
        Some(value.to_owned())
    })
}

fn examine_with(counterpart: &Counterpart, credentials: &Credentials) -> Vec<Check> {
    let args = DoctorArgs {
        config_only: false,
        url: Some(counterpart.url.clone()),
        sign_in: true,
        json: false,
    };
    let configuration = configuration(&counterpart.url);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let checkout = checkout();
    runtime
        .block_on(look(&configuration, &checkout, credentials, &args))
        .unwrap()
}

fn examine(counterpart: &Counterpart) -> Vec<Check> {
    examine_with(counterpart, &credentials(&counterpart.api()))
}

/// What is not in order, with what to type.
fn findings(checks: &[Check]) -> Vec<(&str, Verdict, &str)> {
    let found = checks.iter().filter(|check| check.verdict != Verdict::Ok);
    found
        .map(|check| {
            let remedy = check.remedy.as_deref().unwrap_or_default();
            (check.check.as_str(), check.verdict, remedy)
        })
        .collect()
}

#[test]
fn a_healthy_deployment_has_no_finding() {
    let counterpart = healthy();
    let checks = examine(&counterpart);
    assert_eq!(findings(&checks), []);
    assert_eq!(checks.len(), 19, "{checks:#?}");
    let asked = counterpart.account().asked.clone();
    let changing = asked.iter().find(|asked| {
        !asked.starts_with("GET") && !asked.contains("/query") && !asked.contains("/auth/v1/token")
    });
    assert_eq!(changing, None, "doctor changes nothing");
}

#[test]
fn each_defect_of_a_deployment_is_the_only_finding_with_its_remedy() {
    type Plant = fn(&mut Account);
    let planted: [(&str, &str, Plant); 15] = [
        ("worker", "cargo xtask deploy", |account| {
            for (tag, _) in account.versions.values_mut() {
                *tag = Some("ba9876543210".to_owned());
            }
        }),
        ("secrets", "wrangler secret put SESSION_KEY", |account| {
            account.secrets.retain(|name| name != "SESSION_KEY");
        }),
        ("secrets", "wrangler secret put CF_API_TOKEN", |account| {
            account.secrets.retain(|name| name != "CF_API_TOKEN");
        }),
        ("deployed bindings", "cargo xtask deploy", |account| {
            let (_, bindings) = account.versions.values_mut().next().unwrap();
            bindings
                .as_array_mut()
                .unwrap()
                .retain(|entry| entry["name"] != "USER_LIMIT");
        }),
        ("deployed settings", "cargo xtask deploy", |account| {
            let (_, bindings) = account.versions.values_mut().next().unwrap();
            let all = bindings.as_array_mut().unwrap();
            let setting = all
                .iter_mut()
                .find(|entry| entry["name"] == "SLEEP_AFTER")
                .unwrap();
            setting["text"] = json!("1h");
        }),
        ("deployed cron trigger", "triggers deploy", |account| {
            account.crons.clear()
        }),
        ("database", "cargo xtask deploy", |account| {
            account.database = None
        }),
        ("migrations", "d1 migrations apply DB --remote", |account| {
            account.database = Some(vec!["0001_bots.sql".to_owned()]);
        }),
        ("migrations", "git pull", |account| {
            account.database.as_mut().unwrap().push("0003_new.sql".to_owned());
        }),
        ("bucket", "cargo xtask deploy", |account| account.bucket = false),
        (
            "bucket lock",
            "r2 bucket lock remove moltbot-data --name all",
            |account| {
                account.lock_rules =
                    json!([{ "id": "all", "enabled": true, "condition": { "type": "Indefinite" } }]);
            },
        ),
        ("queues", "queues create doctor-lost", |account| {
            account.queues.retain(|name| name != "doctor-lost")
        }),
        ("deployed container", "cargo xtask deploy", |account| {
            account.containers = json!([])
        }),
        ("custom domains", "CNAME", |account| {
            let ssl = json!({ "status": "pending_validation" });
            let host = json!({ "hostname": "a.example.org", "status": "pending", "ssl": ssl });
            account.hostnames.push(host);
        }),
        ("component cron", "docs/operations.md", |account| {
            let component =
                json!({ "component": "cron", "health": "unhealthy", "since": null, "reason": "late" });
            account.components = Some((200, json!({ "components": [component] })));
        }),
    ];
    for (check, remedy, plant) in planted {
        let counterpart = healthy();
        plant(&mut counterpart.account());
        let checks = examine(&counterpart);
        let found = findings(&checks);
        assert_eq!(found.len(), 1, "{check}: {found:?}");
        let (name, verdict, said) = found[0];
        assert_eq!((name, verdict), (check, Verdict::Bad));
        assert!(said.contains(remedy), "{check}: {said}");
    }
}

#[test]
fn what_is_not_deployed_yet_is_told_with_the_one_command() {
    let counterpart = healthy();
    {
        let mut account = counterpart.account();
        account.active = None;
        account.database = None;
        account.bucket = false;
    }
    let checks = examine(&counterpart);
    for (name, verdict, remedy) in findings(&checks) {
        if ["worker", "database", "bucket"].contains(&name) {
            assert_eq!(verdict, Verdict::Bad);
            assert!(remedy.contains("cargo xtask deploy"), "{name}: {remedy}");
        }
    }
    assert_eq!(
        bad_names(&checks),
        ["worker", "database", "bucket", "sign-in page"]
    );
}

#[test]
fn requests_divided_among_versions_are_a_finding() {
    let counterpart = healthy();
    counterpart.account().divided_with = Some("other".to_owned());
    let checks = examine(&counterpart);
    assert_eq!(bad_names(&checks), ["worker"]);
}

#[test]
fn an_api_that_does_not_answer_rightly_is_never_taken_for_good() {
    const OF_CLOUDFLARE: [&str; 5] = ["worker", "database", "bucket", "queues", "custom domains"];
    let refused = r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#;
    for (status, body) in [
        (403, refused),
        (429, "{}"),
        (500, "oops"),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"success":true,"result":{"no":"such"}}"#),
    ] {
        let counterpart = healthy();
        counterpart.account().always = Some((status, body.to_owned()));
        let checks = examine(&counterpart);
        for name in OF_CLOUDFLARE {
            let check = checks.iter().find(|check| check.check == name).unwrap();
            // That a bucket exists is told by any well-formed answer; the next question then fails.
            let lock = checks.iter().find(|check| check.check == "bucket lock");
            let excused = name == "bucket" && lock.is_some_and(|lock| lock.verdict == Verdict::Unknown);
            assert!(
                check.verdict == Verdict::Unknown || excused,
                "{status} {body}: {check:?}"
            );
            assert!(!check.reason.is_empty());
        }
        assert_eq!(bad_names(&checks), [] as [&str; 0], "{status} {body}");
    }
    let counterpart = healthy();
    let closed = credentials("http://127.0.0.1:1/client/v4");
    let checks = examine_with(&counterpart, &closed);
    let worker = checks.iter().find(|check| check.check == "worker").unwrap();
    assert_eq!(worker.verdict, Verdict::Unknown);
    assert!(worker.reason.contains("cannot be reached"), "{worker:?}");
}

#[test]
fn each_answer_of_the_api_that_fails_alone_is_unknown_alone() {
    for (part, check) in [
        ("/versions/", "worker"),
        ("/secrets", "secrets"),
        ("/schedules", "deployed cron trigger"),
        ("/query", "migrations"),
        ("/lock", "bucket lock"),
        ("/queues", "queues"),
        ("/containers/", "deployed container"),
        ("/custom_hostnames", "custom domains"),
    ] {
        for (status, body) in [(403, "{}"), (200, r#"{"success":true,"result":7}"#)] {
            let counterpart = healthy();
            counterpart.account().instead = Some((part, status, body.to_owned()));
            let checks = examine(&counterpart);
            let found: Vec<_> = findings(&checks)
                .into_iter()
                .map(|(name, verdict, _)| (name, verdict))
                .collect();
            assert_eq!(found, [(check, Verdict::Unknown)], "{part} {status} {body}");
        }
    }
}

#[test]
fn without_credentials_it_says_how_to_give_them() {
    let counterpart = healthy();
    let none = Credentials::from_lookup(|name| name.contains("TEST").then(|| "x@example.com".to_owned()));
    let checks = examine_with(&counterpart, &none);
    let found = findings(&checks);
    let names: Vec<_> = found.iter().map(|(name, verdict, _)| (*name, *verdict)).collect();
    assert_eq!(
        names,
        [("Cloudflare", Verdict::Unknown), ("components", Verdict::Unknown)]
    );
    assert!(found[0].2.contains("CLOUDFLARE_API_TOKEN"));
}

#[test]
fn no_secret_is_in_what_is_printed() {
    let counterpart = healthy();
    let mut report = Report {
        checks: examine(&counterpart),
    };
    counterpart.account().always = Some((403, String::new()));
    report.checks.extend(examine(&counterpart));
    let printed = format!("{}{}", report.text(), serde_json::to_string(&report).unwrap());
    for secret in [TOKEN, PASSWORD, "the-monitor-token", "a-token-of-the-test-user"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[test]
fn a_component_of_an_unknown_state_or_form_is_not_taken_for_good() {
    for document in [
        json!({ "components": [{ "component": "cron", "health": "purple" }] }),
        json!({ "components": [{ "component": "cron" }] }),
        json!({ "components": [] }),
        json!({ "parts": 1 }),
    ] {
        let counterpart = healthy();
        counterpart.account().components = Some((200, document.clone()));
        let checks = examine(&counterpart);
        let found = findings(&checks);
        assert_eq!(found.len(), 1, "{document}: {found:?}");
        assert_eq!(found[0].1, Verdict::Unknown, "{document}");
    }
}
