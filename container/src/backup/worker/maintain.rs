//! Maintenance: what policy does not keep is deleted, a part of the rest is read back and checked, and the newest
//! good snapshot is restored into scratch and compared. Needs a token that may delete.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use moltworker_core::backup::retention::{HeldSnapshots, forgettable};
use moltworker_core::wire::control::{
    DRILL_FAILED, MAX_IDS, MaintenanceReport, RestoreReport, Snapshot, lines,
};
use moltworker_core::wire::job::MaintenanceJob;
use moltworker_core::wire::run::SnapshotId;
use rustic_core::jiff::Span;
use rustic_core::{CheckOptions, PruneOptions, ReadSubsetOption};

use super::compare::Bytes;
use super::confined::Keeper;
use super::now_ms;
use super::remote::Remote;
use super::repository::{Opened, RepositoryError, SUSPICIOUS, explain, open, snapshot_report};
use super::restore::{extract, release_leases};
use super::say::note;
use super::swap::{exchange, failed, remove};
use super::wire::JobAccess;
use super::write::NotExtracted;

/// Beside a drill so much stays free for the bot, which goes on meanwhile: what an agent downloads, unpacks or builds in
/// one turn.
const DRILL_SPARE: u64 = 512 * 1024 * 1024;
/// Why there was no drill. The same words each time, so that they are reported once; the numbers are in the log.
const NO_ROOM: &str = "this machine's disk has no room for it beside the bot";
/// See [`NO_ROOM`].
const NO_DISK: &str = "this machine's disk does not take what is restored";
/// See [`NO_ROOM`].
const NOTHING_GOOD: &str = "there is no snapshot that is not suspicious";

/// What came of a restore drill.
enum Rehearsed {
    /// Everything was restored as it was saved.
    Well(Box<RestoreReport>),
    /// There was none, and the repository has no part in that.
    Not(&'static str),
    /// What is stored is not what was saved.
    Badly(RepositoryError),
}

/// Does all of it.
///
/// # Errors
/// When it could not be done. What a check finds is no error but in the report.
pub(crate) fn maintain(
    access: &JobAccess,
    remote: &Arc<Remote>,
    scratch: &Path,
    job: &MaintenanceJob,
    keeper: &Keeper,
) -> Result<MaintenanceReport, RepositoryError> {
    let begun = Instant::now();
    let Some(opened) = open(access, remote)? else {
        return Err(RepositoryError::new("there is no repository to maintain"));
    };
    let snapshots: Vec<Snapshot> = opened.snapshots()?.iter().filter_map(snapshot_report).collect();

    // Verified before anything is deleted: what is left must be known to be good.
    let before = remote.traffic().received;
    let mut problems = check(&opened, remote, job)?;
    saw_all(remote, &snapshots)?;
    let checked_bytes = remote.traffic().received.saturating_sub(before);
    let (mut drill, mut not_drilled) = (None, None);
    if job.drill {
        match rehearse(access, remote, scratch, keeper)? {
            Rehearsed::Well(report) => drill = Some(*report),
            Rehearsed::Not(reason) => not_drilled = Some(reason.to_owned()),
            Rehearsed::Badly(problem) => problems.push(format!("{DRILL_FAILED}: {problem}")),
        }
    }
    // Whoever does not answer is no damaged repository: it is asked again another time.
    if let Some(unanswered) = remote.unanswered().filter(|_| !problems.is_empty()) {
        return Err(RepositoryError(format!("verifying the repository: {unanswered}")));
    }

    let mut forgotten = Vec::new();
    let mut pruned_bytes = 0;
    if problems.is_empty() {
        let drilled = drill.as_ref().and_then(|report| report.snapshot.as_ref());
        (forgotten, pruned_bytes) = clear(&opened, remote, &snapshots, job, drilled)?;
    } else {
        note("nothing is deleted from a repository with problems");
    }
    let problems = lines(problems);
    Ok(MaintenanceReport {
        finished_at: now_ms(),
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        kept: u32::try_from(snapshots.len().saturating_sub(forgotten.len())).unwrap_or(u32::MAX),
        forgotten,
        pruned_bytes,
        checked_bytes,
        problems,
        drill,
        not_drilled,
    })
}

/// Reads all snapshots, trees and indexes, and the part of the data whose turn it is.
fn check(opened: &Opened, remote: &Remote, job: &MaintenanceJob) -> Result<Vec<String>, RepositoryError> {
    let parts = job.parts.max(1);
    let part = job.part.clamp(1, parts);
    let options = CheckOptions::default()
        .read_data(true)
        .read_data_subset(ReadSubsetOption::IdSubSet((part, parts)));
    // Where it cannot go on, it may panic instead (`loaders.rs`): that says nothing about the repository.
    let checked = catch_unwind(AssertUnwindSafe(|| opened.repository.check(options)));
    let checked = checked.map_err(|_| {
        let why = remote.last_failure().unwrap_or_else(|| "it broke off".to_owned());
        RepositoryError(format!("checking the repository: {why}"))
    })?;
    let checked = checked.map_err(|error| explain(remote, "checking the repository", &error))?;
    if checked.is_ok().is_ok() {
        return Ok(Vec::new());
    }
    Ok(checked
        .0
        .iter()
        .map(|(_, problem)| problem.to_string().replace('\n', " "))
        .collect())
}

/// rustic lists the snapshots anew for whatever it does, and takes an empty or a short list for the truth. What it did by
/// a list that is not the one at the beginning is not gone on with.
fn saw_all(remote: &Remote, snapshots: &[Snapshot]) -> Result<(), RepositoryError> {
    let listed: BTreeSet<String> = remote
        .listed_snapshots()
        .iter()
        .map(|id| id.to_hex().as_str().to_owned())
        .collect();
    if snapshots.len() == listed.len() && snapshots.iter().all(|one| listed.contains(one.id.as_str())) {
        return Ok(());
    }
    Err(RepositoryError(format!(
        "the repository listed {} snapshots at first and then {}, not the same ones: nothing is deleted",
        snapshots.len(),
        listed.len()
    )))
}

/// Restores the newest good snapshot where nobody uses it, with every step of a restore: the last one is that it takes the
/// place of another directory.
fn rehearse(
    access: &JobAccess,
    remote: &Arc<Remote>,
    scratch: &Path,
    keeper: &Keeper,
) -> Result<Rehearsed, RepositoryError> {
    let Some(opened) = open(access, remote)? else {
        return Err(RepositoryError::new("the repository is gone"));
    };
    let snapshots = opened.snapshots()?;
    let good = snapshots
        .iter()
        .find(|snapshot| !snapshot.tags.iter().any(|tag| tag == SUSPICIOUS));
    let Some(good) = good else {
        return Ok(Rehearsed::Not(NOTHING_GOOD));
    };
    let place = scratch.join("drill");
    let extracted = extract(opened, good, &place, DRILL_SPARE, Bytes::ReadBack, Instant::now());
    let extracted = extracted.and_then(|(mut report, _)| {
        rehearse_replacing(scratch, &place, keeper, &mut report).map_err(NotExtracted::Disk)?;
        Ok(report)
    });
    remove(&place)?;
    let (reason, failure) = match extracted {
        Ok(report) => return Ok(Rehearsed::Well(Box::new(report))),
        Err(NotExtracted::Repository(failure)) => return Ok(Rehearsed::Badly(failure)),
        Err(NotExtracted::NoRoom(failure)) => (NO_ROOM, failure),
        Err(NotExtracted::Disk(failure)) => (NO_DISK, failure),
    };
    note(&format!("no restore drill: {failure}"));
    Ok(Rehearsed::Not(reason))
}

/// What comes after the comparison.
fn rehearse_replacing(
    scratch: &Path,
    place: &Path,
    keeper: &Keeper,
    report: &mut RestoreReport,
) -> Result<(), RepositoryError> {
    release_leases(place, keeper, report);
    let home = scratch.join("home");
    std::fs::create_dir(&home).map_err(|error| failed(&home, "making", &error))?;
    // Where a file system cannot, a real home is removed first; here nothing is lost by leaving it at that.
    exchange(&home, place).map_err(|error| failed(&home, "moving the restored home to", &error.into()))?;
    remove(&home)
}

fn clear(
    opened: &Opened,
    remote: &Remote,
    snapshots: &[Snapshot],
    job: &MaintenanceJob,
    drilled: Option<&SnapshotId>,
) -> Result<(Vec<SnapshotId>, u64), RepositoryError> {
    // Until the Sandbox knows of this drill, the one before it is the last it knows.
    let mut pinned = job.pinned.clone();
    pinned.extend(drilled.cloned());
    let held = HeldSnapshots {
        pinned: &pinned,
        verified: job.verified.as_ref(),
    };
    // By this machine's clock only where nobody else's is known: one far ahead makes everything old.
    let now = match job.now {
        0 => now_ms(),
        said => said,
    };
    // The Sandbox is to hear of each of them. What is left is forgotten by the next maintenance.
    let forgotten = forgettable(snapshots, held, now).into_iter().take(MAX_IDS);
    let forgotten: Vec<SnapshotId> = forgotten.collect();
    let ids = forgotten.iter().filter_map(|id| id.as_str().parse().ok());
    let ids: Vec<rustic_core::repofile::SnapshotId> = ids.collect();
    // Nobody else works on this repository: a run is the only one, and this is its only backup process.
    let options = PruneOptions::default()
        .ignore_snaps(ids.clone())
        .instant_delete(true)
        .keep_delete(Span::new())
        .keep_pack(Span::new());
    let plan = opened.repository.prune_plan(&options);
    let plan = plan.map_err(|error| explain(remote, "looking for what can be removed", &error))?;
    // What a snapshot needs that was not listed, the plan takes for nobody's.
    saw_all(remote, snapshots)?;
    let deleted = opened.repository.delete_snapshots(&ids);
    deleted.map_err(|error| explain(remote, "deleting snapshots", &error))?;
    let packs = plan.stats.size_sum();
    let removed = packs
        .remove
        .saturating_add(packs.repackrm)
        .saturating_add(plan.stats.size_unref)
        .saturating_add(plan.stats.size_to_delete.remove);
    let pruned = opened.repository.prune(&options, plan);
    pruned.map_err(|error| explain(remote, "removing what is not needed", &error))?;
    if let Some(failed) = remote.failed_write() {
        return Err(RepositoryError(failed));
    }
    Ok((forgotten, removed))
}
