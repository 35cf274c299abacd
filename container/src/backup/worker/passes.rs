//! Stores a home as it is at one moment, as a running machine is moved: a first pass while the bot runs stores nearly
//! everything, and a second one what has changed meanwhile. That is looked at while no process of the bot runs, which takes
//! a fraction of a second, and stored when they go on.
//!
//! Where nothing has changed, the first pass is of one moment, and the bot notices nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moltworker_core::wire::control::Progress;
use moltworker_core::wire::job::JobKind;
use rustic_core::jiff::Zoned;
use rustic_core::repofile::SnapshotFile;
use rustic_core::{
    BackupOptions, IndexedIdsStatus, OpenStatus, ParentOptions, ReadSource, Repository, RusticResult,
    SnapshotOptions,
};

use super::capture::Capture;
use super::changes::{Changed, Changes, How};
use super::databases::{self, Databases, KnownCopies, Unchanged};
use super::findings::Findings;
use super::mapped::Mapped;
use super::patterns::Patterns;
use super::record::Record;
use super::remote::Remote;
use super::repository::{HOME_IN_SNAPSHOT, HOST, Opened, RepositoryError, explain};
use super::say::{Ticker, ask, note};
use super::sources::{Home, Source};
use super::walk::{Since, Walk};
use super::wire::{JobAnswer, Line};

/// The clock of the files is not quite that of the snapshots, in seconds.
const CLOCKS_APART: i64 = 2;
/// A pass that took longer is followed by another one while the bot runs: much may have changed meanwhile, and what is left
/// to be looked at is what has changed in the last one.
const LONG_PASS: Duration = Duration::from_secs(3);
/// So many passes are made while the bot runs.
const MAX_PASSES: u32 = 3;
/// So few changes need no further pass, however long the last one took.
const FEW: usize = 200;

/// A home that is stored; its snapshot is not written yet.
pub(super) struct StoredHome {
    pub(super) repository: Repository<IndexedIdsStatus>,
    pub(super) snapshot: SnapshotFile,
    pub(super) findings: Findings,
    /// For how many milliseconds the bot stood still.
    pub(super) pause_ms: Option<u64>,
    /// Which copies of databases it has.
    pub(super) copies: databases::Copies,
}

/// Where copies are made, and by whom.
#[derive(Clone, Copy)]
pub(super) struct CopyPlace<'a> {
    /// A directory of our own on the same file system as the home, empty.
    pub(super) scratch: &'a Path,
    /// Who copies databases.
    pub(super) databases: &'a Arc<Databases>,
    /// Which the snapshot before has as they are.
    pub(super) known: &'a KnownCopies,
}

/// What is the same in each pass.
pub(super) struct Passes<'a> {
    pub(super) remote: &'a Arc<Remote>,
    pub(super) home: &'a Path,
    pub(super) copies: CopyPlace<'a>,
    pub(super) parent: Option<&'a SnapshotFile>,
    /// Databases that are stored as the files they are when they cannot be copied.
    pub(super) raw: &'a BTreeSet<String>,
    pub(super) time: Zoned,
}

/// What a second pass goes through.
struct Again(Mutex<Option<Walk>>);

impl ReadSource for Again {
    type Open = Source;
    type Iter = std::iter::Flatten<std::option::IntoIter<Walk>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let walk = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        walk.into_iter().flatten()
    }
}

/// What the bot's processes have mapped now, as far as that can be seen until then.
fn mapped(until: Instant) -> Mapped {
    match ask(&Line::WhoRuns) {
        Ok(JobAnswer::Processes(processes)) => Mapped::by(&processes, until),
        Ok(_) | Err(_) => Mapped::unknown(),
    }
}

/// How long may be looked for what is mapped while the bot runs.
fn patience() -> Instant {
    let now = Instant::now();
    now.checked_add(LONG_PASS).unwrap_or(now)
}

fn taken<T: Default>(from: &Mutex<T>) -> T {
    std::mem::take(&mut *from.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Passes<'_> {
    /// Stores everything a snapshot refers to, and makes the snapshot without writing it.
    ///
    /// # Errors
    /// When something could not be stored.
    pub(super) fn store(
        &self,
        opened: Opened,
        mut copies: databases::Copies,
    ) -> Result<StoredHome, RepositoryError> {
        let patterns = Patterns::of(self.home);
        for said in &patterns.ignored {
            note(said);
        }
        let patterns = Arc::new(patterns);
        let mut parent = self.parent.cloned();
        let mut opened = opened.repository;
        let mut added = Added::default();
        let mut pass = 1;
        let mut may_know = true;
        let (first, home) = loop {
            let since = Instant::now();
            let unchanged = Arc::new(Unchanged::since(copies));
            let home = self.source(&patterns, Arc::new(Changes::begin()), unchanged);
            let (repository, snapshot) = self.pass(opened, &home, &home, parent.as_ref(), &mut added)?;
            let findings = taken(&home.findings);
            let changed = home.changes.count();
            if may_know && !findings.missed.is_empty() {
                // What is known of copies is wrong: all databases are copied, and the rest is taken as it was just stored.
                note(&format!(
                    "the snapshot before has no copy of {} databases: all are copied again",
                    findings.missed.len()
                ));
                may_know = false;
                parent = Some(snapshot);
                opened = repository.drop_index();
                copies = databases::Copies::new();
                continue;
            }
            let is_long = since.elapsed() > LONG_PASS && changed.is_none_or(|changed| changed > FEW);
            if !is_long || pass >= MAX_PASSES || !findings.failures.is_empty() {
                let first = StoredHome {
                    repository,
                    snapshot,
                    findings,
                    pause_ms: None,
                    copies: databases::Copies::new(),
                };
                break (first, home);
            }
            pass = pass.saturating_add(1);
            parent = Some(snapshot);
            opened = repository.drop_index();
            copies = home.unchanged.take();
        };
        // In this order: what was closed since is among the changes.
        let is_mapped = Self::has_mapped(&home);
        let is_of_one_moment = !is_mapped && home.changes.count() == Some(0);
        let mut stored = if is_of_one_moment || !first.findings.failures.is_empty() {
            first
        } else {
            self.again(first, &home, &patterns, &mut added)?
        };
        stored.copies = home.unchanged.take();
        added.put_into(&mut stored.snapshot);
        let parents = self.parent.map(|parent| parent.id);
        stored.snapshot.parent = parents;
        stored.snapshot.parents = parents.into_iter().collect();
        Ok(stored)
    }

    /// A pass over what has changed since the one before.
    fn again(
        &self,
        first: StoredHome,
        before: &Home,
        patterns: &Arc<Patterns>,
        added: &mut Added,
    ) -> Result<StoredHome, RepositoryError> {
        let home = self.source(
            patterns,
            Arc::clone(&before.changes),
            Arc::clone(&before.unchanged),
        );
        let record = Arc::new(taken(&before.record));
        let (walk, pause_ms) = self.stand_still(&home, &record);
        let left_out = first.findings.left_out.clone();
        let parent = first.snapshot.clone();
        let opened = first.repository.drop_index();
        let source = Again(Mutex::new(Some(walk)));
        let (repository, mut snapshot) = self.pass(opened, &source, &home, Some(&parent), added)?;
        let mut findings = taken(&home.findings);
        findings.left_out = left_out;
        if !findings.failures.is_empty() {
            // All that the first pass refers to is stored.
            let failed = std::mem::take(&mut findings.failures);
            findings = first.findings;
            for said in failed {
                findings.moments.push(&said);
            }
            snapshot = parent;
        }
        Ok(StoredHome {
            repository,
            snapshot,
            findings,
            pause_ms,
            copies: first.copies,
        })
    }

    /// Looks at what has changed while the bot stands still, and for how long it did. Where it does not, or not for long
    /// enough, that is noted, and the rest is looked at while it runs.
    fn stand_still(&self, home: &Home, record: &Arc<Record>) -> (Walk, Option<u64>) {
        let by_inode = record.by_inode();
        let again = |mapped: Mapped, mut changed: Changed| {
            for at in mapped.inodes().filter_map(|inode| by_inode.get(inode)).flatten() {
                let path = record.path(*at);
                let directory = path.parent().unwrap_or(Path::new(""));
                changed.add(directory, path.file_name().unwrap_or_default(), How::Written);
            }
            let home = Home {
                mapped: Arc::new(mapped),
                ..home.clone()
            };
            Walk::again(home, Since::new(Arc::clone(record), changed))
        };
        let capture = Capture::begin(self.copies.scratch);
        let why = match ask(&Line::Freeze) {
            Ok(JobAnswer::Still) => {
                let mapped = mapped(capture.until());
                if mapped.is_more() {
                    home.note(|findings| {
                        let said = "not all of what is mapped into memory is known";
                        findings.of_another_moment(Path::new(""), said);
                    });
                }
                let mut walk = again(mapped, home.changes.take());
                let is_all = walk.capture(capture, &by_inode);
                let (throughout, pause_ms) = match ask(&Line::Thaw) {
                    Ok(JobAnswer::GoesOn { throughout, pause_ms }) => (throughout, Some(pause_ms)),
                    Ok(_) | Err(_) => (false, None),
                };
                if !is_all || !throughout {
                    home.note(|findings| {
                        let said = "what has changed was too much to be looked at in a moment";
                        findings.of_another_moment(Path::new(""), said);
                    });
                }
                return (walk, pause_ms);
            }
            Ok(JobAnswer::NotStill(why)) => why,
            Ok(answer) => format!("the supervisor answers {answer:?}"),
            Err(error) => error.to_string(),
        };
        home.note(|findings| {
            let said = format!("the bot did not stand still: {why}");
            findings.of_another_moment(Path::new(""), &said);
        });
        (again(mapped(patience()), home.changes.take()), None)
    }

    fn source(&self, patterns: &Arc<Patterns>, changes: Arc<Changes>, unchanged: Arc<Unchanged>) -> Home {
        let since = self.parent.map(|parent| parent.time.timestamp().as_second());
        Home {
            path: self.home.to_owned(),
            databases: Arc::clone(self.copies.databases),
            raw: Arc::new(self.raw.clone()),
            patterns: Arc::clone(patterns),
            since: since.map(|since| since.saturating_sub(CLOCKS_APART)),
            findings: Arc::default(),
            record: Arc::default(),
            changes,
            unchanged,
            mapped: Arc::new(mapped(patience())),
        }
    }

    /// Whether something of what the walk has found may change without a trace.
    fn has_mapped(home: &Home) -> bool {
        let mapped = mapped(patience());
        mapped.is_more() || home.record().has_any(&mapped)
    }

    /// Stores what a source has.
    fn pass<S>(
        &self,
        opened: Repository<OpenStatus>,
        source: &S,
        home: &Home,
        parent: Option<&SnapshotFile>,
        added: &mut Added,
    ) -> Result<(Repository<IndexedIdsStatus>, SnapshotFile), RepositoryError>
    where
        S: ReadSource<Open = Source> + 'static,
        S::Iter: Send,
    {
        let remote = self.remote;
        let indexed = opened.to_indexed_ids();
        let indexed = indexed.map_err(|error| explain(remote, "reading the index", &error))?;
        let parent_options = match parent {
            Some(parent) => ParentOptions::default().parents(vec![parent.id.to_hex().as_str().to_owned()]),
            None => ParentOptions::default().force(true),
        };
        let options = BackupOptions::default().no_scan(true).parent_opts(parent_options);
        let snapshot = SnapshotOptions::default()
            .host(HOST.to_owned())
            .time(self.time.clone())
            .to_snapshot()
            .map_err(|error| explain(remote, "beginning the snapshot", &error))?;

        remote.hold_snapshots_back();
        let counted = Arc::clone(&home.findings);
        let ticker = Ticker::start(move || Progress {
            job: JobKind::Snapshot,
            done: counted.lock().unwrap_or_else(PoisonError::into_inner).amount,
            total: None,
        });
        let archived = indexed.archive(&options, source, snapshot, &[HOME_IN_SNAPSHOT.into()]);
        drop(ticker);
        let archived = archived.map_err(|error| explain(remote, "storing the home", &error))?;
        // rustic leaves out what it could not store and goes on.
        if let Some(failed) = remote.failed_write() {
            return Err(RepositoryError(failed));
        }
        // It also goes on without what it could not read of the snapshot before, and that is what this one would refer
        // to for everything that is unchanged.
        if let Some(unreadable) = remote.unreadable_pack() {
            return Err(RepositoryError(unreadable));
        }
        added.add(&archived);
        Ok((indexed, archived))
    }
}

/// What the passes have added to the repository.
#[derive(Default)]
struct Added {
    data_blobs: u64,
    tree_blobs: u64,
    bytes: u64,
    packed: u64,
    files: (u64, u64),
    trees: (u64, u64),
}

impl Added {
    fn add(&mut self, snapshot: &SnapshotFile) {
        let Some(summary) = &snapshot.summary else { return };
        for (all, more) in [
            (&mut self.data_blobs, summary.data_blobs),
            (&mut self.tree_blobs, summary.tree_blobs),
            (&mut self.bytes, summary.data_added),
            (&mut self.packed, summary.data_added_packed),
            (&mut self.files.0, summary.data_added_files),
            (&mut self.files.1, summary.data_added_files_packed),
            (&mut self.trees.0, summary.data_added_trees),
            (&mut self.trees.1, summary.data_added_trees_packed),
        ] {
            *all = all.saturating_add(more);
        }
    }

    fn put_into(&self, snapshot: &mut SnapshotFile) {
        if let Some(summary) = &mut snapshot.summary {
            summary.data_blobs = self.data_blobs;
            summary.tree_blobs = self.tree_blobs;
            (summary.data_added, summary.data_added_packed) = (self.bytes, self.packed);
            (summary.data_added_files, summary.data_added_files_packed) = self.files;
            (summary.data_added_trees, summary.data_added_trees_packed) = self.trees;
        }
    }
}
