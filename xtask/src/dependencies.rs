//! What this stands on: `cargo xtask dependencies` judges it, `cargo xtask sbom` lists it.
//!
//! What follows from the lock files is a phase of the tests. Which versions are known to be vulnerable changes by
//! itself from one day to the next, so no test goes by it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::toolchain::{Detail, Part, Toolchain};

/// Where npm packages are locked, and what they are for.
const NPM_LOCKS: [(&str, &str); 3] = [
    ("gateway", "container/openclaw"),
    ("admin-ui", "admin-ui"),
    ("tools", "."),
];
/// Programs of ours, and their packages.
const PROGRAMS: [(&str, &str); 2] = [("worker", "moltworker"), ("supervisor", "moltbot-supervisor")];
/// Both cargo-sbom and npm write it.
const FORMAT: &str = "cyclone_dx_json_1_6";

/// Licences, sources and duplicates of the crates.
pub(crate) fn by_lock_file(tools: &Toolchain) -> Result<Command> {
    let mut deny = tools.deny()?;
    deny.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    Ok(deny)
}

/// `cargo xtask dependencies`
pub(crate) fn judge(root: &Path) -> Result<ExitCode> {
    let tools = Toolchain::prepare(root, &[Part::Deny], Detail::OnlyWork)?;
    let mut good = passes("crates", &mut by_lock_file(&tools)?)?;
    if tools
        .deny()?
        .args(["fetch", "db"])
        .stderr(Stdio::null())
        .status()?
        .success()
    {
        let mut check = tools.deny()?;
        check.args(["check", "--disable-fetch", "advisories"]);
        good &= passes("advisories of crates", &mut check)?;
    } else {
        println!("advisories of crates: not checked, their list cannot be had from here");
    }
    for (name, dir) in NPM_LOCKS {
        let name = format!("advisories of {name}");
        let mut audit = tools.npm()?;
        audit
            .args(["audit", "--package-lock-only", "--omit=dev"])
            .current_dir(root.join(dir));
        let answer = audit.output().context("npm cannot be started")?;
        let text = String::from_utf8_lossy(&answer.stdout);
        match answer.status.success() {
            true => println!("{name}: passed"),
            // What npm says when it was the registry that failed, not a package.
            false if !text.contains("Severity:") => {
                println!("{name}: not checked, their list cannot be had from here");
            }
            false => {
                print!("{text}");
                println!("{name}: FAILED");
                good = false;
            }
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn passes(what: &str, command: &mut Command) -> Result<bool> {
    let good = command
        .status()
        .with_context(|| format!("{what} cannot be checked"))?
        .success();
    println!("{what}: {}", if good { "passed" } else { "FAILED" });
    Ok(good)
}

/// `cargo xtask sbom`
pub(crate) fn sbom(root: &Path) -> Result<ExitCode> {
    let tools = Toolchain::prepare(root, &[Part::Sbom], Detail::OnlyWork)?;
    let dir = root.join("target/sbom");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for (name, package) in PROGRAMS {
        let mut command = tools.sbom()?;
        command.args(["--cargo-package", package, "--output-format", FORMAT]);
        write(&dir, name, &mut command)?;
    }
    for (name, lock) in NPM_LOCKS {
        let mut command = tools.npm()?;
        let options = [
            "sbom",
            "--sbom-format",
            "cyclonedx",
            "--omit",
            "dev",
            "--package-lock-only",
        ];
        command.args(options).current_dir(root.join(lock));
        write(&dir, name, &mut command)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what the command prints, under its name only once it is complete.
fn write(dir: &Path, name: &str, command: &mut Command) -> Result<()> {
    let (place, partial) = (
        dir.join(format!("{name}.cdx.json")),
        dir.join(format!("{name}.partial")),
    );
    let file = File::create(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    let status = command
        .stdout(file)
        .status()
        .with_context(|| format!("the list of {name} cannot be made"))?;
    ensure!(status.success(), "the list of {name} was not made: see above");
    fs::rename(&partial, &place)?;
    println!("{}", place.display());
    Ok(())
}
