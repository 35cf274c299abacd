//! The walk through a home: each directory, then what is in it, by name, in the order rustic wants it.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata as Stat};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ReadSource, ReadSourceEntry, RusticResult};
use rustix::fs::readlinkat;
use rustix::io::Errno;

use super::attributes::{copy_differs, metadata, store_attributes, stored_attributes};
use super::confined::NotCopied;
use super::databases::{self, HEADER, Located};
use super::descent::Descent;
use super::exclusions::{LOGS, SIDECARS, is_excluded};
use super::left_out::count;
use super::place::{is_gone, look, names, open};
use super::repository::HOME_IN_SNAPSHOT;
use super::sources::{Bytes, Home, Source};

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
}

/// A directory on the way.
struct Level {
    names: std::vec::IntoIter<OsString>,
    /// What is passed over, because it belongs to a database.
    sidecars: BTreeSet<OsString>,
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
        if !self.begun {
            self.begun = true;
            let home = self.begin();
            return match home {
                Ok(home) => Some(Ok(home)),
                Err(error) => {
                    // Whatever the reason: without it there is nothing, and nothing is no snapshot.
                    let said = format!("the home {} cannot be read: {error}", self.home.path.display());
                    self.home.note(|findings| findings.failures.push(said));
                    None
                }
            };
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.next() else {
                self.levels.pop();
                self.leave();
                continue;
            };
            if level.sidecars.contains(&name) {
                continue;
            }
            if let Some(entry) = self.entry(&name) {
                return Some(Ok(entry));
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
        }
    }

    fn begin(&mut self) -> io::Result<ReadSourceEntry<Source>> {
        let descent = Descent::begin(&self.home.path)?;
        let here = descent.here();
        let directory = open(&here, OsStr::new("."))?;
        let mut meta = metadata(&directory.metadata()?);
        if let Ok(attributes) = stored_attributes(&here, OsStr::new(".")) {
            store_attributes(&mut meta, &attributes);
        }
        self.descent = Some(descent);
        self.list()?;
        Ok(entry_of(Path::new(""), NodeType::Dir, meta, None))
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

    /// Begins with what is in the directory one is in now.
    fn list(&mut self) -> io::Result<()> {
        let Some(descent) = &self.descent else {
            return Ok(());
        };
        let mut names = names(&descent.here())?;
        names.sort_unstable();
        self.levels.push(Level {
            names: names.into_iter(),
            sidecars: BTreeSet::new(),
        });
        Ok(())
    }

    fn missed(&self, path: &Path, error: &io::Error) {
        if !is_gone(error) {
            self.home.note(|findings| findings.unreadable(path, error));
        }
    }

    /// What is at a name; nothing where it is in no snapshot. A directory's content comes next.
    fn entry(&mut self, name: &OsStr) -> Option<ReadSourceEntry<Source>> {
        let descent = self.descent.as_ref()?;
        let (here, depth) = (descent.here(), descent.depth());
        let path = descent.path().join(name);
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
            let (files, bytes, is_more) = count(&here, name, &mut self.countable);
            self.home.note(|findings| {
                findings.left_out.push(&path.to_string_lossy(), files, bytes);
                findings.left_out.is_more |= is_more;
            });
            return None;
        }
        if path.as_os_str().len() > MAX_PATH || depth >= MAX_DEPTH {
            self.home
                .note(|findings| findings.lacks(&path, "it lies too deep in other directories"));
            return None;
        }
        let found = if stat.is_dir() {
            self.directory(name).map(Some)
        } else if stat.is_symlink() {
            readlinkat(&seen, "", Vec::new())
                .map(|target| {
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    Some((NodeType::from_link(&target), metadata(&stat), None))
                })
                .map_err(io::Error::from)
        } else if stat.is_file() {
            self.file(&here, name, &path)
        } else {
            return None;
        };
        match found {
            Ok(found) => found.map(|(node, meta, source)| entry_of(&path, node, meta, source)),
            Err(error) => {
                self.missed(&path, &error);
                None
            }
        }
    }

    fn directory(&mut self, name: &OsStr) -> io::Result<Found> {
        let Some(descent) = &mut self.descent else {
            return Err(Errno::NOENT.into());
        };
        let holder = descent.here();
        descent.enter(name)?;
        let listed = File::from(rustix::io::dup(&*descent.here())?).metadata();
        let listed = listed.and_then(|stat| self.list().map(|()| stat));
        let stat = match listed {
            Ok(stat) => stat,
            Err(error) => {
                self.leave();
                return Err(error);
            }
        };
        let mut meta = metadata(&stat);
        self.attributes(&holder, name, &mut meta);
        Ok((NodeType::Dir, meta, None))
    }

    fn file(
        &mut self,
        here: &Arc<std::os::fd::OwnedFd>,
        name: &OsStr,
        path: &Path,
    ) -> io::Result<Option<Found>> {
        let file = open(here, name)?;
        let stat = file.metadata()?;
        if !stat.is_file() {
            // Something else has taken its place meanwhile; the next snapshot sees it.
            return Ok(None);
        }
        let mut meta = metadata(&stat);
        self.attributes(here, name, &mut meta);
        let is_database = is_database(&file, &stat);
        if is_database && let Some(level) = self.levels.last_mut() {
            let belongs = SIDECARS.map(|suffix| with_suffix(name.to_owned(), suffix));
            level.sidecars.extend(belongs);
        }
        let copied = if is_database {
            match self.database(here, name, path, &mut meta) {
                Stored::Copied(copy) => Some(copy),
                Stored::AsItIs => None,
                Stored::Not => return Ok(None),
            }
        } else {
            None
        };
        let bytes = match copied {
            Some(copy) => Bytes::File(copy.file, copy.bytes),
            None if self.is_changed(&stat) && stat.len() <= MAX_READ_AT_ONCE => {
                let mut bytes = Vec::new();
                (&file)
                    .take(MAX_READ_AT_ONCE.saturating_add(1))
                    .read_to_end(&mut bytes)?;
                match u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
                    length if length <= MAX_READ_AT_ONCE => {
                        meta.size = length;
                        Bytes::Memory(io::Cursor::new(bytes))
                    }
                    _ => Bytes::File(open(here, name)?, meta.size),
                }
            }
            None => Bytes::File(file, meta.size),
        };
        let is_counted = stat.nlink() > 1 && !self.linked.insert((stat.dev(), stat.ino()));
        let disk_bytes = match &bytes {
            _ if is_counted => 0,
            Bytes::File(file, _) => file
                .metadata()
                .map_or(0, |stat| stat.blocks())
                .saturating_mul(DISK_BLOCK),
            Bytes::Memory(_) => stat.blocks().saturating_mul(DISK_BLOCK),
        };
        self.home.note(|findings| {
            findings.amount.files = findings.amount.files.saturating_add(1);
            findings.amount.bytes = findings.amount.bytes.saturating_add(meta.size);
            findings.disk_bytes = findings.disk_bytes.saturating_add(disk_bytes);
        });
        let source = Source::new(bytes, path.to_owned(), &self.home.findings);
        Ok(Some((NodeType::File, meta, Some(source))))
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

    /// Copies a database. Its time is that of whatever of it was written last: while it is in use that is its
    /// write-ahead log, and by the time rustic sees what has changed.
    fn database(
        &mut self,
        here: &std::os::fd::OwnedFd,
        name: &OsStr,
        path: &Path,
        meta: &mut Metadata,
    ) -> Stored {
        let mut of_copy = meta.clone();
        for suffix in LOGS {
            let log = with_suffix(name.to_owned(), suffix);
            if let Ok(stat) = look(here, &log).and_then(|log| log.metadata())
                && stat.len() > 0
            {
                let log = metadata(&stat);
                of_copy.mtime = of_copy.mtime.max(log.mtime);
                of_copy.ctime = of_copy.ctime.max(log.ctime);
            }
        }
        let whole = self.home.path.join(path);
        let located = Located {
            directory: here,
            name,
            path: &whole,
        };
        let said = path.to_string_lossy().into_owned();
        match self.home.databases.copy(&located) {
            Ok(copy) => {
                of_copy.size = copy.bytes;
                *meta = of_copy;
                self.home.note(|findings| findings.copied(&said, &copy.found));
                return Stored::Copied(copy);
            }
            Err(_) if look(here, name).is_err() => return Stored::Not,
            Err(NotCopied::Damaged(reason)) => self.home.note(|findings| {
                findings.say(format!("{said} is a damaged database, stored as it is: {reason}"));
            }),
            Err(NotCopied::Exceeded(reason)) => {
                self.home.note(|findings| findings.exceeded(&said, &reason));
            }
            Err(NotCopied::Refused(reason)) => {
                let is_known = self.home.raw.contains(&said);
                let mut stored = false;
                self.home
                    .note(|findings| stored = findings.refused(&said, &reason, is_known));
                if !stored {
                    return Stored::Not;
                }
            }
            Err(NotCopied::Failed(reason)) => {
                self.home
                    .note(|findings| findings.failures.push(format!("{said}: {reason}")));
                return Stored::Not;
            }
        }
        // As the file it is, and then with its logs, which come later by their names.
        copy_differs(meta);
        if let Some(level) = self.levels.last_mut() {
            for suffix in LOGS {
                level.sidecars.remove(&with_suffix(name.to_owned(), suffix));
            }
        }
        Stored::AsItIs
    }
}

type Found = (NodeType, Metadata, Option<Source>);

/// What becomes of a database.
enum Stored {
    Copied(databases::Copy),
    AsItIs,
    /// It is gone, or the snapshot fails for it.
    Not,
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

/// By its header. An empty file is a database only to SQLite.
fn is_database(file: &File, stat: &Stat) -> bool {
    let mut header = [0; HEADER.len()];
    stat.len() >= HEADER.len() as u64 && file.read_exact_at(&mut header, 0).is_ok() && header == *HEADER
}

fn with_suffix(mut name: OsString, suffix: &str) -> OsString {
    name.push(suffix);
    name
}
