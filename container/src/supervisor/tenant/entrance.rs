//! How a gateway's process begins: as the supervisor's own binary, which takes the limits of a bot, enters its
//! control group, gives root's rights up and becomes the gateway. So the gateway's first step is within all of them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The argument that makes the supervisor's binary this process.
pub(crate) const SUBCOMMAND: &str = "enter";
/// Processes and threads of the bot's user. A gateway has 30, one with a browser and a compiler at work some
/// hundred; a fork loop ends here, with half a gigabyte for the kernel's and the shells' own needs. The kernel counts
/// by user, so bots on one machine without namespaces of users share it.
pub(crate) const MAX_TASKS: u64 = 2_048;
/// Files a process of the bot has open. A browser or a database takes some thousand; a million, the default of
/// some container runtimes, costs programs seconds that close every number before they start something.
pub(crate) const MAX_OPEN_FILES: u64 = 16_384;
/// Bytes of a core. One would hold the bot's secrets, fill its disk, and hold up its restart.
pub(crate) const MAX_CORE_BYTES: u64 = 0;
/// This very program, whatever became of its file.
const PROGRAM: &str = "/proc/self/exe";
/// As for a command that is not found.
const NOT_ENTERED: u8 = 127;
/// Descriptors below are for input and output.
const FIRST_FREE: i32 = 3;
/// What is said about a failure is one line.
const MAX_REPORT_BYTES: u64 = 4 * 1024;

/// What the process is to become.
#[derive(Serialize, Deserialize)]
struct Entrance {
    owner: Option<(u32, u32)>,
    group: Option<PathBuf>,
    home: PathBuf,
    program: PathBuf,
    args: Vec<String>,
}

/// The command that becomes the gateway. Its environment is the gateway's; its standard input is taken.
///
/// # Errors
/// When a path cannot be written down.
pub(crate) fn command(settings: &Settings, group: Option<&Path>) -> io::Result<Command> {
    let entrance = Entrance {
        owner: settings
            .owner
            .map(|owner| (owner.uid.as_raw(), owner.gid.as_raw())),
        group: group.map(Path::to_owned),
        home: settings.home.clone(),
        program: settings.program.clone(),
        args: settings.args.clone(),
    };
    let mut command = Command::new(PROGRAM);
    command.args([SUBCOMMAND, &serde_json::to_string(&entrance)?]);
    Ok(command)
}

/// Starts the command and waits until it has become the gateway.
///
/// # Errors
/// When it has not: then there is no process, or one that is about to end.
pub(crate) fn start(mut command: Command) -> io::Result<Child> {
    let (report, failure) = io::pipe()?;
    let child = command.stdin(Stdio::from(failure)).spawn()?;
    // Our own copy of the other end: the end of its words is when nobody can say more.
    drop(command);
    let mut said = String::new();
    report.take(MAX_REPORT_BYTES).read_to_string(&mut said)?;
    if said.is_empty() {
        Ok(child)
    } else {
        Err(io::Error::other(said))
    }
}

/// Becomes the gateway.
pub(crate) fn main() -> ExitCode {
    // Closed by becoming something else.
    let report = fcntl_dupfd_cloexec(io::stdin(), FIRST_FREE);
    let order = std::env::args().nth(2).unwrap_or_default();
    let failure = match serde_json::from_str(&order) {
        Ok(entrance) => enter(&entrance),
        Err(error) => error.into(),
    };
    if let Ok(report) = report {
        // Nobody listens any more: the exit code says the same.
        let _ = File::from(report).write_all(failure.to_string().as_bytes());
    }
    ExitCode::from(NOT_ENTERED)
}

/// Returns only with what is in the way.
fn enter(entrance: &Entrance) -> io::Error {
    let mut limits = vec![
        (Resource::Core, MAX_CORE_BYTES),
        (Resource::Nofile, MAX_OPEN_FILES),
    ];
    if entrance.owner.is_some() {
        // Otherwise it would count what its user does beside the bot.
        limits.push((Resource::Nproc, MAX_TASKS));
    }
    for (resource, most) in limits {
        if let Err(error) = lower(resource, most) {
            return error.into();
        }
    }
    if let Some(group) = &entrance.group {
        // Outside of it, the bot is reached by its user.
        let _ = fs::write(group.join("cgroup.procs"), std::process::id().to_string());
    }
    let mut command = Command::new(&entrance.program);
    command
        .args(&entrance.args)
        .current_dir(&entrance.home)
        .stdin(Stdio::null());
    if let Some((uid, gid)) = entrance.owner {
        // The standard library leaves root's supplementary groups behind as well.
        command.uid(uid).gid(gid);
    }
    command.exec()
}

/// Lowers a limit for good. One that is lower stays.
fn lower(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let maximum = getrlimit(resource).maximum.map_or(most, |there| there.min(most));
    let limit = Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    setrlimit(resource, limit)
}
