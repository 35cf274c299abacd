//! Starts backup processes, each for one job, and reads what they say.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moltworker_core::wire::job::OrderedJob;
use moltworker_core::wire::run::RepositoryToken;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backup::stillness::{Hold, Jobs, Stillness};
use crate::backup::worker::SUBCOMMAND;
use crate::backup::worker::wire::{
    JobAccess, JobAnswer, JobContext, JobInput, Line, Renewed, UNKNOWN_AGE, UnlockedKey,
};
use crate::output::Logs;
use crate::settings::Settings;

/// This very program, whatever became of its file.
const PROGRAM: &str = "/proc/self/exe";
/// A longer line is broken: the longest, the list of all snapshots, has some hundred bytes for most of them.
const MAX_LINE: u64 = 16 * 1024 * 1024;
/// So many processes read the repository for people at a time. Each holds its index, a few MB to 100 MB of the memory
/// that the gateway needs.
const MAX_READERS: usize = 2;

/// Where backup jobs are started.
pub(crate) struct JobLauncher {
    access: Mutex<JobAccess>,
    home: PathBuf,
    owner: Option<(u32, u32)>,
    logs: Arc<Logs>,
    stillness: Arc<dyn Stillness>,
    patience: Duration,
    database_time: Duration,
    /// The processes of those under way: they are not the gateway's leftovers.
    running: Mutex<BTreeSet<u32>>,
    /// Slots for those that only read.
    read_slots: Arc<Semaphore>,
}

/// A process that can be ended, and nobody else instead of it: its number may be another's once it was collected.
struct Target {
    pid: Option<Pid>,
    /// What stands for it alone, where the kernel has that.
    handle: Option<OwnedFd>,
}

impl Target {
    /// One that was started just now and is not collected yet.
    fn new(pid: u32) -> Self {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self { pid, handle }
    }

    fn kill(&self) {
        // Ended already is as good.
        let _ = match (&self.handle, self.pid) {
            (Some(handle), _) => pidfd_send_signal(handle, Signal::KILL),
            (None, Some(pid)) => kill_process(pid, Signal::KILL),
            (None, None) => Ok(()),
        };
    }
}

/// The process of a job under way; known to be ours until it is dropped.
pub(crate) struct JobProcess {
    /// Its id.
    pub(crate) pid: u32,
    target: Target,
    launcher: Arc<JobLauncher>,
}

impl Drop for JobProcess {
    fn drop(&mut self) {
        self.launcher.running().remove(&self.pid);
    }
}

impl JobProcess {
    /// Ends it.
    pub(crate) fn kill(&self) {
        self.target.kill();
    }
}

/// A job has said nothing for as long as one may that makes any progress.
#[derive(Debug, thiserror::Error)]
#[error("it made no progress for {} s and was ended", .0.as_secs())]
pub(crate) struct Stalled(Duration);

/// What the process of a job says.
pub(crate) struct JobOutput {
    lines: BufReader<pipe::Receiver>,
    /// Where it is answered.
    answers: pipe::Sender,
    patience: Duration,
}

impl JobOutput {
    /// The next line; nothing once it has ended, or broke off in the middle of one.
    ///
    /// # Errors
    /// When it makes no progress: whoever started it is to end it.
    pub(crate) async fn next_line(&mut self) -> Result<Option<Line>, Stalled> {
        let read = tokio::time::timeout(self.patience, read_line(&mut self.lines)).await;
        read.map_err(|_| Stalled(self.patience))
    }

    /// Answers it. One that does not listen any more is about to end; one that hangs is waited for as long as for a line of its.
    pub(crate) async fn answer(&mut self, answer: &JobAnswer) {
        if let Ok(mut text) = serde_json::to_vec(answer) {
            text.push(b'\n');
            // A list of processes may be longer than a pipe takes at once.
            let _ = tokio::time::timeout(self.patience, self.answers.write_all(&text)).await;
        }
    }

    /// What follows the lines, as it comes, and how long that may take to go on.
    pub(crate) fn rest(self) -> (BufReader<pipe::Receiver>, Duration) {
        (self.lines, self.patience)
    }
}

async fn read_line(lines: &mut BufReader<pipe::Receiver>) -> Option<Line> {
    let mut line = Vec::new();
    let read = lines.take(MAX_LINE).read_until(b'\n', &mut line).await;
    read.ok().filter(|count| *count > 0)?;
    serde_json::from_slice(&line).ok()
}

impl JobLauncher {
    /// None where there is no repository.
    pub(crate) fn new(
        settings: &Settings,
        logs: &Arc<Logs>,
        stillness: Arc<dyn Stillness>,
    ) -> Option<Arc<Self>> {
        let repository = settings.run.repository.as_ref()?;
        let access = JobAccess::new(
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
            stillness,
            patience: settings.job_patience,
            database_time: settings.database_time,
            running: Mutex::default(),
            read_slots: Arc::new(Semaphore::new(MAX_READERS)),
        }))
    }

    fn access(&self) -> std::sync::MutexGuard<'_, JobAccess> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bot's home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The processes of the jobs under way.
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        self.running().clone()
    }

    /// Begins to make the bot stand still.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        self.stillness.hold(self.ours())
    }

    /// The bot's processes.
    pub(crate) fn tenants(self: &Arc<Self>) -> Vec<u32> {
        self.stillness.processes(&self.ours())
    }

    fn ours(self: &Arc<Self>) -> Jobs {
        let jobs = Arc::clone(self);
        Box::new(move || jobs.processes())
    }

    /// From now on the repository is asked with this token, which a job has renewed.
    pub(crate) fn store_renewed(&self, renewed: Renewed) {
        self.logs.hide(&renewed.token);
        let mut access = self.access();
        access.token = renewed.token;
        access.renew_at = renewed.renew_at;
    }

    /// From now on the repository is opened with this key, which a job has unlocked.
    pub(crate) fn store_unlocked(&self, unlocked: UnlockedKey) {
        self.access().unlocked = Some(unlocked);
    }

    /// From now on the repository is asked with this token, which the Sandbox has just minted.
    pub(crate) fn set_token(&self, token: &RepositoryToken) {
        self.logs.hide(token.reveal());
        let mut access = self.access();
        token.reveal().clone_into(&mut access.token);
        access.renew_at = UNKNOWN_AGE;
    }

    /// A slot for a job that only reads, as soon as one is free.
    pub(crate) async fn read_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.read_slots).acquire_owned().await.ok()
    }

    /// Starts a job; with another token than the run's, if it has one.
    ///
    /// # Errors
    /// When there is no process afterwards.
    pub(crate) fn start(
        self: &Arc<Self>,
        order: OrderedJob,
        context: JobContext,
    ) -> io::Result<(JobProcess, JobOutput)> {
        let mut access = self.access().clone();
        if let Some(token) = order.token {
            self.logs.hide(token.reveal());
            token.reveal().clone_into(&mut access.token);
        }
        let input = JobInput {
            access,
            home: self.home.clone(),
            owner: self.owner,
            database_time: self.database_time,
            job: order.job,
            context,
        };
        // Whoever sees it and then asks which processes are ours is told of it.
        let mut running = self.running();
        let child = Command::new(PROGRAM)
            .arg(SUBCOMMAND)
            .env_clear()
            // Threads side by side otherwise keep what each of them has freed.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let process = JobProcess {
            pid: child.id(),
            target: Target::new(child.id()),
            launcher: Arc::clone(self),
        };
        running.insert(process.pid);
        drop(running);
        // Nobody would listen to one that has got its order all the same.
        let said = self.converse(child, &input).inspect_err(|_| process.kill())?;
        Ok((process, said))
    }

    /// Gives a job its order.
    fn converse(&self, mut child: Child, input: &JobInput) -> io::Result<JobOutput> {
        let broken = || io::Error::other("a backup process without its pipes");
        let output = child.stdout.take().ok_or_else(broken)?;
        let mut stdin = child.stdin.take().ok_or_else(broken)?;
        let lines = BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(output))?);
        if let Some(errors) = child.stderr.take() {
            // Nothing but a panic goes there.
            let errors = pipe::Receiver::from_owned_fd(OwnedFd::from(errors))?;
            tokio::spawn(Arc::clone(&self.logs).follow(errors));
        }
        // Some hundred bytes, which fit into the pipe; a job reads them before it does anything else.
        let mut input = serde_json::to_vec(input)?;
        input.push(b'\n');
        stdin.write_all(&input)?;
        Ok(JobOutput {
            lines,
            answers: pipe::Sender::from_owned_fd(OwnedFd::from(stdin))?,
            patience: self.patience,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    fn end(child: &mut Child, signal: Signal) -> Option<i32> {
        let pid = Pid::from_child(child);
        kill_process(pid, signal).unwrap();
        child.wait().unwrap().signal()
    }

    #[test]
    fn a_job_that_was_collected_is_not_killed_by_its_number() {
        let mut job = sleeper();
        let (pid, target) = (job.id(), Target::new(job.id()));
        end(&mut job, Signal::TERM);
        // Only root may say which number is next, and others start processes meanwhile.
        let next = (0..100).find_map(|_| {
            std::fs::write(LAST_PID, (pid - 1).to_string()).ok()?;
            let mut other = sleeper();
            if other.id() == pid {
                return Some(other);
            }
            end(&mut other, Signal::TERM);
            None
        });
        let Some(mut other) = next else { return };
        target.kill();
        assert_eq!(end(&mut other, Signal::TERM), Some(Signal::TERM.as_raw()));
    }

    #[test]
    fn a_job_is_ended() {
        let mut job = sleeper();
        Target::new(job.id()).kill();
        assert_eq!(job.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }
}
