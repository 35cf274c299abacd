//! What restic stores of a file beside its bytes.

use std::ffi::OsStr;
use std::fs::{File, Metadata as Stat};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, flistxattr_query,
    lgetxattr, llistxattr, llistxattr_query, lsetxattr, utimensat,
};
use rustix::io::Errno;

use super::place::short_path;

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

/// The first second of the year 1, and the last of the year 9999: restic writes a year with four digits, and reads no tree
/// with another one in it.
const STORED_YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Attributes that are stored: what programs note about files, and who may get at them. Others belong to the machine
/// (labels of its security modules) or give rights (capabilities), which no snapshot may.
const USER_ATTRIBUTES: &[u8] = b"user.";
/// See [`USER_ATTRIBUTES`].
const ACCESS_LISTS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
/// Longer than any list of attributes or value the kernel gives.
const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;

/// As restic stores it, without the attributes.
pub(crate) fn metadata(stat: &Stat) -> Metadata {
    let mtime = time(stat.mtime(), stat.mtime_nsec());
    let linked = (stat.is_file() || stat.is_symlink()) && stat.nlink() > 1;
    Metadata {
        mode: Some(go_mode(stat.mode(), FileType::from_raw_mode(stat.mode()))),
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

/// The same of what is not opened, as it is: a time this young is what it is.
pub(crate) fn exact_metadata(stat: &rustix::fs::Stat) -> Metadata {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let linked = matches!(kind, FileType::RegularFile | FileType::Symlink) && stat.st_nlink > 1;
    Metadata {
        mode: Some(go_mode(stat.st_mode, kind)),
        mtime: time(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(-1)),
        ctime: time(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(-1)),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
        inode: stat.st_ino,
        size: if kind == FileType::RegularFile {
            u64::try_from(stat.st_size).unwrap_or(0)
        } else {
            0
        },
        links: if linked { stat.st_nlink } else { 1 },
        ..Metadata::default()
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(nanoseconds).ok()?;
    Timestamp::new(seconds, nanoseconds)
        .ok()
        .filter(|_| STORED_YEARS.contains(&seconds))
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

/// Whatever an earlier or a later snapshot has of it, it is to be read.
pub(crate) fn always_differs(meta: &mut Metadata) {
    meta.ctime = Some(Timestamp::now());
}

fn go_mode(mode: u32, kind: FileType) -> u32 {
    let bit = |is: bool, bit: u32| if is { bit } else { 0 };
    (mode & PERMISSIONS)
        | bit(kind == FileType::Directory, GO_DIRECTORY)
        | bit(kind == FileType::Symlink, GO_SYMLINK)
        | bit(mode & SETUID != 0, GO_SETUID)
        | bit(mode & SETGID != 0, GO_SETGID)
        | bit(mode & STICKY != 0, GO_STICKY)
}

/// The permission bits of a stored mode, as `chmod` takes them.
pub(crate) fn permissions(go_mode: u32) -> u32 {
    let bit = |go: u32, bit: u32| if go_mode & go != 0 { bit } else { 0 };
    (go_mode & PERMISSIONS) | bit(GO_SETUID, SETUID) | bit(GO_SETGID, SETGID) | bit(GO_STICKY, STICKY)
}

/// The attributes of an entry of a directory that are stored, by name.
///
/// # Errors
/// When the file system refuses. One that has none has none of them.
pub(crate) fn stored_attributes(directory: &OwnedFd, name: &OsStr) -> Result<Vec<(String, Vec<u8>)>, Errno> {
    let path = short_path(directory, name);
    let length = match llistxattr_query(&path) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error),
    };
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut list = vec![0; MAX_ATTRIBUTE_BYTES];
    let length = llistxattr(&path, &mut *list)?;
    let mut value = vec![0; MAX_ATTRIBUTE_BYTES];
    let mut all = Vec::new();
    for name in list.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        // Others than UTF-8 cannot be stored under their name.
        let Ok(text) = std::str::from_utf8(name) else {
            continue;
        };
        if !name.starts_with(USER_ATTRIBUTES) && !ACCESS_LISTS.contains(&name) {
            continue;
        }
        match lgetxattr(&path, text, &mut *value) {
            Ok(length) => all.push((
                text.to_owned(),
                value.get(..length).unwrap_or_default().to_owned(),
            )),
            // Gone between two looks.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    all.sort();
    Ok(all)
}

/// Whether an open file may have any that are stored.
pub(crate) fn has_attributes(file: &File) -> bool {
    match flistxattr_query(file) {
        Ok(length) => length > 0,
        Err(error) => error != Errno::NOTSUP,
    }
}

/// Puts attributes among what is stored. rustic names their type nowhere, but reads it.
pub(crate) fn store_attributes(meta: &mut Metadata, attributes: &[(String, Vec<u8>)]) {
    if attributes.is_empty() {
        return;
    }
    let stored = |(name, value): &(String, Vec<u8>)| serde_json::json!({ "name": name, "value": STANDARD.encode(value) });
    let stored = attributes.iter().map(stored).collect();
    meta.extended_attributes = serde_json::from_value(stored).unwrap_or_default();
}

/// The attributes a node has, by name.
pub(crate) fn node_attributes(node: &Node) -> Vec<(String, Vec<u8>)> {
    let all = node.meta.extended_attributes.iter();
    let mut all: Vec<_> = all
        .map(|attribute| {
            (
                attribute.name.clone(),
                attribute.value.clone().unwrap_or_default(),
            )
        })
        .collect();
    all.sort();
    all
}

/// A time as the kernel takes it: nanoseconds count forwards, before 1970 too.
fn timespec(time: Timestamp) -> Timespec {
    const SECOND: i128 = 1_000_000_000;
    let nanoseconds = time.as_nanosecond();
    Timespec {
        tv_sec: i64::try_from(nanoseconds.div_euclid(SECOND)).unwrap_or_default(),
        tv_nsec: i64::try_from(nanoseconds.rem_euclid(SECOND)).unwrap_or_default(),
    }
}

/// Gives an entry of a directory its owner, its attributes, its mode and its time, in this order: each may change the next.
/// What cannot be set is left, and the comparison finds it.
pub(crate) fn apply(directory: &OwnedFd, name: &OsStr, node: &Node, owners: bool) {
    if owners {
        let (owner, group) = (node.meta.uid.map(Uid::from_raw), node.meta.gid.map(Gid::from_raw));
        let _ = chownat(directory, name, owner, group, AtFlags::SYMLINK_NOFOLLOW);
    }
    for attribute in &node.meta.extended_attributes {
        let name_of_it = attribute.name.as_bytes();
        if name_of_it.starts_with(USER_ATTRIBUTES) || ACCESS_LISTS.contains(&name_of_it) {
            let path = short_path(directory, name);
            let value = attribute.value.as_deref().unwrap_or_default();
            let _ = lsetxattr(&path, OsStr::from_bytes(name_of_it), value, XattrFlags::empty());
        }
    }
    if let Some(mode) = node.meta.mode.filter(|_| !node.is_symlink()) {
        let mode = Mode::from_raw_mode(permissions(mode));
        let _ = chmodat(directory, name, mode, AtFlags::empty());
    }
    if let Some(time) = node.meta.mtime {
        let time = timespec(time);
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        let _ = utimensat(directory, Path::new(name), &times, AtFlags::SYMLINK_NOFOLLOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_1970_counts_its_nanoseconds_forwards() {
        for (seconds, nanoseconds) in [
            (-1, 500_000_000),
            (-1, 999_999_999),
            (0, 0),
            (5, 7),
            (-14_159_025, 500_000_000),
        ] {
            let time = timespec(Timestamp::new(seconds, i32::try_from(nanoseconds).unwrap()).unwrap());
            assert_eq!((time.tv_sec, time.tv_nsec), (seconds, nanoseconds));
        }
    }

    #[test]
    fn attributes_of_programs_are_stored_and_set_again() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        std::fs::write(&from, "x").unwrap();
        std::fs::write(&to, "x").unwrap();
        let attributes: [(&str, &[u8]); 3] =
            [("user.a", b"\xff\0"), ("user.b", b""), ("user.c", &[7; 3_000])];
        for (name, value) in attributes {
            lsetxattr(&from, name, value, XattrFlags::empty()).unwrap();
        }
        let here: OwnedFd = std::fs::File::open(directory.path()).unwrap().into();
        let mut meta = metadata(&std::fs::metadata(&from).unwrap());
        store_attributes(&mut meta, &stored_attributes(&here, OsStr::new("from")).unwrap());
        let node = Node::new_node(OsStr::new("to"), rustic_core::repofile::NodeType::File, meta);
        apply(&here, OsStr::new("to"), &node, false);
        let expected: Vec<_> = attributes
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .into();
        assert_eq!(stored_attributes(&here, OsStr::new("to")).unwrap(), expected);
        assert_eq!(node_attributes(&node), expected);
    }

    #[test]
    fn a_year_restic_cannot_read_is_not_stored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let file = std::fs::File::create(&path).unwrap();
        let meta = |seconds: i64| {
            let time = Timespec {
                tv_sec: seconds,
                tv_nsec: 0,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            rustix::fs::futimens(&file, &times).unwrap();
            let stat = std::fs::metadata(&path).unwrap();
            // Not every file system takes every year.
            (stat.mtime() == seconds).then(|| metadata(&stat).mtime)
        };
        assert!(meta(-1).unwrap().is_some());
        for seconds in [-70_000_000_000, 300_000_000_000] {
            assert!(meta(seconds).is_none_or(|stored| stored.is_none()), "{seconds}");
        }
    }
}
