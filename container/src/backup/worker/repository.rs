//! Opens a bot's repository, or makes it where the repository's endpoint says there is none; lists snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytesize::ByteSize;
use moltworker_core::wire::control::{Amount, LeftOut, Lost, Named, Snapshot, SnapshotReason, lines};
use rustic_core::repofile::{IndexId, MasterKey, Node, SnapshotFile, SnapshotId};
use rustic_core::{
    ConfigOptions, Credentials, IndexedTree, KeyOptions, Open, OpenStatus, Repository, RepositoryBackends,
    RepositoryOptions, RusticError, WriteBackend,
};
use serde::{Deserialize, Serialize};

use super::findings::short;
use super::keys::{self, KeyError};
use super::loaders::Loaders;
use super::remote::Remote;
use super::say::say;
use super::wire::{JobAccess, Line, UnlockedKey};

/// Where the home is in every snapshot, wherever it lies while it is taken or restored.
pub(crate) const HOME_IN_SNAPSHOT: &str = "/data/moltbot";
/// What a snapshot's host is called: containers have no names worth keeping.
pub(crate) const HOST: &str = "moltbot";

/// So many sound databases of a snapshot are named in it, and as many others. A large home has some hundred.
const MAX_NAMED_DATABASES: usize = 2_000;
/// Bytes all of these names may take: a snapshot of more than 1 MiB is refused, and a path may have 16 KiB.
const MAX_NAMED_BYTES: usize = 384 * 1024;

/// Packs are filled up to this. A pack is one request, and what is held in memory while it fills: so large that
/// requests are few, so small that a handful of them fits into a small container.
const DATA_PACK: ByteSize = ByteSize::mib(8);
/// Trees are read one pack at a time, at every snapshot.
const TREE_PACK: ByteSize = ByteSize::mib(2);

/// Why something could not be done with a repository. The text is fit for the bot's owner.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RepositoryError(pub(crate) String);

impl RepositoryError {
    /// What went wrong, in our words.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// What can be said of a snapshot beside restic's own fields. Stock restic keeps and ignores it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The databases in it, below the home, that were copied and found sound.
    #[serde(default)]
    pub(crate) databases: BTreeSet<String>,
    /// The databases in it that are not known to be sound, and why: stored as the files they are, because they could not
    /// be copied, or as copies that could not be checked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) raw: BTreeMap<String, String>,
    /// How many more databases there are in it, of which neither says a word.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) unnamed: u64,
    /// What was lost that nobody should have deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspicious: Option<String>,
    /// What was lost, and which snapshot has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<Lost>,
    /// Bytes its files took on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disk_bytes: Option<u64>,
    /// What it lacks because it could not be read.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub(crate) lacks: Named,
    /// What the rules left out.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub(crate) left_out: LeftOut,
    /// What in it may be of another moment.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub(crate) moments: Named,
    /// For how many milliseconds the bot stood still for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pause_ms: Option<u64>,
}

impl Description {
    /// Of a snapshot; nothing where it was not the supervisor that took it.
    pub(crate) fn of(snapshot: &SnapshotFile) -> Self {
        let text = snapshot.description.as_deref().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    /// All databases that are not lost; `None` when they are not all named.
    pub(crate) fn all(&self) -> Option<BTreeSet<String>> {
        let named = self.databases.iter().chain(self.raw.keys());
        (self.unnamed == 0).then(|| named.cloned().collect())
    }

    /// Leaves out names that are too many: a description is part of each snapshot, and read with every list of them.
    pub(crate) fn bound(&mut self) {
        let before = self.databases.len().saturating_add(self.raw.len());
        let mut left = MAX_NAMED_BYTES;
        let mut fits = |name: &str, reason: &str| {
            let bytes = serde_json::to_string(&(name, reason)).map_or(usize::MAX, |text| text.len());
            let is_room = bytes <= left;
            left = left.saturating_sub(if is_room { bytes } else { 0 });
            is_room
        };
        self.raw.retain(|name, reason| fits(name, reason));
        self.databases.retain(|name| fits(name, ""));
        while self.databases.len() > MAX_NAMED_DATABASES && self.databases.pop_last().is_some() {}
        while self.raw.len() > MAX_NAMED_DATABASES && self.raw.pop_last().is_some() {}
        let left = self.databases.len().saturating_add(self.raw.len());
        self.unnamed = u64::try_from(before.saturating_sub(left)).unwrap_or(u64::MAX);
    }

    /// Those that are not known to be sound, in words: the first of them, and how many more there are.
    fn unsound(&self) -> Vec<String> {
        let words = self.raw.iter().map(|(name, reason)| short(name, reason));
        lines(words.collect())
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands it over in this way"
)]
fn is_none(number: &u64) -> bool {
    *number == 0
}

/// A repository, opened.
pub(crate) struct Opened {
    /// Its client.
    pub(crate) remote: Arc<Remote>,
    /// What rustic makes of it.
    pub(crate) repository: Repository<OpenStatus>,
}

/// rustic's words are for its own users: what the repository answered says more.
pub(crate) fn explain(remote: &Remote, doing: &str, error: &RusticError) -> RepositoryError {
    match remote.last_failure() {
        Some(failure) => RepositoryError(format!("{doing}: {failure}")),
        None => RepositoryError(format!("{doing}: {}", error.display_log().replace('\n', " "))),
    }
}

fn locked_out(remote: &Remote, error: &KeyError) -> RepositoryError {
    match error {
        KeyError::Repository(doing, error) => explain(remote, doing, error),
        KeyError::Locking => RepositoryError::new("no random bytes to lock a key with"),
    }
}

fn unopened(remote: &Arc<Remote>) -> Result<Repository<()>, RepositoryError> {
    let options = RepositoryOptions::default().no_cache(true);
    let backends = RepositoryBackends::new(Arc::clone(remote) as Arc<_>, None);
    let progress = Loaders(Arc::clone(remote));
    Repository::new_with_progress(&options, &backends, progress)
        .map_err(|error| explain(remote, "opening the repository", &error))
}

/// Opens the repository with whichever password fits, and lets the newest one open it from now on, with the least work;
/// `None` when there is none and its endpoint says so.
///
/// # Errors
/// Whenever it is not certain what there is.
pub(crate) fn open(access: &JobAccess, remote: &Arc<Remote>) -> Result<Option<Opened>, RepositoryError> {
    let config = remote
        .config()
        .map_err(|error| RepositoryError(error.to_string()))?;
    if config.is_none() {
        return certainly_none(remote).map(|()| None);
    }
    // What a job of this run has unlocked before: it fits, or the repository is another one by now.
    if let Some(UnlockedKey(master)) = &access.unlocked
        && let Ok(repository) = unopened(remote)?.open(&Credentials::Masterkey(master.clone()))
    {
        let remote = Arc::clone(remote);
        return Ok(Some(Opened { remote, repository }));
    }
    let Some(unlocked) =
        keys::unlock(remote, &access.passwords).map_err(|error| locked_out(remote, &error))?
    else {
        return Err(RepositoryError::new(
            "none of the passwords derived from BACKUP_KEY opens the repository",
        ));
    };
    let credentials = Credentials::Masterkey(unlocked.master.clone());
    let repository = unopened(remote)?.open(&credentials);
    let repository = repository.map_err(|error| explain(remote, "opening the repository", &error))?;
    if let Some(newest) = access.passwords.first().filter(|_| !unlocked.is_current) {
        keys::add(remote, &unlocked.master, newest, HOST).map_err(|error| locked_out(remote, &error))?;
    }
    say(&Line::Unlocked(UnlockedKey(unlocked.master)));
    let remote = Arc::clone(remote);
    Ok(Some(Opened { remote, repository }))
}

/// That no config is there is not enough for a blank start: the endpoint has to be a repository's, which a
/// renewed token has shown, and there must be no trace of an earlier repository.
fn certainly_none(remote: &Arc<Remote>) -> Result<(), RepositoryError> {
    let unopened = unopened(remote)?;
    let indexes = unopened.list::<IndexId>();
    let indexes = indexes
        .map_err(|error| explain(remote, "listing the index", &error))?
        .count();
    let snapshots = unopened.list::<SnapshotId>();
    let snapshots = snapshots
        .map_err(|error| explain(remote, "listing snapshots", &error))?
        .count();
    if snapshots > 0 || indexes > 0 {
        return Err(RepositoryError(format!(
            "the repository has {snapshots} snapshots and {indexes} indexes but no config: it is damaged"
        )));
    }
    Ok(())
}

/// Makes the repository.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn init(access: &JobAccess, remote: &Arc<Remote>) -> Result<Opened, RepositoryError> {
    let Some(newest) = access.passwords.first() else {
        return Err(RepositoryError::new(
            "there is no password to make the repository with",
        ));
    };
    let options = ConfigOptions::default()
        .set_datapack_size(DATA_PACK)
        .set_datapack_growfactor(0_u32)
        .set_treepack_size(TREE_PACK)
        .set_treepack_growfactor(0_u32);
    let making = |error: Box<RusticError>| explain(remote, "making the repository", &error);
    remote.create().map_err(making)?;
    // The key comes before the config, which says that there is a repository. An attempt that was broken off between the
    // two has left a key: with another one beside it, nobody could tell which of them is the repository's.
    let master = match keys::unlock(remote, &access.passwords).map_err(|error| locked_out(remote, &error))? {
        Some(unlocked) => unlocked.master,
        None => {
            let master = MasterKey::new();
            keys::add(remote, &master, newest, HOST).map_err(|error| locked_out(remote, &error))?;
            master
        }
    };
    let made = unopened(remote)?.init(&Credentials::Masterkey(master), &KeyOptions::default(), &options);
    let repository = made.map_err(making)?;
    let remote = Arc::clone(remote);
    Ok(Opened { remote, repository })
}

impl Opened {
    /// All snapshots, newest first.
    ///
    /// # Errors
    /// When they cannot all be read. Also when none is listed although there is an index: an index is written by
    /// a snapshot, so one was there, and an empty list is not believed. Should a first snapshot have been broken
    /// off in just that moment, `restic recover` finds what it had stored (docs/recovery.md).
    pub(crate) fn snapshots(&self) -> Result<Vec<SnapshotFile>, RepositoryError> {
        let snapshots = self.listed()?;
        if snapshots.is_empty() {
            let indexes = self.repository.list::<IndexId>();
            let indexes = indexes.map_err(|error| explain(&self.remote, "listing the index", &error))?;
            if indexes.count() > 0 {
                return Err(RepositoryError::new(
                    "the repository holds data but lists no snapshot; that is not taken for an empty one",
                ));
            }
        }
        Ok(snapshots)
    }

    /// What is listed as snapshots, newest first; an empty list is believed.
    ///
    /// # Errors
    /// When they cannot all be read.
    pub(crate) fn listed(&self) -> Result<Vec<SnapshotFile>, RepositoryError> {
        let read = self.repository.get_all_snapshots();
        let mut snapshots = read.map_err(|error| explain(&self.remote, "reading the snapshots", &error))?;
        snapshots.sort_by(|a, b| (&b.time, b.id).cmp(&(&a.time, a.id)));
        Ok(snapshots)
    }
}

/// The home's directory in a snapshot.
///
/// # Errors
/// When the snapshot has none, or its trees cannot be read.
pub(crate) fn home_of<S: IndexedTree + Open>(
    remote: &Remote,
    repository: &Repository<S>,
    snapshot: &SnapshotFile,
) -> Result<Node, RepositoryError> {
    let node = repository.node_from_snapshot_and_path(snapshot, HOME_IN_SNAPSHOT);
    node.map_err(|error| explain(remote, "looking for the home in the snapshot", &error))
}

/// As it is reported to the Sandbox.
pub(crate) fn snapshot_report(snapshot: &SnapshotFile) -> Option<Snapshot> {
    let tag = |name: &str| {
        let mut tags = snapshot.tags.iter();
        tags.find_map(|tag| tag.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
    };
    let count = |name: &str| tag(name)?.parse::<u64>().ok();
    let summary = snapshot.summary.as_ref();
    let description = Description::of(snapshot);
    let suspicious = snapshot.tags.iter().any(|tag| tag == SUSPICIOUS);
    Some(Snapshot {
        id: snapshot.id.to_hex().as_str().parse().ok()?,
        taken_at: snapshot.time.timestamp().as_millisecond(),
        reason: tag("reason").and_then(|name| SnapshotReason::named(&name)),
        run: count("run"),
        gateway_version: tag("gateway"),
        amount: Amount {
            files: count("files")
                .or(summary.map(|summary| summary.total_files_processed))
                .unwrap_or(0),
            bytes: count("bytes")
                .or(summary.map(|summary| summary.total_bytes_processed))
                .unwrap_or(0),
        },
        added_bytes: summary.map_or(0, |summary| summary.data_added_packed),
        suspicious: suspicious.then(|| {
            let said = description.suspicious.clone();
            said.unwrap_or_else(|| "it is marked as suspicious".to_owned())
        }),
        raw: description.unsound(),
        lost: description.lost,
        disk_bytes: description.disk_bytes,
        lacks: description.lacks,
        left_out: description.left_out,
        moments: description.moments,
        pause_ms: description.pause_ms,
        accepted: snapshot.tags.iter().any(|tag| tag == ACCEPTED),
    })
}

/// Tag of a snapshot that `latest` passes over.
pub(crate) const SUSPICIOUS: &str = "suspicious";
/// Tag of a snapshot that somebody ordered with whatever is gone.
pub(crate) const ACCEPTED: &str = "accepted";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_of_many_long_names_fits_into_a_snapshot() {
        let mut description = Description::default();
        for number in 0..1_000 {
            let name = format!("{number}/{}", "\u{1}é".repeat(4_000));
            description.raw.insert(name.clone(), "it is held".to_owned());
            description.databases.insert(format!("{name}.sqlite"));
        }
        description.bound();
        let left = description.raw.len() + description.databases.len();
        assert!(left > 0);
        assert_eq!(description.unnamed, 2_000 - u64::try_from(left).unwrap());
        assert_eq!(description.all(), None);
        let bytes = serde_json::to_string(&description).unwrap().len();
        assert!(bytes < 512 * 1024, "{bytes}");
        assert!(description.unsound().iter().all(|line| line.len() < 200));
    }

    #[test]
    fn a_description_of_many_databases_names_them() {
        let mut description = Description::default();
        for number in 0..2_000 {
            description
                .databases
                .insert(format!("project-{number}/data/memory.sqlite"));
        }
        description.bound();
        assert_eq!((description.databases.len(), description.unnamed), (2_000, 0));
    }
}
