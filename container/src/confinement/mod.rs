//! How a process of ours that looks at what nobody trusts has made gives up, for good and before it looks, whatever it does
//! not need.
//!
//! It is the supervisor's own binary, started anew, so no secret was ever in its memory. What is left to it are the rights of
//! the home's owner when files are opened, the files beneath the directory that is its standard input, and the time and the
//! memory it is given.

mod filter;

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// The user it is, and the group that the directory for copies belongs to. Nobody else is: the bot can neither signal nor
/// trace such a process, and does not get at the copies. Within the first 65,536, which are all that some containers have.
pub(crate) const USER: u32 = 65_532;
/// This very program, whatever became of its file.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

/// Bytes of memory beside what the program itself takes. SQLite keeps to less, and a config of the longest takes less.
const MAX_MEMORY: u64 = 128 * 1024 * 1024;
/// Open files: input, output, a database with its logs, its copy.
const MAX_OPEN_FILES: u64 = 16;
/// Numbers of capabilities that are taken from what a program could ever get; there are 41.
const CAPABILITIES: u32 = 64;

/// What its work may take.
pub(crate) struct Limits {
    /// Processor time.
    pub(crate) cpu: Duration,
    /// The longest file it may write.
    pub(crate) file_bytes: u64,
}

/// What such a process goes on without, where the kernel does not have it or root may not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// A root directory of its own.
    Root,
    /// A filter of its system calls.
    Filter,
}

impl Gap {
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = [Self::Root, Self::Filter];

    /// For the operator.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Root => {
                "what reads the bot's data has no root directory of its own (CAP_SYS_CHROOT is missing): it could open what \
                 the bot's user may open"
            }
            Self::Filter => {
                "what reads the bot's data has no filter of system calls (this kernel has no seccomp): it could reach the \
                 network"
            }
        }
    }
}

/// Something could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {reason}")]
pub(crate) struct NotConfined {
    doing: &'static str,
    reason: String,
}

fn failed(doing: &'static str) -> impl FnOnce(Errno) -> NotConfined {
    move |error| NotConfined {
        doing,
        reason: error.to_string(),
    }
}

/// Gives up for good whatever work in the directory that is standard input does not need. What does not lie in there is
/// opened on the way, by `open`, with the rights of the home's `owner`.
///
/// # Errors
/// When something else than a [`Gap`] is left, or `open` fails.
pub(crate) fn confine<T, E: From<NotConfined>>(
    owner: Option<(u32, u32)>,
    limits: &Limits,
    open: impl FnOnce() -> Result<T, E>,
) -> Result<(T, Vec<Gap>), E> {
    let mut gaps = Vec::new();
    hide()?;
    rustix::thread::set_no_new_privs(true).map_err(failed("refusing new rights"))?;
    limit(limits).map_err(failed("limiting itself"))?;
    rustix::process::fchdir(io::stdin().as_fd()).map_err(failed("entering the directory"))?;
    let opened = match owner {
        Some(owner) => become_nobody(owner, &mut gaps, open)?,
        None => open()?,
    };
    // The kernel resets both where rights change.
    hide()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(failed("binding itself to whoever started it"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(failed("giving its rights up"))?;
    let is_filtered = filter::apply().map_err(|reason| NotConfined {
        doing: "refusing system calls",
        reason,
    })?;
    if !is_filtered {
        gaps.push(Gap::Filter);
    }
    Ok((opened, gaps))
}

fn hide() -> Result<(), NotConfined> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("hiding from others"))
}

/// Takes a user and a group of its own, and of the home's owner no more than what counts when files are opened: it can be
/// neither signalled nor traced by what the owner runs, and become nobody else again.
fn become_nobody<T, E: From<NotConfined>>(
    (uid, gid): (u32, u32),
    gaps: &mut Vec<Gap>,
    open: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    const RIGHTS: &str = "giving its rights up";
    let (own, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    for number in 0..CAPABILITIES {
        // A number without a capability is refused, and so is this where root lacks that right.
        let capability = CapabilitySet::from_bits_retain(1_u64.checked_shl(number).unwrap_or(0));
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    rustix::thread::set_thread_groups(&[group]).map_err(failed(RIGHTS))?;
    rustix::thread::set_thread_res_gid(group, gid, group).map_err(failed(RIGHTS))?;
    // Whatever it writes to it must have got at by the rights it will have.
    rustix::thread::set_thread_res_uid(None, uid, None).map_err(failed(RIGHTS))?;
    let opened = open()?;
    rustix::thread::set_thread_res_uid(None, Uid::ROOT, None).map_err(failed(RIGHTS))?;
    match rustix::process::chroot(".") {
        Ok(()) => rustix::process::chdir("/").map_err(failed(RIGHTS))?,
        // Where root may not, what is left is what the home's owner may open.
        Err(Errno::PERM | Errno::NOSYS) => gaps.push(Gap::Root),
        Err(error) => return Err(failed(RIGHTS)(error).into()),
    }
    rustix::thread::set_thread_res_uid(own, uid, own).map_err(failed(RIGHTS))?;
    Ok(opened)
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
