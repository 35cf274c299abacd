//! schemathesis, in a Python environment of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::apt;
use super::cache::{Cache, fingerprint};
use super::command::{capture, command, logged, on_path, succeeds};
use super::report::{Report, Say};
use super::versions::SCHEMATHESIS;

/// The versions of everything it stands on.
const CONSTRAINTS: &str = include_str!("schemathesis.txt");

/// A Python program, and the Python to run it with: its own first line names the place it was installed in.
pub(crate) struct Schemathesis {
    pub(crate) python: PathBuf,
    pub(crate) program: PathBuf,
}

impl Schemathesis {
    fn within(dir: &Path) -> Self {
        Self {
            python: dir.join("bin/python"),
            program: dir.join("bin/schemathesis"),
        }
    }

    fn runs(&self) -> bool {
        self.program.is_file() && succeeds(command(&self.python).arg(&self.program).arg("--version"))
    }
}

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<Schemathesis> {
    report.step("schemathesis", |say| {
        let entry = format!(
            "python/schemathesis-{SCHEMATHESIS}-{}",
            fingerprint([CONSTRAINTS.as_bytes()])
        );
        let place = cache.path(&entry);
        let found = Schemathesis::within(&place);
        if found.runs() {
            return Ok((found, SCHEMATHESIS.to_owned()));
        }
        // The machine's Python has changed since.
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        with_venv(cache, say)?;
        say.doing(format!("pip install schemathesis=={SCHEMATHESIS}"));
        cache.entry(&entry, 200, |dir| install(cache, dir))?;
        capture(command(&found.python).arg(&found.program).arg("--version"))
            .context("schemathesis was installed but does not run")?;
        Ok((found, format!("{SCHEMATHESIS} installed")))
    })
}

/// Debian keeps what makes an environment with pip in a package of its own.
fn with_venv(cache: &Cache, say: &Say<'_>) -> Result<()> {
    let there = succeeds(command("python3").args(["-c", "import ensurepip, venv"]));
    if there && on_path("python3").is_some() {
        return Ok(());
    }
    apt::install(
        cache,
        say,
        "schemathesis needs Python with venv",
        &["python3", "python3-venv"],
    )
}

fn install(cache: &Cache, dir: &Path) -> Result<()> {
    let log = cache.path("schemathesis.log");
    logged(command("python3").args(["-m", "venv"]).arg(dir), &log)?;
    let scratch = cache.scratch()?;
    let constraints = scratch.path().join("constraints.txt");
    std::fs::write(&constraints, CONSTRAINTS)?;
    logged(
        command(dir.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--constraint",
            ])
            .arg(&constraints)
            .arg(format!("schemathesis=={SCHEMATHESIS}")),
        &log,
    )
}
