//! The system calls that such a process may not make any more, whatever becomes of it: the network's, starting and
//! reaching other processes, and those by which kernels were broken into. Everything else stays, so that another version of
//! the C library needs nothing here.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, Error, SeccompAction, SeccompFilter, apply_filter};

/// See the top of this file.
const REFUSED: [i64; 50] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
    libc::SYS_setresgid,
    libc::SYS_setregid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_memfd_create,
];
/// Those that only some machines have.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: [i64; 2] = [libc::SYS_fork, libc::SYS_vfork];
/// See above.
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: [i64; 0] = [];

/// Refuses them from now on. False where the kernel has no such filters: it is left at what the other limits are.
///
/// # Errors
/// When the filter cannot be made: it is the same each time.
pub(super) fn apply() -> Result<bool, String> {
    match apply_filter(&filter()?) {
        Ok(()) => Ok(true),
        Err(Error::Prctl(_) | Error::Seccomp(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn filter() -> Result<BpfProgram, String> {
    let refused = REFUSED.iter().chain(&REFUSED_HERE);
    let rules: BTreeMap<i64, _> = refused.map(|call| (*call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let machine = std::env::consts::ARCH.try_into();
    let machine = machine.map_err(|error| format!("no filter for this machine: {error}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, machine);
    let filter = filter.map_err(|error| error.to_string())?;
    BpfProgram::try_from(filter).map_err(|error| error.to_string())
}
