//! What `deploy` has wrangler do. A trait, because an upload needs a built Worker, Docker and a registry; everything else
//! is tried with the real wrangler against a local counterpart of the API.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use moltworker_core::settings::DATABASE_BINDING;
use serde_json::Value;

use crate::doctor::is_a_deployment;

/// A deployed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: String,
    /// The commit it was made of, where it says so.
    pub(super) tag: Option<String>,
}

/// What of the migrations the database does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    /// There is no database: wrangler makes it with the first deployment.
    NoDatabase,
    These(Vec<String>),
}

/// The steps that are wrangler's.
pub(super) trait Wrangler {
    /// The version that answers, if there was a deployment.
    fn current(&self) -> Result<Option<Version>>;
    /// Which of the known migrations are not applied.
    fn pending(&self, known: &[String]) -> Result<Pending>;
    fn migrate(&self) -> Result<()>;
    /// Makes a queue, if it does not exist.
    fn make_queue(&self, name: &str) -> Result<()>;
    fn deploy(&self, tag: &str, message: &str) -> Result<()>;
    fn roll_back(&self, version: &str, message: &str) -> Result<()>;
}

/// The pinned wrangler. `command` makes one without arguments.
pub(super) struct RealWrangler<F> {
    pub(super) command: F,
}

/// Cloudflare's number for a Worker that does not exist.
const NO_SUCH_WORKER: &str = "10007";

impl<F: Fn() -> Result<Command>> RealWrangler<F> {
    /// Runs a question and hands back what it printed; when it failed, all it printed is the reason.
    fn ask(&self, args: &[&str]) -> Result<Result<String, String>> {
        let output = (self.command)()?
            .args(args)
            .stdin(Stdio::null())
            .output()
            .context("wrangler cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(Ok(text));
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Ok(Err(format!("{}\n{}", text.trim(), errors.trim())))
    }

    /// Runs a change and shows what it prints. Without a terminal it asks nothing: `deploy` has asked.
    fn change(&self, args: &[&str]) -> Result<()> {
        let status = (self.command)()?
            .args(args)
            .stdin(Stdio::null())
            .status()
            .context("wrangler cannot be started")?;
        let words = args.get(..args.len().min(3)).unwrap_or_default().join(" ");
        if !status.success() {
            bail!("`wrangler {words}` ended with {status}; what it printed says why");
        }
        Ok(())
    }

    fn json(&self, args: &[&str]) -> Result<Result<Value, String>> {
        Ok(match self.ask(args)? {
            Err(why) => Err(why),
            Ok(text) => {
                let words = args.join(" ");
                let value = serde_json::from_str(&text);
                Ok(value.with_context(|| format!("`wrangler {words}` printed something that is no JSON"))?)
            }
        })
    }
}

impl<F: Fn() -> Result<Command>> Wrangler for RealWrangler<F> {
    fn current(&self) -> Result<Option<Version>> {
        let deployment = match self.json(&["deployments", "status", "--json"])? {
            Err(why) if why.contains(NO_SUCH_WORKER) || why.contains("has no deployments") => {
                return Ok(None);
            }
            Err(why) => bail!("wrangler cannot tell what is deployed: {why}"),
            Ok(deployment) => deployment,
        };
        let versions = deployment.get("versions").and_then(Value::as_array);
        let id = match versions.map(Vec::as_slice) {
            Some([only]) => only.get("version_id").and_then(Value::as_str),
            Some([_, ..]) => bail!(
                "requests are divided among several versions: give one of them 100 % first (cargo xtask wrangler \
                 versions deploy), or nobody could say what to go back to"
            ),
            _ => None,
        };
        let id = id.context("wrangler's answer about the deployment names no version")?;
        let details = match self.json(&["versions", "view", id, "--json"])? {
            Err(why) => bail!("wrangler cannot tell what version {id} is: {why}"),
            Ok(details) => details,
        };
        let tag = details
            .pointer("/annotations/workers~1tag")
            .and_then(Value::as_str);
        Ok(is_a_deployment(&details).then(|| Version {
            id: id.to_owned(),
            tag: tag.map(str::to_owned),
        }))
    }

    fn pending(&self, known: &[String]) -> Result<Pending> {
        match self.ask(&["d1", "migrations", "list", DATABASE_BINDING, "--remote"])? {
            Err(why) if why.contains("Couldn't find") => Ok(Pending::NoDatabase),
            Err(why) => bail!("wrangler cannot tell which migrations are applied: {why}"),
            Ok(text) => {
                // It prints a table for people, or that there is nothing to do. Neither would be an answer we do not know.
                let pending: Vec<_> = known
                    .iter()
                    .filter(|name| text.contains(name.as_str()))
                    .cloned()
                    .collect();
                if pending.is_empty() && !text.contains("No migrations to apply") {
                    bail!(
                        "wrangler's answer about migrations has a form that this version does not know: {text}"
                    );
                }
                Ok(Pending::These(pending))
            }
        }
    }

    fn migrate(&self) -> Result<()> {
        self.change(&["d1", "migrations", "apply", DATABASE_BINDING, "--remote"])
    }

    fn make_queue(&self, name: &str) -> Result<()> {
        match self.ask(&["queues", "info", name])? {
            Ok(_) => Ok(()),
            Err(why) if why.contains("does not exist") => self.change(&["queues", "create", name]),
            Err(why) => bail!("wrangler cannot tell whether the queue {name} exists: {why}"),
        }
    }

    fn deploy(&self, tag: &str, message: &str) -> Result<()> {
        self.change(&["deploy", "--tag", tag, "--message", message])
    }

    fn roll_back(&self, version: &str, message: &str) -> Result<()> {
        self.change(&["rollback", version, "--yes", "--message", message])
    }
}
