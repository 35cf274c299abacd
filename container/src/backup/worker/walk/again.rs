//! The second walk through a home: what has not changed since the first is taken as that one found it, and only the rest is
//! looked at. What is looked at while the bot stands still is taken at once, and stored afterwards.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_core::ReadSourceEntry;
use rustic_core::repofile::{Metadata, NodeType};
use rustix::fs::{AtFlags, statat};

use super::{Walk, entry_of};
use crate::backup::worker::attributes::{always_differs, copy_differs, exact_metadata, metadata};
use crate::backup::worker::capture::Capture;
use crate::backup::worker::changes::{Changed, How};
use crate::backup::worker::content::ContentBytes;
use crate::backup::worker::databases;
use crate::backup::worker::descent::Descent;
use crate::backup::worker::place::open;
use crate::backup::worker::record::Record;
use crate::backup::worker::sources::Source;

/// Why what was in a database is not of the moment.
const NOT_COPIED: &str = "it is too large to be copied in a moment, and is as it was shortly before";

/// A longer database is not copied while the bot stands still but read as it was then, which SQLite can.
const MAX_COPIED: u64 = 4 * 1024 * 1024;

/// So many are, each by a process of its own.
const MAX_HELD: usize = 32;
/// So many bytes are in those, unless there is one only: they are all copied at once, onto the bot's own disk.
const MAX_HELD_BYTES: u64 = 512 * 1024 * 1024;

/// What is known of the home from the first walk.
pub(crate) struct Since {
    pub(super) record: Arc<Record>,
    pub(super) changed: Changed,
    /// While the bot stands still.
    pub(super) capture: Option<Capture>,
    /// Databases that are read as they were.
    held: usize,
    held_bytes: u64,
}

/// One step of a walk.
pub(super) enum Step {
    /// Something that was looked at.
    Entry(ReadSourceEntry<Source>),
    /// What the first walk found there, and below; the path is that of what holds it.
    Unchanged(PathBuf, usize),
    /// A database whose files were taken.
    Database(Taken),
}

/// See [`Step::Database`].
pub(super) struct Taken {
    path: PathBuf,
    meta: Metadata,
    files: Files,
    /// What the first walk found.
    before: Option<usize>,
}

/// Where what is in a database was taken to.
enum Files {
    /// Copies of its files.
    Copied(OsString),
    /// Nowhere: it is read as it was then.
    Held(databases::HeldMoment),
}

/// What of a directory the first walk found.
#[derive(Default)]
pub(super) struct Known {
    names: HashMap<OsString, usize>,
    /// Whether it is this very directory: otherwise everything in it is new.
    is_same: bool,
}

/// Goes through what the first walk found at a place and below.
pub(super) struct Replay {
    at: usize,
    /// Directories on the way: their path, and the first place that is not below them.
    way: Vec<(PathBuf, Option<usize>)>,
    end: Option<usize>,
}

impl Replay {
    pub(super) fn new(path: PathBuf, at: usize) -> Self {
        Self {
            at,
            way: vec![(path, None)],
            end: None,
        }
    }
}

impl Since {
    /// What this record does not have.
    pub(crate) fn new(record: Arc<Record>, changed: Changed) -> Self {
        Self {
            record,
            changed,
            capture: None,
            held: 0,
            held_bytes: 0,
        }
    }
}

impl Walk {
    /// Takes all that has changed, as long as the bot stands still; whether that was long enough. `by_inode` is where the
    /// first walk found which file.
    pub(crate) fn capture(&mut self, capture: Capture, by_inode: &HashMap<u64, Vec<usize>>) -> bool {
        if let Some(since) = &mut self.since {
            since.capture = Some(capture);
        }
        loop {
            let is_over = |since: &Since| since.capture.as_ref().is_none_or(Capture::is_over);
            if self.since.as_ref().is_none_or(is_over) {
                break;
            }
            let Some(step) = self.step() else {
                return self.follow_links(by_inode);
            };
            self.taken.push_back(step);
        }
        // The rest is looked at while it runs.
        if let Some(since) = &mut self.since {
            since.capture = None;
        }
        false
    }

    /// A file that was written under one of its names is another under each of them. Whether there was time for all.
    fn follow_links(&mut self, by_inode: &HashMap<u64, Vec<usize>>) -> bool {
        let written: Vec<u64> = self.linked.iter().map(|(_, inode)| *inode).collect();
        let Ok(home) = Descent::begin(&self.home.path) else {
            return false;
        };
        for at in written.iter().filter_map(|inode| by_inode.get(inode)).flatten() {
            let Some(since) = &mut self.since else {
                return false;
            };
            let (path, Some(capture)) = (since.record.path(*at), since.capture.as_mut()) else {
                return false;
            };
            if capture.is_over() {
                return false;
            }
            let taken = open(&home.here(), path.as_os_str()).and_then(|file| {
                let stat = file.metadata()?;
                let is_mapped = self.home.mapped.has(stat.ino());
                let (bytes, length) = capture.take(file, &stat, is_mapped)?;
                let mut meta = metadata(&stat);
                if is_mapped {
                    always_differs(&mut meta);
                }
                Ok((meta, bytes, length))
            });
            let Ok((mut meta, bytes, length)) = taken else {
                continue;
            };
            meta.size = length;
            if since
                .record
                .get(*at)
                .is_some_and(|before| before.is_taken_for(&meta))
            {
                copy_differs(&mut meta);
            }
            let source = Source::new(bytes, path.clone(), &self.home.findings);
            self.instead
                .insert(*at, entry_of(&path, NodeType::File, meta, Some(source)));
        }
        true
    }

    /// What the first walk knows of the directory that is at this name, for the one who is about to go there.
    pub(super) fn known_below(&self, name: &OsStr, inode: u64, path: &Path) -> Known {
        let Some(since) = &self.since else {
            return Known::default();
        };
        let (at, is_same) = match self.levels.last() {
            None => (Some(0), true),
            Some(level) => (level.known.names.get(name).copied(), level.known.is_same),
        };
        let Some(at) = at else { return Known::default() };
        let Some(seen) = since.record.get(at).filter(|seen| seen.is_directory()) else {
            return Known::default();
        };
        let holder = path.parent().unwrap_or(Path::new(""));
        let is_replaced =
            !path.as_os_str().is_empty() && since.changed.how(holder, name) == Some(How::Replaced);
        let named = |at| Some((since.record.get(at)?.name()?.to_owned(), at));
        Known {
            names: since.record.children(at).filter_map(named).collect(),
            is_same: is_same && !is_replaced && (seen.inode() == inode || inode == 0),
        }
    }

    /// The place of something in the first walk.
    pub(super) fn before(&self, name: &OsStr) -> Option<usize> {
        self.levels.last()?.known.names.get(name).copied()
    }

    /// What is at a name, if it is as the first walk found it.
    pub(super) fn is_unchanged(&mut self, here: &OwnedFd, directory: &Path, name: &OsStr) -> Option<Step> {
        let since = self.since.as_ref()?;
        let level = self.levels.last().filter(|level| level.known.is_same)?;
        let at = *level.known.names.get(name)?;
        let seen = since.record.get(at)?;
        if since.changed.is_anything() {
            if seen.is_directory() || seen.is_copy {
                return None;
            }
            let stat = statat(here, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            if self.home.mapped.has(stat.st_ino) || !seen.is_still(&exact_metadata(&stat)) {
                return None;
            }
        } else {
            let is_changed = since.changed.how(directory, name).is_some();
            if is_changed || (seen.is_directory() && since.changed.is_within(&directory.join(name))) {
                return None;
            }
        }
        if seen.is_copy {
            self.passes_over_logs(name);
        }
        Some(Step::Unchanged(directory.to_owned(), at))
    }

    /// What has changed must not be taken for what was there, whatever its times say.
    pub(super) fn differs(&self, name: &OsStr, meta: &mut Metadata) {
        let before = self.before(name);
        let before = before.and_then(|at| self.since.as_ref()?.record.get(at));
        if before.is_some_and(|before| before.is_taken_for(meta)) {
            copy_differs(meta);
        }
    }

    /// The next of what the first walk has found.
    pub(super) fn unchanged(&mut self) -> Option<ReadSourceEntry<Source>> {
        let since = self.since.as_ref()?;
        let replay = self.replay.as_mut()?;
        let record = Arc::clone(&since.record);
        loop {
            let end = *replay.end.get_or_insert_with(|| record.end(replay.at));
            if replay.at >= end {
                self.replay = None;
                return None;
            }
            let at = replay.at;
            replay.at = at.saturating_add(1);
            while replay
                .way
                .last()
                .is_some_and(|(_, end)| end.is_some_and(|end| end <= at))
            {
                replay.way.pop();
            }
            let Some(seen) = record.get(at) else { continue };
            self.home.note(|findings| seen.note(findings));
            if let Some(instead) = self.instead.remove(&at) {
                return Some(instead);
            }
            let (Some(node), Some(name)) = (seen.node(), seen.name()) else {
                continue;
            };
            let path = replay
                .way
                .last()
                .map_or_else(PathBuf::new, |(path, _)| path.join(name));
            if seen.is_directory() {
                replay.way.push((path.clone(), Some(record.end(at))));
            }
            let is_file = node.node_type == NodeType::File;
            // The first walk has stored what is in it, unless it could not be read.
            let source =
                is_file.then(|| Source::new(ContentBytes::Unread, path.clone(), &self.home.findings));
            return Some(entry_of(&path, node.node_type, node.meta, source));
        }
    }

    /// Whether the bot stands still.
    pub(super) fn is_still(&self) -> bool {
        self.since.as_ref().is_some_and(|since| since.capture.is_some())
    }

    /// Whether the first walk stored a database as the files it is; what was said of that holds.
    pub(super) fn was_as_it_is(&mut self, name: &OsStr) -> bool {
        let before = self.before(name);
        let before = before.and_then(|at| self.since.as_ref()?.record.get(at));
        let Some(before) = before.filter(|before| !before.is_copy) else {
            return false;
        };
        before.note_more(&mut self.noted);
        true
    }

    /// Takes the files of a database while the bot stands still.
    pub(super) fn take_database(
        &mut self,
        located: &databases::Located<'_>,
        path: &Path,
        meta: Metadata,
    ) -> Option<Step> {
        let before = self.before(located.name);
        let since = self.since.as_mut()?;
        let capture = since.capture.as_mut()?;
        // To hold a small one would be in the way of its writers for longer than to copy it.
        let together = since.held_bytes.saturating_add(meta.size);
        let fits = since.held == 0 || (since.held < MAX_HELD && together <= MAX_HELD_BYTES);
        let may_hold = meta.size > MAX_COPIED && fits;
        let held = may_hold
            .then(|| self.home.databases.hold(located, capture.name()))
            .flatten();
        let files = match held {
            Some(held) => {
                since.held = since.held.saturating_add(1);
                since.held_bytes = together;
                Some(Files::Held(held))
            }
            None => capture.database(&self.home.databases, located).map(Files::Copied),
        };
        if let Some(files) = files {
            return Some(Step::Database(Taken {
                path: path.to_owned(),
                meta,
                files,
                before,
            }));
        }
        let at = before.filter(|at| since.record.get(*at).is_some_and(|seen| seen.is_copy))?;
        self.noted.of_another_moment(path, NOT_COPIED);
        self.not_seen();
        Some(Step::Unchanged(path.parent()?.to_owned(), at))
    }

    /// Makes one file of a database that was taken.
    pub(super) fn finish(&mut self, taken: Taken) -> Option<ReadSourceEntry<Source>> {
        let Taken {
            path,
            mut meta,
            files,
            before,
        } = taken;
        let said = path.to_string_lossy().into_owned();
        let copied = match files {
            Files::Copied(name) => self.home.databases.captured(&name),
            Files::Held(held) => self.home.databases.held(held),
        };
        let copy = match copied {
            Ok(copy) => copy,
            Err(reason) => {
                self.noted.of_another_moment(&path, &reason.to_string());
                if before.is_none() {
                    self.noted.lacks(&path, &reason.to_string());
                }
                self.not_seen();
                self.replay =
                    before.map(|at| Replay::new(path.parent().unwrap_or(Path::new("")).to_owned(), at));
                return None;
            }
        };
        meta.size = copy.bytes;
        let before = before.and_then(|at| self.since.as_ref()?.record.get(at));
        if before.is_some_and(|before| before.is_taken_for(&meta)) {
            copy_differs(&mut meta);
        }
        self.noted.copied(&said, &copy.found);
        Some(self.stored(&path, meta, ContentBytes::File(copy.file, copy.bytes), None, true))
    }
}
