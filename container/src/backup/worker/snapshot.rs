//! Takes a snapshot of the home.

use std::path::Path;
use std::sync::Arc;

use moltworker_core::backup::suspicion::{self, AGENTS, Content, Loss, agent_of};
use moltworker_core::wire::control::{Amount, Lost, Snapshot, SnapshotReason};
use moltworker_core::wire::job::SnapshotJob;
use moltworker_core::wire::run::SnapshotId;
use rustic_core::jiff::{Span, Timestamp, Zoned, tz::TimeZone};
use rustic_core::repofile::{SnapshotFile, StringList};

use super::passes::{CopyPlace, Passes, StoredHome};
use super::place::look;
use super::remote::Remote;
use super::repository::{
    ACCEPTED, Description, Opened, RepositoryError, SUSPICIOUS, explain, init, open, snapshot_report,
};
use super::say::{note, say};
use super::wire::{JobAccess, JobContext, Line};
use crate::beneath;

/// So many of the things that could not be read are named.
const NAMED: usize = 3;

/// Takes a snapshot; `None` when nothing has changed since the one before.
///
/// # Errors
/// When anything is missing that should be in it: then there is none.
pub(crate) fn take(
    access: &JobAccess,
    remote: &Arc<Remote>,
    home: &Path,
    copies: CopyPlace<'_>,
    job: SnapshotJob,
    context: &JobContext,
) -> Result<Option<Snapshot>, RepositoryError> {
    let opened = match open(access, remote)? {
        Some(opened) => opened,
        None => init(access, remote)?,
    };
    // The first attempt of all may have come as far as the index.
    let earlier = if context.first {
        opened.listed()?
    } else {
        opened.snapshots()?
    };
    let parent = earlier.first();
    let named = |snapshot: &&SnapshotFile| {
        let base = context.base.as_ref();
        base.is_some_and(|base| base.as_str() == snapshot.id.to_hex().as_str())
    };
    let is_good = |snapshot: &&SnapshotFile| !snapshot.tags.iter().any(|tag| tag == SUSPICIOUS);
    let base = earlier
        .iter()
        .find(named)
        .or_else(|| earlier.iter().find(is_good));

    let id = |snapshot: &SnapshotFile| snapshot.id.to_hex().as_str().to_owned();
    let known = parent.map(|parent| copies.known.take(context.run, &id(parent)));
    let known = known.unwrap_or_default();
    let passes = Passes {
        remote,
        home,
        copies,
        parent,
        raw: &context.raw,
        time: later_than(parent.map(|parent| &parent.time)),
    };
    let StoredHome {
        repository,
        mut snapshot,
        findings,
        pause_ms,
        copies: now_known,
    } = passes.store(opened, known)?;
    note(&format!("{} databases were copied", copies.databases.copies()));
    for said in &findings.notes {
        note(said);
    }
    if findings.unsaid > 0 {
        note(&format!("and {} more lines like these", findings.unsaid));
    }
    if !findings.lacks.is_empty() {
        note(&format!(
            "{} entries cannot be read and are not in the snapshot: {}",
            findings.lacks.total,
            findings.lacks.first.join("; ")
        ));
    }
    if !findings.moments.is_empty() {
        note(&format!(
            "{} entries may be of another moment than the rest: {}",
            findings.moments.total,
            findings.moments.first.join("; ")
        ));
    }
    say(&Line::Uncopied(findings.uncopied));
    if !findings.failures.is_empty() {
        let named: Vec<_> = findings.failures.iter().take(NAMED).cloned().collect();
        return Err(RepositoryError(format!(
            "{} files could not be saved: {}",
            findings.failures.len(),
            named.join("; ")
        )));
    }

    let summary = snapshot.summary.as_ref();
    let amount = Amount {
        files: findings.amount.files,
        bytes: summary.map_or(findings.amount.bytes, |summary| summary.total_bytes_processed),
    };
    let mut description = Description {
        databases: findings.databases,
        raw: findings.raw,
        unnamed: 0,
        suspicious: None,
        lost: None,
        disk_bytes: Some(findings.disk_bytes),
        lacks: findings.lacks,
        left_out: findings.left_out,
        moments: findings.moments,
        pause_ms,
    };
    description.bound();
    let lost = base.filter(|_| !job.accept);
    let lost = lost.and_then(|base| loss(base, home, amount, &description, context));
    let is_suspicious = lost.as_ref().is_some_and(|(loss, _)| loss.is_suspicious);
    // One that was passed over, and is not any more, is written anew: by then it is known who deleted what it lacks.
    let is_same = |parent: &SnapshotFile| parent.tree == snapshot.tree && (is_suspicious || is_good(&parent));
    if let Some(parent) = parent.filter(|parent| is_same(parent) && !job.accept) {
        copies.known.put(context.run, &id(parent), now_known);
        return Ok(None);
    }
    if let Some((loss, before)) = lost {
        let what = loss.what;
        if is_suspicious {
            note(&format!("the snapshot is marked as suspicious: {what}"));
            description.suspicious = Some(what.clone());
        } else {
            note(&format!("the snapshot lacks what {before} has: {what}"));
        }
        description.lost = Some(Lost { what, before });
    }
    snapshot.tags = tags(job.reason, context, amount, is_suspicious);
    if job.accept {
        snapshot.tags.add(ACCEPTED.to_owned());
    }
    snapshot.description = serde_json::to_string(&description).ok();

    remote.let_snapshots_pass();
    let saved = repository.save_snapshots(vec![snapshot.clone()]);
    saved.map_err(|error| explain(remote, "writing the snapshot", &error))?;
    snapshot.id = remote
        .written_snapshot()
        .map(Into::into)
        .ok_or_else(|| RepositoryError::new("the snapshot was not written"))?;
    copies.known.put(context.run, &id(&snapshot), now_known);
    Ok(snapshot_report(&snapshot))
}

/// A home that another version of the gateway wrote is about to be used by this one, which may change what the other
/// could not read any more. Its snapshot is written once more under a reason that the policy keeps for longer. It is the
/// same content, so that costs one object; and it holds nothing of this run, so that it may be written before the run is
/// confirmed.
///
/// # Errors
/// When it could not be written: without a way back nothing is upgraded.
pub(crate) fn mark_before_upgrade(
    opened: &Opened,
    snapshot: &SnapshotFile,
    newest: &Zoned,
    context: &JobContext,
) -> Result<(), RepositoryError> {
    let Some(known) = snapshot_report(snapshot) else {
        return Ok(());
    };
    let (Some(from), Some(to)) = (&known.gateway_version, &context.gateway_version) else {
        return Ok(());
    };
    if from == to || known.reason == Some(SnapshotReason::BeforeUpgrade) {
        return Ok(());
    }
    let mut marked = snapshot.clone();
    marked.time = later_than(Some(newest));
    // It says who wrote the home, not who is about to.
    let written_by = JobContext {
        run: context.run,
        gateway_version: Some(from.clone()),
        ..JobContext::default()
    };
    marked.tags = tags(
        SnapshotReason::BeforeUpgrade,
        &written_by,
        known.amount,
        known.suspicious.is_some(),
    );
    let saved = opened.repository.save_snapshots(vec![marked]);
    saved.map_err(|error| explain(&opened.remote, "marking the snapshot before an upgrade", &error))?;
    note(&format!(
        "gateway {from} wrote this home and {to} will use it: kept as a snapshot before an upgrade"
    ));
    Ok(())
}

/// What the home has lost against the snapshot `base`, and the name of that.
fn loss(
    base: &SnapshotFile,
    home: &Path,
    amount: Amount,
    now: &Description,
    context: &JobContext,
) -> Option<(Loss, SnapshotId)> {
    let known = snapshot_report(base)?;
    // Where one of them does not name all, nobody can tell by names what is missing.
    let databases = Description::of(base).all().zip(now.all());
    let (had, has) = databases.unwrap_or_default();
    // Where one of them did not count what is on the disk, both are taken by what is in the files.
    let (before, after) = match (known.disk_bytes, now.disk_bytes) {
        (Some(before), Some(after)) => (before, after),
        _ => (known.amount.bytes, amount.bytes),
    };
    let agents = had.iter().filter_map(|name| agent_of(name));
    let home = beneath::root(home).ok()?;
    let is_there = |agent: &&str| look(&home, Path::new(AGENTS).join(agent)).is_ok();
    let agents = agents.filter(is_there);
    let agents = agents.map(str::to_owned).collect();
    let before = Content {
        files: known.amount.files,
        disk_bytes: before,
        databases: had,
    };
    let after = Content {
        files: amount.files,
        disk_bytes: after,
        databases: has,
    };
    let loss = suspicion::loss(&before, &after, &agents, &context.deletions)?;
    Some((loss, known.id))
}

/// Now, or a moment after the newest snapshot if that has been taken by a faster clock: the newest snapshot is
/// the one with the latest time.
fn later_than(newest: Option<&Zoned>) -> Zoned {
    let now = Timestamp::now();
    let after = newest.and_then(|newest| newest.timestamp().checked_add(Span::new().milliseconds(1)).ok());
    after.map_or(now, |after| now.max(after)).to_zoned(TimeZone::UTC)
}

fn tags(reason: SnapshotReason, context: &JobContext, amount: Amount, suspicious: bool) -> StringList {
    let mut tags = StringList::default();
    tags.add(format!("reason:{}", reason.as_str()));
    tags.add(format!("run:{}", context.run));
    if let Some(version) = &context.gateway_version {
        // A comma separates tags.
        tags.add(format!("gateway:{}", version.replace(',', "_")));
    }
    tags.add(format!("files:{}", amount.files));
    tags.add(format!("bytes:{}", amount.bytes));
    if suspicious {
        tags.add(SUSPICIOUS.to_owned());
    }
    tags
}
