//! Looks into snapshots without restoring them: which there are, what is in a directory, one file.

use std::io::Write;
use std::path::{Component, Path};
use std::sync::Arc;

use moltworker_core::backup::job::ReadJob;
use moltworker_core::wire::control::{EntryKind, Snapshot, SnapshotEntry};
use moltworker_core::wire::run::SnapshotId;
use rustic_core::repofile::{Node, NodeType, SnapshotFile};

use super::remote::Remote;
use super::repository::{HOME_IN_SNAPSHOT, Opened, RepositoryError, explain, open, snapshot_report};
use super::say::say;
use super::wire::{Access, Line};

/// Reads what somebody asked for; what is to be said at the end.
///
/// # Errors
/// When it is not there, or cannot be read to its end.
pub(crate) fn read(
    access: &Access,
    remote: &Arc<Remote>,
    job: &ReadJob,
) -> Result<Option<Line>, RepositoryError> {
    match job {
        ReadJob::Snapshots => list(access, remote).map(|snapshots| Some(Line::Snapshots(snapshots))),
        ReadJob::Directory(id, path) => {
            browse(access, remote, id, path).map(|entries| Some(Line::Entries(entries)))
        }
        ReadJob::File(id, path) => download(access, remote, id, path).map(|()| None),
    }
}

/// All snapshots, newest first; none where there is no repository.
fn list(access: &Access, remote: &Arc<Remote>) -> Result<Vec<Snapshot>, RepositoryError> {
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
) -> Result<Vec<SnapshotEntry>, RepositoryError> {
    let (opened, snapshot) = find(access, remote, id)?;
    let indexed = opened.repository.to_indexed_ids();
    let indexed = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
    let node = indexed.node_from_snapshot_and_path(&snapshot, &in_snapshot(path)?);
    let node = node.map_err(|error| explain(remote, "looking for the directory", &error))?;
    let Some(tree) = node.subtree else {
        return Err(RepositoryError(format!(
            "{} is no directory of this snapshot",
            path
        )));
    };
    let tree = indexed.get_tree(&tree);
    let tree = tree.map_err(|error| explain(remote, "reading the directory", &error))?;
    Ok(tree.nodes.iter().filter_map(entry).collect())
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
fn download(
    access: &Access,
    remote: &Arc<Remote>,
    id: &SnapshotId,
    path: &str,
) -> Result<(), RepositoryError> {
    let (opened, snapshot) = find(access, remote, id)?;
    let indexed = opened.repository.to_indexed();
    let indexed = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
    let node = indexed.node_from_snapshot_and_path(&snapshot, &in_snapshot(path)?);
    let node = node.map_err(|error| explain(remote, "looking for the file", &error))?;
    if !node.is_file() {
        return Err(RepositoryError(format!("{} is no file of this snapshot", path)));
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
    out.flush().map_err(|error| RepositoryError(error.to_string()))
}

fn find(
    access: &Access,
    remote: &Arc<Remote>,
    id: &SnapshotId,
) -> Result<(Opened, SnapshotFile), RepositoryError> {
    let none = || RepositoryError(format!("the repository has no snapshot {id}"));
    let Some(opened) = open(access, remote)? else {
        return Err(none());
    };
    let found = opened.snapshots()?.into_iter();
    let mut found = found.filter(|snapshot| snapshot.id.to_hex().as_str() == id.as_str());
    let snapshot = found.next().ok_or_else(none)?;
    Ok((opened, snapshot))
}

/// The path in the snapshot of what lies below the home at `path`.
fn in_snapshot(path: &str) -> Result<String, RepositoryError> {
    let mut parts = Path::new(path).components();
    match path {
        "" => Ok(HOME_IN_SNAPSHOT.to_owned()),
        _ if parts.all(|part| matches!(part, Component::Normal(_))) => {
            Ok(format!("{HOME_IN_SNAPSHOT}/{path}"))
        }
        _ => Err(RepositoryError::new(
            "a path is given from the home on, without `..`",
        )),
    }
}
