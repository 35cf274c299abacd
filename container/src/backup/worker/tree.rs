//! The files of a snapshot, read from its repository.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use moltworker_core::wire::control::Amount;
use rustic_core::repofile::{BlobType, Node, SnapshotFile};
use rustic_core::{BlobId, DataId, IndexedFullStatus, LsOptions, Repository};

use super::remote::Remote;
use super::repository::{Opened, RepositoryError, explain, home_of};

/// Files that are worked on at the same time: so that one waits for the network while another is written.
const SIDE_BY_SIDE: usize = 4;

/// A snapshot whose files can be read.
pub(crate) struct Tree {
    /// The client of its repository.
    pub(crate) remote: Arc<Remote>,
    repository: Repository<IndexedFullStatus>,
    /// Everything in it below the home, the home itself first under an empty path; a directory before its content.
    pub(crate) nodes: Vec<(PathBuf, Node)>,
}

/// How much is done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Done {
    /// A whole file.
    pub(crate) fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// Some bytes.
    pub(crate) fn bytes(&self, bytes: usize) {
        self.bytes
            .fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
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
        let mut nodes = vec![(PathBuf::new(), home.clone())];
        {
            let listed = repository.ls(&home, &LsOptions::default());
            let listed = listed.map_err(|error| explain(&remote, "reading the snapshot", &error))?;
            for found in listed {
                let (path, node) = found.map_err(|error| explain(&remote, "reading the snapshot", &error))?;
                if !stays_below(&path) {
                    return Err(RepositoryError(format!(
                        "the snapshot holds a path that leads out of the home: {}",
                        path.display()
                    )));
                }
                nodes.push((path, node));
            }
        }
        Ok(Self {
            remote,
            repository,
            nodes,
        })
    }

    /// What there is in it.
    pub(crate) fn amount(&self) -> Amount {
        let files = self.nodes.iter().filter(|(_, node)| node.is_file());
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
        let known = |id: &DataId| {
            let entry = self.repository.get_index_entry(id);
            let entry =
                entry.map_err(|error| explain(&self.remote, "looking for a piece of a file", &error))?;
            Ok((*id, usize::try_from(entry.data_length()).unwrap_or(usize::MAX)))
        };
        node.content.iter().flatten().map(known).collect()
    }

    /// The bytes of one piece.
    ///
    /// # Errors
    /// When they cannot be read as they were written.
    pub(crate) fn piece(&self, id: DataId) -> Result<Bytes, RepositoryError> {
        let blob = BlobId::from(id.into_inner());
        let read = self.repository.get_blob_cached(&blob, BlobType::Data);
        read.map_err(|error| explain(&self.remote, "reading a piece of a file", &error))
    }

    /// Does something with every node that fits, several side by side, until one fails.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn for_each<E: Send>(
        &self,
        fits: impl Fn(&Node) -> bool + Sync,
        work: impl Fn(&Path, &Node) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed)
                        && let Some((path, node)) = self.nodes.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if fits(node)
                            && let Err(failed) = work(path, node)
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
