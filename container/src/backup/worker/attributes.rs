//! What restic stores of a file beside its bytes.

use std::fs::Metadata as Stat;
use std::os::unix::fs::MetadataExt;

use rustic_core::jiff::Timestamp;
use rustic_core::repofile::Metadata;

/// The bits Go's `fs.FileMode` has for what restic stores beside the nine permission bits.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;
const PERMISSIONS: u32 = 0o777;
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
/// A file written this recently may be written once more without its time changing: the kernel's clock for files
/// is coarse.
const RACY_NANOSECONDS: i128 = 1_000_000_000;

/// As restic stores it.
pub(crate) fn metadata(stat: &Stat) -> Metadata {
    let time = |seconds: i64, nanoseconds: i64| {
        let nanoseconds = i32::try_from(nanoseconds).ok()?;
        Timestamp::new(seconds, nanoseconds).ok()
    };
    let mtime = time(stat.mtime(), stat.mtime_nsec());
    let linked = stat.is_file() && stat.nlink() > 1;
    Metadata {
        mode: Some(go_mode(stat)),
        mtime,
        atime: mtime,
        ctime: time(stat.ctime(), stat.ctime_nsec()).map(differs_if_racy),
        uid: Some(stat.uid()),
        gid: Some(stat.gid()),
        inode: stat.ino(),
        // Only where it tells which files are one: a new device is no change of a file.
        device_id: if linked { stat.dev() } else { 0 },
        size: if stat.is_file() { stat.len() } else { 0 },
        links: if linked { stat.nlink() } else { 1 },
        ..Metadata::default()
    }
}

/// A change that leaves no trace must not go unnoticed: a time this young is stored as one that no file has, so
/// that the next snapshot reads the file again.
fn differs_if_racy(changed: Timestamp) -> Timestamp {
    let age = Timestamp::now().as_nanosecond() - changed.as_nanosecond();
    if age < RACY_NANOSECONDS {
        just_before(changed)
    } else {
        changed
    }
}

fn just_before(changed: Timestamp) -> Timestamp {
    Timestamp::from_nanosecond(changed.as_nanosecond() - 1).unwrap_or(changed)
}

/// A database that is stored as the file it is must not be taken for the copy of it in an earlier snapshot, nor the
/// other way round.
pub(crate) fn copy_differs(meta: &mut Metadata) {
    meta.ctime = meta.ctime.map(just_before);
}

fn go_mode(stat: &Stat) -> u32 {
    let (mode, kind) = (stat.mode(), stat.file_type());
    let bit = |is: bool, bit: u32| if is { bit } else { 0 };
    (mode & PERMISSIONS)
        | bit(kind.is_dir(), GO_DIRECTORY)
        | bit(kind.is_symlink(), GO_SYMLINK)
        | bit(mode & SETUID != 0, GO_SETUID)
        | bit(mode & SETGID != 0, GO_SETGID)
        | bit(mode & STICKY != 0, GO_STICKY)
}

/// The permission bits of a stored mode, as `chmod` takes them.
pub(crate) fn permissions(go_mode: u32) -> u32 {
    let bit = |go: u32, bit: u32| if go_mode & go != 0 { bit } else { 0 };
    (go_mode & PERMISSIONS) | bit(GO_SETUID, SETUID) | bit(GO_SETGID, SETGID) | bit(GO_STICKY, STICKY)
}
