//! Makes the home from a snapshot: into a fresh directory, compared with the snapshot, then put in the home's
//! place as a whole.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use moltworker_core::wire::control::{Amount, Progress, RestoreReport};
use moltworker_core::wire::job::JobKind;
use moltworker_core::wire::run::RestorePoint;
use rustic_core::DataId;
use rustic_core::repofile::{Node, NodeType, SnapshotFile};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, statvfs, utimensat};

use super::attributes::permissions;
use super::compare::{compare, place};
use super::leases;
use super::remote::Remote;
use super::repository::{Opened, RepositoryError, SUSPICIOUS, open};
use super::say::{Ticker, note};
use super::snapshot::mark_before_upgrade;
use super::swap::{failed, make_way, replace};
use super::tree::{Done, Tree};
use super::wire::{Access, JobContext};
use super::{become_reader, now_ms};

/// Beside what is restored so much stays free: a disk that is full to the last byte is of no use to a gateway.
const SPARE: u64 = 64 * 1024 * 1024;
/// The ending, beside the directory that is restored into, of the file packs are kept in meanwhile.
const SPOOL: &str = "packs";
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

/// Makes the home from a snapshot, or finds that there is nothing to make it from.
///
/// # Errors
/// Whenever it is not certain that the home is now what the snapshot says, or that there is none.
pub(crate) fn restore(
    access: &Access,
    remote: &Arc<Remote>,
    home: &Path,
    fresh: &Path,
    point: &RestorePoint,
    context: &JobContext,
    owner: Option<(u32, u32)>,
) -> Result<RestoreReport, RepositoryError> {
    let begun = Instant::now();
    let Some((opened, snapshot, passed_over)) = choose(access, remote, point)? else {
        return Ok(RestoreReport {
            snapshot: None,
            taken_at: None,
            restored_at: now_ms(),
            amount: Amount::default(),
            duration_ms: millis(begun),
            compared: 0,
            mismatches: 0,
            passed_over: Vec::new(),
        });
    };
    for passed in &passed_over {
        note(&format!("snapshot {} is suspicious and passed over", passed.id));
    }
    let report = extract(opened, &snapshot, fresh, SPARE, begun)?;
    release_leases(fresh, owner);
    // What fails before the home is replaced leaves the bot what it had.
    mark_before_upgrade(access, remote, &snapshot, context)?;
    replace(home, fresh)?;
    let ids = passed_over.iter();
    Ok(RestoreReport {
        passed_over: ids
            .filter_map(|passed| passed.id.to_hex().as_str().parse().ok())
            .collect(),
        ..report
    })
}

/// Releases what the gateway of a lost machine held, in a thread that has no more rights than the home's owner: the
/// database is theirs. Where that fails the gateway waits for the leases to end, as it would without us.
fn release_leases(fresh: &Path, owner: Option<(u32, u32)>) {
    let released = std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            become_reader(owner)?;
            leases::release(fresh).map_err(|error| RepositoryError(error.to_string()))
        });
        work.join()
            .unwrap_or_else(|_| Err(RepositoryError::new("it panicked")))
    });
    match released {
        Ok(0) => {}
        Ok(count) => note(&format!(
            "{count} leases of the gateway before this one are released"
        )),
        Err(error) => note(&format!(
            "the leases of the gateway before this one are left: {error}"
        )),
    }
}

type Chosen = (Opened, SnapshotFile, Vec<SnapshotFile>);

/// The snapshot to restore, with the newer ones that are passed over; `None` when there is nothing to restore.
fn choose(
    access: &Access,
    remote: &Arc<Remote>,
    point: &RestorePoint,
) -> Result<Option<Chosen>, RepositoryError> {
    let snapshots = match open(access, remote)? {
        Some(opened) => opened.snapshots().map(|snapshots| Some((opened, snapshots)))?,
        None => None,
    };
    match (snapshots, point) {
        (None, RestorePoint::Latest) => Ok(None),
        (None, RestorePoint::Snapshot(id)) => Err(RepositoryError(format!(
            "there is no repository, and so no snapshot {id}"
        ))),
        (Some((_, snapshots)), RestorePoint::Latest) if snapshots.is_empty() => Ok(None),
        (Some((opened, mut snapshots)), RestorePoint::Latest) => {
            let is_good = |snapshot: &SnapshotFile| !snapshot.tags.iter().any(|tag| tag == SUSPICIOUS);
            let Some(at) = snapshots.iter().position(is_good) else {
                return Err(RepositoryError::new(
                    "every snapshot is suspicious: name the one to restore, or accept one",
                ));
            };
            let passed_over = snapshots.drain(..at).collect();
            let chosen = snapshots.into_iter().next();
            Ok(chosen.map(|chosen| (opened, chosen, passed_over)))
        }
        (Some((opened, snapshots)), RestorePoint::Snapshot(id)) => {
            let mut snapshots = snapshots.into_iter();
            let chosen = snapshots.find(|snapshot| snapshot.id.to_hex().as_str() == id.as_str());
            let chosen =
                chosen.ok_or_else(|| RepositoryError(format!("the repository has no snapshot {id}")))?;
            Ok(Some((opened, chosen, Vec::new())))
        }
    }
}

/// Writes a snapshot into a directory that is not there yet and compares it, where beside it `spare` bytes stay free.
///
/// # Errors
/// When it cannot be read or written as a whole, or anything differs afterwards.
pub(crate) fn extract(
    opened: Opened,
    snapshot: &SnapshotFile,
    fresh: &Path,
    spare: u64,
    begun: Instant,
) -> Result<RestoreReport, NotExtracted> {
    let tree = Arc::new(Tree::open(opened, snapshot)?);
    let total = tree.amount();
    make_way(fresh).map_err(NotExtracted::Disk)?;
    let left = room_for(total, fresh, spare)?;
    tree.remote.spool_packs(fresh.with_extension(SPOOL), left);
    let owners = rustix::process::geteuid().is_root();

    let done = Arc::new(Done::default());
    let ticker = ticker(JobKind::Restore, &done, total);
    write(&tree, fresh, owners, &done)?;
    drop(ticker);

    let done = Arc::new(Done::default());
    let ticker = self::ticker(JobKind::Compare, &done, total);
    let compared = compare(&tree, fresh, owners, &done)?;
    drop(ticker);
    if compared.mismatches > 0 {
        return Err(NotExtracted::Repository(RepositoryError(format!(
            "{} of {} entries differ from the snapshot after the restore: {}",
            compared.mismatches,
            compared.compared,
            compared.differences.join("; ")
        ))));
    }
    Ok(RestoreReport {
        snapshot: snapshot.id.to_hex().as_str().parse().ok(),
        taken_at: Some(snapshot.time.timestamp().as_millisecond()),
        restored_at: now_ms(),
        amount: done.amount(),
        duration_ms: millis(begun),
        compared: compared.compared,
        mismatches: 0,
        passed_over: Vec::new(),
    })
}

fn ticker(job: JobKind, done: &Arc<Done>, total: Amount) -> Ticker {
    let done = Arc::clone(done);
    Ticker::start(move || Progress {
        job,
        done: done.amount(),
        total: Some(total),
    })
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How much is free beside what is going to be written.
fn room_for(total: Amount, fresh: &Path, spare: u64) -> Result<u64, NotExtracted> {
    let parent = fresh.parent().unwrap_or(fresh);
    let room = statvfs(parent).map_err(|error| unwritten(parent, "asking for free space", &error.into()))?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let wanted = total.bytes.saturating_add(spare);
    if free < wanted {
        return Err(NotExtracted::NoRoom(RepositoryError(format!(
            "the disk has {free} bytes free; the snapshot needs {wanted}"
        ))));
    }
    Ok(free.saturating_sub(wanted))
}

fn unwritten(path: &Path, doing: &str, error: &io::Error) -> NotExtracted {
    let failure = failed(path, doing, error);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotExtracted::NoRoom(failure),
        _ => NotExtracted::Disk(failure),
    }
}

/// Links between files of one snapshot: the first of each, and what it consists of.
type Linked = HashMap<(u64, u64), (PathBuf, Option<Vec<DataId>>)>;

fn write(tree: &Tree, fresh: &Path, owners: bool, done: &Done) -> Result<(), NotExtracted> {
    let mut linked = Linked::new();
    let mut links = Vec::new();
    for (path, node) in &tree.nodes {
        let here = place(fresh, path);
        match &node.node_type {
            // Closed to everybody else until everything in it has its owner and mode.
            NodeType::Dir => DirBuilder::new()
                .mode(0o700)
                .create(&here)
                .map_err(|error| unwritten(&here, "making", &error))?,
            NodeType::Symlink { .. } => {
                symlink(node.node_type.to_link(), &here)
                    .map_err(|error| unwritten(&here, "making", &error))?;
                apply_metadata(&here, node, owners)?;
            }
            NodeType::File if node.meta.links > 1 => {
                let key = (node.meta.device_id, node.meta.inode);
                match linked.get(&key) {
                    Some((first, content)) if *content == node.content => links.push((path, first.clone())),
                    Some(_) => {}
                    None => {
                        linked.insert(key, (path.clone(), node.content.clone()));
                    }
                }
            }
            _ => {}
        }
    }
    let is_link: std::collections::HashSet<&Path> = links.iter().map(|(path, _)| path.as_path()).collect();
    tree.for_each(Node::is_file, |path, node| {
        if is_link.contains(path) {
            return Ok(());
        }
        let here = place(fresh, path);
        file(tree, &here, node, owners, done)?;
        done.file();
        apply_metadata(&here, node, owners)
    })?;
    for (path, first) in &links {
        let here = place(fresh, path);
        std::fs::hard_link(place(fresh, first), &here)
            .map_err(|error| unwritten(&here, "linking", &error))?;
        done.file();
    }
    // A directory's time changes with what is put into it: the innermost first.
    let directories = tree.nodes.iter().rev().filter(|(_, node)| node.is_dir());
    for (path, node) in directories {
        apply_metadata(&place(fresh, path), node, owners)?;
    }
    Ok(())
}

fn file(tree: &Tree, here: &Path, node: &Node, owners: bool, done: &Done) -> Result<(), NotExtracted> {
    let writing = |error: io::Error| unwritten(here, "writing", &error);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(here)
        .map_err(writing)?;
    for (id, _) in tree.pieces(node)? {
        let bytes = tree.piece(id)?;
        file.write_all(&bytes).map_err(writing)?;
        done.bytes(bytes.len());
    }
    if owners {
        fchown(&file, node.meta.uid, node.meta.gid).map_err(writing)?;
    }
    Ok(())
}

/// Gives something its owner, its mode and its time, in this order: each may change the next.
fn apply_metadata(here: &Path, node: &Node, owners: bool) -> Result<(), NotExtracted> {
    if owners && !node.is_file() {
        lchown(here, node.meta.uid, node.meta.gid)
            .map_err(|error| unwritten(here, "giving to its owner", &error))?;
    }
    if let Some(mode) = node.meta.mode.filter(|_| !node.is_symlink()) {
        std::fs::set_permissions(here, Permissions::from_mode(permissions(mode)))
            .map_err(|error| unwritten(here, "setting the mode of", &error))?;
    }
    if let Some(time) = node.meta.mtime {
        let time = Timespec {
            tv_sec: time.as_second(),
            tv_nsec: time.subsec_nanosecond().into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(CWD, here, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| unwritten(here, "setting the time of", &error.into()))?;
    }
    Ok(())
}
