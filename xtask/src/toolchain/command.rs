//! Runs other programs quietly and, when one fails, says which and with what last words.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A command without standard input: nothing in the set-up may wait for an answer.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Standard output of a successful run, trimmed.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| start_error(command, &error))?;
    if !output.status.success() {
        let words = last_output(&output.stderr).or_else(|| last_output(&output.stdout));
        bail!(
            "{} ended with {}: {}",
            name(command),
            output.status,
            words.unwrap_or_default()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether it ran and succeeded; what it printed does not matter.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs with both streams going to `log`; a failure carries what the log says about it.
pub(crate) fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .map_err(|error| start_error(command, &error))?;
    if !status.success() {
        let words = std::fs::read(log).ok().and_then(|text| last_output(&text));
        bail!(
            "{} ended with {status}: {} (all of it in {})",
            name(command),
            words.unwrap_or_default(),
            log.display()
        );
    }
    Ok(())
}

/// Where `program` is on PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// The machine's PATH with `first` in front.
pub(crate) fn path_with(first: &Path) -> Result<std::ffi::OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first.to_owned()).chain(std::env::split_paths(&rest));
    std::env::join_paths(all)
        .with_context(|| format!("{} cannot be put on PATH: it contains a colon", first.display()))
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn start_error(command: &Command, error: &std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        anyhow::anyhow!("{} is not installed, or not on PATH", name(command))
    } else {
        anyhow::anyhow!("{} cannot be started: {error}", name(command))
    }
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(command.get_program())];
    words.extend(command.get_args().take(3));
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

/// The lines that say what went wrong, or else the last ones, on one line.
fn last_output(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let complaints: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| {
            ["error", "npm error", "E:", "fatal", "Error"]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .take(4)
        .collect();
    let words = if complaints.is_empty() {
        lines.get(lines.len().saturating_sub(4)..)?
    } else {
        complaints.as_slice()
    };
    (!words.is_empty()).then(|| words.join(" | "))
}
