//! Small immutable objects of a repository (keys, indexes, snapshots), kept on this machine for the run: without them every
//! snapshot would read as many of them again as there are snapshots.
//!
//! One file of records, opened with root's rights before the process takes those of the home's owner. An object is named by
//! its digest, and compared with it each time it is read from here, so that a damaged or foreign file costs a request and
//! nothing else. What exists is never asked here: lists come from the repository.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use rustic_core::Id;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::{check_digest, locked, number};

/// Larger, the file begins anew: some 10,000 snapshots of a small home, read in 20 ms.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// A larger object is read from the repository each time: an index of over 100,000 pieces.
const MAX_OBJECT: usize = 8 * 1024 * 1024;
/// How long an id is in hexadecimal.
const ID: usize = 64;
/// Before each object: its id and, in 4 bytes, its length.
const HEAD: usize = ID + 4;

/// What was read or written before in this run.
pub(crate) struct KeptObjects {
    file: File,
    /// Only one process adds at a time; others just read.
    may_add: bool,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    known: BTreeMap<Id, (u64, usize)>,
    end: u64,
}

impl KeptObjects {
    /// Opens the file or makes it; nothing where that does not work, which costs requests only.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(OFlags::NOFOLLOW.bits()).ok()?)
            .open(path)
            .ok()?;
        let may_add = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let mut places = Places::read(&file);
        let long = file.metadata().ok()?.len();
        if may_add && (long > MAX_FILE || long > places.end) {
            // Also what a process that was killed has left half written.
            let end = if long > MAX_FILE { 0 } else { places.end };
            file.set_len(end).ok()?;
            places.known.retain(|_, (at, _)| *at < end);
            places.end = end;
        }
        Some(Self {
            file,
            may_add,
            places: Mutex::new(places),
        })
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

    /// Keeps an object. Where that does not work, it is asked for again.
    pub(crate) fn put(&self, id: &Id, bytes: &[u8]) {
        let Some(length) = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= MAX_OBJECT)
        else {
            return;
        };
        let mut places = locked(&self.places);
        if !self.may_add || places.known.contains_key(id) {
            return;
        }
        let record = [id.to_hex().as_str().as_bytes(), &length.to_be_bytes(), bytes].concat();
        if self.file.write_all_at(&record, places.end).is_ok() {
            places.add(*id, bytes.len());
        }
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

    fn id(bytes: &[u8]) -> Id {
        Id::new(Sha256::digest(bytes).into())
    }

    #[test]
    fn an_object_is_found_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path).unwrap();
        assert_eq!(kept.get(&id(b"one")), None);
        for bytes in [b"one".as_slice(), b"", b"three", b"one"] {
            kept.put(&id(bytes), bytes);
        }
        drop(kept);
        let kept = KeptObjects::open(&path).unwrap();
        for bytes in [b"one".as_slice(), b"", b"three"] {
            assert_eq!(kept.get(&id(bytes)).unwrap(), bytes);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 * 68 + 8);
    }

    #[test]
    fn a_damaged_file_costs_what_is_damaged_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path).unwrap();
        kept.put(&id(b"one"), b"one");
        kept.put(&id(b"two"), b"two");
        kept.file.write_all_at(b"X", 68).unwrap();
        drop(kept);
        // A process was killed while it added one.
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [text.as_slice(), &[b'7'; 70]].concat()).unwrap();
        let kept = KeptObjects::open(&path).unwrap();
        assert_eq!(kept.get(&id(b"one")), None);
        assert_eq!(kept.get(&id(b"two")).unwrap(), b"two".as_slice());
        kept.put(&id(b"one"), b"one");
        kept.put(&id(b"new"), b"new");
        drop(kept);
        let kept = KeptObjects::open(&path).unwrap();
        for bytes in [b"one".as_slice(), b"new"] {
            assert_eq!(kept.get(&id(bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn a_second_process_reads_and_does_not_add() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let first = KeptObjects::open(&path).unwrap();
        first.put(&id(b"one"), b"one");
        let second = KeptObjects::open(&path).unwrap();
        second.put(&id(b"two"), b"two");
        assert_eq!(second.get(&id(b"one")).unwrap(), b"one".as_slice());
        assert_eq!(second.get(&id(b"two")), None);
    }

    #[test]
    fn a_full_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objects");
        let kept = KeptObjects::open(&path).unwrap();
        kept.put(&id(b"one"), b"one");
        kept.file.set_len(MAX_FILE + 1).unwrap();
        drop(kept);
        let kept = KeptObjects::open(&path).unwrap();
        assert_eq!(kept.get(&id(b"one")), None);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
