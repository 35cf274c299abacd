//! The walk through a home: each directory, then what is in it, by name, in the order rustic wants it.

mod again;
mod database;
mod noting;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata as Stat};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ReadSource, ReadSourceEntry, RusticResult};
use rustix::fs::{AtFlags, FileType, readlinkat, statat};
use rustix::io::Errno;

use super::attributes::{always_differs, has_attributes, metadata, store_attributes, stored_attributes};
use super::content::ContentBytes;
use super::descent::Descent;
use super::exclusions::is_excluded;
use super::findings::Findings;
use super::place::{is_gone, look, names, open};
use super::repository::HOME_IN_SNAPSHOT;
use super::sources::{Home, Source};
use again::{Known, Replay, Step};
use database::{StoredDatabase, is_database};

pub(crate) use again::Since;

/// A path is at most so long, and an entry so deep: what leads to everything in a snapshot is held in memory, in this process
/// and in whoever restores it. The kernel itself takes 4,096 bytes at a time.
const MAX_PATH: usize = 16 * 1024;
/// See [`MAX_PATH`].
const MAX_DEPTH: usize = 2_048;
/// What has changed and is no longer than this is read where it is found: a moment later it may have another length. Some of
/// them are in memory at a time.
const MAX_READ_AT_ONCE: u64 = 256 * 1024;
/// Bytes in a block as the kernel counts them.
const DISK_BLOCK: u64 = 512;

/// See the top of this file.
pub(crate) struct Walk {
    home: Home,
    descent: Option<Descent>,
    levels: Vec<Level>,
    /// Files of several names whose blocks are counted.
    linked: HashSet<(u64, u64)>,
    /// Entries of what is left out that may still be counted.
    countable: u64,
    begun: bool,
    /// What is to be said of the place one is at.
    noted: Findings,
    /// What an earlier walk found, for one that looks at what has changed.
    since: Option<Since>,
    /// What was taken while the bot stood still.
    taken: VecDeque<Step>,
    /// What is as an earlier walk found it.
    replay: Option<Replay>,
    /// What is there instead of what it found at a place.
    instead: HashMap<usize, ReadSourceEntry<Source>>,
}

/// A directory on the way.
struct Level {
    names: std::vec::IntoIter<OsString>,
    /// What is passed over, because it belongs to a database.
    sidecars: BTreeSet<OsString>,
    /// What an earlier walk found here.
    known: Known,
}

impl ReadSource for Home {
    type Open = Source;
    type Iter = Walk;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Walk {
        Walk::new(self.clone())
    }
}

impl Iterator for Walk {
    type Item = RusticResult<ReadSourceEntry<Source>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.unchanged() {
                return Some(Ok(entry));
            }
            match self.taken.pop_front().or_else(|| self.step())? {
                Step::Entry(entry) => return Some(Ok(entry)),
                Step::Unchanged(path, at) => self.replay = Some(Replay::new(path, at)),
                Step::Database(database) => {
                    if let Some(entry) = self.finish(database) {
                        return Some(Ok(entry));
                    }
                }
            }
        }
    }
}

impl Walk {
    /// Through this home.
    pub(crate) fn new(home: Home) -> Self {
        Self {
            home,
            descent: None,
            levels: Vec::new(),
            linked: HashSet::new(),
            countable: super::left_out::MAX_COUNTED,
            begun: false,
            noted: Findings::default(),
            since: None,
            taken: VecDeque::new(),
            replay: None,
            instead: HashMap::new(),
        }
    }

    /// Through what has changed of it.
    pub(crate) fn again(home: Home, since: Since) -> Self {
        Self {
            since: Some(since),
            ..Self::new(home)
        }
    }

    /// The next thing there is; what was looked at and is in no snapshot is noted on the way.
    fn step(&mut self) -> Option<Step> {
        if !self.begun {
            self.begun = true;
            return match self.begin() {
                Ok((node, meta)) => Some(Step::Entry(self.seen(Path::new(""), node, meta, None, false))),
                Err(error) => {
                    // Whatever the reason: without it there is nothing, and nothing is no snapshot.
                    let said = format!("the home {} cannot be read: {error}", self.home.path.display());
                    self.noted.failures.push(said);
                    self.not_seen();
                    None
                }
            };
        }
        loop {
            let Some(level) = self.levels.last_mut() else {
                self.home.record().finish();
                return None;
            };
            let Some(name) = level.names.next() else {
                self.levels.pop();
                self.leave();
                self.not_seen();
                continue;
            };
            if level.sidecars.contains(&name) {
                continue;
            }
            if let Some(step) = self.entry(&name) {
                return Some(step);
            }
            self.not_seen();
        }
    }

    fn begin(&mut self) -> io::Result<(NodeType, Metadata)> {
        let descent = Descent::begin(&self.home.path)?;
        let here = descent.here();
        let directory = open(&here, OsStr::new("."))?;
        let stat = directory.metadata()?;
        self.descent = Some(descent);
        self.list(self.known_below(OsStr::new(""), stat.ino(), Path::new("")))?;
        // After it is watched.
        let mut meta = metadata(&directory.metadata()?);
        self.attributes(&here, OsStr::new("."), &mut meta);
        Ok((NodeType::Dir, meta))
    }

    /// Goes up; what was on the way there and is elsewhere by now is left as it is.
    fn leave(&mut self) {
        let Some(descent) = &mut self.descent else { return };
        if let Err(error) = descent.leave() {
            let path = descent.path();
            if let Some(level) = self.levels.last_mut() {
                level.names = Vec::new().into_iter();
            }
            self.missed(&path, &error);
        }
    }

    /// Begins with what is in the directory one is in now. It is watched first: what changes afterwards is noticed.
    fn list(&mut self, known: Known) -> io::Result<()> {
        let Some(descent) = &self.descent else {
            return Ok(());
        };
        let here = descent.here();
        if self.since.is_none() {
            self.home.changes.watch(&here, &descent.path());
        }
        let mut names = names(&here)?;
        names.sort_unstable();
        self.levels.push(Level {
            names: names.into_iter(),
            sidecars: BTreeSet::new(),
            known,
        });
        Ok(())
    }

    fn missed(&mut self, path: &Path, error: &io::Error) {
        if !is_gone(error) {
            self.noted.unreadable(path, error);
        }
    }

    /// What is at a name; nothing where it is in no snapshot. A directory's content comes next.
    fn entry(&mut self, name: &OsStr) -> Option<Step> {
        let descent = self.descent.as_ref()?;
        let (here, depth, directory) = (descent.here(), descent.depth(), descent.path());
        if let Some(unchanged) = self.is_unchanged(&here, &directory, name) {
            return Some(unchanged);
        }
        let path = directory.join(name);
        // A file is opened in a moment anyway, and looked at then.
        let is_file = self.is_still()
            && statat(&*here, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if is_file && !is_excluded(&path) && !self.home.patterns.exclude(&path, false) && depth < MAX_DEPTH {
            return self.file(&here, name, &path).unwrap_or_else(|error| {
                self.missed(&path, &error);
                None
            });
        }
        let looked = look(&here, name).and_then(|seen| Ok((seen.metadata()?, seen)));
        let (stat, seen) = match looked {
            Ok(looked) => looked,
            Err(_) if is_excluded(&path) => return None,
            Err(error) => {
                self.missed(&path, &error);
                return None;
            }
        };
        if is_excluded(&path) || self.home.patterns.exclude(&path, stat.is_dir()) {
            self.leave_out(&here, name, &path);
            return None;
        }
        if path.as_os_str().len() > MAX_PATH || depth >= MAX_DEPTH {
            self.noted.lacks(&path, "it lies too deep in other directories");
            return None;
        }
        let found = if stat.is_dir() {
            let known = self.known_below(name, stat.ino(), &path);
            self.directory(name, known).map(|meta| {
                let entry = self.seen(&path, NodeType::Dir, meta, None, false);
                Some(Step::Entry(entry))
            })
        } else if stat.is_symlink() {
            self.link(&seen, &stat, name, &path).map(Some)
        } else if stat.is_file() {
            self.file(&here, name, &path)
        } else {
            return None;
        };
        found.unwrap_or_else(|error| {
            self.missed(&path, &error);
            None
        })
    }

    fn link(&mut self, link: &File, stat: &Stat, name: &OsStr, path: &Path) -> io::Result<Step> {
        let target = readlinkat(link, "", Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        let mut meta = metadata(stat);
        self.differs(name, &mut meta);
        let entry = self.seen(path, NodeType::from_link(&target), meta, None, false);
        Ok(Step::Entry(entry))
    }

    fn directory(&mut self, name: &OsStr, known: Known) -> io::Result<Metadata> {
        let Some(descent) = &mut self.descent else {
            return Err(Errno::NOENT.into());
        };
        let holder = descent.here();
        descent.enter(name)?;
        let here = descent.here();
        let listed = self.list(known);
        let stat = listed.and_then(|()| File::from(rustix::io::dup(&*here)?).metadata());
        let stat = match stat {
            Ok(stat) => stat,
            Err(error) => {
                self.leave();
                return Err(error);
            }
        };
        let mut meta = metadata(&stat);
        self.attributes(&holder, name, &mut meta);
        Ok(meta)
    }

    fn file(
        &mut self,
        here: &Arc<std::os::fd::OwnedFd>,
        name: &OsStr,
        path: &Path,
    ) -> io::Result<Option<Step>> {
        let file = open(here, name)?;
        let stat = file.metadata()?;
        if !stat.is_file() {
            // Something else has taken its place meanwhile; the next snapshot sees it.
            return Ok(None);
        }
        let mut meta = metadata(&stat);
        if has_attributes(&file) {
            self.attributes(here, name, &mut meta);
        }
        let is_database = is_database(&file, &stat);
        if is_database {
            self.passes_over_logs(name);
            match self.database(here, name, path, &mut meta) {
                StoredDatabase::Copied(copy) => {
                    self.differs(name, &mut meta);
                    let bytes = ContentBytes::File(copy.file, copy.bytes);
                    return Ok(Some(Step::Entry(self.stored(path, meta, bytes, None, true))));
                }
                StoredDatabase::AsBefore(blocks) => {
                    let bytes = ContentBytes::Before(blocks);
                    return Ok(Some(Step::Entry(self.stored(path, meta, bytes, None, true))));
                }
                StoredDatabase::Taken(step) => return Ok(Some(*step)),
                StoredDatabase::AsItIs => {}
                StoredDatabase::Not => return Ok(None),
            }
        }
        let is_mapped = self.home.mapped.has(stat.ino());
        let is_changed = is_mapped || self.is_changed(&stat);
        let capture = self.since.as_mut().and_then(|since| since.capture.as_mut());
        let bytes = match capture {
            Some(capture) => {
                let (bytes, length) = capture.take(file, &stat, is_mapped)?;
                meta.size = length;
                bytes
            }
            None if is_changed && stat.len() <= MAX_READ_AT_ONCE => {
                let mut bytes = Vec::new();
                (&file)
                    .take(MAX_READ_AT_ONCE.saturating_add(1))
                    .read_to_end(&mut bytes)?;
                match u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
                    length if length <= MAX_READ_AT_ONCE => {
                        meta.size = length;
                        ContentBytes::Memory(io::Cursor::new(bytes))
                    }
                    _ => ContentBytes::File(open(here, name)?, meta.size),
                }
            }
            None => ContentBytes::File(file, meta.size),
        };
        self.differs(name, &mut meta);
        if is_mapped {
            always_differs(&mut meta);
        }
        Ok(Some(Step::Entry(self.stored(
            path,
            meta,
            bytes,
            Some(&stat),
            false,
        ))))
    }

    /// A file is in the snapshot; `stat` is its own, where it is not a copy.
    fn stored(
        &mut self,
        path: &Path,
        meta: Metadata,
        bytes: ContentBytes,
        stat: Option<&Stat>,
        is_copy: bool,
    ) -> ReadSourceEntry<Source> {
        let blocks = match (stat, &bytes) {
            (Some(stat), _) if stat.nlink() > 1 && !self.linked.insert((stat.dev(), stat.ino())) => 0,
            (Some(stat), _) => stat.blocks(),
            (None, ContentBytes::Before(blocks)) => *blocks,
            (None, ContentBytes::File(file, _)) => file.metadata().map_or(0, |stat| stat.blocks()),
            (None, _) => 0,
        };
        self.noted.disk_bytes = blocks.saturating_mul(DISK_BLOCK);
        let source = Source::new(bytes, path.to_owned(), &self.home.findings);
        self.seen(path, NodeType::File, meta, Some(source), is_copy)
    }

    fn attributes(&self, holder: &std::os::fd::OwnedFd, name: &OsStr, meta: &mut Metadata) {
        // Without them it is still all its owner wrote.
        if let Ok(attributes) = stored_attributes(holder, name) {
            store_attributes(meta, &attributes);
        }
    }

    /// Whether it may have changed since the snapshot before; if in doubt, it has.
    fn is_changed(&self, stat: &Stat) -> bool {
        self.home.since.is_none_or(|since| stat.ctime() >= since)
    }
}

fn entry_of(path: &Path, node: NodeType, meta: Metadata, open: Option<Source>) -> ReadSourceEntry<Source> {
    // `join` with an empty path adds a slash.
    let path: PathBuf = Path::new(HOME_IN_SNAPSHOT).join(path).components().collect();
    let name = path.file_name().unwrap_or_default();
    ReadSourceEntry {
        node: Node::new_node(name, node, meta),
        path: path.clone(),
        open,
    }
}

#[cfg(test)]
mod tests;
