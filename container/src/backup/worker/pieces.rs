//! The bytes of files in a repository, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use rustic_core::repofile::{BlobType, Node};
use rustic_core::{DataId, Id, IndexedFullStatus, Repository};
use sha2::{Digest, Sha256};

use super::remote::Remote;
use super::repository::{RepositoryError, explain};

/// A repository whose index is read.
pub(crate) struct Pieces {
    /// The client of it.
    pub(crate) remote: Arc<Remote>,
    pub(super) repository: Repository<IndexedFullStatus>,
}

impl Pieces {
    /// The pieces a file consists of: their digests and lengths.
    ///
    /// # Errors
    /// When the repository does not know one of them.
    pub(crate) fn of(&self, node: &Node) -> Result<Vec<(DataId, usize)>, RepositoryError> {
        let known = |id: &DataId| {
            let entry = self.repository.get_index_entry(id);
            let entry =
                entry.map_err(|error| explain(&self.remote, "looking for a piece of a file", &error))?;
            Ok((*id, usize::try_from(entry.data_length()).unwrap_or(usize::MAX)))
        };
        node.content.iter().flatten().map(known).collect()
    }

    /// The bytes of one piece, which its digest has been found to be of.
    ///
    /// # Errors
    /// When they cannot be read as they were written.
    pub(crate) fn read(&self, id: DataId) -> Result<Bytes, RepositoryError> {
        let read = self.repository.cat_blob(BlobType::Data, id.to_hex().as_str());
        let bytes = read.map_err(|error| match self.remote.last_failure() {
            Some(_) => explain(&self.remote, "reading a piece of a file", &error),
            // It was read, and cannot be decrypted or unpacked.
            None => damaged(id),
        })?;
        if Id::new(Sha256::digest(&bytes).into()) != *id {
            return Err(damaged(id));
        }
        Ok(bytes)
    }
}

fn damaged(id: DataId) -> RepositoryError {
    let id = id.to_hex();
    RepositoryError(format!(
        "reading a piece of a file: {} is damaged in the repository",
        id.as_str()
    ))
}

/// How many bytes these pieces have.
pub(crate) fn length(pieces: &[(DataId, usize)]) -> u64 {
    pieces.iter().fold(0, |sum, (_, length)| {
        sum.saturating_add(u64::try_from(*length).unwrap_or(u64::MAX))
    })
}

/// What tells a file's content from any other: the digest of the digests of its pieces.
pub(crate) fn digest(node: &Node) -> [u8; 32] {
    let mut digest = Sha256::new();
    for piece in node.content.iter().flatten() {
        digest.update(piece.to_hex().as_str());
    }
    digest.finalize().into()
}
