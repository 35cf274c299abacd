//! Has a process that has nothing to lose (`container/src/confinement/mod.rs`) read something of the bot's home, and takes what it
//! says: so many bytes, in so much time.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::confinement::PROGRAM;

/// One that is under way. It ends with the wish for what it says; whoever collects all that ends collects it.
struct UnderWay(Child);

impl Drop for UnderWay {
    fn drop(&mut self) {
        // One that has closed its output is at its end, or is to be.
        let _ = self.0.kill();
    }
}

/// What the process of `subcommand` says about `home`, or `None` where it says more than `most` bytes, or takes longer than
/// `wait`. Nothing of `request` is secret.
///
/// # Errors
/// When there is no such process.
pub(crate) async fn said(
    subcommand: &str,
    request: &impl Serialize,
    home: OwnedFd,
    most: u64,
    wait: Duration,
) -> io::Result<Option<Vec<u8>>> {
    let child = Command::new(PROGRAM)
        .args([subcommand, &serde_json::to_string(request)?])
        .env_clear()
        .stdin(Stdio::from(home))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut child = UnderWay(child);
    let output = child.0.stdout.take();
    let output = output.ok_or_else(|| io::Error::other("it has no output"))?;
    match timeout(wait, read(OwnedFd::from(output), most)).await {
        Ok(said) => said,
        Err(_) => Ok(None),
    }
}

/// What such a process was started with, where that can be read.
pub(crate) fn request<R: DeserializeOwned>() -> Option<R> {
    let text = std::env::args_os().nth(2)?.into_string().ok()?;
    serde_json::from_str(&text).ok()
}

/// All that it says; `None` when that is too much.
async fn read(output: OwnedFd, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut said = Vec::new();
    let mut output = pipe::Receiver::from_owned_fd(output)?.take(most.saturating_add(1));
    output.read_to_end(&mut said).await?;
    Ok(Some(said).filter(|said| u64::try_from(said.len()).is_ok_and(|length| length <= most)))
}
