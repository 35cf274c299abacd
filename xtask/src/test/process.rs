//! Runs one phase's program so that nothing of it outlives the phase: not on success, failure or Ctrl-C.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::wait::wait_until;

/// Handed to every program and inherited by all it starts: how those are found that it leaves behind, wherever they
/// moved themselves to.
const MARK: &str = "MOLTWORKER_TEST_RUN";

/// How long a program may take to clean up after it was asked to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Knows whether somebody asked the whole run to stop, and passes that on to the programs that run.
#[derive(Clone, Default)]
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
    groups: Arc<Mutex<Vec<Pid>>>,
}

impl Stop {
    /// From here on Ctrl-C no longer ends this process by itself: what it started must be stopped first.
    pub(super) fn listen() -> Result<Self> {
        let stop = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
        let heard = stop.clone();
        std::thread::spawn(move || {
            for _ in signals.forever() {
                heard.asked.store(true, Ordering::SeqCst);
                let groups = heard.groups().clone();
                for group in &groups {
                    signal_group(*group, Signal::INT);
                }
                // The set-up or the Worker's build: what they run fails and says so.
                for child in descendants(&groups) {
                    kill_process(child, Signal::TERM).ok();
                }
            }
        });
        Ok(stop)
    }

    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Pid>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signal_group(group: Pid, signal: Signal) {
    // It may have ended by itself in this moment.
    kill_process_group(group, signal).ok();
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) success: bool,
    /// Processes that it left running and that were stopped here.
    pub(super) left: Vec<String>,
}

/// Where a program's output goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// To this program's own, as it comes.
    Shown,
    /// Nowhere: its lines are handed over, and that is all.
    Kept,
}

/// Runs a program and hands every line of its output to `each`.
pub(super) fn run(
    command: &mut Command,
    stop: &Stop,
    output: Output,
    mut each: impl FnMut(&str),
) -> Result<Ended> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::SeqCst));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env(MARK, &mark)
        .process_group(0)
        .spawn()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let group = Pid::from_child(&child);
    stop.groups().push(group);
    if stop.asked() {
        // Whoever asked did so before there was a group to be told.
        signal_group(group, Signal::INT);
    }
    let lines = follow(&mut child, output);
    let status = loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => each(&line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                if let Some(status) = wait_or_kill(&mut child, group, stop)? {
                    break status;
                }
            }
        }
    };
    stop.groups().retain(|other| *other != group);
    let left = end_orphans(&mark);
    // The pipes are closed now, by their owners' ends.
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(5)) {
        each(&line);
    }
    Ok(Ended {
        success: status.success(),
        left,
    })
}

fn wait_or_kill(child: &mut Child, group: Pid, stop: &Stop) -> Result<Option<std::process::ExitStatus>> {
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    if !stop.asked() {
        return Ok(None);
    }
    let deadline = Instant::now() + STOP_DEADLINE;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    signal_group(group, Signal::KILL);
    child.wait().map(Some).context("the program cannot be waited for")
}

fn follow(child: &mut Child, output: Output) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        pass_on(stdout, output, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        pass_on(stderr, output, sender);
    }
    receiver
}

fn pass_on(stream: impl Read + Send + 'static, output: Output, lines: Sender<String>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if output == Output::Shown {
                // A reader of ours that went away must not stop the tests.
                std::io::stdout().write_all(&line).ok();
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if lines.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
}

/// Ends what the program left and says what it was. Looks again until none is there: some start others when they end.
fn end_orphans(mark: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mut known: Vec<Pid> = Vec::new();
    let mut deadline = Instant::now() + Duration::from_secs(5);
    let all_gone = wait_until(STOP_DEADLINE, || {
        let orphans = marked(mark);
        for (pid, name) in &orphans {
            if !known.contains(pid) {
                known.push(*pid);
                left.push(format!("{name} ({})", pid.as_raw_nonzero()));
                kill_process(*pid, Signal::TERM).ok();
            } else if Instant::now() > deadline {
                kill_process(*pid, Signal::KILL).ok();
            }
        }
        if Instant::now() > deadline {
            deadline = Instant::now() + Duration::from_secs(5);
        }
        orphans.is_empty()
    });
    if !all_gone {
        left.push("which could not be stopped".to_owned());
    }
    left
}

/// Everything this process started, and what that started, but for these groups. The engine is not among them: it was handed
/// to init.
fn descendants(groups: &[Pid]) -> Vec<Pid> {
    let parents: Vec<(i32, i32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // "pid (name) state parent ...", and the name may contain anything.
            let (_, tail) = stat.rsplit_once(')')?;
            Some((pid, tail.split_whitespace().nth(1)?.parse().ok()?))
        })
        .filter(|(pid, _)| !groups.iter().any(|group| group.as_raw_nonzero().get() == *pid))
        .collect();
    let mut family = vec![i32::try_from(std::process::id()).unwrap_or(0)];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        next += 1;
    }
    family.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}

/// Living processes that carry the mark (a machine without /proc has none to show).
fn marked(mark: &str) -> Vec<(Pid, String)> {
    let wanted = format!("{MARK}={mark}");
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .find(|variable| *variable == wanted.as_bytes())?;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            Some((pid, name.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Output, Stop, run};

    #[test]
    fn output_lines_are_passed_on_and_leftover_processes_ended() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo one; echo two >&2; setsid sleep 600 >/dev/null & exit 3",
        ]);
        let ended = run(&mut command, &Stop::default(), Output::Kept, |line| {
            lines.push(line.to_owned());
        })
        .expect("sh runs");
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert!(!ended.success);
        assert_eq!(ended.left.len(), 1, "{:?}", ended.left);
        assert!(ended.left[0].starts_with("sleep ("), "{:?}", ended.left);

        let ended =
            run(&mut Command::new("true"), &Stop::default(), Output::Kept, |_| {}).expect("true runs");
        assert!(ended.success);
        assert!(ended.left.is_empty(), "{:?}", ended.left);
    }
}
