//! `cargo xtask test`: every test, fast layers first. A phase that fails hides no other that could still run.

mod count;
mod process;
mod processors;

use std::cell::OnceCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};

use crate::dependencies;
use crate::fuzz;
use crate::toolchain::{Detail, Part, Toolchain};
use count::{Counts, Runner};
use process::{Ended, Output, Stop};
use processors::Busy;

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Only these phases, in their usual order; all of them when none is named
    phases: Vec<Phase>,
    /// Also what takes minutes: hundreds of snapshots under changes, ten thousand hostile databases, attacks for a minute
    #[arg(long)]
    long: bool,
}

/// How long a hostile bot attacks with `--long`, in seconds; without, it is a matter of some rounds.
const LONG_ATTACK_SECONDS: &str = "60";
/// The supervisor's tests that `--long` runs with all others. The one that wants 45 GB of disk is run by hand (CONTRIBUTING.md).
const LONG_TESTS: [&str; 9] = [
    "test",
    "--release",
    "--package=moltbot-supervisor",
    "--test=supervisor",
    "--",
    "--ignored",
    "--nocapture",
    "--test-threads=1",
    "--skip=twenty_gigabytes",
];

/// In the order they run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Phase {
    /// cargo fmt --check
    Format,
    /// clippy and rustdoc, warnings are errors
    Lints,
    /// Rust tests of every package, tests/tidy.rs among them
    Native,
    /// The Worker as wasm
    Build,
    /// Types, lints and tests of the admin UI
    Ui,
    /// The Worker's tests in workerd, with a fake container: tests/worker
    Worker,
    /// Every operation of the API with good and bad input, by schemathesis: tests/api
    Api,
    /// Licences, sources and duplicates of the crates, by deny.toml
    Dependencies,
    /// The container image
    Image,
    /// wrangler deploy --dry-run
    Deploy,
    /// Docker, the real gateway and Chromium: tests/e2e
    E2e,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", clap::builder::PossibleValue::get_name))
    }
}

impl Phase {
    const fn runner(self) -> Runner {
        match self {
            Self::Native => Runner::Cargo,
            Self::Worker | Self::Api | Self::E2e => Runner::Node,
            _ => Runner::Check,
        }
    }

    /// The phase that starts beside this one, because both spend much of their time waiting. What it says is shown at its turn.
    const fn beside(self) -> Option<Self> {
        match self {
            Self::Worker => Some(Self::Image),
            _ => None,
        }
    }

    /// What must have passed for this phase to mean anything.
    const fn needs(self) -> &'static [Self] {
        match self {
            Self::Worker | Self::Api | Self::Deploy => &[Self::Build],
            Self::E2e => &[Self::Build, Self::Image],
            _ => &[],
        }
    }
}

struct Row {
    phase: Phase,
    counts: Counts,
    took: Duration,
    /// How much of the processors the machine used meanwhile.
    busy: Option<u8>,
    remark: String,
}

/// A phase that runs beside others.
struct Started {
    phase: Phase,
    began: Instant,
    program: JoinHandle<Result<(Ended, Vec<String>)>>,
}

/// The tools, set up when the first phase needs them: format and lints wait for nothing.
struct Tools<'a> {
    root: &'a Path,
    /// This program, told before a build puts another one in its place.
    program: PathBuf,
    native: OnceCell<Toolchain>,
    ui: OnceCell<Toolchain>,
    worker: OnceCell<Toolchain>,
    api: OnceCell<Toolchain>,
    deny: OnceCell<Toolchain>,
    all: OnceCell<Toolchain>,
}

impl Tools<'_> {
    fn native(&self) -> Result<&Toolchain> {
        self.prepared(&self.native, &[Part::Restic])
    }

    fn ui(&self) -> Result<&Toolchain> {
        self.prepared(&self.ui, &[Part::AdminUi])
    }

    fn worker(&self) -> Result<&Toolchain> {
        let parts = [Part::Worker, Part::Restic, Part::Promtool, Part::Alertmanager];
        self.prepared(&self.worker, &parts)
    }

    fn api(&self) -> Result<&Toolchain> {
        self.prepared(&self.api, &[Part::Worker, Part::Schemathesis])
    }

    fn deny(&self) -> Result<&Toolchain> {
        self.prepared(&self.deny, &[Part::Deny])
    }

    fn all(&self) -> Result<&Toolchain> {
        self.prepared(
            &self.all,
            &[Part::Worker, Part::Docker, Part::Browser, Part::Restic],
        )
    }

    fn prepared<'t>(&self, place: &'t OnceCell<Toolchain>, parts: &[Part]) -> Result<&'t Toolchain> {
        if place.get().is_none() {
            let tools = Toolchain::prepare(self.root, parts, Detail::EveryStep)?;
            place.set(tools).map_err(|_| anyhow!("tools were set up twice"))?;
        }
        place.get().context("tools are not set up")
    }
}

pub(crate) fn test(root: &Path, args: &TestArgs) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let tools = Tools {
        root,
        program: std::env::current_exe().context("this program has no path")?,
        native: OnceCell::new(),
        ui: OnceCell::new(),
        worker: OnceCell::new(),
        api: OnceCell::new(),
        deny: OnceCell::new(),
        all: OnceCell::new(),
    };
    let chosen = |phase: &Phase| args.phases.is_empty() || args.phases.contains(phase);
    let mut rows: Vec<Row> = Vec::new();
    let mut beside: Option<Started> = None;
    let began = Instant::now();
    for phase in Phase::value_variants().iter().copied().filter(chosen) {
        if stop.asked() {
            break;
        }
        println!("\n== {phase}");
        let (started, busy) = (Instant::now(), Busy::now());
        let failed = |needed: &&Phase| {
            rows.iter()
                .any(|row| row.phase == **needed && row.counts.failed > 0)
        };
        let (counts, remark) = match phase.needs().iter().find(failed) {
            Some(needed) => (Counts::default(), format!("not run: {needed} failed")),
            None => {
                let run = match beside.take_if(|started| started.phase == phase) {
                    Some(started) => started.finish(),
                    None => {
                        if let Some(other) = phase.beside().filter(&chosen) {
                            beside = Some(start(other, &tools, &stop));
                        }
                        if stop.asked() {
                            break;
                        }
                        run_phase(phase, args.long, &tools, &stop)
                    }
                };
                run.unwrap_or_else(|error| (Counts { passed: 0, failed: 1 }, format!("{error:#}")))
            }
        };
        if !remark.is_empty() {
            println!("{phase}: {remark}");
        }
        rows.push(Row {
            phase,
            counts,
            took: started.elapsed(),
            busy: busy.share(),
            remark,
        });
    }
    // Asked to stop: it ends before what it needs does.
    if let Some(started) = beside {
        started.finish().ok();
    }
    // Stops what the set-up started before the last line says that all is over.
    drop(tools);
    Ok(summary(&rows, began.elapsed(), stop.asked()))
}

fn run_phase(phase: Phase, long: bool, tools: &Tools<'_>, stop: &Stop) -> Result<(Counts, String)> {
    let command = match phase {
        Phase::Format => cargo(tools.root, &["fmt", "--all", "--check"]),
        Phase::Lints => {
            let clippy = run_command(phase, clippy(tools.root), stop)?;
            if clippy.0.failed > 0 || stop.asked() {
                return Ok(clippy);
            }
            rustdoc(tools.root)
        }
        Phase::Native => {
            let mut command = tools.native()?.command("cargo")?;
            command.args(["test", "--workspace", "--quiet", "--no-fail-fast"]);
            let usual = run_command(phase, command, stop)?;
            if !long || usual.0.failed > 0 || stop.asked() {
                return Ok(usual);
            }
            let mut command = tools.native()?.command("cargo")?;
            command.args(LONG_TESTS);
            let (counts, remark) = run_command(phase, command, stop)?;
            return Ok((counts + usual.0, remark));
        }
        Phase::Build => {
            let built = tools.worker()?.build_worker()?;
            return Ok((
                Phase::Build.runner().settle(Counts::default(), true),
                built.to_string(),
            ));
        }
        Phase::Ui => tools.ui()?.admin_ui_checks()?,
        Phase::Worker => {
            let mut node = node_tests(tools.worker()?, "tests/worker/**/*.test.mjs")?;
            node.env("XTASK_BIN", &tools.program);
            node
        }
        Phase::Api => fuzz::api_command(tools.api()?, fuzz::API_SECONDS)?,
        Phase::Dependencies => dependencies::by_lock_file(tools.deny()?)?,
        Phase::Image => image(tools)?,
        Phase::Deploy => {
            let mut wrangler = tools.all()?.wrangler()?;
            wrangler.args(["deploy", "--dry-run", "--outdir", "target/worker/dry-run"]);
            wrangler
        }
        Phase::E2e => {
            let mut node = node_tests(tools.all()?, "tests/e2e/**/*.test.mjs")?;
            if long {
                node.env("ATTACK_SECONDS", LONG_ATTACK_SECONDS);
            }
            node
        }
    };
    run_command(phase, command, stop)
}

fn run_command(phase: Phase, mut command: Command, stop: &Stop) -> Result<(Counts, String)> {
    let mut counted = Counts::default();
    let ended = process::run(&mut command, stop, Output::Shown, |line| {
        counted = counted + phase.runner().count(line);
    })?;
    Ok(settle(phase, counted, &ended))
}

/// What a phase came to, by what its program said and how that ended.
fn settle(phase: Phase, counted: Counts, ended: &Ended) -> (Counts, String) {
    let runner = phase.runner();
    let mut counts = runner.settle(counted, ended.success);
    let mut remark = String::new();
    if counts.failed > 0 && counted == Counts::default() && runner != Runner::Check {
        remark = "no test ran".to_owned();
    }
    if !ended.left.is_empty() {
        counts.failed += 1;
        remark = format!("left running: {}", ended.left.join(", "));
    }
    (counts, remark)
}

/// Starts a phase whose turn has not come.
fn start(phase: Phase, tools: &Tools<'_>, stop: &Stop) -> Started {
    let command = match phase {
        Phase::Image => image(tools),
        other => Err(anyhow!("{other} runs at its turn only")),
    };
    let stop = stop.clone();
    let program = thread::spawn(move || {
        let mut lines = Vec::new();
        let ended = process::run(&mut command?, &stop, Output::Kept, |line| {
            lines.push(line.to_owned())
        })?;
        Ok((ended, lines))
    });
    Started {
        phase,
        began: Instant::now(),
        program,
    }
}

impl Started {
    /// Waits for its end and shows what it said.
    fn finish(self) -> Result<(Counts, String)> {
        let gone = |_| anyhow!("what ran {} beside other phases panicked", self.phase);
        let (ended, lines) = self.program.join().map_err(gone)??;
        for line in &lines {
            println!("{line}");
        }
        let counted = lines.iter().map(|line| self.phase.runner().count(line)).sum();
        let (counts, mut remark) = settle(self.phase, counted, &ended);
        if remark.is_empty() {
            let seconds = self.began.elapsed().as_secs();
            remark = format!("began {seconds} s before, beside other phases");
        }
        Ok((counts, remark))
    }
}

fn image(tools: &Tools<'_>) -> Result<Command> {
    let mut docker = tools.all()?.docker()?;
    docker.args(["build", "--tag", "moltbot-sandbox:test", "."]);
    Ok(docker)
}

fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root);
    command
}

fn clippy(root: &Path) -> Command {
    let warnings_are_errors = ["--", "-D", "warnings"];
    let mut command = cargo(root, &["clippy", "--workspace", "--all-targets", "--quiet"]);
    command.args(warnings_are_errors);
    command
}

/// Finds links in comments that lead nowhere. Private items too: most comments are about those.
fn rustdoc(root: &Path) -> Command {
    let mut command = cargo(
        root,
        &[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--quiet",
        ],
    );
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// One file after the other: each starts a runtime or containers of its own, and cores are few.
fn node_tests(tools: &Toolchain, files: &str) -> Result<Command> {
    let mut command = tools.node()?;
    command.args(["--test", "--test-reporter=spec", "--test-concurrency=1", files]);
    Ok(command)
}

fn summary(rows: &[Row], took: Duration, interrupted: bool) -> ExitCode {
    println!(
        "\n{:<12} {:>8} {:>5} {:>7} {:>7}",
        "phase", "seconds", "busy", "passed", "failed"
    );
    for row in rows {
        println!(
            "{:<12} {:>8.1} {:>5} {:>7} {:>7}  {}",
            row.phase,
            row.took.as_secs_f32(),
            row.busy.map_or_else(String::new, |percent| format!("{percent}%")),
            row.counts.passed,
            row.counts.failed,
            row.remark
        );
    }
    let total: Counts = rows.iter().map(|row| row.counts).sum();
    println!(
        "{:<12} {:>8.1} {:>5} {:>7} {:>7}",
        "all",
        took.as_secs_f32(),
        "",
        total.passed,
        total.failed
    );
    if interrupted {
        println!("stopped before the end");
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    match (total.failed, interrupted) {
        // As shells report a program that Ctrl-C ended.
        (_, true) => ExitCode::from(130),
        (0, false) if total.passed > 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
