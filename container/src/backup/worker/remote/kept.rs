//! Small immutable objects of a repository (keys, indexes, snapshots; packs of trees), kept on this machine for the run: without
//! them every snapshot would read as many of them again as there are snapshots.
//!
//! A file of records, opened with root's rights before the process takes those of the home's owner. An object is named by
//! its digest, and compared with it each time it is read from here, so that a damaged or foreign file costs a request and
//! nothing else. What exists is never asked here: lists come from the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use rustic_core::Id;
use rustix::fs::{FlockOperation, OFlags, flock, fstatvfs};

use super::{Remote, check_digest, locked, number};

/// A larger object is read from the repository each time: an index of over 100,000 pieces.
const MAX_OBJECT: usize = 8 * 1024 * 1024;
/// What is kept takes one part in so many of what it leaves free: the disk is the bot's, and a home that nearly fills it is to
/// have room for itself.
const SHARE: u64 = 8;
/// How long an id is in hexadecimal.
const ID: usize = 64;
/// Before each object: its id and, in 4 bytes, its length.
const HEAD: usize = ID + 4;

/// What was read or written before in this run.
pub(crate) struct KeptObjects {
    file: File,
    /// Only one process adds at a time; others just read.
    may_add: bool,
    /// Larger, the file begins anew.
    max: u64,
    places: Mutex<Places>,
    /// Those of which parts are read, and that are known to be whole.
    whole: Mutex<BTreeSet<Id>>,
}

#[derive(Default)]
struct Places {
    known: BTreeMap<Id, (u64, usize)>,
    end: u64,
    /// Whether nothing is added any more.
    is_given_up: bool,
}

impl Remote {
    /// What is kept on this machine makes way, and nothing is kept any more.
    pub(in crate::backup::worker) fn keep_nothing(&self) {
        for kept in self.kept.iter().chain(&self.trees) {
            kept.give_up();
        }
    }
}

impl KeptObjects {
    /// Opens the file or makes it; nothing where that does not work, which costs requests only. One that has become too long
    /// gives its name to a new one: others may read it meanwhile.
    pub(crate) fn open(path: &Path, max: u64) -> Option<Self> {
        let file = opened(path)?;
        let may_add = is_ours(&file);
        let max = max.min(share(&file));
        if may_add && file.metadata().ok()?.len() > max {
            let mut new = path.as_os_str().to_owned();
            new.push(".new");
            let _ = std::fs::remove_file(&new);
            let file = opened(Path::new(&new))?;
            let may_add = is_ours(&file);
            std::fs::rename(&new, path).ok()?;
            return Some(Self::of(file, may_add, max, Places::default()));
        }
        let places = Places::read(&file);
        if may_add && file.metadata().ok()?.len() > places.end {
            // What a process that was killed has left half written: no place that anybody knows.
            file.set_len(places.end).ok()?;
        }
        Some(Self::of(file, may_add, max, places))
    }

    fn of(file: File, may_add: bool, max: u64, places: Places) -> Self {
        Self {
            file,
            may_add,
            max,
            places: Mutex::new(places),
            whole: Mutex::default(),
        }
    }

    /// An object, if it is here and whole.
    pub(crate) fn get(&self, id: &Id) -> Option<Bytes> {
        let (at, length) = *locked(&self.places).known.get(id)?;
        let mut bytes = vec![0; length];
        let read = self.file.read_exact_at(&mut bytes, at);
        if read.is_err() || check_digest(&bytes, id).is_err() {
            // It is kept anew once the repository has answered.
            locked(&self.places).known.remove(id);
            return None;
        }
        Some(bytes.into())
    }

    /// A part of an object, if that is here and whole. It is compared with its name once.
    pub(super) fn part(&self, id: &Id, offset: u32, length: u32) -> Option<Bytes> {
        let mut whole = locked(&self.whole);
        if !whole.contains(id) {
            self.get(id)?;
            whole.insert(*id);
        }
        drop(whole);
        let (at, size) = *locked(&self.places).known.get(id)?;
        if u64::from(offset).saturating_add(length.into()) > number(size) {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let at = at.saturating_add(offset.into());
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes.into())
    }

    /// Makes way: nothing is here any more, and nothing is kept. Where another process adds, it is that one's.
    fn give_up(&self) {
        let mut places = locked(&self.places);
        if self.may_add && self.file.set_len(0).is_ok() {
            *places = Places {
                is_given_up: true,
                ..Places::default()
            };
        }
    }

    /// Those of `objects`, with their sizes, that are not here and would be kept.
    pub(super) fn missing(&self, objects: &[(Id, u32)]) -> Vec<Id> {
        let places = locked(&self.places);
        let mut room = self.max.saturating_sub(places.end);
        let mut fits = |size: u32| {
            let size = u64::from(size).saturating_add(number(HEAD));
            let fits = size <= number(MAX_OBJECT) && size <= room && !places.is_given_up;
            if fits {
                room = room.saturating_sub(size);
            }
            fits
        };
        let missing = objects
            .iter()
            .filter(|(id, size)| self.may_add && !places.known.contains_key(id) && fits(*size));
        missing.map(|(id, _)| *id).collect()
    }

    /// Keeps an object; false where that does not work, and it is asked for again.
    pub(crate) fn put(&self, id: &Id, bytes: &[u8]) -> bool {
        let Some(length) = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= MAX_OBJECT)
        else {
            return false;
        };
        let mut places = locked(&self.places);
        if places.known.contains_key(id) {
            return true;
        }
        if !self.may_add || places.is_given_up || places.end > self.max {
            return false;
        }
        let record = [id.to_hex().as_str().as_bytes(), &length.to_be_bytes(), bytes].concat();
        let written = self.file.write_all_at(&record, places.end).is_ok();
        if written {
            places.add(*id, bytes.len());
        }
        written
    }
}

impl Places {
    /// As far as whole records go.
    fn read(file: &File) -> Self {
        let mut places = Self::default();
        while let Ok((id, length)) = head(file, places.end) {
            if length > MAX_OBJECT || !reaches(file, places.end, length) {
                break;
            }
            places.add(id, length);
        }
        places
    }

    fn add(&mut self, id: Id, length: usize) {
        let at = self.end.saturating_add(number(HEAD));
        self.known.insert(id, (at, length));
        self.end = at.saturating_add(number(length));
    }
}

fn opened(path: &Path) -> Option<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).ok()?)
        .open(path)
        .ok()
}

/// How many bytes it may have on this disk.
fn share(file: &File) -> u64 {
    let Ok(room) = fstatvfs(file) else { return 0 };
    let own = file.metadata().map_or(0, |stat| stat.len());
    room.f_bavail
        .saturating_mul(room.f_frsize)
        .saturating_add(own)
        .checked_div(SHARE)
        .unwrap_or(0)
}

/// Whether this process is the one that may add to it.
fn is_ours(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn head(file: &File, at: u64) -> io::Result<(Id, usize)> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, at)?;
    let (id, length) = head.split_first_chunk::<ID>().ok_or(io::ErrorKind::InvalidData)?;
    let id = str::from_utf8(id).map_err(io::Error::other)?;
    let id = id.parse().map_err(|_| io::ErrorKind::InvalidData)?;
    let length = length.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
    Ok((id, length))
}

fn reaches(file: &File, at: u64, length: usize) -> bool {
    let end = at.saturating_add(number(HEAD)).saturating_add(number(length));
    file.metadata().is_ok_and(|metadata| metadata.len() >= end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    const MAX: u64 = 64 * 1024 * 1024;

    fn id(bytes: &[u8]) -> Id {
        Id::new(Sha256::digest(bytes).into())
    }

    #[test]
    fn an_object_is_found_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path, MAX).unwrap();
        assert_eq!(kept.get(&id(b"one")), None);
        for bytes in [b"one".as_slice(), b"", b"three", b"one"] {
            kept.put(&id(bytes), bytes);
        }
        drop(kept);
        let kept = KeptObjects::open(&path, MAX).unwrap();
        for bytes in [b"one".as_slice(), b"", b"three"] {
            assert_eq!(kept.get(&id(bytes)).unwrap(), bytes);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 * 68 + 8);
    }

    #[test]
    fn a_part_is_of_a_whole_object() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trees");
        let kept = KeptObjects::open(&path, MAX).unwrap();
        for bytes in [b"one".as_slice(), b"two"] {
            kept.put(&id(bytes), bytes);
        }
        kept.file.write_all_at(b"X", 68).unwrap();
        assert_eq!(kept.part(&id(b"one"), 1, 2), None);
        assert_eq!(kept.part(&id(b"two"), 1, 2).unwrap(), b"wo".as_slice());
        assert_eq!(kept.part(&id(b"two"), 2, 2), None);
    }

    #[test]
    fn what_would_not_be_kept_is_not_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path, 1_000).unwrap();
        kept.put(&id(b"one"), b"one");
        let objects = [(b"one", 3), (b"two", 500), (b"six", 700), (b"ten", 200)];
        let objects = objects.map(|(name, size)| (id(name), size));
        assert_eq!(kept.missing(&objects), [id(b"two"), id(b"ten")]);
        let second = KeptObjects::open(&path, 1_000).unwrap();
        assert_eq!(second.missing(&objects), []);
    }

    #[test]
    fn a_damaged_file_costs_what_is_damaged_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path, MAX).unwrap();
        kept.put(&id(b"one"), b"one");
        kept.put(&id(b"two"), b"two");
        kept.file.write_all_at(b"X", 68).unwrap();
        drop(kept);
        // A process was killed while it added one.
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [text.as_slice(), &[b'7'; 70]].concat()).unwrap();
        let kept = KeptObjects::open(&path, MAX).unwrap();
        assert_eq!(kept.get(&id(b"one")), None);
        assert_eq!(kept.get(&id(b"two")).unwrap(), b"two".as_slice());
        kept.put(&id(b"one"), b"one");
        kept.put(&id(b"new"), b"new");
        drop(kept);
        let kept = KeptObjects::open(&path, MAX).unwrap();
        for bytes in [b"one".as_slice(), b"new"] {
            assert_eq!(kept.get(&id(bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn a_second_process_reads_and_does_not_add() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let first = KeptObjects::open(&path, MAX).unwrap();
        first.put(&id(b"one"), b"one");
        let second = KeptObjects::open(&path, MAX).unwrap();
        second.put(&id(b"two"), b"two");
        assert_eq!(second.get(&id(b"one")).unwrap(), b"one".as_slice());
        assert_eq!(second.get(&id(b"two")), None);
    }

    #[test]
    fn what_is_given_up_takes_no_room_and_keeps_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path, MAX).unwrap();
        for bytes in [b"one".as_slice(), b"two"] {
            kept.put(&id(bytes), bytes);
        }
        assert_eq!(kept.part(&id(b"two"), 0, 3).unwrap(), b"two".as_slice());
        kept.give_up();
        assert!(!kept.put(&id(b"six"), b"six"));
        assert_eq!(kept.missing(&[(id(b"ten"), 3)]), []);
        assert_eq!(
            (kept.get(&id(b"one")), kept.part(&id(b"two"), 0, 3)),
            (None, None)
        );
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn no_more_is_kept_than_a_share_of_the_disk() {
        let file = tempfile::tempfile().unwrap();
        let room = fstatvfs(&file).unwrap();
        let all = room.f_blocks * room.f_frsize;
        assert!(share(&file) > 0 && share(&file) <= all / SHARE);
    }

    #[test]
    fn a_full_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path, MAX).unwrap();
        kept.put(&id(b"one"), b"one");
        kept.file.set_len(MAX + 1).unwrap();
        let reader = KeptObjects::open(&path, MAX).unwrap();
        assert_eq!(reader.part(&id(b"one"), 0, 3).unwrap(), b"one".as_slice());
        drop(kept);
        let kept = KeptObjects::open(&path, MAX).unwrap();
        assert_eq!(kept.get(&id(b"one")), None);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        kept.put(&id(b"two"), b"two");
        assert_eq!(reader.part(&id(b"one"), 0, 3).unwrap(), b"one".as_slice());
    }
}
