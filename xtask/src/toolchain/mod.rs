//! Finds or installs the tools: the ordinary way first, the offline fallback second. Everything lands in one cache
//! directory (`~/.cache/moltworker`); what is complete there is not looked at twice.

mod admin_ui;
mod alertmanager;
mod apt;
mod cache;
mod cargo_tools;
mod chromium;
mod command;
mod docker;
mod function_order;
mod js_tools;
mod node;
mod promtool;
mod report;
mod restic;
mod schemathesis;
mod versions;
mod wasm_target;
mod worker_build;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};

use cache::Cache;
pub(crate) use report::Detail;
use report::Report;
pub(crate) use worker_build::{Built, WorkerTools};

/// Groups of tools that are needed together. Node and the JavaScript tools are part of every set-up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// To build the Worker: the wasm target, worker-build, wasm-bindgen, and the packages of the admin UI.
    Worker,
    /// To check the admin UI.
    AdminUi,
    /// To run containers: the engine (up for as long as the [`Toolchain`] lives) and the images.
    Docker,
    /// To test in a browser.
    Browser,
    /// To test backups with a program that is not ours.
    Restic,
    /// To judge metrics, dashboards and alert rules by Prometheus itself.
    Promtool,
    /// To send alerts to a program that is not ours.
    Alertmanager,
    /// To call the API with whatever its document allows and forbids.
    Schemathesis,
    /// To judge the crates this stands on.
    Deny,
    /// To list them.
    Sbom,
}

/// Tools that are in place and ready to be called.
pub(crate) struct Toolchain {
    root: PathBuf,
    node: node::Node,
    js: js_tools::JsTools,
    admin_ui: Option<js_tools::JsTools>,
    worker: Option<WorkerTools>,
    docker: Option<docker::Docker>,
    browser: Option<PathBuf>,
    restic: Option<PathBuf>,
    promtool: Option<PathBuf>,
    alertmanager: Option<PathBuf>,
    schemathesis: Option<schemathesis::Schemathesis>,
    deny: Option<PathBuf>,
    sbom: Option<PathBuf>,
}

impl Toolchain {
    /// Finds or installs the parts, saying line by line what it does.
    pub(crate) fn prepare(root: &Path, parts: &[Part], detail: Detail) -> Result<Self> {
        let cache = Cache::open()?;
        let report = Report::new(detail);
        let started = Instant::now();
        let _one_at_a_time = cache.lock()?;
        let wants = |part| parts.contains(&part);
        let node = node::find(&cache, &report)?;
        let js = js_tools::find(root, &cache, &report, &node)?;
        let admin_ui = (wants(Part::Worker) || wants(Part::AdminUi))
            .then(|| admin_ui::find(root, &cache, &report, &node))
            .transpose()?;
        let worker = wants(Part::Worker)
            .then(|| WorkerTools::find(root, &cache, &report))
            .transpose()?;
        let docker = wants(Part::Docker)
            .then(|| docker::find(root, &cache, &report))
            .transpose()?;
        let browser = wants(Part::Browser)
            .then(|| chromium::find(&cache, &report))
            .transpose()?;
        let restic = wants(Part::Restic)
            .then(|| restic::find(&cache, &report))
            .transpose()?;
        let promtool = wants(Part::Promtool)
            .then(|| promtool::find(&cache, &report))
            .transpose()?;
        let alertmanager = wants(Part::Alertmanager)
            .then(|| alertmanager::find(&cache, &report))
            .transpose()?;
        let schemathesis = wants(Part::Schemathesis)
            .then(|| schemathesis::find(&cache, &report))
            .transpose()?;
        let deny = wants(Part::Deny)
            .then(|| cargo_tools::deny(&cache, &report))
            .transpose()?;
        let sbom = wants(Part::Sbom)
            .then(|| cargo_tools::sbom(&cache, &report))
            .transpose()?;
        if detail == Detail::EveryStep {
            eprintln!("  {:<16} {:>5.1} s", "set-up", started.elapsed().as_secs_f32());
        }
        Ok(Self {
            root: root.to_owned(),
            node,
            js,
            admin_ui,
            worker,
            docker,
            browser,
            restic,
            promtool,
            alertmanager,
            schemathesis,
            deny,
            sbom,
        })
    }

    /// Any program, from the repository root, with the right Node first on PATH and, for the parts that were
    /// prepared, what wrangler, miniflare and the tests look for in the environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("PATH", command::path_with(&self.node.bin)?)
            .env("WRANGLER_SEND_METRICS", "false");
        if let Some(docker) = &self.docker {
            command.envs(docker.env.iter().map(|(name, value)| (name, value)));
        }
        if let Some(browser) = &self.browser {
            command.env("CHROMIUM_BIN", browser);
        }
        if let Some(restic) = &self.restic {
            command.env("RESTIC_BIN", restic);
        }
        if let Some(promtool) = &self.promtool {
            command.env("PROMTOOL_BIN", promtool);
        }
        if let Some(alertmanager) = &self.alertmanager {
            command.env("ALERTMANAGER_BIN", alertmanager);
        }
        if let Some(schemathesis) = &self.schemathesis {
            command
                .env("SCHEMATHESIS_PYTHON", &schemathesis.python)
                .env("SCHEMATHESIS_BIN", &schemathesis.program);
        }
        Ok(command)
    }

    /// The right Node: add a script.
    pub(crate) fn node(&self) -> Result<Command> {
        self.command(&self.node.node)
    }

    /// The pinned wrangler: add its arguments.
    pub(crate) fn wrangler(&self) -> Result<Command> {
        let mut command = self.node()?;
        command.arg("--no-warnings").arg(self.js.wrangler());
        Ok(command)
    }

    /// The npm of the right Node: add its arguments.
    pub(crate) fn npm(&self) -> Result<Command> {
        let mut command = self.node.npm()?;
        command.current_dir(&self.root);
        Ok(command)
    }

    /// cargo-deny for the whole workspace: add what to check.
    pub(crate) fn deny(&self) -> Result<Command> {
        let deny = self
            .deny
            .as_ref()
            .context("this command was not set up for cargo-deny")?;
        let mut command = self.command(deny)?;
        command.args(["deny", "--workspace", "--locked"]);
        Ok(command)
    }

    /// cargo-sbom: add the package.
    pub(crate) fn sbom(&self) -> Result<Command> {
        let sbom = self
            .sbom
            .as_ref()
            .context("this command was not set up for cargo-sbom")?;
        let mut command = self.command(sbom)?;
        command.arg("sbom");
        Ok(command)
    }

    /// The `docker` that understands what wrangler says to it.
    pub(crate) fn docker(&self) -> Result<Command> {
        let docker = self
            .docker
            .as_ref()
            .context("this command was not set up for containers")?;
        self.command(&docker.program)
    }

    pub(crate) fn admin_ui_checks(&self) -> Result<Command> {
        let _packages = self
            .admin_ui
            .as_ref()
            .context("this command was not set up for the admin UI")?;
        admin_ui::checks(&self.root, &self.node)
    }

    /// Builds the Worker into `build/`, and the admin UI beside it, or says that nothing changed.
    pub(crate) fn build_worker(&self) -> Result<Built> {
        let worker = self
            .worker
            .as_ref()
            .context("this command was not set up to build the Worker")?;
        let admin_ui = self
            .admin_ui
            .as_ref()
            .context("this command was not set up for the admin UI")?;
        worker.build(&self.root, &self.node, &self.js, admin_ui)
    }
}

/// `cargo xtask setup`
pub(crate) fn setup(root: &Path) -> Result<ExitCode> {
    eprintln!("setting up ({})", Cache::open()?.path("").display());
    Toolchain::prepare(
        root,
        &[
            Part::Worker,
            Part::Docker,
            Part::Browser,
            Part::Restic,
            Part::Promtool,
            Part::Alertmanager,
            Part::Schemathesis,
            Part::Deny,
        ],
        Detail::EveryStep,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask worker-build`: wrangler calls it for every build, so it is quiet unless it works.
pub(crate) fn worker_build(root: &Path) -> Result<ExitCode> {
    let built = Toolchain::prepare(root, &[Part::Worker], Detail::OnlyWork)?.build_worker()?;
    println!("{built}");
    Ok(ExitCode::SUCCESS)
}

/// `cargo xtask wrangler ...`, with the terminal wholly its own.
pub(crate) fn wrangler(root: &Path, args: &[String]) -> Result<ExitCode> {
    // Only these build or run the image; the others must work without an engine.
    let containers = matches!(
        args.first().map(String::as_str),
        Some("dev" | "deploy" | "containers" | "versions")
    ) && !args.iter().any(|arg| arg == "--help");
    let parts: &[Part] = if containers { &[Part::Docker] } else { &[] };
    let tools = Toolchain::prepare(root, parts, Detail::OnlyWork)?;
    // Ctrl-C is for wrangler, which shares the terminal; what the set-up started is stopped after it has ended.
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::default())
        .context("cannot listen for Ctrl-C")?;
    let status = tools
        .wrangler()?
        .args(args)
        .stdin(Stdio::inherit())
        .status()
        .context("wrangler cannot be started")?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}
