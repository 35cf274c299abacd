//! A directory of a snapshot as a tar (POSIX.1-2001, "pax"), as it is read: of the whole no more is in memory than what lies in
//! the directories on the way to where it is, and one piece of a file.
//!
//! Names, link targets and times that the old format has no room for stand in extended headers, as the bytes they are.
//! Holes are written out as zeros. Attributes of files beside mode, owner and time are left out.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::vec::IntoIter;

use bytes::{Buf, Bytes};
use rustic_core::DataId;
use rustic_core::repofile::{Node, NodeType};
use tar::{Builder, EntryType, Header};

use super::attributes::permissions;
use super::pieces::{Pieces, digest, length};
use super::repository::{RepositoryError, explain};

/// Bytes of names of files with several that are remembered, to write a file once. Behind that it is written as often as it
/// has names.
const MAX_LINKED: usize = 16 * 1024 * 1024;
/// What a name takes beside its own bytes.
const LINK_COST: usize = 128;
/// Directories within each other: each is held open, and no home is as deep.
const MAX_DEPTH: usize = 100_000;

/// Writes `node`, a directory, and all that is below it under the name `top`.
///
/// # Errors
/// When any of it cannot be read, a name would lead elsewhere, or nobody reads any more.
pub(super) fn write(
    pieces: &Pieces,
    node: &Node,
    top: &[u8],
    out: impl Write,
) -> Result<(), RepositoryError> {
    let mut archive = Archive {
        pieces,
        tar: Builder::new(out),
        linked: HashMap::new(),
        remembered: 0,
    };
    let mut path = top.to_vec();
    archive.directory(node, &path)?;
    // What is left of each directory on the way, and how long its path is.
    let mut way = vec![(archive.below(node)?, path.len())];
    while let Some((entries, length)) = way.last_mut() {
        path.truncate(*length);
        let Some(entry) = entries.next() else {
            way.pop();
            continue;
        };
        path.push(b'/');
        path.extend_from_slice(name(&entry)?.as_bytes());
        match &entry.node_type {
            NodeType::Dir if way.len() >= MAX_DEPTH => {
                return Err(RepositoryError::new("the directories are too deep"));
            }
            NodeType::Dir => {
                archive.directory(&entry, &path)?;
                way.push((archive.below(&entry)?, path.len()));
            }
            NodeType::Symlink { .. } => {
                let target = entry.node_type.to_link().as_os_str().as_bytes().to_vec();
                archive.link(&entry, &path, &target)?;
            }
            NodeType::File => archive.file(&entry, &path)?,
            // Devices and sockets: no snapshot of ours has any.
            _ => {}
        }
    }
    let finished = archive.tar.into_inner().and_then(|mut out| out.flush());
    finished.map_err(|error| unwritten(&error))
}

struct Archive<'a, W: Write> {
    pieces: &'a Pieces,
    tar: Builder<W>,
    /// The first names of files that have several, by where they were on the disk and what is in them.
    linked: HashMap<(u64, u64, [u8; 32]), Vec<u8>>,
    remembered: usize,
}

impl<W: Write> Archive<'_, W> {
    /// What is in a directory.
    fn below(&self, node: &Node) -> Result<IntoIter<Node>, RepositoryError> {
        let tree = node
            .subtree
            .ok_or_else(|| RepositoryError::new("a directory of the snapshot has no content"))?;
        let tree = self.pieces.repository.get_tree(&tree);
        let tree = tree.map_err(|error| explain(&self.pieces.remote, "reading a directory", &error))?;
        Ok(tree.nodes.into_iter())
    }

    fn directory(&mut self, node: &Node, path: &[u8]) -> Result<(), RepositoryError> {
        let path = [path, b"/"].concat();
        let header = header(node, EntryType::Directory, 0);
        self.entry(header, node, &path, None, io::empty())
    }

    fn link(&mut self, node: &Node, path: &[u8], target: &[u8]) -> Result<(), RepositoryError> {
        if let Some(first) = self.known(node, path) {
            return self.same(node, path, &first);
        }
        let header = header(node, EntryType::Symlink, 0);
        self.entry(header, node, path, Some(target), io::empty())
    }

    fn file(&mut self, node: &Node, path: &[u8]) -> Result<(), RepositoryError> {
        if let Some(first) = self.known(node, path) {
            return self.same(node, path, &first);
        }
        let content = self.pieces.of(node)?;
        let header = header(node, EntryType::Regular, length(&content));
        let content = Content::new(self.pieces, content.into_iter());
        self.entry(header, node, path, None, content)
    }

    /// One more name of what is in the archive under `first`.
    fn same(&mut self, node: &Node, path: &[u8], first: &[u8]) -> Result<(), RepositoryError> {
        let header = header(node, EntryType::Link, 0);
        self.entry(header, node, path, Some(first), io::empty())
    }

    /// The name under which the same file is in the archive already.
    fn known(&mut self, node: &Node, path: &[u8]) -> Option<Vec<u8>> {
        if node.meta.links < 2 {
            return None;
        }
        let key = (node.meta.device_id, node.meta.inode, digest(node));
        if let Some(first) = self.linked.get(&key) {
            return Some(first.clone());
        }
        let cost = path.len().saturating_add(LINK_COST);
        if self.remembered.saturating_add(cost) <= MAX_LINKED {
            self.remembered = self.remembered.saturating_add(cost);
            self.linked.insert(key, path.to_vec());
        }
        None
    }

    fn entry(
        &mut self,
        mut header: Header,
        node: &Node,
        path: &[u8],
        target: Option<&[u8]>,
        content: impl Read,
    ) -> Result<(), RepositoryError> {
        let mut more: Vec<(&str, Vec<u8>)> = Vec::new();
        let old = header.as_old_mut();
        if !fill(&mut old.name, path) {
            more.push(("path", path.to_vec()));
        }
        if let Some(target) = target
            && !fill(&mut old.linkname, target)
        {
            more.push(("linkpath", target.to_vec()));
        }
        if let Some(time) = node.meta.mtime {
            let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
            header.set_mtime(u64::try_from(seconds).unwrap_or(0));
            if nanos != 0 || seconds < 0 {
                more.push(("mtime", decimal(seconds, nanos).into_bytes()));
            }
        }
        header.set_cksum();
        let extended = more.iter().map(|(key, value)| (*key, value.as_slice()));
        let written = match more.is_empty() {
            true => Ok(()),
            false => self.tar.append_pax_extensions(extended),
        };
        let written = written.and_then(|()| self.tar.append(&header, content));
        written.map_err(|error| unwritten(&error))
    }
}

/// Whether it fits, cut if it does not.
fn fill(field: &mut [u8], bytes: &[u8]) -> bool {
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
    }
    // A byte that ends it, or one that some readers take for the beginning of another encoding.
    bytes.len() < field.len() && bytes.is_ascii()
}

/// A header without name, target and time.
fn header(node: &Node, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(node.meta.mode.map_or(0o600, permissions));
    header.set_uid(node.meta.uid.unwrap_or(0).into());
    header.set_gid(node.meta.gid.unwrap_or(0).into());
    header.set_mtime(0);
    header
}

/// Seconds since 1970 with a fraction, before it as well: both parts of a time have the same sign.
fn decimal(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}.{:09}", seconds.unsigned_abs(), nanos.unsigned_abs())
}

/// Its name, if that is one: it comes from the repository, which only this bot's runs can write; still, none may lead
/// elsewhere where the archive is unpacked.
fn name(node: &Node) -> Result<std::borrow::Cow<'_, std::ffi::OsStr>, RepositoryError> {
    let name = node.name();
    let bytes = name.as_bytes();
    let leads_on = bytes.iter().any(|byte| matches!(byte, b'/' | 0));
    if leads_on || matches!(bytes, b"" | b"." | b"..") {
        return Err(RepositoryError::new(
            "the snapshot holds a name that no file can have",
        ));
    }
    Ok(name)
}

fn unwritten(error: &io::Error) -> RepositoryError {
    RepositoryError(format!("packing the directory: {error}"))
}

/// The bytes of a file, read as they are wanted.
struct Content<'a> {
    pieces: &'a Pieces,
    left: IntoIter<(DataId, usize)>,
    piece: Bytes,
}

impl<'a> Content<'a> {
    fn new(pieces: &'a Pieces, left: IntoIter<(DataId, usize)>) -> Self {
        Self {
            pieces,
            left,
            piece: Bytes::new(),
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some((id, length)) = self.left.next() else {
                return Ok(0);
            };
            self.piece = self.pieces.read(id).map_err(io::Error::other)?;
            if self.piece.len() != length {
                return Err(io::Error::other("a piece has another length than the index says"));
            }
        }
        let count = into.len().min(self.piece.len());
        let (into, _) = into.split_at_mut(count);
        self.piece.copy_to_slice(into);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_decimal_number() {
        for (seconds, nanos, text) in [
            (1, 500_000_000, "1.500000000"),
            (0, 1, "0.000000001"),
            (0, -1, "-0.000000001"),
            (-1, 0, "-1.000000000"),
            (-14_159_025, -500_000_000, "-14159025.500000000"),
        ] {
            assert_eq!(decimal(seconds, nanos), text);
        }
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_refused() {
        for (text, is_name) in [
            ("a", true),
            ("...", true),
            ("..", false),
            (".", false),
            ("a/b", false),
        ] {
            let node = Node::new_node(
                text.as_ref(),
                NodeType::Dir,
                rustic_core::repofile::Metadata::default(),
            );
            assert_eq!(name(&node).is_ok(), is_name, "{text}");
        }
    }
}
