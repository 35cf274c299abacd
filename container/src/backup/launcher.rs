//! Starts backup processes, each for one errand, and hears what they say.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltworker_core::wire::run::RepositoryToken;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backup::worker::SUBCOMMAND;
use crate::backup::worker::wire::{Access, Job, Line, Renewed, UNKNOWN_AGE, Work};
use crate::settings::Settings;
use crate::supervisor::output::Logs;

/// This very program, whatever became of its file.
const PROGRAM: &str = "/proc/self/exe";
/// A longer line is broken: the longest, a directory of a snapshot, has some 100 bytes for each entry.
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// So many processes read the repository for people at a time. Each holds its index, a few MB to 100 MB of the memory
/// that the gateway needs.
const LOOKS: usize = 2;

/// Where errands are started.
pub(crate) struct Errands {
    access: Mutex<Access>,
    home: PathBuf,
    owner: Option<(u32, u32)>,
    logs: Arc<Logs>,
    patience: Duration,
    /// Those under way: they are not the gateway's leftovers.
    alive: Mutex<BTreeSet<u32>>,
    /// Places for those that only read.
    looks: Arc<Semaphore>,
}

/// An errand under way, and its place among those alive.
pub(crate) struct Errand {
    /// Its process.
    pub(crate) pid: u32,
    errands: Arc<Errands>,
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.errands.alive().remove(&self.pid);
    }
}

impl Errand {
    /// Ends it.
    pub(crate) fn kill(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Ended already is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// An errand has said nothing for as long as one may that makes any progress.
#[derive(Debug, thiserror::Error)]
#[error("it made no progress for {} s and was ended", .0.as_secs())]
pub(crate) struct Stalled(Duration);

/// What an errand says.
pub(crate) struct Words {
    lines: BufReader<pipe::Receiver>,
    patience: Duration,
}

impl Words {
    /// The next line; nothing once it has ended, or broke off in the middle of a word.
    ///
    /// # Errors
    /// When it comes to nothing: whoever started it is to end it.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Stalled> {
        let read = tokio::time::timeout(self.patience, line(&mut self.lines)).await;
        read.map_err(|_| Stalled(self.patience))
    }

    /// What follows the lines, as it comes, and how long that may take to go on.
    pub(crate) fn rest(self) -> (BufReader<pipe::Receiver>, Duration) {
        (self.lines, self.patience)
    }
}

async fn line(lines: &mut BufReader<pipe::Receiver>) -> Option<Line> {
    let mut line = Vec::new();
    let read = lines.take(MAX_LINE).read_until(b'\n', &mut line).await;
    read.ok().filter(|count| *count > 0)?;
    serde_json::from_slice(&line).ok()
}

impl Errands {
    /// None where there is no repository.
    pub(crate) fn new(settings: &Settings, logs: &Arc<Logs>) -> Option<Arc<Self>> {
        let repository = settings.run.repository.as_ref()?;
        let access = Access::new(
            &repository.url,
            &repository.token,
            &repository.passwords,
            u64::try_from(settings.repository_patience.as_millis()).unwrap_or(u64::MAX),
        );
        Some(Arc::new(Self {
            access: Mutex::new(access),
            home: settings.home.clone(),
            owner: settings
                .owner
                .map(|owner| (owner.uid.as_raw(), owner.gid.as_raw())),
            logs: Arc::clone(logs),
            patience: settings.errand_patience,
            alive: Mutex::default(),
            looks: Arc::new(Semaphore::new(LOOKS)),
        }))
    }

    fn access(&self) -> std::sync::MutexGuard<'_, Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bot's home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The processes of the errands under way.
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        self.alive().clone()
    }

    /// From now on the repository is asked with this token.
    pub(crate) fn renewed(&self, renewed: Renewed) {
        let mut access = self.access();
        access.token = renewed.token;
        access.renew_at = renewed.renew_at;
    }

    /// From now on the repository is asked with this token, which the Sandbox has just minted.
    pub(crate) fn given(&self, token: &RepositoryToken) {
        let mut access = self.access();
        token.reveal().clone_into(&mut access.token);
        access.renew_at = UNKNOWN_AGE;
    }

    /// A place for an errand that only reads, as soon as one is free.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.looks).acquire_owned().await.ok()
    }

    /// Starts an errand; with another token than the run's, if so said.
    ///
    /// # Errors
    /// When there is no process afterwards.
    pub(crate) fn start(self: &Arc<Self>, work: Work, token: Option<String>) -> io::Result<(Errand, Words)> {
        let mut access = self.access().clone();
        if let Some(token) = token {
            access.token = token;
        }
        let job = Job {
            access,
            home: self.home.clone(),
            owner: self.owner,
            work,
        };
        let mut child = Command::new(PROGRAM)
            .arg(SUBCOMMAND)
            .env_clear()
            // Threads side by side otherwise keep what each of them has freed.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let errand = Errand {
            pid: child.id(),
            errands: Arc::clone(self),
        };
        self.alive().insert(errand.pid);
        let broken = || io::Error::other("a backup process without its pipes");
        let output = child.stdout.take().ok_or_else(broken)?;
        let words = Words {
            lines: BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(output))?),
            patience: self.patience,
        };
        if let Some(errors) = child.stderr.take() {
            // Nothing but a panic goes there.
            let errors = pipe::Receiver::from_owned_fd(OwnedFd::from(errors))?;
            tokio::spawn(Arc::clone(&self.logs).follow(errors));
        }
        // Some hundred bytes: they fit into the pipe, whoever reads them when.
        let job = serde_json::to_vec(&job)?;
        child.stdin.take().ok_or_else(broken)?.write_all(&job)?;
        Ok((errand, words))
    }
}
