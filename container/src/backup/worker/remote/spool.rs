//! Packs that will be needed again, on this machine's disk while a restore goes on.
//!
//! A file that has changed in places lies in as many packs as it has changed times. Memory holds a few packs; without this,
//! each would be fetched again for every piece of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use bytes::Bytes;
use rustic_core::Id;

/// It never takes more than this: what it holds also fills the kernel's cache, of the same container.
const MAX_SPOOL: u64 = 2 * 1024 * 1024 * 1024;

/// The spool; it takes nothing before it is given room.
#[derive(Default)]
pub(super) struct Spool {
    /// Where its file is made. It has a name for a moment only.
    path: Option<PathBuf>,
    file: Option<File>,
    places: BTreeMap<Id, (u64, u64)>,
    end: u64,
    room: u64,
}

impl Spool {
    /// From now on it may take so many bytes of the disk `path` is on.
    pub(super) fn give_room(&mut self, path: PathBuf, bytes: u64) {
        self.path = Some(path);
        self.room = bytes.min(MAX_SPOOL);
    }

    /// A part of a pack, if that is here.
    pub(super) fn part(&self, id: &Id, offset: u32, length: u32) -> Option<Bytes> {
        let (at, size) = self.places.get(id)?;
        if u64::from(offset).saturating_add(length.into()) > *size {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let file = self.file.as_ref()?;
        file.read_exact_at(&mut bytes, at.saturating_add(offset.into()))
            .ok()?;
        Some(bytes.into())
    }

    /// Takes a pack. Where that does not work, or there is no room, it is fetched again when it is needed.
    pub(super) fn put(&mut self, id: Id, pack: &[u8]) {
        let size = u64::try_from(pack.len()).unwrap_or(u64::MAX);
        let end = self.end.saturating_add(size);
        if end > self.room || self.places.contains_key(&id) {
            return;
        }
        let written = self.write(pack);
        if written.is_ok() {
            self.places.insert(id, (self.end, size));
            self.end = end;
        } else {
            self.room = 0;
        }
    }

    fn write(&mut self, pack: &[u8]) -> io::Result<()> {
        let file = match (&mut self.file, &self.path) {
            (Some(file), _) => file,
            (none, Some(path)) => {
                let made = File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(path)?;
                std::fs::remove_file(path)?;
                none.insert(made)
            }
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        file.write_all_at(pack, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_read_back_in_parts() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::default();
        let [one, two] = [1, 2].map(|byte| Id::new([byte; 32]));
        spool.put(one, b"nowhere to go");
        assert_eq!(spool.part(&one, 0, 1), None);
        spool.give_room(directory.path().join("packs"), 13);
        spool.put(one, b"0123456789");
        spool.put(two, b"too much");
        assert_eq!(spool.part(&one, 2, 3).unwrap(), b"234".as_slice());
        assert_eq!(spool.part(&one, 8, 3), None);
        assert_eq!(spool.part(&two, 0, 1), None);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
