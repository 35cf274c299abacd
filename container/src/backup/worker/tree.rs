//! The files of a snapshot, read from its repository.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use moltworker_core::wire::control::Amount;
use rustic_core::repofile::{Node, SnapshotFile};
use rustic_core::{DataId, FileType, Id, LsOptions};
use sha2::{Digest, Sha256};

use super::pieces::Pieces;
use super::ranges::{LocatedPiece, Part};
use super::remote::{InHand, path_of};
use super::repository::{Description, Opened, RepositoryError, explain, home_of};

/// Files that are worked on at the same time: so that one waits for the network while another is written.
const SIDE_BY_SIDE: usize = 4;
/// Length of the piece that zeros are cut into: the shortest there is.
const ZEROS: usize = 512 * 1024;

/// A snapshot whose files can be read.
pub(crate) struct Tree {
    pieces: Pieces,
    /// Everything in it below the home, the home itself first; a directory before its content. Whole paths would be far
    /// longer than all names where a tree is deep.
    entries: Vec<Entry>,
    /// Bytes its files took on the disk, if that was counted.
    disk_bytes: Option<u64>,
    /// The piece that is nothing but zeros.
    zeros: DataId,
}

/// Something in a snapshot.
struct Entry {
    /// Where the directory that holds it is among the entries.
    holder: usize,
    node: Node,
}

/// How much is done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    files: AtomicU64,
    bytes: AtomicU64,
    written: AtomicU64,
}

impl Done {
    /// A whole file.
    pub(crate) fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Some bytes.
    pub(crate) fn bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Some bytes of them that had to be written: those of a hole need not.
    pub(crate) fn written(&self, bytes: usize) {
        self.written
            .fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes that were written until now.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Until now.
    pub(crate) fn amount(&self) -> Amount {
        Amount {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Tree {
    /// Reads the names of everything in a snapshot.
    ///
    /// # Errors
    /// When any of it cannot be read, or a name would lead out of the home.
    pub(crate) fn open(opened: Opened, snapshot: &SnapshotFile) -> Result<Self, RepositoryError> {
        let Opened { remote, repository } = opened;
        let indexed = repository.to_indexed();
        let repository = indexed.map_err(|error| explain(&remote, "reading the index", &error))?;
        let home = home_of(&remote, &repository, snapshot)?;
        let node = home.clone();
        let mut entries = vec![Entry { holder: 0, node }];
        {
            let listed = repository.ls(&home, &LsOptions::default());
            let listed = listed.map_err(|error| explain(&remote, "reading the snapshot", &error))?;
            // The directories that lead to where the list is.
            let mut way = vec![0];
            for found in listed {
                let (path, node) = found.map_err(|error| explain(&remote, "reading the snapshot", &error))?;
                let depth = path.components().count();
                way.truncate(depth);
                let holder = way.last().copied().filter(|_| way.len() == depth);
                let Some(holder) = holder.filter(|_| stays_below(&path)) else {
                    return Err(RepositoryError(format!(
                        "the snapshot holds a path that leads out of the home: {}",
                        path.display()
                    )));
                };
                if node.is_dir() {
                    way.push(entries.len());
                }
                entries.push(Entry { holder, node });
            }
        }
        Ok(Self {
            pieces: Pieces { remote, repository },
            entries,
            disk_bytes: Description::of(snapshot).disk_bytes,
            zeros: DataId::from(Id::new(Sha256::digest(vec![0; ZEROS]).into())),
        })
    }

    /// The repository it was read from.
    pub(crate) fn close(self) -> Opened {
        Opened {
            remote: self.pieces.remote,
            repository: self.pieces.repository.drop_index(),
        }
    }

    /// How many entries there are: files, directories and links.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All of it with its number, a directory before its content.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = (usize, &Node)> {
        self.entries.iter().map(|entry| &entry.node).enumerate()
    }

    /// What an entry is.
    pub(crate) fn node(&self, at: usize) -> Option<&Node> {
        self.entries.get(at).map(|entry| &entry.node)
    }

    /// The path of an entry from the home; of the home an empty one.
    pub(crate) fn path(&self, mut at: usize) -> PathBuf {
        let mut names = Vec::new();
        while at > 0
            && let Some(entry) = self.entries.get(at)
        {
            names.push(entry.node.name());
            at = entry.holder;
        }
        names.iter().rev().collect()
    }

    /// How many entries each directory has.
    pub(crate) fn held(&self) -> Vec<usize> {
        let mut held = vec![0_usize; self.entries.len()];
        for entry in self.entries.iter().skip(1) {
            if let Some(count) = held.get_mut(entry.holder) {
                *count = count.saturating_add(1);
            }
        }
        held
    }

    /// Whether a piece is all zeros. Only the usual one of a hole is known by its digest.
    pub(crate) fn is_hole(&self, piece: DataId) -> bool {
        piece == self.zeros
    }

    /// Bytes that its files take on a disk at most: holes take none. Where that was counted when the snapshot was taken,
    /// small holes count as well.
    ///
    /// # Errors
    /// When the repository does not know a piece of a file.
    pub(crate) fn disk_bytes(&self) -> Result<u64, RepositoryError> {
        let mut linked = HashSet::new();
        let mut bytes = 0_u64;
        for (_, node) in self.all().filter(|(_, node)| node.is_file()) {
            if node.meta.links > 1 && !linked.insert((node.meta.device_id, node.meta.inode)) {
                continue;
            }
            let pieces = self.pieces(node)?.into_iter();
            let written = pieces.filter(|(id, _)| !self.is_hole(*id));
            let written = written.fold(0, |sum: usize, (_, length)| sum.saturating_add(length));
            bytes = bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        }
        Ok(self.disk_bytes.map_or(bytes, |counted| bytes.min(counted)))
    }

    /// What there is in it.
    pub(crate) fn amount(&self) -> Amount {
        let files = self.all().filter(|(_, node)| node.is_file());
        files.fold(Amount::default(), |amount, (_, node)| Amount {
            files: amount.files.saturating_add(1),
            bytes: amount.bytes.saturating_add(node.meta.size),
        })
    }

    /// The pieces a file consists of: their digests and lengths.
    ///
    /// # Errors
    /// When the repository does not know one of them.
    pub(crate) fn pieces(&self, node: &Node) -> Result<Vec<(DataId, usize)>, RepositoryError> {
        self.pieces.of(node)
    }

    /// Where the pieces of a file lie that are no holes, and where they go; and how long the file is.
    ///
    /// # Errors
    /// When the repository does not know one of them.
    pub(super) fn located(
        &self,
        at: usize,
        node: &Node,
    ) -> Result<(Vec<LocatedPiece>, u64), RepositoryError> {
        let mut located = Vec::new();
        let mut offset = 0_u64;
        for id in node.content.iter().flatten() {
            let entry = self.pieces.repository.get_index_entry(id);
            let entry = entry
                .map_err(|error| explain(&self.pieces.remote, "looking for a piece of a file", &error))?;
            let length = entry.data_length();
            if !self.is_hole(*id) {
                let from = entry.location.offset;
                located.push(LocatedPiece {
                    pack: *entry.pack,
                    at: from..from.saturating_add(entry.location.length),
                    piece: *id,
                    length,
                    goes_to: (at, offset),
                });
            }
            offset = offset.saturating_add(length.into());
        }
        Ok((located, offset))
    }

    /// A part of a pack, in memory: pieces that lie in it are read from there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn take_in_hand(&self, part: &Part) -> Result<InHand<'_>, RepositoryError> {
        let path = path_of(FileType::Pack, &part.pack);
        let taken = self
            .pieces
            .remote
            .take_in_hand(&path, &part.pack, part.at.start, part.at.end);
        taken.map_err(|error| RepositoryError(format!("reading a piece of a file: {error}")))
    }

    /// The bytes of one piece, which its digest has been found to be of.
    ///
    /// # Errors
    /// When they cannot be read as they were written.
    pub(crate) fn piece(&self, id: DataId) -> Result<Bytes, RepositoryError> {
        self.pieces.read(id)
    }

    /// Does something with every node that fits, several side by side, until one fails.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn for_each<E: Send>(
        &self,
        fits: impl Fn(&Node) -> bool + Sync,
        work: impl Fn(usize, &Node) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(node) = self.node(at) else { break };
                        if fits(node)
                            && let Err(failed) = work(at, node)
                        {
                            stop.store(true, Ordering::Relaxed);
                            failure
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .get_or_insert(failed);
                        }
                    }
                });
            }
        });
        let failed = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(()), Err)
    }
}

/// Names come from the repository, which only this bot's runs can write; still, none may lead elsewhere.
fn stays_below(path: &Path) -> bool {
    let mut parts = path.components();
    path.file_name().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_outside_the_home_is_refused() {
        for (path, stays) in [
            ("a", true),
            ("a/b", true),
            ("..", false),
            ("a/../b", false),
            ("/a", false),
            ("", false),
        ] {
            assert_eq!(stays_below(Path::new(path)), stays, "{path}");
        }
    }
}
