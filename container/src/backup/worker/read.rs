//! Looks into snapshots without restoring them: which there are, what is in a directory, one file.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Component, Path};
use std::sync::Arc;

use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{EntryKind, Snapshot, SnapshotEntry};
use moltworker_core::wire::job::ReadJob;
use moltworker_core::wire::run::SnapshotId;
use rustic_core::repofile::{Node, NodeType, SnapshotFile};
use rustic_core::{IndexedTree, Open, Repository};

use super::remote::Remote;
use super::repository::{Opened, RepositoryError, explain, home_of, open, snapshot_report};
use super::say::say;
use super::wire::{Access, Line};

/// Bytes of a path that a home can have.
const MAX_PATH: usize = 4096;

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
pub(crate) fn read(access: &Access, remote: &Arc<Remote>, job: &ReadJob) -> Result<Option<Line>, ReadError> {
    match job {
        ReadJob::Snapshots => list(access, remote).map(|snapshots| Some(Line::Snapshots(snapshots))),
        ReadJob::Directory(id, path) => {
            browse(access, remote, id, path).map(|entries| Some(Line::Entries(entries)))
        }
        ReadJob::File(id, path) => download(access, remote, id, path).map(|()| None),
    }
}

/// All snapshots, newest first; none where there is no repository.
fn list(access: &Access, remote: &Arc<Remote>) -> Result<Vec<Snapshot>, ReadError> {
    match open(access, remote)? {
        None => Ok(Vec::new()),
        Some(opened) => Ok(opened.snapshots()?.iter().filter_map(snapshot_report).collect()),
    }
}

/// What is in a directory of a snapshot, by name.
fn browse(
    access: &Access,
    remote: &Arc<Remote>,
    id: &SnapshotId,
    path: &str,
) -> Result<Vec<SnapshotEntry>, ReadError> {
    let names = names(path)?;
    let (opened, snapshot) = find(access, remote, id)?;
    let indexed = opened.repository.to_indexed_ids();
    let indexed = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
    let node = look(remote, &indexed, &snapshot, &names)?;
    Ok(directory(remote, &indexed, &node)?
        .iter()
        .filter_map(entry)
        .collect())
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
    Some(SnapshotEntry {
        name: node.name().to_string_lossy().into_owned(),
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

/// Says how long a file of a snapshot is and writes its bytes to standard output.
fn download(access: &Access, remote: &Arc<Remote>, id: &SnapshotId, path: &str) -> Result<(), ReadError> {
    let names = names(path)?;
    let (opened, snapshot) = find(access, remote, id)?;
    let indexed = opened.repository.to_indexed();
    let indexed = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
    let node = look(remote, &indexed, &snapshot, &names)?;
    if !node.is_file() {
        let what = format!("that is {} and no file", kind_of(&node));
        return Err(ReadError::Refused(Refusal::NotAFile, what));
    }
    let mut length = 0_u64;
    for piece in node.content.iter().flatten() {
        let entry = indexed.get_index_entry(piece);
        let entry = entry.map_err(|error| explain(remote, "looking for a piece of the file", &error))?;
        length = length.saturating_add(entry.data_length().into());
    }
    say(&Line::File(length));
    let mut out = std::io::stdout().lock();
    let dumped = indexed.dump(&node, &mut out);
    dumped.map_err(|error| explain(remote, "reading the file", &error))?;
    Ok(out.flush().map_err(|error| RepositoryError(error.to_string()))?)
}

fn find(access: &Access, remote: &Arc<Remote>, id: &SnapshotId) -> Result<(Opened, SnapshotFile), ReadError> {
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
fn names(path: &str) -> Result<Vec<&OsStr>, ReadError> {
    let mut names = Vec::new();
    let bad = path.len() > MAX_PATH || path.contains('\0');
    for part in Path::new(path).components().take_while(|_| !bad) {
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
            ("", Vec::new()),
            ("a", vec!["a"]),
            ("a/b c/", vec!["a", "b c"]),
            (" /ü", vec![" ", "ü"]),
        ] {
            assert_eq!(names(path).unwrap(), expected, "{path:?}");
        }
        let long = "x".repeat(MAX_PATH + 1);
        for path in ["/", "/etc", "..", "../a", "a/../b", "./a", "a\0", "\0", &long] {
            let refused = names(path);
            assert!(
                matches!(refused, Err(ReadError::Refused(Refusal::BadPath, _))),
                "{path:?}: {refused:?}"
            );
        }
    }
}
