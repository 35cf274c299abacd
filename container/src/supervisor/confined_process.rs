//! Has a process that has nothing to lose (`container/src/confinement/mod.rs`) read something of the bot's home, and takes what it
//! says: so many bytes, in so much time.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::confinement::PROGRAM;

/// All of them, each with its number, until it has ended.
static ALL: Mutex<Vec<(u32, Arc<OwnedFd>)>> = Mutex::new(Vec::new());

/// One that is under way. It ends with the wish for what it says; whoever collects all that ends collects it, and its number
/// is another process's then: so it is reached by the kernel's handle.
pub(crate) struct UnderWay(Arc<OwnedFd>);

impl UnderWay {
    /// Starts one. Nobody who has seen it finds that it is not among [`under_way`]. `None` where it has ended and was
    /// collected already.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn start(command: &mut Command) -> io::Result<Option<(Self, Child)>> {
        let mut all = all();
        let mut child = command.spawn()?;
        let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let opened = number.ok_or(Errno::SRCH);
        match opened.and_then(|number| pidfd_open(number, PidfdFlags::empty())) {
            Ok(process) => {
                let process = Arc::new(process);
                all.push((child.id(), Arc::clone(&process)));
                Ok(Some((Self(process), child)))
            }
            Err(Errno::SRCH) => Ok(None),
            Err(error) => {
                // Just begun: the number is still its own.
                let _ = child.kill();
                Err(error.into())
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // One that has closed its output is at its end, or is to be.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

/// Those that have not ended. They are ours, and none of the bot's.
pub(crate) fn under_way() -> BTreeSet<u32> {
    all().iter().map(|(number, _)| *number).collect()
}

/// See [`ALL`], without those that have ended.
fn all() -> MutexGuard<'static, Vec<(u32, Arc<OwnedFd>)>> {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|(_, process)| !has_ended(process));
    all
}

/// Where that cannot be asked now, it is asked again.
fn has_ended(process: &OwnedFd) -> bool {
    let mut process = [PollFd::new(process, PollFlags::IN)];
    poll(&mut process, Some(&Timespec::default())).is_ok_and(|ended| ended > 0)
}

/// What the process of `subcommand` says about `home`, or `None` where it says more than `most` bytes, takes longer than
/// `wait`, or ends at once. Nothing of `request` is secret.
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
    let mut command = Command::new(PROGRAM);
    command
        .args([subcommand, &serde_json::to_string(request)?])
        .env_clear()
        .stdin(Stdio::from(home))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let Some((_ends, child)) = UnderWay::start(&mut command)? else {
        return Ok(None);
    };
    let output = child.stdout;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_until_it_has_ended_and_ends_when_nobody_wants_it() {
        let started = UnderWay::start(Command::new("sleep").arg("60")).unwrap();
        let (wanted, mut child) = started.unwrap();
        let number = child.id();
        assert!(under_way().contains(&number));
        drop(wanted);
        // Until it is collected here the number stays its own.
        assert!(!child.wait().unwrap().success());
        assert!(!under_way().contains(&number));
    }
}
