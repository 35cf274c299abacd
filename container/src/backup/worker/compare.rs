//! Compares a directory with a snapshot: every name, type, target and length, and where it is read back every byte by its
//! digest, which must be the same; and every owner, mode, time and attribute, of which a disk does not take every one.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Mutex, PoisonError};

use moltworker_core::wire::control::Named;
use rustic_core::Id;
use rustic_core::repofile::{Node, NodeType};
use rustix::fs::{SeekFrom, readlinkat, seek};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::attributes::{metadata, node_attributes, permissions, stored_attributes};
use super::place::{Place, look, names, open};
use super::repository::RepositoryError;
use super::tree::{Done, Tree};

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Files, directories and links that were compared.
    pub(crate) compared: u64,
    /// What of the content differs, is missing or is too many.
    pub(crate) mismatches: Named,
    /// What else differs.
    pub(crate) unset: Named,
}

/// What is known of the bytes in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Each piece was compared with its digest before it was written, and the disk took all of it.
    Written,
    /// Nothing: they are read back.
    ReadBack,
}

/// How something differs.
enum Difference {
    Content(&'static str),
    Other(&'static str),
}
use Difference::{Content, Other};

/// Compares `place` with what `tree` says it should be. Owners are compared only where they could be set.
///
/// # Errors
/// When the snapshot cannot be read. A difference is no error.
pub(crate) fn compare(
    tree: &Tree,
    place: &Place,
    owners: bool,
    bytes: Bytes,
    done: &Done,
) -> Result<Compared, RepositoryError> {
    let compared = Mutex::new(Compared::default());
    let held = tree.held();
    tree.for_each(
        |_| true,
        |at, node| {
            let path = tree.path(at);
            let found = match place.holder(&path) {
                Ok((holder, name)) => {
                    let count = held.get(at).copied().unwrap_or(0);
                    difference(tree, &holder, name, node, (owners, bytes), count, done)?
                }
                Err(_) => Some(Content("it is missing")),
            };
            let mut compared = compared.lock().unwrap_or_else(PoisonError::into_inner);
            let (list, what) = match found {
                Some(Content(what)) => (&mut compared.mismatches, what),
                Some(Other(what)) => (&mut compared.unset, what),
                None => return Ok::<_, RepositoryError>(()),
            };
            list.push(&format!("{}: {what}", path.display()));
            Ok(())
        },
    )?;
    let mut compared = compared.into_inner().unwrap_or_else(PoisonError::into_inner);
    compared.compared = u64::try_from(tree.len()).unwrap_or(u64::MAX);
    Ok(compared)
}

fn difference(
    tree: &Tree,
    holder: &OwnedFd,
    name: &OsStr,
    node: &Node,
    (owners, bytes): (bool, Bytes),
    held: usize,
    done: &Done,
) -> Result<Option<Difference>, RepositoryError> {
    let Ok((file, stat)) = look(holder, name).and_then(|file| file.metadata().map(|stat| (file, stat)))
    else {
        return Ok(Some(Content("it is missing")));
    };
    let content = match &node.node_type {
        NodeType::Dir if stat.is_dir() => directory_difference(holder, name, held),
        NodeType::File if stat.is_file() => match bytes {
            Bytes::Written => length_difference(tree, &stat, node, done)?,
            Bytes::ReadBack => content_difference(tree, holder, name, node, done)?,
        },
        NodeType::Symlink { .. } if stat.is_symlink() => {
            let target = readlinkat(&file, "", Vec::new()).ok();
            let wanted = node.node_type.to_link().as_os_str().as_bytes();
            let is_same = target.is_some_and(|target| target.to_bytes() == wanted);
            (!is_same).then_some("it points elsewhere")
        }
        NodeType::Dir | NodeType::File | NodeType::Symlink { .. } => Some("it is of another type"),
        // None of these is ever in a snapshot of ours, and none is restored.
        _ => return Ok(None),
    };
    if let Some(what) = content {
        return Ok(Some(Content(what)));
    }
    let found = metadata(&stat);
    if let Some(mode) = node.meta.mode
        && !stat.is_symlink()
        && permissions(mode) != permissions(found.mode.unwrap_or_default())
    {
        return Ok(Some(Other("its mode differs")));
    }
    let owned = |wanted: Option<u32>, is: u32| wanted.is_none_or(|wanted| wanted == is);
    if owners && !(owned(node.meta.uid, stat.uid()) && owned(node.meta.gid, stat.gid())) {
        return Ok(Some(Other("its owner differs")));
    }
    if node.meta.mtime.is_some() && node.meta.mtime != found.mtime {
        return Ok(Some(Other("its time differs")));
    }
    let attributes = if stat.is_symlink() {
        Vec::new()
    } else {
        stored_attributes(holder, name).unwrap_or_default()
    };
    let is_same = attributes == node_attributes(node);
    Ok((!is_same).then_some(Other("its attributes differ")))
}

fn directory_difference(holder: &OwnedFd, name: &OsStr, held: usize) -> Option<&'static str> {
    let found = open(holder, name).and_then(|directory| names(&directory.into()));
    match found {
        // Each of those that belong there is looked at by itself.
        Ok(found) if found.len() > held => Some("it holds what is not in the snapshot"),
        Ok(_) => None,
        Err(_) => Some("it cannot be read"),
    }
}

fn length_difference(
    tree: &Tree,
    stat: &Metadata,
    node: &Node,
    done: &Done,
) -> Result<Option<&'static str>, RepositoryError> {
    let mut length = 0_u64;
    for (_, piece) in tree.pieces(node)? {
        length = length.saturating_add(u64::try_from(piece).unwrap_or(u64::MAX));
    }
    done.bytes(length);
    done.file();
    Ok((stat.len() != length).then_some("it is of another length"))
}

fn content_difference(
    tree: &Tree,
    holder: &OwnedFd,
    name: &OsStr,
    node: &Node,
    done: &Done,
) -> Result<Option<&'static str>, RepositoryError> {
    let Ok(file) = open(holder, name) else {
        return Ok(Some("it cannot be read"));
    };
    let mut bytes = Vec::new();
    let mut offset = 0_u64;
    for (id, length) in tree.pieces(node)? {
        let end = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if !(tree.is_hole(id) && is_hole(&file, offset, end)) {
            bytes.resize(length, 0);
            let is_same = file.read_exact_at(&mut bytes, offset).is_ok()
                && Id::new(Sha256::digest(&bytes).into()) == *id;
            if !is_same {
                return Ok(Some("its content differs"));
            }
        }
        done.bytes(end.saturating_sub(offset));
        offset = end;
    }
    done.file();
    let is_as_long = file.metadata().is_ok_and(|stat| stat.len() == offset);
    Ok((!is_as_long).then_some("it is of another length"))
}

/// Whether nothing is stored of a part of a file, so that it reads as zeros. The end of the file is judged by its length.
fn is_hole(file: &File, from: u64, to: u64) -> bool {
    match seek(file, SeekFrom::Data(from)) {
        Ok(data) => data >= to,
        Err(error) => error == Errno::NXIO,
    }
}
