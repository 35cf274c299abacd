//! A process that ends everything a user has, at once: the kernel goes through them in one step, and none of them
//! starts another one meanwhile.
//!
//! It is a process of its own, because it has to be that user in what it may kill, and nobody in what may kill it:
//! its effective user is the bot's, its real and its saved one are nobody's.

use std::io;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, Uid, geteuid, getuid, kill_process_group};

/// The argument that makes the supervisor's binary this process.
pub(crate) const SUBCOMMAND: &str = "end-user";
/// A user that nothing runs as. Within the first 65,536, which are all that some containers have.
pub(crate) const USER: u32 = 65_533;
/// This very program, whatever became of its file.
const PROGRAM: &str = "/proc/self/exe";

/// Starts one; its process id.
pub(super) fn start(user: u32) -> io::Result<u32> {
    let child = Command::new(PROGRAM)
        .args([SUBCOMMAND, &user.to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child.id())
}

/// Ends everything of the user that the second argument names.
pub(crate) fn main() -> ExitCode {
    let user = std::env::args().nth(2).and_then(|user| user.parse().ok());
    match user.map(end) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    }
}

fn end(user: u32) -> io::Result<()> {
    if user == 0 || user == USER {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (nobody, user) = (Uid::from_raw(USER), Uid::from_raw(user));
    rustix::thread::set_thread_res_uid(nobody, user, nobody)?;
    // What follows reaches everything we have the rights for: none of root's must be left.
    if getuid() != nobody || geteuid() != user {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // By the number of the init it means all there are.
    Ok(kill_process_group(Pid::INIT, Signal::KILL)?)
}
