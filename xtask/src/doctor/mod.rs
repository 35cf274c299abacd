//! `cargo xtask doctor`: looks at a configuration and at a deployment, and says for each finding what to type.
//!
//! It changes nothing: it reads `wrangler.toml`, Cloudflare's API and what the deployment answers.

mod cloudflare;
mod configuration;
#[cfg(test)]
mod counterpart;
mod deployment;
mod environment;
mod platform;
mod report;
mod resources;
#[cfg(test)]
mod tests;
mod wrangler_toml;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;
use moltworker_core::settings::PUBLIC_URL;

use cloudflare::Cloudflare;
#[cfg(test)]
pub(crate) use counterpart::{ACCOUNT, Account, Counterpart};
pub(crate) use deployment::{Checkout, is_a_deployment};
pub(crate) use environment::Credentials;
pub(crate) use platform::{Platform, bad_names, components, health, sign_in_page};
pub(crate) use report::{Check, Report, Verdict};
pub(crate) use wrangler_toml::Configuration;

/// Options of `cargo xtask doctor`.
#[derive(Args)]
#[command(
    after_help = "Secrets come from the environment: CLOUDFLARE_API_TOKEN (a token with the read permissions of \
                        docs/operations.md) and CLOUDFLARE_ACCOUNT_ID, MOLTWORKER_MONITOR_TOKEN, and for --sign-in \
                        MOLTWORKER_TEST_EMAIL and MOLTWORKER_TEST_PASSWORD."
)]
pub(crate) struct DoctorArgs {
    /// Look at wrangler.toml alone, and ask nobody
    #[arg(long)]
    config_only: bool,
    /// Where the deployment is, if not at PUBLIC_URL of wrangler.toml
    #[arg(long, value_parser = address)]
    url: Option<String>,
    /// Sign in as the test user of the environment and wake their bot; costs a minute of a container
    #[arg(long)]
    sign_in: bool,
    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,
}

/// An address without a slash at its end.
pub(crate) fn address(text: &str) -> Result<String, String> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err("is no address; it looks like https://bots.example.com".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `cargo xtask doctor`
pub(crate) fn doctor(root: &Path, args: &DoctorArgs) -> Result<ExitCode> {
    let configuration = read_configuration(root)?;
    let checkout = Checkout::read(root, &configuration)?;
    let mut report = Report {
        checks: configuration::judge(&configuration, &checkout.migrations),
    };
    if !args.config_only {
        let credentials = Credentials::from_environment();
        let runtime = tokio::runtime::Runtime::new().context("no runtime can be started")?;
        let found = runtime.block_on(look(&configuration, &checkout, &credentials, args))?;
        report.checks.extend(found);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What `wrangler.toml` alone comes to.
pub(crate) fn judge_configuration(configuration: &Configuration, checkout: &Checkout) -> Report {
    Report {
        checks: configuration::judge(configuration, &checkout.migrations),
    }
}

async fn look(
    configuration: &Configuration,
    checkout: &Checkout,
    credentials: &Credentials,
    args: &DoctorArgs,
) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let account = credentials.account.as_deref().or_else(|| configuration.account());
    match (&credentials.api_token, account) {
        (Some(token), Some(account)) => {
            let cloudflare = Cloudflare::new(&credentials.api_base_url, token.clone(), account.to_owned())?;
            checks.extend(deployment::judge(configuration, checkout, &cloudflare).await);
        }
        (token, _) => {
            let missing = match token {
                None => "CLOUDFLARE_API_TOKEN is not set",
                Some(_) => "CLOUDFLARE_ACCOUNT_ID is not set",
            };
            checks.push(
                Check::unknown("Cloudflare", format!("{missing}, so what is deployed was not looked at"))
                    .remedied_by("read -rs CLOUDFLARE_API_TOKEN && export CLOUDFLARE_API_TOKEN  (paste the token; docs/operations.md says which)\nexport CLOUDFLARE_ACCOUNT_ID=…  (cargo xtask wrangler whoami shows it)"),
            );
        }
    }
    let url = args.url.clone();
    let url = url.or_else(|| {
        let public = configuration.variable(PUBLIC_URL)?;
        address(public).ok()
    });
    let Some(url) = url else {
        checks.push(
            Check::unknown(
                "public address",
                "neither PUBLIC_URL nor --url says where the deployment is",
            )
            .remedied_by("cargo xtask doctor --url https://…"),
        );
        return Ok(checks);
    };
    let platform = Platform {
        client: cloudflare::client()?,
        url,
        monitor_token: credentials.monitor_token.clone(),
    };
    let user = match args.sign_in {
        true => Some(credentials.test_user().context(
            "--sign-in needs somebody to sign in as: set MOLTWORKER_TEST_EMAIL and MOLTWORKER_TEST_PASSWORD",
        )?),
        false => None,
    };
    checks.extend(platform::judge(&platform, configuration, checkout, user.as_ref()).await);
    Ok(checks)
}

pub(crate) fn read_configuration(root: &Path) -> Result<Configuration> {
    let text = std::fs::read_to_string(root.join("wrangler.toml")).context("wrangler.toml cannot be read")?;
    Configuration::parse(&text).context("wrangler.toml is malformed")
}

impl Platform {
    pub(crate) fn at(url: String, monitor_token: Option<String>) -> Result<Self> {
        let client = cloudflare::client()?;
        Ok(Self {
            client,
            url,
            monitor_token,
        })
    }
}

impl Checkout {
    /// What lies in this directory.
    pub(crate) fn read(root: &Path, configuration: &Configuration) -> Result<Self> {
        let mut migrations: Vec<String> = std::fs::read_dir(root.join(configuration.migrations_dir()))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        migrations.sort();
        let package = std::fs::read(root.join("container/openclaw/package.json")).ok();
        let package: Option<serde_json::Value> = package.and_then(|text| serde_json::from_slice(&text).ok());
        let gateway = package
            .as_ref()
            .and_then(|package| package.pointer("/dependencies/openclaw"));
        Ok(Self {
            tag: tag(root),
            migrations,
            gateway: gateway.and_then(|version| version.as_str()).map(str::to_owned),
        })
    }
}

/// The commit as a version's tag, and whether files differ from it. Cloudflare takes 25 characters.
fn tag(root: &Path) -> Option<String> {
    let commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(root, &["status", "--porcelain", "--untracked-files=no"])?;
    let mark = if changed.is_empty() { "" } else { "-changed" };
    Some(format!("{commit}{mark}"))
}

/// What git says; `None` where there is no git or no repository.
pub(crate) fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(root).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
