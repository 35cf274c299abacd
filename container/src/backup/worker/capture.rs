//! Takes what has changed of a home while nothing of its bot runs: small files into memory, larger ones into a spool on the
//! same disk. A file that nobody has written for a while is left where it is and read when the bot goes on again; whether
//! that was early enough is seen afterwards.

use std::ffi::OsString;
use std::fs::{File, Metadata as Stat};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::copy_file_range;

use super::content::{ContentBytes, State, state};
use super::databases::{Databases, Located};
use super::now_ms;

/// The bot stands still for no longer than this. What is not taken by then is read while it runs.
pub(crate) const MAX_PAUSE: Duration = Duration::from_millis(250);
/// What is no longer than this goes into memory, as long as that is little as a whole.
const MAX_IN_MEMORY: u64 = 256 * 1024;
/// See [`MAX_IN_MEMORY`].
const MAX_MEMORY: u64 = 32 * 1024 * 1024;
/// A longer file that nobody has written for this long is hardly written in the next moment.
const AT_REST_MS: i64 = 1_000;
/// So many files are held open to be read later. A process may have 1,024 where nobody said more.
const MAX_OPEN: usize = 256;
/// What no file is: whatever is read of it later is of another moment.
const NEVER: State = (u64::MAX, 0, 0, 0, 0);
/// So much is copied between two looks at the clock.
const PIECE: usize = 4 * 1024 * 1024;

/// See the top of this file.
pub(crate) struct Capture {
    until: Instant,
    scratch: PathBuf,
    memory: u64,
    spool: Option<Arc<File>>,
    end: u64,
    open: usize,
    databases: usize,
}

impl Capture {
    /// Begins now; what is copied goes to `scratch`.
    pub(crate) fn begin(scratch: &Path) -> Self {
        let now = Instant::now();
        Self {
            until: now.checked_add(MAX_PAUSE).unwrap_or(now),
            scratch: scratch.to_owned(),
            memory: 0,
            spool: None,
            end: 0,
            open: 0,
            databases: 0,
        }
    }

    /// Until when the bot stands still.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Whether the bot has stood still for long enough.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// What is in a file, and how long that is. One that `is_mapped` by somebody may be written without a trace as soon as the
    /// bot goes on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn take(
        &mut self,
        file: File,
        stat: &Stat,
        is_mapped: bool,
    ) -> io::Result<(ContentBytes, u64)> {
        let length = stat.len();
        if length <= MAX_IN_MEMORY && self.memory.saturating_add(length) <= MAX_MEMORY {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            (&file).take(length).read_to_end(&mut bytes)?;
            let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.memory = self.memory.saturating_add(read);
            return Ok((ContentBytes::Memory(Cursor::new(bytes)), read));
        }
        let age = now_ms().saturating_sub(stat.mtime().saturating_mul(1_000));
        let is_at_rest = !is_mapped && age > AT_REST_MS && length > MAX_IN_MEMORY && self.open < MAX_OPEN;
        if !is_at_rest && let Some(copied) = self.copy(&file, length) {
            return Ok((copied, length));
        }
        self.open = self.open.saturating_add(1);
        if self.open > MAX_OPEN {
            // Nothing can be copied any more: the rest is looked at while the bot runs.
            self.until = Instant::now();
        }
        let as_it_was = if is_mapped { NEVER } else { state(stat) };
        Ok((ContentBytes::Later(file, length, as_it_was), length))
    }

    /// A name for the copy of one more database.
    pub(super) fn name(&mut self) -> OsString {
        self.databases = self.databases.saturating_add(1);
        format!("moment-{}", self.databases).into()
    }

    /// Copies the files of a database to where [`Databases::captured`] makes one of them; nothing where that takes too long.
    pub(super) fn database(&mut self, databases: &Databases, database: &Located<'_>) -> Option<OsString> {
        let name = self.name();
        let copied = databases.capture(database, &name, &|from, to| {
            let length = from.metadata()?.len();
            if copy(from, to, 0, length, self.until)? {
                Ok(())
            } else {
                Err(io::ErrorKind::TimedOut.into())
            }
        });
        match copied {
            Ok(()) => Some(name),
            Err(_) => {
                databases.discard(&name);
                None
            }
        }
    }

    fn copy(&mut self, file: &File, length: u64) -> Option<ContentBytes> {
        let spool = match &self.spool {
            Some(spool) => Arc::clone(spool),
            None => {
                let path = self.scratch.join("moment");
                let made = File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .ok()?;
                // It goes with this process.
                std::fs::remove_file(&path).ok()?;
                Arc::clone(self.spool.insert(Arc::new(made)))
            }
        };
        let at = self.end;
        // A full disk, or time that is over: it is read later.
        if !copy(file, &spool, at, length, self.until).unwrap_or(false) {
            return None;
        }
        self.end = at.saturating_add(length);
        Some(ContentBytes::Spooled(spool, at, length))
    }
}

/// Copies the first bytes of a file to a place in another; whether that was done in time.
fn copy(from: &File, to: &File, at: u64, length: u64, until: Instant) -> io::Result<bool> {
    let (mut read, mut written) = (0, at);
    while read < length {
        if Instant::now() >= until {
            return Ok(false);
        }
        let left = usize::try_from(length.saturating_sub(read)).unwrap_or(usize::MAX);
        match copy_file_range(from, Some(&mut read), to, Some(&mut written), left.min(PIECE)) {
            // It is shorter than it was; what is missing are zeros.
            Ok(0) => {
                to.set_len(at.saturating_add(length))?;
                return Ok(true);
            }
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::worker::findings::Findings;
    use crate::backup::worker::sources::Source;
    use rustic_core::ReadSourceOpen;
    use rustix::fs::{Timespec, Timestamps, futimens};
    use std::os::unix::fs::FileExt;
    use std::sync::Mutex;

    const LENGTH: usize = 300 * 1024;

    /// What is read of a file that is written again after it was taken, and what may be of another moment.
    fn taken(seconds_at_rest: i64, capture: &mut Capture, length: usize) -> (Vec<u8>, Findings) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![1; length], 0).unwrap();
        let time = Timespec {
            tv_sec: now_ms() / 1_000 - seconds_at_rest,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        futimens(&file, &times).unwrap();
        let stat = file.metadata().unwrap();
        let (bytes, taken) = capture.take(file.try_clone().unwrap(), &stat, false).unwrap();
        assert_eq!(taken, stat.len());
        file.write_all_at(b"later", 0).unwrap();
        let findings = Arc::new(Mutex::new(Findings::default()));
        let source = Source::new(bytes, PathBuf::from("file"), &findings);
        let mut read = Vec::new();
        source.open().unwrap().read_to_end(&mut read).unwrap();
        (read, std::mem::take(&mut *findings.lock().unwrap()))
    }

    #[test]
    fn what_is_being_written_is_taken_as_it_is() {
        let scratch = tempfile::tempdir().unwrap();
        let mut capture = Capture::begin(scratch.path());
        for length in [10, LENGTH, 0, 10 * LENGTH] {
            let (read, findings) = taken(0, &mut capture, length);
            assert_eq!(read, vec![1; length]);
            assert!(findings.moments.is_empty());
        }
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_at_rest_that_is_written_before_it_is_read_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let mut capture = Capture::begin(scratch.path());
        let (read, findings) = taken(60, &mut capture, LENGTH);
        assert_eq!(read.len(), LENGTH);
        assert_eq!(findings.moments.first, ["file: it was written while it was read"]);
    }

    #[test]
    fn a_mapped_file_is_copied_at_once_or_named() {
        let scratch = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(LENGTH as u64).unwrap();
        let long_ago = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: long_ago,
            last_modification: long_ago,
        };
        futimens(&file, &times).unwrap();
        let stat = file.metadata().unwrap();
        let mut capture = Capture::begin(scratch.path());
        let (bytes, _) = capture.take(file.try_clone().unwrap(), &stat, true).unwrap();
        assert!(matches!(bytes, ContentBytes::Spooled(..)));
        capture.until = Instant::now();
        let (bytes, _) = capture.take(file, &stat, true).unwrap();
        let findings = Arc::new(Mutex::new(Findings::default()));
        let source = Source::new(bytes, PathBuf::from("file"), &findings);
        source.open().unwrap().read_to_end(&mut Vec::new()).unwrap();
        let named = std::mem::take(&mut *findings.lock().unwrap()).moments.first;
        assert_eq!(named, ["file: it was written while it was read"]);
    }
}
