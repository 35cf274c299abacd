//! Compares a directory with a snapshot: every name, type, owner, mode, time and target, and every byte by its
//! digest.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustic_core::Id;
use rustic_core::repofile::{Node, NodeType};
use sha2::{Digest, Sha256};

use super::attributes::{metadata, permissions};
use super::databases::read_flags;
use super::repository::RepositoryError;
use super::tree::{Done, Tree};

/// So many differences are named.
const MAX_REPORTED: usize = 5;

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Files, directories and links that were compared.
    pub(crate) compared: u64,
    /// How many differ, are missing or are too many.
    pub(crate) mismatches: u64,
    /// The first of them, in words.
    pub(crate) differences: Vec<String>,
}

/// Compares `directory` with what `tree` says it should be. Owners are compared only where they could be set.
///
/// # Errors
/// When the snapshot cannot be read. A difference is no error.
pub(crate) fn compare(
    tree: &Tree,
    directory: &Path,
    owners: bool,
    done: &Done,
) -> Result<Compared, RepositoryError> {
    let compared = Mutex::new(Compared::default());
    let differs = |path: &Path, what: &str| {
        let mut compared = compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared.mismatches = compared.mismatches.saturating_add(1);
        if compared.differences.len() < MAX_REPORTED {
            compared.differences.push(format!("{}: {what}", path.display()));
        }
    };
    tree.for_each(
        |_| true,
        |path, node| {
            if let Some(what) = difference(tree, &place(directory, path), node, owners, done)? {
                differs(path, what);
            }
            Ok::<_, RepositoryError>(())
        },
    )?;
    let expected: BTreeSet<&Path> = tree.nodes.iter().map(|(path, _)| path.as_path()).collect();
    for path in found(directory) {
        if !expected.contains(path.as_path()) {
            differs(&path, "it is not in the snapshot");
        }
    }
    let mut compared = compared.into_inner().unwrap_or_else(PoisonError::into_inner);
    compared.compared = u64::try_from(tree.nodes.len()).unwrap_or(u64::MAX);
    Ok(compared)
}

/// Where something of a snapshot lies; for the home itself `join` would add a slash.
pub(crate) fn place(directory: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        directory.to_owned()
    } else {
        directory.join(path)
    }
}

fn difference(
    tree: &Tree,
    here: &Path,
    node: &Node,
    owners: bool,
    done: &Done,
) -> Result<Option<&'static str>, RepositoryError> {
    let Ok(stat) = std::fs::symlink_metadata(here) else {
        return Ok(Some("it is missing"));
    };
    let found = metadata(&stat);
    let same_type = match &node.node_type {
        NodeType::Dir => stat.is_dir(),
        NodeType::File => stat.is_file(),
        NodeType::Symlink { .. } => stat.is_symlink(),
        // None of these is ever in a snapshot of ours, and none is restored.
        _ => return Ok(None),
    };
    if !same_type {
        return Ok(Some("it is of another type"));
    }
    if let Some(mode) = node.meta.mode
        && !stat.is_symlink()
        && permissions(mode) != permissions(found.mode.unwrap_or_default())
    {
        return Ok(Some("its mode differs"));
    }
    let owned = |wanted: Option<u32>, is: u32| wanted.is_none_or(|wanted| wanted == is);
    if owners && !(owned(node.meta.uid, stat.uid()) && owned(node.meta.gid, stat.gid())) {
        return Ok(Some("its owner differs"));
    }
    if node.meta.mtime.is_some() && node.meta.mtime != found.mtime {
        return Ok(Some("its time differs"));
    }
    match &node.node_type {
        NodeType::Symlink { .. }
            if std::fs::read_link(here).ok().as_deref() != Some(node.node_type.to_link()) =>
        {
            Ok(Some("it points elsewhere"))
        }
        NodeType::File => content_difference(tree, here, node, done),
        _ => Ok(None),
    }
}

fn content_difference(
    tree: &Tree,
    here: &Path,
    node: &Node,
    done: &Done,
) -> Result<Option<&'static str>, RepositoryError> {
    let opened = File::options().read(true).custom_flags(read_flags()).open(here);
    let Ok(mut file) = opened else {
        return Ok(Some("it cannot be read"));
    };
    let mut bytes = Vec::new();
    for (id, length) in tree.pieces(node)? {
        bytes.resize(length, 0);
        let same = file.read_exact(&mut bytes).is_ok() && Id::new(Sha256::digest(&bytes).into()) == *id;
        if !same {
            return Ok(Some("its content differs"));
        }
        done.bytes(length);
    }
    done.file();
    let ends = matches!(file.read(&mut [0]), Ok(0));
    Ok((!ends).then_some("it is longer"))
}

/// Everything below a directory, by its path from there.
fn found(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        let entries = std::fs::read_dir(place(directory, &path)).into_iter().flatten();
        for entry in entries.flatten() {
            let below = path.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(below.clone());
            }
            all.push(below);
        }
    }
    all
}
