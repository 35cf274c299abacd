//! `deploy` against a local counterpart: with the real wrangler for all that needs no container, and with a fake one for
//! the order of the steps.

use std::cell::RefCell;
use std::process::Command;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::*;
use crate::doctor::{ACCOUNT, Account, Counterpart};

const MIGRATIONS: [&str; 2] = ["0001_first.sql", "0002_second.sql"];

fn plan(counterpart: &Counterpart, deadline_ms: u64) -> Plan {
    Plan {
        checkout: Checkout {
            tag: Some("new".to_owned()),
            migrations: MIGRATIONS.map(str::to_owned).to_vec(),
            gateway: None,
        },
        tag: "new".to_owned(),
        message: "Say it better".to_owned(),
        queues: Vec::new(),
        commits_since: Box::new(|tag| format!("abc the one after {tag}")),
        platform: Platform::at(counterpart.url.clone(), Some("monitor".to_owned())).unwrap(),
        deadline: Duration::from_millis(deadline_ms),
        pause: Duration::from_millis(1),
    }
}

fn steps(wrangler: &dyn Wrangler, plan: &Plan, agreed: bool) -> Result<Outcome> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    run(wrangler, plan, &runtime, |_| Ok(agreed))
}

/// An account with a deployment of the tag `old`.
fn account() -> Account {
    let mut account = Account {
        database: Some(vec![MIGRATIONS[0].to_owned()]),
        bucket: true,
        queues: vec!["jobs".to_owned(), "lost".to_owned()],
        ..Account::default()
    };
    account.deployed(
        Some("old"),
        json!([{ "type": "durable_object_namespace", "name": "SANDBOX" }]),
    );
    account
}

fn active_tag(counterpart: &Counterpart) -> Option<String> {
    let account = counterpart.account();
    let (tag, _) = account.versions.get(account.active.as_ref()?)?;
    tag.clone()
}

/// The real wrangler in a directory with a Worker that has no container.
fn real(
    directory: &Path,
    counterpart: &Counterpart,
    command: &dyn Fn() -> Result<Command>,
) -> Result<Command> {
    let mut wrangler = command()?;
    wrangler
        .current_dir(directory)
        .env("CLOUDFLARE_API_BASE_URL", counterpart.api())
        .env("CLOUDFLARE_API_TOKEN", "the-api-token")
        .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
        .env("XDG_CONFIG_HOME", directory)
        .env("WRANGLER_LOG_PATH", directory.join("logs"))
        .env("NO_PROXY", "127.0.0.1");
    Ok(wrangler)
}

fn worker_without_container() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("migrations")).unwrap();
    for name in MIGRATIONS {
        write(&format!("migrations/{name}"), "CREATE TABLE t (x);");
    }
    write(
        "worker.js",
        "import { DurableObject } from \"cloudflare:workers\";\nexport class Sandbox extends DurableObject {}\n\
         export default { fetch() { return new Response(\"ok\") } };\n",
    );
    let original: toml::Table = include_str!("../../../wrangler.toml").parse().unwrap();
    let mut kept = toml::Table::new();
    for name in [
        "name",
        "compatibility_date",
        "durable_objects",
        "migrations",
        "d1_databases",
        "r2_buckets",
        "triggers",
    ] {
        kept.insert(name.to_owned(), original[name].clone());
    }
    kept.insert("main".to_owned(), "worker.js".into());
    let queues = "[[producers]]\nbinding = \"JOBS\"\nqueue = \"jobs\"\n[[consumers]]\nqueue = \"jobs\"\n\
                  dead_letter_queue = \"lost\"\n[[consumers]]\nqueue = \"lost\"\n";
    kept.insert("queues".to_owned(), queues.parse::<toml::Table>().unwrap().into());
    write("wrangler.toml", &toml::to_string(&kept).unwrap());
    directory
}

#[test]
fn a_version_that_fails_is_replaced_by_the_one_before_with_real_wrangler() {
    let counterpart = Counterpart::start(account());
    counterpart.account().broken.insert("new".to_owned());
    let before = counterpart.account().active.clone();
    let directory = worker_without_container();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tools = Toolchain::prepare(root, &[], Detail::OnlyWork).unwrap();
    let wrangler = RealWrangler {
        command: || real(directory.path(), &counterpart, &|| tools.wrangler()),
    };
    let outcome = steps(&wrangler, &plan(&counterpart, 200), true).unwrap();
    assert_eq!(outcome, Outcome::WentBack);
    let account = counterpart.account();
    assert_eq!(account.active, before);
    assert_eq!(account.versions.len(), 2, "the new one was uploaded");
    assert_eq!(
        account.database.as_deref().unwrap(),
        MIGRATIONS,
        "migrations stay applied"
    );
    let position = |part: &str| {
        account
            .asked
            .iter()
            .rposition(|asked| asked.contains(part))
            .unwrap()
    };
    assert!(position("/query") < position("PUT /client/v4/accounts/acc/workers/scripts/moltbot-sandbox?"));
}

#[test]
fn a_first_deployment_makes_database_bucket_and_queues_with_real_wrangler() {
    let counterpart = Counterpart::start(Account::default());
    let directory = worker_without_container();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let tools = Toolchain::prepare(root, &[], Detail::OnlyWork).unwrap();
    let wrangler = RealWrangler {
        command: || real(directory.path(), &counterpart, &|| tools.wrangler()),
    };
    let mut plan = plan(&counterpart, 5_000);
    plan.queues = vec!["lost".to_owned()];
    let outcome = steps(&wrangler, &plan, true).unwrap();
    assert_eq!(outcome, Outcome::Deployed);
    assert_eq!(active_tag(&counterpart).as_deref(), Some("new"));
    assert_eq!(counterpart.account().queues, ["lost", "jobs"]);
    let account = counterpart.account();
    assert_eq!(account.database.as_deref().unwrap(), MIGRATIONS);
    assert!(account.bucket);
    assert_eq!(account.crons, ["* * * * *"]);
    let bindings = account.versions.values().next().unwrap().1.to_string();
    assert!(
        bindings.contains("22222222-2222-4222-8222-222222222222"),
        "{bindings}"
    );
}

/// Does to the counterpart what wrangler would, or refuses a step.
struct Fake<'a> {
    counterpart: &'a Counterpart,
    refuses: &'static str,
    steps: RefCell<Vec<String>>,
}

impl<'a> Fake<'a> {
    fn new(counterpart: &'a Counterpart, refuses: &'static str) -> Self {
        Self {
            counterpart,
            refuses,
            steps: RefCell::default(),
        }
    }

    fn step(&self, name: &str) -> Result<()> {
        self.steps.borrow_mut().push(name.to_owned());
        if self.refuses == name {
            return Err(anyhow!("{name} refused"));
        }
        Ok(())
    }
}

impl Wrangler for Fake<'_> {
    fn current(&self) -> Result<Option<Version>> {
        let account = self.counterpart.account();
        let id = account.active.clone();
        Ok(id.map(|id| Version {
            tag: account.versions.get(&id).and_then(|(tag, _)| tag.clone()),
            id,
        }))
    }

    fn pending(&self, known: &[String]) -> Result<Pending> {
        self.step("pending")?;
        Ok(match &self.counterpart.account().database {
            None => Pending::NoDatabase,
            Some(applied) => Pending::These(
                known
                    .iter()
                    .filter(|name| !applied.contains(name))
                    .cloned()
                    .collect(),
            ),
        })
    }

    fn migrate(&self) -> Result<()> {
        self.step("migrate")
    }

    fn make_queue(&self, name: &str) -> Result<()> {
        self.step(name)
    }

    fn deploy(&self, tag: &str, _: &str) -> Result<()> {
        if self.refuses != "deploy" {
            self.counterpart.account().deployed(Some(tag), Value::Null);
        }
        // A container that is refused after the Worker was uploaded.
        self.step("deploy").and(self.step("container"))
    }

    fn roll_back(&self, version: &str, _: &str) -> Result<()> {
        self.step("roll back")?;
        self.counterpart.account().active = Some(version.to_owned());
        Ok(())
    }
}

fn taken(fake: &Fake<'_>) -> Vec<String> {
    fake.steps.borrow().clone()
}

#[test]
fn a_deployment_that_works_takes_every_step_once() {
    let counterpart = Counterpart::start(account());
    let fake = Fake::new(&counterpart, "nothing");
    let mut plan = plan(&counterpart, 5_000);
    plan.queues = vec!["lost".to_owned()];
    let outcome = steps(&fake, &plan, true).unwrap();
    assert_eq!(outcome, Outcome::Deployed);
    assert_eq!(
        taken(&fake),
        ["pending", "migrate", "lost", "deploy", "container"]
    );
}

#[test]
fn an_operator_who_declines_changes_nothing() {
    let counterpart = Counterpart::start(account());
    let fake = Fake::new(&counterpart, "nothing");
    let outcome = steps(&fake, &plan(&counterpart, 200), false).unwrap();
    assert_eq!(outcome, Outcome::Declined);
    assert_eq!(taken(&fake), ["pending"]);
}

#[test]
fn a_refused_step_stops_before_the_next() {
    for (refused, expected) in [
        ("pending", &["pending"][..]),
        ("migrate", &["pending", "migrate"]),
        ("deploy", &["pending", "migrate", "deploy", "container"]),
    ] {
        let counterpart = Counterpart::start(account());
        let fake = Fake::new(&counterpart, refused);
        let error = steps(&fake, &plan(&counterpart, 200), true).unwrap_err();
        assert!(
            format!("{error:#}").contains(&format!("{refused} refused")),
            "{error:#}"
        );
        assert_eq!(taken(&fake), expected, "{refused}");
        assert_eq!(active_tag(&counterpart).as_deref(), Some("old"));
        if refused == "deploy" {
            assert!(format!("{error:#}").contains("migrations stay applied (0002_second.sql)"));
        }
    }
}

#[test]
fn a_worker_whose_container_was_refused_is_rolled_back() {
    let counterpart = Counterpart::start(account());
    let fake = Fake::new(&counterpart, "container");
    let outcome = steps(&fake, &plan(&counterpart, 200), true).unwrap();
    assert_eq!(outcome, Outcome::WentBack);
    assert_eq!(active_tag(&counterpart).as_deref(), Some("old"));
}

#[test]
fn a_rollback_that_is_refused_leaves_the_new_version_and_says_so() {
    let counterpart = Counterpart::start(account());
    counterpart.account().broken.insert("new".to_owned());
    let fake = Fake::new(&counterpart, "roll back");
    let outcome = steps(&fake, &plan(&counterpart, 50), true).unwrap();
    assert_eq!(outcome, Outcome::Broken);
    assert_eq!(active_tag(&counterpart).as_deref(), Some("new"));
}

#[test]
fn a_first_deployment_that_does_not_work_has_nothing_to_go_back_to() {
    let counterpart = Counterpart::start(Account::default());
    counterpart.account().broken.insert("new".to_owned());
    let fake = Fake::new(&counterpart, "nothing");
    let outcome = steps(&fake, &plan(&counterpart, 50), true).unwrap();
    assert_eq!(outcome, Outcome::Broken);
    assert_eq!(taken(&fake), ["pending", "deploy", "container", "migrate"]);
}

#[test]
fn only_components_that_became_bad_speak_against_a_deployment() {
    let bad = |name: &str| Check::bad(format!("component {name}"), "late", "look");
    let good = || vec![Check::ok("public address", ""), Check::ok("sign-in page", "")];
    let mut seen = good();
    seen.push(bad("cron"));
    assert_eq!(verdict(&seen, &[bad("cron")]), None);
    assert_eq!(
        verdict(&seen, &[bad("queue")]).as_deref(),
        Some("component cron: late")
    );
    assert_eq!(verdict(&good(), &[]), None);
    let silent = [
        Check::ok("public address", ""),
        Check::unknown("sign-in page", "timed out"),
    ];
    assert!(verdict(&silent, &[]).is_some());
}

#[test]
fn what_goes_back_and_what_does_not_is_said() {
    let said = what_stays(&["0002_second.sql".to_owned()], true, Some("old-changed"));
    for words in [
        "migrations stay applied (0002_second.sql)",
        "container's image",
        "git checkout old &&",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(what_stays(&[], false, None), "");
}

#[test]
fn what_will_change_names_commits_migrations_and_the_container() {
    let counterpart = Counterpart::start(Account::default());
    let plan = plan(&counterpart, 50);
    let before = Version {
        id: "v1".to_owned(),
        tag: Some("old".to_owned()),
    };
    let pending = Pending::These(vec!["0002_second.sql".to_owned()]);
    let text = what_will_change(&plan, Some(&before), &pending);
    for words in [
        "commit new in place of old",
        "abc the one after old",
        "0002_second.sql",
        "rollout",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let first = what_will_change(&plan, None, &Pending::NoDatabase);
    assert!(
        first.contains("first deployment") && first.contains("all 2 migrations"),
        "{first}"
    );
}
