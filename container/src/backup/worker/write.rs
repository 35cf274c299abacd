//! Writes the files of a snapshot into a directory that is not there yet.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rustic_core::DataId;
use rustic_core::repofile::{Node, NodeType};
use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, symlinkat};

use super::attributes::apply;
use super::place::{PRIVATE, Place};
use super::ranges::{LocatedPiece, Part, for_each_part, parts};
use super::repository::RepositoryError;
use super::swap::failed;
use super::tree::{Done, Tree};
use crate::beneath;

/// What is nothing but zeros is left out in blocks of this size: that of the usual file systems.
const BLOCK: usize = 4_096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];
/// So often a part of a pack is read until what is in it counts as damaged where it is stored.
const ATTEMPTS: u32 = 3;

/// Why a snapshot was not written into a directory, or is not the same there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotExtracted {
    /// There is no room for it.
    #[error("{0}")]
    NoRoom(RepositoryError),
    /// This machine's disk does not take it.
    #[error("{0}")]
    Disk(RepositoryError),
    /// The repository does not give it, or what it gave differs.
    #[error("{0}")]
    Repository(RepositoryError),
}

impl From<RepositoryError> for NotExtracted {
    fn from(failure: RepositoryError) -> Self {
        Self::Repository(failure)
    }
}

impl From<NotExtracted> for RepositoryError {
    fn from(not: NotExtracted) -> Self {
        match not {
            NotExtracted::NoRoom(failure)
            | NotExtracted::Disk(failure)
            | NotExtracted::Repository(failure) => failure,
        }
    }
}

/// What the file system refused, by whether there is no room or something else is wrong.
pub(super) fn unwritten(path: &Path, doing: &str, error: &io::Error) -> NotExtracted {
    let failure = failed(path, doing, error);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotExtracted::NoRoom(failure),
        _ => NotExtracted::Disk(failure),
    }
}

/// Writes all of it. What of owners, modes, times and attributes cannot be set is left.
///
/// # Errors
/// When anything cannot be read or written.
pub(super) fn write(tree: &Tree, fresh: &Path, owners: bool, done: &Done) -> Result<Place, NotExtracted> {
    let place = Place::make(fresh).map_err(|error| unwritten(fresh, "making", &error))?;
    let failed =
        |at: usize, doing: &'static str| move |error: io::Error| unwritten(&tree.path(at), doing, &error);
    // The first of those that are one file, and those that become links to it.
    let mut linked: HashMap<(u64, u64), usize> = HashMap::new();
    let mut links = Vec::new();
    for (at, node) in tree.all().skip(1) {
        if node.meta.links > 1 && !node.is_dir() {
            let key = (node.meta.device_id, node.meta.inode);
            let first = *linked.entry(key).or_insert(at);
            let is_same = tree
                .node(first)
                .is_some_and(|other| other.content == node.content && other.node_type == node.node_type);
            if first != at && is_same {
                links.push((at, first));
                continue;
            }
        }
        match &node.node_type {
            // Closed to everybody else until everything in it has its owner and mode.
            NodeType::Dir => {
                let path = tree.path(at);
                let (holder, name) = place.holder(&path).map_err(failed(at, "making"))?;
                mkdirat(&*holder, name, PRIVATE).map_err(|error| failed(at, "making")(error.into()))?;
            }
            NodeType::Symlink { .. } => {
                let path = tree.path(at);
                let (holder, name) = place.holder(&path).map_err(failed(at, "making"))?;
                let made = symlinkat(node.node_type.to_link(), &*holder, name);
                made.map_err(|error| failed(at, "making")(error.into()))?;
                apply(&holder, name, node, owners);
            }
            _ => {}
        }
    }
    let is_link: HashSet<usize> = links.iter().map(|(at, _)| *at).collect();
    let files = Files {
        tree,
        place: &place,
        owners,
        done,
        left: tree.all().map(|_| AtomicUsize::new(0)).collect(),
    };
    let located = Mutex::new(Vec::new());
    tree.for_each(Node::is_file, |at, node| {
        if is_link.contains(&at) {
            return Ok::<_, NotExtracted>(());
        }
        let pieces = files.begin(at, node)?;
        located
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(pieces);
        Ok(())
    })?;
    let located = located.into_inner().unwrap_or_else(PoisonError::into_inner);
    for_each_part(&parts(located), |part| files.write(part))?;
    for (at, first) in links {
        let (path, of) = (tree.path(at), tree.path(first));
        let (holder, name) = place.holder(&path).map_err(failed(at, "linking"))?;
        let (other, other_name) = place.holder(&of).map_err(failed(at, "linking"))?;
        let linked = linkat(&*other, other_name, &*holder, name, AtFlags::empty());
        linked.map_err(|error| failed(at, "linking")(error.into()))?;
        if tree.node(at).is_some_and(Node::is_file) {
            done.file();
        }
    }
    // A directory's time changes with what is put into it: the innermost first.
    for (at, node) in tree.all().rev().filter(|(_, node)| node.is_dir()) {
        let path = tree.path(at);
        let (holder, name) = place.holder(&path).map_err(failed(at, "finishing"))?;
        apply(&holder, name, node, owners);
    }
    Ok(place)
}

/// The files that are written, each piece when the part of a pack it lies in is at hand.
struct Files<'a> {
    tree: &'a Tree,
    place: &'a Place,
    owners: bool,
    done: &'a Done,
    /// How many pieces of each entry are not written yet.
    left: Vec<AtomicUsize>,
}

impl Files<'_> {
    fn failed(&self, at: usize) -> impl Fn(io::Error) -> NotExtracted {
        let path = self.tree.path(at);
        move |error| unwritten(&path, "writing", &error)
    }

    /// Makes a file as long as it will be, and says which pieces it takes.
    fn begin(&self, at: usize, node: &Node) -> Result<Vec<LocatedPiece>, NotExtracted> {
        let (pieces, length) = self.tree.located(at, node)?;
        let failed = self.failed(at);
        let path = self.tree.path(at);
        let (holder, name) = self.place.holder(&path).map_err(&failed)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = beneath::open(&*holder, name, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.map_err(|error| failed(error.into()))?);
        file.set_len(length).map_err(&failed)?;
        let written = pieces.iter().map(|piece| u64::from(piece.length)).sum();
        self.done.bytes(length.saturating_sub(written));
        if let Some(left) = self.left.get(at) {
            left.store(pieces.len(), Ordering::Relaxed);
        }
        if pieces.is_empty() {
            self.finish(at, &holder, name);
        }
        Ok(pieces)
    }

    /// Writes the pieces that lie in a part of a pack.
    fn write(&self, part: &Part) -> Result<(), NotExtracted> {
        let mut in_hand = Some(self.tree.take_in_hand(part)?);
        let mut attempts = 1;
        // One that goes to several places lies there once.
        let mut last: Option<(DataId, Bytes)> = None;
        for located in &part.pieces {
            let same = last.take().filter(|(piece, _)| *piece == located.piece);
            let bytes = match same {
                Some((_, bytes)) => bytes,
                None => loop {
                    match self.tree.piece(located.piece) {
                        Ok(bytes) => break bytes,
                        // What is damaged on its way here is whole where it is stored.
                        Err(_) if attempts < ATTEMPTS => {
                            attempts = attempts.saturating_add(1);
                            drop(in_hand.take());
                            in_hand = Some(self.tree.take_in_hand(part)?);
                        }
                        Err(error) => return Err(error.into()),
                    }
                },
            };
            self.put(located, &bytes)?;
            last = Some((located.piece, bytes));
        }
        Ok(())
    }

    /// Writes a piece to its place. The last one of a file finishes it.
    fn put(&self, located: &LocatedPiece, bytes: &[u8]) -> Result<(), NotExtracted> {
        let (at, offset) = located.goes_to;
        let failed = self.failed(at);
        let path = self.tree.path(at);
        let (holder, name) = self.place.holder(&path).map_err(&failed)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW;
        let file = beneath::open(&*holder, name, flags, Mode::empty());
        let file = File::from(file.map_err(|error| failed(error.into()))?);
        self.done
            .written(write_runs(&file, bytes, offset).map_err(&failed)?);
        self.done.bytes(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let left = self.left.get(at);
        if left.is_some_and(|left| left.fetch_sub(1, Ordering::AcqRel) == 1) {
            self.finish(at, &holder, name);
        }
        Ok(())
    }

    fn finish(&self, at: usize, holder: &OwnedFd, name: &OsStr) {
        if let Some(node) = self.tree.node(at) {
            apply(holder, name, node, self.owners);
        }
        self.done.file();
    }
}

/// Writes what is not zeros, and says how much that was.
fn write_runs(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let mut written = 0_usize;
    let mut run = 0..0;
    let into_block = usize::try_from(offset % BLOCK as u64).unwrap_or(0);
    // From here on blocks of the file begin where those of the disk do.
    let mut end = BLOCK.saturating_sub(into_block).min(bytes.len());
    let mut begin = 0;
    let mut flush = |run: std::ops::Range<usize>| {
        let data = bytes.get(run.clone()).unwrap_or_default();
        written = written.saturating_add(data.len());
        let at = offset.saturating_add(u64::try_from(run.start).unwrap_or(u64::MAX));
        file.write_all_at(data, at)
    };
    while begin < end {
        let block = bytes.get(begin..end).unwrap_or_default();
        if ZEROS.starts_with(block) {
            if !run.is_empty() {
                flush(std::mem::take(&mut run))?;
            }
        } else if run.is_empty() {
            run = begin..end;
        } else {
            run.end = end;
        }
        begin = end;
        end = end.saturating_add(BLOCK).min(bytes.len());
    }
    if !run.is_empty() {
        flush(run)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn only_blocks_with_something_in_them_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        for offset in [0, 1, 4_095, 4_096, 700_001] {
            let mut bytes = vec![0; 400_000];
            for (at, byte) in [(5, 1), (99_999, 2), (100_000, 3), (399_999, 4)] {
                bytes[at] = byte;
            }
            let file = File::create(&path).unwrap();
            let written = write_runs(&file, &bytes, offset).unwrap();
            file.set_len(offset + 400_000).unwrap();
            let found = std::fs::read(&path).unwrap();
            assert!(found[usize::try_from(offset).unwrap()..] == bytes, "{offset}");
            assert!(
                written <= 5 * BLOCK && file.metadata().unwrap().blocks() <= 5 * 8,
                "{written}"
            );
        }
        let file = File::create(&path).unwrap();
        assert_eq!(write_runs(&file, &[0; 100_000], 3).unwrap(), 0);
        assert_eq!(write_runs(&file, &[], 3).unwrap(), 0);
    }
}
