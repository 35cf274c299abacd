//! What every stand-in image has: a label that says what it was made from, and a stream of files that it is made of.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::super::command::{capture, command};

/// Says on a stand-in what it was made from; an image without it came from a registry.
pub(super) const LABEL: &str = "moltworker.stand-in";

/// `None`: no such image here. Empty: an image without our label.
pub(super) fn label(image: &str) -> Option<String> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    let label = capture(command("docker").args(["image", "inspect", "--format", &format, image])).ok()?;
    Some(label).map(|label| {
        if label == "<no value>" {
            String::new()
        } else {
            label
        }
    })
}

/// `from | to`, both successful.
pub(super) fn pipe(mut from: Command, mut to: Command, log: &Path) -> Result<()> {
    let mut source = from
        .stdout(Stdio::piped())
        .spawn()
        .context("tar cannot be started")?;
    let stream = source.stdout.take().context("tar has no output")?;
    let log_file = fs::File::create(log)?;
    let received = to
        .stdin(stream)
        .stdout(log_file.try_clone()?)
        .stderr(log_file)
        .status();
    let received = received.context("docker cannot be started")?;
    let sent = source.wait()?;
    if !received.success() || !sent.success() {
        let said = fs::read_to_string(log).unwrap_or_default();
        bail!(
            "docker refused it: {}",
            said.lines().last().unwrap_or("it said nothing")
        );
    }
    Ok(())
}
