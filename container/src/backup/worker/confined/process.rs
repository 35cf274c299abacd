//! Such a process from inside: it gives up what it has, does its piece of work, says one line and ends.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::sqlite::{Target, serve};
use super::{Answer, BEGUN, Limits, NotCopied, Request, USER, bounded, filter};

/// Bytes of memory beside what the program itself takes. SQLite keeps to less (`sqlite.rs`).
const MAX_MEMORY: u64 = 128 * 1024 * 1024;
/// Open files: input, output, a database with its logs, its copy.
const MAX_OPEN_FILES: u64 = 16;
/// Numbers of capabilities that are taken from what a program could ever get; there are 41.
const CAPABILITIES: u32 = 64;

/// Does one piece of work.
pub(crate) fn main() -> ExitCode {
    let order = std::env::args().nth(2).unwrap_or_default();
    let answer = match serde_json::from_str::<Request>(&order) {
        Ok(request) => match confine(&request) {
            Ok(target) => serve(&request, Path::new(""), target, &|| {
                let mut output = io::stdout().lock();
                output.write_all(&[BEGUN]).and_then(|()| output.flush()).is_ok()
            }),
            Err(reason) => Answer::Not(reason),
        },
        Err(error) => Answer::Not(NotCopied::Failed(error.to_string())),
    };
    let said = serde_json::to_vec(&answer).map_err(io::Error::from);
    match said.and_then(|said| io::stdout().lock().write_all(&said)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Gives up for good whatever the work does not need. The file that is written to is opened on the way: it does not lie in
/// what is left.
fn confine(request: &Request) -> Result<Option<Target>, NotCopied> {
    let failed = |doing: &'static str| move |error: Errno| NotCopied::Failed(format!("{doing}: {error}"));
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("hiding from others"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("refusing new rights"))?;
    limit(&request.limits).map_err(failed("limiting itself"))?;
    rustix::process::fchdir(io::stdin().as_fd()).map_err(failed("entering the directory"))?;
    let target = match request.owner {
        Some(owner) => become_nobody(owner, request).map_err(|error| match error {
            Stuck::Rights(error) => failed("giving its rights up")(error),
            Stuck::Target(reason) => reason,
        })?,
        None => Target::open(&request.work)?,
    };
    // The kernel resets both where rights change.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("hiding from others"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(failed("binding itself to its job"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(failed("giving its rights up"))?;
    filter::apply().map_err(|error| NotCopied::Failed(bounded(&error)))?;
    Ok(target)
}

enum Stuck {
    Rights(Errno),
    Target(NotCopied),
}

impl From<Errno> for Stuck {
    fn from(error: Errno) -> Self {
        Self::Rights(error)
    }
}

/// Takes a user and a group of its own, and of the home's owner no more than what counts when files are opened: it can be
/// neither signalled nor traced by what the owner runs, and become nobody else again.
fn become_nobody((uid, gid): (u32, u32), request: &Request) -> Result<Option<Target>, Stuck> {
    let (own, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    for number in 0..CAPABILITIES {
        // A number without a capability is refused, and so is this where root lacks that right.
        let capability = CapabilitySet::from_bits_retain(1_u64.checked_shl(number).unwrap_or(0));
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    rustix::thread::set_thread_groups(&[group])?;
    rustix::thread::set_thread_res_gid(group, gid, group)?;
    // Whatever it writes to it must have got at by the rights it will have.
    rustix::thread::set_thread_res_uid(None, uid, None)?;
    let target = Target::open(&request.work).map_err(Stuck::Target)?;
    rustix::thread::set_thread_res_uid(None, Uid::ROOT, None)?;
    match rustix::process::chroot(".") {
        Ok(()) => rustix::process::chdir("/")?,
        // Where root may not, what is left is what the home's owner may open.
        Err(Errno::PERM | Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::thread::set_thread_res_uid(own, uid, own)?;
    Ok(target)
}

fn limit(limits: &Limits) -> Result<(), Errno> {
    // Whole seconds, and one more: SQLite itself ends in time, and says so.
    let cpu = limits.cpu.as_secs().saturating_add(2);
    let memory = program_bytes().saturating_add(MAX_MEMORY);
    for (resource, most) in [
        (Resource::Cpu, cpu),
        (Resource::As, memory),
        (Resource::Data, MAX_MEMORY),
        (Resource::Nofile, MAX_OPEN_FILES),
        (Resource::Nproc, 0),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Core, 0),
    ] {
        let maximum = getrlimit(resource).maximum.map_or(most, |there| there.min(most));
        setrlimit(
            resource,
            Rlimit {
                current: Some(maximum),
                maximum: Some(maximum),
            },
        )?;
    }
    Ok(())
}

/// Memory the program has taken by itself. Where that is not told, the other limit is left.
fn program_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(u64::MAX);
    pages.map_or(u64::MAX, |pages| pages.saturating_mul(page))
}
