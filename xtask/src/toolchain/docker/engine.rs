//! The Docker engine. One that runs is used and left alone. One that xtask starts is stopped by the last xtask
//! command that uses it: each holds a shared lock, and whoever gets the lock alone at its end stops the engine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::super::apt;
use super::super::cache::{Cache, require_space};
use super::super::command::{capture, command, is_root, on_path};
use super::super::report::{Report, Say};
use super::leftovers;
use crate::wait::wait_until;

/// An engine that was killed leaves this behind, and the next one would wait for whoever has that number now.
const CONTAINERD_PID: &str = "/var/run/docker/containerd/containerd.pid";

pub(crate) struct Engine {
    lease: File,
    pid_file: PathBuf,
}

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<Engine> {
    report.step("docker engine", |say| {
        let engine = Engine {
            lease: cache.lock_file("dockerd.lock")?,
            pid_file: cache.path("dockerd.pid"),
        };
        // Until the lease is shared, another command may be about to stop the engine that answers now.
        engine.lease.lock_shared()?;
        if answers() {
            return Ok((engine, format!("{} runs", version()?)));
        }
        if on_path("docker").is_none() || (cfg!(target_os = "linux") && on_path("dockerd").is_none()) {
            install_engine(cache, say)?;
        }
        start(cache, say, &engine.pid_file)?;
        Ok((engine, format!("{} started, stops with this command", version()?)))
    })
}

impl Drop for Engine {
    fn drop(&mut self) {
        let alone = self.lease.unlock().is_ok() && self.lease.try_lock().is_ok();
        if !alone {
            return;
        }
        leftovers::remove();
        if let Some(pid) = running(&self.pid_file, "dockerd") {
            stop(pid, &self.pid_file);
        }
    }
}

fn answers() -> bool {
    // The client's `docker info` succeeds without an engine in some versions; the server's version does not.
    version().is_ok_and(|version| !version.is_empty())
}

fn version() -> Result<String> {
    capture(command("docker").args(["version", "--format", "{{.Server.Version}}"]))
}

fn install_engine(cache: &Cache, say: &Say<'_>) -> Result<()> {
    if cfg!(not(target_os = "linux")) {
        bail!("no Docker engine answers: start Docker Desktop (or colima) and run again");
    }
    apt::install(
        cache,
        say,
        "no Docker engine is installed",
        &["docker.io", "iptables"],
    )
}

fn start(cache: &Cache, say: &Say<'_>, pid_file: &Path) -> Result<()> {
    if on_path("dockerd").is_none() {
        bail!("no Docker engine answers: start Docker and run again (`docker info` must work)");
    }
    if !is_root() {
        bail!(
            "Docker does not answer: start it (`sudo systemctl start docker`), make sure `docker info` works for this user, and run again"
        );
    }
    let log = cache.path("dockerd.log");
    let pid = match running(pid_file, "dockerd") {
        Some(pid) => pid,
        None => {
            say.doing("no engine answers: starting dockerd");
            require_space(Path::new("/var/lib"), 6000)?;
            spawn(&log, pid_file)?
        }
    };
    wait_until(Duration::from_secs(60), || {
        answers() || test_kill_process(pid).is_err()
    });
    if !answers() {
        let said = fs::read_to_string(&log).unwrap_or_default();
        let reason = said
            .lines()
            .rev()
            .find(|line| line.contains("failed") || line.contains("error"));
        bail!(
            "dockerd does not start: {} (all of it in {})",
            reason.unwrap_or("it said nothing"),
            log.display()
        );
    }
    Ok(())
}

/// Through a shell that ends at once, so that the engine and the container shims it leaves behind are children
/// of init, not of this command, and in their own session, so that Ctrl-C does not reach them before the
/// containers are cleaned up. Without `--bip` an old engine reports no gateway and workerd finds no network.
fn spawn(log: &Path, pid_file: &Path) -> Result<Pid> {
    for (stale, program) in [(pid_file, "dockerd"), (Path::new(CONTAINERD_PID), "containerd")] {
        if stale.exists() && running(stale, program).is_none() {
            fs::remove_file(stale)
                .with_context(|| format!("{} is out of date and cannot be removed", stale.display()))?;
        }
    }
    let script = "setsid dockerd --bip 172.17.0.1/16 --pidfile \"$2\" >\"$1\" 2>&1 </dev/null & echo $!";
    let pid = capture(command("sh").args(["-c", script, "sh"]).arg(log).arg(pid_file))?;
    parsed(&pid).context("the shell does not say which process dockerd is")
}

/// The process a file names, if it still is that program: the number may meanwhile be another's, or belong to one
/// that has ended and that nobody collected, as where a container's first process is no init.
fn running(pid_file: &Path, program: &str) -> Option<Pid> {
    let pid = parsed(&fs::read_to_string(pid_file).ok()?)?;
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let ended = stat.contains(&format!("({program}) Z"));
    (stat.contains(&format!("({program}) ")) && !ended).then_some(pid)
}

fn parsed(pid: &str) -> Option<Pid> {
    Pid::from_raw(pid.trim().parse().ok()?)
}

/// The engine removes its own file.
fn stop(pid: Pid, pid_file: &Path) {
    let asked = kill_process(pid, Signal::TERM);
    let gone = wait_until(Duration::from_secs(30), || running(pid_file, "dockerd").is_none());
    if asked.is_err() || !gone {
        eprintln!("warning: dockerd ({}) did not stop", pid.as_raw_nonzero());
    }
}
