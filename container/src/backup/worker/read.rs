//! Looks into snapshots without restoring them: which there are, what is in a directory, one file, a directory as a tar.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;

use moltworker_core::backup::repository::range::Range;
use moltworker_core::hex;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{EntryKind, Snapshot, SnapshotEntry};
use moltworker_core::wire::home_path::HomePath;
use moltworker_core::wire::job::{FileRequest, ReadJob};
use moltworker_core::wire::run::SnapshotId;
use rustic_core::repofile::{Node, NodeType, SnapshotFile};
use rustic_core::{DataId, IndexedTree, Open, Repository};

use super::archive;
use super::pieces::{Pieces, digest, length};
use super::remote::Remote;
use super::repository::{Opened, RepositoryError, explain, home_of, open, snapshot_report};
use super::say::say;
use super::stream::Chunks;
use super::wire::{FileHead, JobAccess, Line};

/// Bytes of a path that a home can have.
const MAX_PATH: usize = 4096;
/// What the home is called in an archive of all of it.
const HOME: &str = "home";

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not there, or nothing of that kind.
    #[error("{1}")]
    Refused(Refusal, String),
    /// It may be there, and could not be read.
    #[error(transparent)]
    Failed(#[from] RepositoryError),
}

/// Reads what somebody asked for; what is to be said at the end.
///
/// # Errors
/// When it is not there, or cannot be read to its end.
pub(crate) fn read(
    access: &JobAccess,
    remote: &Arc<Remote>,
    job: &ReadJob,
) -> Result<Option<Line>, ReadError> {
    match job {
        ReadJob::Snapshots => list(access, remote).map(|snapshots| Some(Line::Snapshots(snapshots))),
        ReadJob::Directory(id, path) => browse(access, remote, id, path),
        ReadJob::File(id, request) => download(access, remote, id, request),
        ReadJob::Archive(id, path) => pack(access, remote, id, path),
    }
}

/// All snapshots, newest first; none where there is no repository.
fn list(access: &JobAccess, remote: &Arc<Remote>) -> Result<Vec<Snapshot>, ReadError> {
    match open(access, remote)? {
        None => Ok(Vec::new()),
        Some(opened) => Ok(opened.snapshots()?.iter().filter_map(snapshot_report).collect()),
    }
}

/// Writes what is in a directory of a snapshot, by name, to standard output.
fn browse(
    access: &JobAccess,
    remote: &Arc<Remote>,
    id: &SnapshotId,
    path: &HomePath,
) -> Result<Option<Line>, ReadError> {
    let names = names(path)?;
    let (opened, snapshot) = find(access, remote, id)?;
    let indexed = opened.repository.to_indexed_ids();
    let indexed = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
    let node = look(remote, &indexed, &snapshot, &names)?;
    let entries = directory(remote, &indexed, &node)?;
    let entries: Vec<SnapshotEntry> = entries.iter().filter_map(entry).collect();
    let failed =
        |error: &dyn std::fmt::Display| RepositoryError(format!("passing the directory on: {error}"));
    let listing = serde_json::to_vec(&entries).map_err(|error| failed(&error))?;
    say(&Line::Entries(u64::try_from(listing.len()).unwrap_or(u64::MAX)));
    let mut out = std::io::stdout().lock();
    let sent = out.write_all(&listing).and_then(|()| out.flush());
    sent.map_err(|error| failed(&error))?;
    Ok(None)
}

/// The entries of a directory.
fn directory<S: IndexedTree + Open>(
    remote: &Remote,
    indexed: &Repository<S>,
    node: &Node,
) -> Result<Vec<Node>, ReadError> {
    let Some(tree) = node.subtree.filter(|_| node.is_dir()) else {
        let what = format!("that is {} and no directory", kind_of(node));
        return Err(ReadError::Refused(Refusal::NotADirectory, what));
    };
    let tree = indexed.get_tree(&tree);
    Ok(tree
        .map_err(|error| explain(remote, "reading the directory", &error))?
        .nodes)
}

/// What is below the home under these names, one in the other.
fn look<S: IndexedTree + Open>(
    remote: &Remote,
    indexed: &Repository<S>,
    snapshot: &SnapshotFile,
    names: &[&OsStr],
) -> Result<Node, ReadError> {
    let mut node = home_of(remote, indexed, snapshot)?;
    for name in names {
        let entries = directory(remote, indexed, &node)?.into_iter();
        let mut found = entries.filter(|entry| entry.name() == *name);
        node = found.next().ok_or_else(|| {
            let what = "the snapshot has nothing of that name".to_owned();
            ReadError::Refused(Refusal::NoSuchPath, what)
        })?;
    }
    Ok(node)
}

fn kind_of(node: &Node) -> &'static str {
    match node.node_type {
        NodeType::File => "a file",
        NodeType::Dir => "a directory",
        NodeType::Symlink { .. } => "a link",
        _ => "neither file, directory nor link",
    }
}

fn entry(node: &Node) -> Option<SnapshotEntry> {
    let name = node.name();
    let is_text = name.to_str().is_some();
    Some(SnapshotEntry {
        name: name.to_string_lossy().into_owned(),
        encoded_name: (!is_text).then(|| HomePath::of(name.as_bytes())),
        kind: match node.node_type {
            NodeType::File => EntryKind::File,
            NodeType::Dir => EntryKind::Dir,
            NodeType::Symlink { .. } => EntryKind::Link,
            _ => return None,
        },
        bytes: node.meta.size,
        modified_at: node.meta.mtime.map(|time| time.as_millisecond()),
    })
}

/// Says how long a file of a snapshot is and writes its bytes to standard output, or those of them that were asked for.
fn download(
    access: &JobAccess,
    remote: &Arc<Remote>,
    id: &SnapshotId,
    request: &FileRequest,
) -> Result<Option<Line>, ReadError> {
    let (pieces, node) = locate(access, remote, id, &request.path)?;
    if !node.is_file() {
        let what = format!("that is {} and no file", kind_of(&node));
        return Err(ReadError::Refused(Refusal::NotAFile, what));
    }
    let content = pieces.of(&node)?;
    let size = length(&content);
    let tag = tag(&node);
    let is_same = request.if_range.as_ref().is_none_or(|wanted| *wanted == tag);
    // By HEAD nothing is said of a range (RFC 9110, section 14.2).
    let range = request.range.as_deref().filter(|_| is_same && !request.head);
    let part = match range.and_then(Range::parse) {
        None => None,
        Some(range) => match range.within(size) {
            Some(part) => Some(part),
            None => return Ok(Some(Line::Unsatisfiable(size))),
        },
    };
    say(&Line::File(FileHead { size, tag, part }));
    if !request.head {
        let (first, count) = part.unwrap_or((0, size));
        // Nothing but the file's bytes may follow, a reason neither: that there are too few of them says that it failed.
        let _ = write_part(&pieces, content, first, count);
    }
    Ok(None)
}

/// The `ETag` of a file's content.
fn tag(node: &Node) -> String {
    format!("\"{}\"", hex::encode(&digest(node)))
}

/// Writes so many bytes to standard output, from the first on; no piece is read that has none of them.
fn write_part(
    pieces: &Pieces,
    content: Vec<(DataId, usize)>,
    first: u64,
    count: u64,
) -> Result<(), RepositoryError> {
    let unsent = |error: std::io::Error| RepositoryError(format!("passing the file on: {error}"));
    let mut out = std::io::stdout().lock();
    let (mut before, mut left) = (first, count);
    for (id, length) in content {
        let long = u64::try_from(length).unwrap_or(u64::MAX);
        if before >= long {
            before = before.saturating_sub(long);
            continue;
        }
        if left == 0 {
            break;
        }
        let piece = pieces.read(id)?;
        let from = usize::try_from(before).unwrap_or(usize::MAX);
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let to = from.saturating_add(most).min(piece.len());
        let wanted = piece.get(from..to).unwrap_or_default();
        out.write_all(wanted).map_err(unsent)?;
        left = left.saturating_sub(u64::try_from(wanted.len()).unwrap_or(u64::MAX));
        before = 0;
    }
    out.flush().map_err(unsent)
}

/// Writes a directory of a snapshot to standard output as a tar.
fn pack(
    access: &JobAccess,
    remote: &Arc<Remote>,
    id: &SnapshotId,
    path: &HomePath,
) -> Result<Option<Line>, ReadError> {
    let (pieces, node) = locate(access, remote, id, path)?;
    if !node.is_dir() {
        let what = format!("that is {} and no directory", kind_of(&node));
        return Err(ReadError::Refused(Refusal::NotADirectory, what));
    }
    let names = names(path)?;
    let top = names.last().map_or(HOME.as_bytes(), |name| name.as_bytes());
    say(&Line::Archive);
    let mut out = Chunks::new(std::io::stdout().lock());
    archive::write(&pieces, &node, top, &mut out)?;
    let ended = out.end();
    ended.map_err(|error| RepositoryError(format!("passing the directory on: {error}")))?;
    Ok(None)
}

/// What there is at a path of a snapshot, and what reads it.
fn locate(
    access: &JobAccess,
    remote: &Arc<Remote>,
    id: &SnapshotId,
    path: &HomePath,
) -> Result<(Pieces, Node), ReadError> {
    let names = names(path)?;
    let (opened, snapshot) = find(access, remote, id)?;
    let indexed = opened.repository.to_indexed();
    let repository = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
    let node = look(remote, &repository, &snapshot, &names)?;
    let remote = Arc::clone(remote);
    Ok((Pieces { remote, repository }, node))
}

fn find(
    access: &JobAccess,
    remote: &Arc<Remote>,
    id: &SnapshotId,
) -> Result<(Opened, SnapshotFile), ReadError> {
    let none = || {
        let what = format!("the repository has no snapshot {id}");
        ReadError::Refused(Refusal::NoSuchSnapshot, what)
    };
    let Some(opened) = open(access, remote)? else {
        return Err(none());
    };
    let found = opened.snapshots()?.into_iter();
    let mut found = found.filter(|snapshot| snapshot.id.to_hex().as_str() == id.as_str());
    let snapshot = found.next().ok_or_else(none)?;
    Ok((opened, snapshot))
}

/// The names a path consists of, from the home on.
fn names(path: &HomePath) -> Result<Vec<&OsStr>, ReadError> {
    let bytes = path.as_bytes();
    let mut names = Vec::new();
    let bad = bytes.len() > MAX_PATH || bytes.contains(&0);
    for part in Path::new(OsStr::from_bytes(bytes))
        .components()
        .take_while(|_| !bad)
    {
        match part {
            Component::Normal(name) => names.push(name),
            _ => return Err(bad_path()),
        }
    }
    if bad { Err(bad_path()) } else { Ok(names) }
}

fn bad_path() -> ReadError {
    let what = "a path is given from the home on, without `.` and `..` at its beginning or in it";
    ReadError::Refused(Refusal::BadPath, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_from_the_home_on_is_taken_apart_and_others_are_refused() {
        for (path, expected) in [
            (&b""[..], Vec::new()),
            (b"a", vec![&b"a"[..]]),
            (b"a/b c/", vec![b"a", b"b c"]),
            (b" /\xff", vec![b" ", b"\xff"]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(OsStr::from_bytes).collect();
            assert_eq!(names(&HomePath::of(path)).unwrap(), expected, "{path:?}");
        }
        let long = "x".repeat(MAX_PATH + 1);
        for path in ["/", "/etc", "..", "../a", "a/../b", "./a", "a\0", "\0", &long] {
            let path = HomePath::of(path);
            let refused = names(&path);
            assert!(
                matches!(refused, Err(ReadError::Refused(Refusal::BadPath, _))),
                "{path:?}: {refused:?}"
            );
        }
    }
}
