//! Makes the home from a snapshot: into a fresh directory, compared with the snapshot, then put in the home's
//! place as a whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use moltworker_core::wire::control::{Amount, Lost, Progress, RestoreReport};
use moltworker_core::wire::job::JobKind;
use moltworker_core::wire::run::RestorePoint;
use rustic_core::jiff::Zoned;
use rustic_core::repofile::SnapshotFile;
use rustix::fs::statvfs;

use super::compare::{Bytes, Compared, compare};
use super::confined::Keeper;
use super::leases;
use super::now_ms;
use super::remote::Remote;
use super::repository::{ACCEPTED, Description, Opened, RepositoryError, SUSPICIOUS, open, snapshot_report};
use super::say::{Ticker, note};
use super::snapshot::mark_before_upgrade;
use super::swap::{make_way, replace};
use super::tree::{Done, Tree};
use super::wire::{JobAccess, JobContext};
use super::write::{NotExtracted, unwritten, write};

/// Beside what is restored so much stays free where there is a home already: a disk that is full to the last byte is of no use to
/// a gateway. A run without a home gets what fits: what nearly filled a disk has to come back on another one of that size.
const SPARE: u64 = 64 * 1024 * 1024;

/// Makes the home from a snapshot, or finds that there is nothing to make it from.
///
/// # Errors
/// Whenever it is not certain that the home is now what the snapshot says, or that there is none.
pub(crate) fn restore(
    access: &JobAccess,
    remote: &Arc<Remote>,
    home: &Path,
    fresh: &Path,
    point: &RestorePoint,
    context: &JobContext,
    keeper: &Keeper,
) -> Result<RestoreReport, RepositoryError> {
    let begun = Instant::now();
    let Some(Chosen {
        opened,
        snapshot,
        passed_over,
        newest,
        lost,
    }) = choose(access, remote, point)?
    else {
        return Ok(RestoreReport {
            duration_ms: millis(begun),
            ..RestoreReport::of_nothing(now_ms())
        });
    };
    for passed in &passed_over {
        note(&format!("snapshot {} is suspicious and passed over", passed.id));
    }
    let spare = if context.has_home { SPARE } else { 0 };
    // Each byte is compared before it is written; reading it back would only ask the kernel's memory.
    let (mut report, opened) = extract(opened, &snapshot, fresh, spare, Bytes::Written, begun)?;
    release_leases(fresh, keeper, &mut report);
    // What fails before the home is replaced leaves the bot what it had.
    mark_before_upgrade(&opened, &snapshot, &newest, context)?;
    replace(home, fresh)?;
    let ids = passed_over.iter();
    let (lost, lost_at) = lost.unzip();
    let newest = passed_over.first().and_then(snapshot_report);
    let mut report = RestoreReport {
        passed_over: ids
            .filter_map(|passed| passed.id.to_hex().as_str().parse().ok())
            .collect(),
        passed_over_for: newest.and_then(|newest| newest.suspicious),
        lost,
        lost_at,
        ..report
    };
    report.bound_passed_over();
    Ok(report)
}

/// Releases what the gateway of a lost machine held. The database is the tenant's: where that fails or takes too long, the
/// gateway waits for the leases to end, as it would without us.
pub(super) fn release_leases(fresh: &Path, keeper: &Keeper, report: &mut RestoreReport) {
    match leases::release(fresh, keeper) {
        Ok(0) => {}
        Ok(count) => note(&format!(
            "{count} leases of the gateway before this one are released"
        )),
        Err(error) => {
            let said = format!("the leases of the gateway before this one are left: {error}");
            report.unset.push(&said);
            note(&said);
        }
    }
}

/// What is to be restored.
struct Chosen {
    opened: Opened,
    snapshot: SnapshotFile,
    /// The newer ones that are not.
    passed_over: Vec<SnapshotFile>,
    /// When the newest of all was taken.
    newest: Zoned,
    /// What the last run lost, and when the first snapshot without it was taken.
    lost: Option<(Lost, i64)>,
}

/// The snapshot to restore; `None` when there is nothing to restore.
fn choose(
    access: &JobAccess,
    remote: &Arc<Remote>,
    point: &RestorePoint,
) -> Result<Option<Chosen>, RepositoryError> {
    let snapshots = match open(access, remote)? {
        Some(opened) => opened.snapshots().map(|snapshots| Some((opened, snapshots)))?,
        None => None,
    };
    let (opened, mut snapshots) = match (snapshots, point) {
        (Some(found), _) => found,
        (None, RestorePoint::Latest) => return Ok(None),
        (None, RestorePoint::Snapshot(id)) => {
            return Err(RepositoryError(format!(
                "there is no repository, and so no snapshot {id}"
            )));
        }
    };
    let newest = snapshots.first().map(|newest| newest.time.clone());
    let mut lost = None;
    let (chosen, passed_over) = match point {
        RestorePoint::Latest if snapshots.is_empty() => return Ok(None),
        RestorePoint::Latest => {
            let is_good = |snapshot: &SnapshotFile| !snapshot.tags.iter().any(|tag| tag == SUSPICIOUS);
            let Some(at) = snapshots.iter().position(is_good) else {
                return Err(RepositoryError::new(
                    "every snapshot is suspicious: name the one to restore, or accept one",
                ));
            };
            let passed_over = snapshots.drain(..at).collect();
            lost = lost_in_run(&snapshots);
            (snapshots.into_iter().next(), passed_over)
        }
        RestorePoint::Snapshot(id) => {
            let mut snapshots = snapshots.into_iter();
            let chosen = snapshots.find(|snapshot| snapshot.id.to_hex().as_str() == id.as_str());
            let chosen =
                chosen.ok_or_else(|| RepositoryError(format!("the repository has no snapshot {id}")))?;
            (Some(chosen), Vec::new())
        }
    };
    Ok(chosen.zip(newest).map(|(snapshot, newest)| Chosen {
        opened,
        snapshot,
        passed_over,
        newest,
        lost,
    }))
}

/// What the first of these, newest first, or one before it in the same run, lacks that an earlier one has, and when that one was
/// taken. A run that ends takes one while it stops and one when nothing of it is left: what is gone is in the description of the
/// first.
fn lost_in_run(snapshots: &[SnapshotFile]) -> Option<(Lost, i64)> {
    let run = |snapshot: &SnapshotFile| snapshot.tags.iter().find(|tag| tag.starts_with("run:")).cloned();
    let last = run(snapshots.first()?);
    let is_marked = |snapshot: &SnapshotFile, mark: &str| snapshot.tags.iter().any(|tag| tag == mark);
    for snapshot in snapshots.iter().take_while(|snapshot| run(snapshot) == last) {
        // Whoever accepted one accepted what it lacks, and so did whoever mended what made one suspicious.
        if is_marked(snapshot, ACCEPTED) || is_marked(snapshot, SUSPICIOUS) {
            return None;
        }
        if let Some(lost) = Description::of(snapshot).lost {
            return Some((lost, snapshot.time.timestamp().as_millisecond()));
        }
    }
    None
}

/// Writes a snapshot into a directory that is not there yet and compares it, where beside it `spare` bytes stay free; what it
/// did, and the repository again.
///
/// # Errors
/// When it cannot be read or written as a whole, or anything differs afterwards.
pub(crate) fn extract(
    opened: Opened,
    snapshot: &SnapshotFile,
    fresh: &Path,
    spare: u64,
    bytes: Bytes,
    begun: Instant,
) -> Result<(RestoreReport, Opened), NotExtracted> {
    let remote = Arc::clone(&opened.remote);
    let tree = Tree::open(opened, snapshot)?;
    let total = tree.amount();
    make_way(fresh).map_err(NotExtracted::Disk)?;
    room_for(tree.disk_bytes()?, fresh, spare, &remote)?;
    let owners = rustix::process::geteuid().is_root();

    let written = Arc::new(Done::default());
    let ticker = ticker(JobKind::Restore, &written, total);
    let place = write(&tree, fresh, owners, &written)?;
    drop(ticker);

    let done = Arc::new(Done::default());
    let ticker = self::ticker(JobKind::Compare, &done, total);
    let compared = compare(&tree, &place, owners, bytes, &done)?;
    drop(ticker);
    let Compared {
        compared,
        mismatches,
        unset,
    } = compared;
    if !mismatches.is_empty() {
        return Err(NotExtracted::Repository(RepositoryError(format!(
            "{} of {compared} entries differ from the snapshot after the restore: {}",
            mismatches.total,
            mismatches.first.join("; ")
        ))));
    }
    if !unset.is_empty() {
        note(&format!(
            "of {} entries not everything could be set as it was: {}",
            unset.total,
            unset.first.join("; ")
        ));
    }
    let report = RestoreReport {
        snapshot: snapshot.id.to_hex().as_str().parse().ok(),
        taken_at: Some(snapshot.time.timestamp().as_millisecond()),
        amount: done.amount(),
        duration_ms: millis(begun),
        compared,
        disk_bytes: Some(written.disk_bytes()),
        unset,
        ..RestoreReport::of_nothing(now_ms())
    };
    Ok((report, tree.close()))
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

/// Whether what is going to be written has room, and `spare` bytes beside it. Where there is little, what is kept of the
/// repository makes way: to ask for it again costs requests only.
fn room_for(bytes: u64, fresh: &Path, spare: u64, remote: &Remote) -> Result<(), NotExtracted> {
    let parent = fresh.parent().unwrap_or(fresh);
    let free = || {
        let room = statvfs(parent);
        let room = room.map_err(|error| unwritten(parent, "asking for free space", &error.into()))?;
        Ok::<_, NotExtracted>(room.f_bavail.saturating_mul(room.f_frsize))
    };
    if free()? < bytes.saturating_add(SPARE) {
        remote.keep_nothing();
    }
    let (free, wanted) = (free()?, bytes.saturating_add(spare));
    if free < wanted {
        return Err(NotExtracted::NoRoom(RepositoryError(format!(
            "the disk has {free} bytes free; the snapshot needs {wanted}"
        ))));
    }
    Ok(())
}
