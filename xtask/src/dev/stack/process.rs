//! A program in a process group of its own: what it says is kept, and it ends with all it started.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// Where a program's output goes besides the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// To the terminal, each line with a prefix.
    Terminal,
    /// Nowhere else.
    LogOnly,
}

/// Lines kept in memory for an error message.
const KEPT_LINES: usize = 40;
/// How long a group may take to end before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// A running program and its group.
pub(super) struct Group {
    child: Child,
    leader: Pid,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    ended: bool,
}

impl Group {
    /// Starts a program; its output is appended to `log` line by line.
    pub(super) fn start(
        command: std::process::Command,
        log: &Path,
        output: Output,
        prefix: &'static str,
    ) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::from(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let leader = leader.with_context(|| format!("{name} ended at once"))?;
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let sink = Sink {
            log: Arc::new(log),
            output,
            prefix,
            last_lines: Arc::clone(&last_lines),
        };
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            tokio::spawn(sink.clone().drain(stdout));
            tokio::spawn(sink.drain(stderr));
        }
        Ok(Self {
            child,
            leader,
            last_lines,
            ended: false,
        })
    }

    /// The program's process id, which is also its group's.
    pub(super) fn pid(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// What the program said last.
    pub(super) fn last_lines(&self) -> String {
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Resolves when the program itself has ended.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Asks the group to end, waits for every process in it, and kills what is left after a while.
    pub(super) async fn stop(&mut self) -> Result<()> {
        kill_process_group(self.leader, Signal::TERM).ok();
        let deadline = Instant::now() + STOP_DEADLINE;
        // The leader must be reaped, or its group never counts as gone.
        timeout(STOP_DEADLINE, self.child.wait()).await.ok();
        while self.lives() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if self.lives() {
            kill_process_group(self.leader, Signal::KILL).ok();
            self.child.wait().await?;
        }
        self.ended = true;
        Ok(())
    }

    fn lives(&self) -> bool {
        test_kill_process_group(self.leader).is_ok()
    }
}

impl Drop for Group {
    /// An error or a panic on the way must not leave a group behind.
    fn drop(&mut self) {
        if !self.ended {
            kill_process_group(self.leader, Signal::KILL).ok();
        }
    }
}

#[derive(Clone)]
struct Sink {
    log: Arc<File>,
    output: Output,
    prefix: &'static str,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

impl Sink {
    async fn drain(self, from: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .await
            .is_ok_and(|read| read > 0)
        {
            self.keep(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }

    fn keep(&self, line: &str) {
        // A full disk must not stop the program whose output this is.
        writeln!(&*self.log, "{line}").ok();
        if self.output == Output::Terminal {
            eprintln!("{} │ {line}", self.prefix);
        }
        let mut kept = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(line.to_owned());
        if kept.len() > KEPT_LINES {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    async fn until_said(group: &Group, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !group.last_lines().contains(text) {
            assert!(
                Instant::now() < deadline,
                "never said {text}: {}",
                group.last_lines()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn stopping_a_group_ends_all_its_processes() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut group = Group::start(
            shell("sleep 600 & echo ready; wait"),
            &log,
            Output::LogOnly,
            "test",
        )
        .unwrap();
        until_said(&group, "ready").await;
        assert!(group.lives());
        group.stop().await.unwrap();
        assert!(!group.lives());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "ready\n");
    }

    #[tokio::test]
    async fn a_grandchild_that_outlives_its_parent_is_stopped_too() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let script = "sleep 600 >/dev/null 2>&1 & echo ready";
        let mut group = Group::start(shell(script), &log, Output::LogOnly, "test").unwrap();
        until_said(&group, "ready").await;
        assert!(group.ended().await.unwrap().success());
        assert!(group.lives());
        group.stop().await.unwrap();
        assert!(!group.lives());
    }
}
