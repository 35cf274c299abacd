//! Reads what is going to be read anyway, many at a time.
//!
//! rustic reads indexes and snapshots on as many threads as there are processors, which is one after the other where a bot has
//! half of one. Each is a request of some ten milliseconds, and there are as many as there were snapshots since maintenance.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustic_core::{FileType, Id};

use super::{Remote, path_of};

/// Requests under way at a time: small ones, so that hundreds take a second and not a minute.
pub(super) const SIDE_BY_SIDE: usize = 16;

impl Remote {
    /// Reads those of `objects`, with their sizes, that are not kept here yet. What cannot be read is left to whoever needs it.
    pub(in crate::backup::worker) fn read_ahead(&self, kind: FileType, objects: &[(Id, u32)]) {
        let Some(kept) = &self.kept else { return };
        let missing = kept.missing(objects);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE.min(missing.len()) {
                scope.spawn(|| {
                    while let Some(id) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if self.whole(&path_of(kind, id), id).is_err() {
                            // One attempt after the other for each of them would be as good as none.
                            next.store(missing.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
    }
}
