//! Where the bytes of a file are.

use std::fs::{File, Metadata as Stat};
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// When a file was changed last, and how long it was then.
pub(super) type State = (u64, i64, i64, i64, i64);

pub(super) fn state(stat: &Stat) -> State {
    (
        stat.len(),
        stat.mtime(),
        stat.mtime_nsec(),
        stat.ctime(),
        stat.ctime_nsec(),
    )
}

/// Where they are.
pub(super) enum ContentBytes {
    /// Read already.
    Memory(Cursor<Vec<u8>>),
    /// In an open file, and so many of them.
    File(File, u64),
    /// In an open file that was left where it is; it must not have changed by the end.
    Later(File, u64, State),
    /// Nowhere: what an earlier walk could not read either.
    Unread,
    /// In the snapshot before, which has this unchanged; it took so many blocks.
    Before(u64),
    /// From a place in a file of ours.
    Spooled(Arc<File>, u64, u64),
}
