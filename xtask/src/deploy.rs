//! `cargo xtask deploy`: checks, migrations, `wrangler deploy`, a smoke test, and the way back when that fails.
//!
//! A step that is refused stops before the next. What a step back does not undo is said.

#[cfg(test)]
mod tests;
mod wrangler;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use moltworker_core::settings::PUBLIC_URL;

use crate::doctor::{
    self, Check, Checkout, Configuration, Credentials, Platform, Verdict, bad_names, components, git, health,
    sign_in_page,
};
use crate::toolchain::{Detail, Part, Toolchain};
use wrangler::{Pending, RealWrangler, Version, Wrangler};

/// Options of `cargo xtask deploy`.
#[derive(Args)]
#[command(
    after_help = "wrangler signs in by CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID, or by `cargo xtask wrangler \
                        login`. With MOLTWORKER_MONITOR_TOKEN set, the smoke test also asks for the components."
)]
pub(crate) struct DeployArgs {
    /// Do not ask before changing anything
    #[arg(long)]
    yes: bool,
    /// Where the smoke test finds the deployment, if not at PUBLIC_URL of wrangler.toml
    #[arg(long, value_parser = doctor::address)]
    url: Option<String>,
    /// Seconds within which the new version has to work
    #[arg(long, default_value_t = 120)]
    deadline: u64,
}

/// Characters Cloudflare takes as the message of a version.
const MESSAGE_CHARACTERS: usize = 100;
/// Good answers in a row that count as working: for some seconds after a deployment locations still answer with the
/// version before.
const STEADY: u32 = 5;
/// Time between two looks of the smoke test.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Deployed,
    /// The operator said no.
    Declined,
    /// The new version does not work, and the one before answers again.
    WentBack,
    /// The new version does not work, and it is the one that answers.
    Broken,
}

/// `cargo xtask deploy`
pub(crate) fn deploy(root: &Path, args: &DeployArgs) -> Result<ExitCode> {
    let configuration = doctor::read_configuration(root)?;
    let checkout = Checkout::read(root, &configuration)?;
    let report = doctor::judge_configuration(&configuration, &checkout);
    print!("{}", report.text());
    if !report.passed() {
        bail!("nothing was deployed: mend what is bad in wrangler.toml and run this again");
    }
    let plan = Plan::new(root, args, &configuration, checkout)?;
    let tools = Toolchain::prepare(root, &[Part::Docker], Detail::OnlyWork)?;
    let wrangler = RealWrangler {
        command: || tools.wrangler(),
    };
    let runtime = tokio::runtime::Runtime::new().context("no runtime can be started")?;
    let outcome = run(&wrangler, &plan, &runtime, |_| match args.yes {
        true => Ok(true),
        false => ask_operator(),
    })?;
    Ok(match outcome {
        Outcome::Deployed => ExitCode::SUCCESS,
        Outcome::Declined | Outcome::WentBack | Outcome::Broken => ExitCode::FAILURE,
    })
}

/// What is to be deployed, and how it is seen to work.
struct Plan {
    checkout: Checkout,
    tag: String,
    message: String,
    /// Those that wrangler does not make by itself.
    queues: Vec<String>,
    /// Commits since the deployed one, for people; empty where git cannot tell.
    commits_since: Box<dyn Fn(&str) -> String>,
    platform: Platform,
    deadline: Duration,
    pause: Duration,
}

impl Plan {
    fn new(
        root: &Path,
        args: &DeployArgs,
        configuration: &Configuration,
        checkout: Checkout,
    ) -> Result<Self> {
        let tag = checkout.tag.clone().context(
            "git does not tell this checkout's commit, by which a version is known later: deploy from a git checkout",
        )?;
        let subject = git(root, &["log", "-1", "--format=%s"]).unwrap_or_default();
        let url = match (&args.url, configuration.variable(PUBLIC_URL)) {
            (Some(url), _) => url.clone(),
            (None, Some(public)) => {
                doctor::address(public).map_err(|why| anyhow::anyhow!("PUBLIC_URL {why}"))?
            }
            (None, None) => bail!("set PUBLIC_URL in wrangler.toml, or say --url https://…"),
        };
        let home = root.to_owned();
        Ok(Self {
            checkout,
            message: subject.chars().take(MESSAGE_CHARACTERS).collect(),
            tag,
            queues: configuration.queues_without_binding(),
            commits_since: Box::new(move |tag| {
                let range = format!("{}..HEAD", tag.trim_end_matches("-changed"));
                git(&home, &["log", "--oneline", "--no-decorate", &range]).unwrap_or_default()
            }),
            platform: Platform::at(url, Credentials::from_environment().monitor_token)?,
            deadline: Duration::from_secs(args.deadline),
            pause: LOOK_PAUSE,
        })
    }
}

/// All steps. `agreed` is asked once, before the first change, with what will change.
fn run(
    wrangler: &dyn Wrangler,
    plan: &Plan,
    runtime: &tokio::runtime::Runtime,
    agreed: impl FnOnce(&str) -> Result<bool>,
) -> Result<Outcome> {
    let before = wrangler.current()?;
    let pending = wrangler.pending(&plan.checkout.migrations)?;
    let changes = what_will_change(plan, before.as_ref(), &pending);
    print!("{changes}");
    if !agreed(&changes)? {
        println!("nothing was changed");
        return Ok(Outcome::Declined);
    }
    // What was bad already is not this deployment's fault, and may be what it mends.
    let bad_before = match &before {
        Some(_) => runtime.block_on(components(&plan.platform)),
        None => Vec::new(),
    };
    let applied = match &pending {
        Pending::These(names) if !names.is_empty() => {
            println!("\n== migrations");
            wrangler
                .migrate()
                .context("nothing was deployed, because migrations were refused")?;
            names.clone()
        }
        _ => Vec::new(),
    };
    for queue in &plan.queues {
        wrangler
            .make_queue(queue)
            .context("nothing was deployed, because a queue is missing")?;
    }
    println!("\n== deploy");
    if let Err(error) = wrangler.deploy(&plan.tag, &plan.message) {
        return refused_deploy(wrangler, plan, runtime, before.as_ref(), &applied, error);
    }
    let applied = if pending == Pending::NoDatabase {
        println!("\n== migrations");
        wrangler.migrate().context(
            "the Worker is deployed, but its database has no tables: run cargo xtask deploy again when the cause is mended",
        )?;
        plan.checkout.migrations.clone()
    } else {
        applied
    };
    println!("\n== smoke test of {}", plan.platform.url);
    match runtime.block_on(works(plan, &bad_before)) {
        Ok(seen) => {
            for check in seen.iter().filter(|check| check.verdict == Verdict::Unknown) {
                println!("not looked at: {} ({})", check.check, check.reason);
            }
            println!("deployed {}: it works", plan.tag);
            Ok(Outcome::Deployed)
        }
        Err(why) => {
            println!("the new version does not work: {why}");
            go_back(wrangler, plan, runtime, before.as_ref(), &applied)
        }
    }
}

/// wrangler may have failed before the upload or after it.
fn refused_deploy(
    wrangler: &dyn Wrangler,
    plan: &Plan,
    runtime: &tokio::runtime::Runtime,
    before: Option<&Version>,
    applied: &[String],
    error: anyhow::Error,
) -> Result<Outcome> {
    let now = wrangler
        .current()
        .with_context(|| format!("{error:#}; and which version answers now is not known"))?;
    if now.as_ref() == before {
        let kept = what_stays(applied, false, None);
        return Err(error.context(format!("the version before goes on to answer{kept}")));
    }
    println!("{error:#}; its Worker answers already");
    go_back(wrangler, plan, runtime, before, applied)
}

fn go_back(
    wrangler: &dyn Wrangler,
    plan: &Plan,
    runtime: &tokio::runtime::Runtime,
    before: Option<&Version>,
    applied: &[String],
) -> Result<Outcome> {
    let Some(before) = before else {
        println!(
            "this is the first deployment, so there is no version to go back to: `cargo xtask doctor` says what is \
             wrong; a new domain may take some minutes to get its certificate"
        );
        return Ok(Outcome::Broken);
    };
    println!("\n== back to version {}", before.id);
    let message = format!("{} failed its smoke test", plan.tag);
    if let Err(error) = wrangler.roll_back(&before.id, &message) {
        println!(
            "{error:#}\nthe new version answers still. Go back by hand: cargo xtask wrangler rollback {}",
            before.id
        );
        return Ok(Outcome::Broken);
    }
    println!(
        "rolled back: the Worker with its variables, to version {}{}{}",
        before.id,
        before
            .tag
            .as_ref()
            .map(|tag| format!(" (commit {tag})"))
            .unwrap_or_default(),
        what_stays(applied, true, before.tag.as_deref())
    );
    match runtime.block_on(works(plan, &[])) {
        Ok(_) => println!("the version before works"),
        Err(why) => println!("the version before does not work either: {why}"),
    }
    Ok(Outcome::WentBack)
}

/// What going back leaves as it is now.
fn what_stays(applied: &[String], deployed: bool, tag: Option<&str>) -> String {
    let mut text = String::new();
    if !applied.is_empty() {
        text.push_str(&format!(
            "\nnot rolled back: migrations stay applied ({})",
            applied.join(", ")
        ));
    }
    if deployed {
        let again = tag.map_or_else(String::new, |tag| {
            format!(
                " To have those of before as well: git checkout {} && cargo xtask deploy",
                tag.trim_end_matches("-changed")
            )
        });
        text.push_str(&format!(
            "\nnot rolled back: the container's image and its rollout, the cron trigger, queues and routes.{again}"
        ));
    }
    text
}

fn what_will_change(plan: &Plan, before: Option<&Version>, pending: &Pending) -> String {
    let mut text = String::from("\nWhat will change:\n");
    let mut line = |words: String| {
        text.push_str("  ");
        text.push_str(&words);
        text.push('\n');
    };
    match before {
        None => line(format!("Worker      first deployment, of commit {}", plan.tag)),
        Some(version) => {
            let from = version.tag.as_deref().unwrap_or("a commit that is not known");
            line(format!(
                "Worker      commit {} in place of {from} (version {})",
                plan.tag, version.id
            ));
            for commit in (plan.commits_since)(from).lines() {
                line(format!("            {commit}"));
            }
        }
    }
    match pending {
        Pending::NoDatabase => line(format!(
            "database    is made by wrangler, then all {} migrations are applied",
            plan.checkout.migrations.len()
        )),
        Pending::These(names) if names.is_empty() => line("migrations  none".to_owned()),
        Pending::These(names) => line(format!(
            "migrations  {} (not undone if it fails later)",
            names.join(", ")
        )),
    }
    line(
        "resources   a bucket or a queue with a binding is made by wrangler, a queue without one (dead letters) by this \
         command, where it does not exist yet"
            .to_owned(),
    );
    line(
        "container   wrangler builds and uploads the image; if it differs, a rollout replaces running containers in \
         two steps (10 %, then all), each with the grace period of wrangler.toml. wrangler does not wait for it"
            .to_owned(),
    );
    if plan.tag.ends_with("-changed") {
        line("note        files differ from the commit: nobody can see later what was deployed".to_owned());
    }
    text
}

/// Looks until the deployment has answered well a few times in a row, or says why it has not.
async fn works(plan: &Plan, bad_before: &[Check]) -> std::result::Result<Vec<Check>, String> {
    let deadline = Instant::now() + plan.deadline;
    let mut good = 0;
    loop {
        let seen = look(&plan.platform).await;
        match verdict(&seen, bad_before) {
            None => good += 1,
            Some(_) => good = 0,
        }
        if good >= STEADY {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            let seconds = plan.deadline.as_secs();
            let why =
                verdict(&seen, bad_before).unwrap_or_else(|| "it answers well only now and then".to_owned());
            return Err(format!("after {seconds} s, {why}"));
        }
        tokio::time::sleep(plan.pause).await;
    }
}

async fn look(platform: &Platform) -> Vec<Check> {
    let mut seen = vec![
        health(platform, "public address", &platform.url).await,
        sign_in_page(platform).await,
    ];
    seen.extend(components(platform).await);
    seen
}

/// What speaks against a deployment: the address and the sign-in page have to be good; a component must not have become bad.
fn verdict(seen: &[Check], bad_before: &[Check]) -> Option<String> {
    let excused = bad_names(bad_before);
    let against = seen.iter().find(|check| match check.check.as_str() {
        "public address" | "sign-in page" => check.verdict != Verdict::Ok,
        name => check.verdict == Verdict::Bad && !excused.contains(&name),
    });
    against.map(|check| format!("{}: {}", check.check, check.reason))
}

fn ask_operator() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nothing was changed: there is no terminal to ask at; add --yes if that is what you want");
    }
    print!("Go on? [y/N] ");
    std::io::stdout().flush().ok();
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("the terminal cannot be read")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
