//! What a walk has found in a home, in the order in which it goes: what has not changed since is not looked at again.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustic_core::jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};

use super::findings::Findings;
use super::mapped::Mapped;

/// What is at a place, in as little memory as it takes: there may be 100,000 of them.
struct Kept {
    name: Box<[u8]>,
    kind: Kind,
    mode: Option<u32>,
    mtime: Option<Timestamp>,
    ctime: Option<Timestamp>,
    owner: (Option<u32>, Option<u32>),
    inode: u64,
    device: u64,
    size: u64,
    links: u64,
    /// All of it where it has extended attributes: few have.
    whole: Option<Box<Metadata>>,
}

enum Kind {
    File,
    Directory,
    Link(Box<[u8]>),
}

/// One place.
pub(crate) struct Seen {
    /// Nothing where it is in no snapshot.
    kept: Option<Kept>,
    /// The first one that is not below it.
    end: usize,
    /// The directory it is in.
    parent: usize,
    disk_bytes: u64,
    /// Whether it is the copy of a database, which has what its logs held.
    pub(crate) is_copy: bool,
    /// What else is to be said of it.
    noted: Option<Box<Findings>>,
}

impl Seen {
    /// What was found at a place, and is to be said of it.
    pub(crate) fn new(node: Option<&Node>, findings: Findings, is_copy: bool) -> Self {
        let disk_bytes = findings.disk_bytes;
        Self {
            kept: node.map(Kept::new),
            end: 0,
            parent: 0,
            disk_bytes,
            is_copy,
            noted: findings.is_more().then(|| Box::new(findings)),
        }
    }

    pub(crate) fn name(&self) -> Option<&OsStr> {
        self.kept.as_ref().map(|kept| OsStr::from_bytes(&kept.name))
    }

    /// What a snapshot says of it.
    pub(crate) fn node(&self) -> Option<Node> {
        self.kept.as_ref().map(Kept::node)
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|kept| matches!(kept.kind, Kind::Directory))
    }

    /// Which file it is.
    pub(crate) fn inode(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.inode)
    }

    /// Whether a file is still what it was, by all that is known without reading it.
    pub(crate) fn is_still(&self, now: &Metadata) -> bool {
        let Some(kept) = &self.kept else { return false };
        kept.inode == now.inode
            && kept.size == now.size
            && (kept.mtime, kept.ctime) == (now.mtime, now.ctime)
            && kept.mode == now.mode
            && kept.owner == (now.uid, now.gid)
            && kept.links == now.links
    }

    /// Whether rustic would take what is there now for what was there.
    pub(crate) fn is_taken_for(&self, now: &Metadata) -> bool {
        let Some(kept) = &self.kept else { return false };
        kept.size == now.size && (kept.mtime, kept.ctime) == (now.mtime, now.ctime)
    }

    /// Says of it again what was said when it was found.
    pub(crate) fn note(&self, findings: &mut Findings) {
        if let Some(kept) = &self.kept
            && matches!(kept.kind, Kind::File)
        {
            findings.amount.files = findings.amount.files.saturating_add(1);
            findings.amount.bytes = findings.amount.bytes.saturating_add(kept.size);
        }
        findings.disk_bytes = findings.disk_bytes.saturating_add(self.disk_bytes);
        self.note_more(findings);
    }

    /// The same without how much it is.
    pub(crate) fn note_more(&self, findings: &mut Findings) {
        if let Some(noted) = &self.noted {
            findings.add(noted);
        }
    }
}

impl Kept {
    fn new(node: &Node) -> Self {
        let meta = &node.meta;
        Self {
            name: node.name().as_bytes().into(),
            kind: match &node.node_type {
                NodeType::Dir => Kind::Directory,
                NodeType::Symlink { .. } => {
                    Kind::Link(node.node_type.to_link().as_os_str().as_bytes().into())
                }
                _ => Kind::File,
            },
            mode: meta.mode,
            mtime: meta.mtime,
            ctime: meta.ctime,
            owner: (meta.uid, meta.gid),
            inode: meta.inode,
            device: meta.device_id,
            size: meta.size,
            links: meta.links,
            whole: (!meta.extended_attributes.is_empty()).then(|| Box::new(meta.clone())),
        }
    }

    fn node(&self) -> Node {
        let meta = || Metadata {
            mode: self.mode,
            mtime: self.mtime,
            atime: self.mtime,
            ctime: self.ctime,
            uid: self.owner.0,
            gid: self.owner.1,
            inode: self.inode,
            device_id: self.device,
            size: self.size,
            links: self.links,
            ..Metadata::default()
        };
        let kind = match &self.kind {
            Kind::File => NodeType::File,
            Kind::Directory => NodeType::Dir,
            Kind::Link(target) => NodeType::from_link(Path::new(OsStr::from_bytes(target))),
        };
        let meta = self.whole.as_deref().cloned().unwrap_or_else(meta);
        Node::new_node(OsStr::from_bytes(&self.name), kind, meta)
    }
}

/// All places of a home.
#[derive(Default)]
pub(crate) struct Record {
    seen: Vec<Seen>,
    /// The directories on the way to where the walk is.
    way: Vec<usize>,
}

impl Record {
    /// The next place, in so many directories.
    pub(crate) fn push(&mut self, mut seen: Seen, depth: usize) {
        self.leave(depth);
        let at = self.seen.len();
        seen.parent = self.way.last().copied().unwrap_or(at);
        seen.end = at.saturating_add(1);
        let is_directory = seen.is_directory();
        self.seen.push(seen);
        if is_directory {
            self.way.push(at);
        }
    }

    /// The walk is over.
    pub(crate) fn finish(&mut self) {
        self.leave(0);
    }

    fn leave(&mut self, depth: usize) {
        let end = self.seen.len();
        while self.way.len() > depth
            && let Some(at) = self.way.pop()
        {
            if let Some(seen) = self.seen.get_mut(at) {
                seen.end = end;
            }
        }
    }

    /// One of them.
    pub(crate) fn get(&self, at: usize) -> Option<&Seen> {
        self.seen.get(at)
    }

    /// The first that is not below it.
    pub(crate) fn end(&self, at: usize) -> usize {
        self.seen.get(at).map_or(at, |seen| seen.end)
    }

    /// What is in a directory, each thing once.
    pub(crate) fn children(&self, directory: usize) -> impl Iterator<Item = usize> {
        let end = self.end(directory);
        let first = directory.saturating_add(1);
        std::iter::successors((first < end).then_some(first), move |at| {
            let next = self.end(*at);
            (next < end).then_some(next)
        })
    }

    /// Whether one of these files is in it.
    pub(crate) fn has_any(&self, mapped: &Mapped) -> bool {
        let mut kept = self.seen.iter().filter_map(|seen| seen.kept.as_ref());
        kept.any(|kept| matches!(kept.kind, Kind::File) && mapped.has(kept.inode))
    }

    /// Where each file is, by its number.
    pub(crate) fn by_inode(&self) -> HashMap<u64, Vec<usize>> {
        let mut all: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, seen) in self.seen.iter().enumerate() {
            if let Some(kept) = &seen.kept
                && matches!(kept.kind, Kind::File)
            {
                all.entry(kept.inode).or_default().push(at);
            }
        }
        all
    }

    /// Its path below the home.
    pub(crate) fn path(&self, at: usize) -> PathBuf {
        let mut names = Vec::new();
        let mut at = at;
        while let Some(seen) = self.seen.get(at)
            && seen.parent != at
        {
            names.push(seen.name().unwrap_or_default());
            at = seen.parent;
        }
        names.into_iter().rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, kind: NodeType) -> Seen {
        let node = Node::new_node(OsStr::new(name), kind, Metadata::default());
        Seen::new(Some(&node), Findings::default(), false)
    }

    #[test]
    fn a_record_knows_what_is_in_each_directory() {
        let mut record = Record::default();
        for (depth, name, kind) in [
            (0, "", NodeType::Dir),
            (1, "a", NodeType::Dir),
            (2, "b", NodeType::Dir),
            (3, "c", NodeType::File),
            (2, "d", NodeType::File),
            (1, "e", NodeType::Dir),
            (1, "f", NodeType::from_link(Path::new("a/b"))),
        ] {
            record.push(seen(name, kind), depth);
        }
        record.finish();
        let names = |at: usize| -> Vec<_> { record.children(at).map(|at| record.path(at)).collect() };
        assert_eq!(names(0), ["a", "e", "f"].map(PathBuf::from));
        assert_eq!(names(1), ["a/b", "a/d"].map(PathBuf::from));
        assert_eq!(names(2), ["a/b/c"].map(PathBuf::from));
        assert!(names(5).is_empty() && names(6).is_empty());
        let link = record.get(6).unwrap().node().unwrap();
        assert_eq!(link.node_type.to_link(), Path::new("a/b"));
    }
}
