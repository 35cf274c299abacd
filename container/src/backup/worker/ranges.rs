//! Which parts of which packs the files of a snapshot are made of, and where each piece in them goes: so each part is read once,
//! in whatever order the files lie in it, and nothing beside it that would take longer than another request.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustic_core::{DataId, Id};

/// So many bytes nobody needs are read along where they lie between two pieces: they take about as long as a request.
const GAP: u32 = 512 * 1024;
/// A longer part is read in several. Packs of ours are shorter; those of other programs need not be.
const MAX_PART: u32 = 12 * 1024 * 1024;
/// Parts that are worked on at the same time at most: small ones, of which each waits for the network.
const SIDE_BY_SIDE: usize = 12;
/// Together they take this much memory at most, or one of them does by itself.
const MEMORY: u64 = 48 * 1024 * 1024;

/// Where a piece of a file lies, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocatedPiece {
    pub(super) pack: Id,
    /// Where in the pack.
    pub(super) at: Range<u32>,
    pub(super) piece: DataId,
    /// How long it is when it is unpacked.
    pub(super) length: u32,
    /// Which entry it is a part of, and from where in the file on.
    pub(super) goes_to: (usize, u64),
}

/// A part of a pack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) pack: Id,
    pub(super) at: Range<u32>,
    /// What of it is needed, in its order. One that goes to several places is there as often.
    pub(super) pieces: Vec<LocatedPiece>,
}

impl Part {
    /// Bytes of memory it takes to work on it: itself, and a piece before and after it is unpacked.
    fn memory(&self) -> u64 {
        let longest = self.pieces.iter().map(|piece| piece.length).max().unwrap_or(0);
        let read = u64::from(self.at.end.saturating_sub(self.at.start));
        read.saturating_add(u64::from(longest).saturating_mul(2))
            .min(MEMORY)
    }
}

/// The parts that hold these pieces.
pub(super) fn parts(mut pieces: Vec<LocatedPiece>) -> Vec<Part> {
    pieces.sort_unstable_by_key(|piece| (piece.pack, piece.at.start, piece.goes_to));
    let mut parts: Vec<Part> = Vec::new();
    for piece in pieces {
        let joins = parts.last_mut().filter(|part| {
            part.pack == piece.pack
                && piece.at.start <= part.at.end.saturating_add(GAP)
                && piece.at.end.saturating_sub(part.at.start) <= MAX_PART
        });
        if let Some(part) = joins {
            part.at.end = part.at.end.max(piece.at.end);
            part.pieces.push(piece);
        } else {
            parts.push(Part {
                pack: piece.pack,
                at: piece.at.clone(),
                pieces: vec![piece],
            });
        }
    }
    parts
}

/// What of [`MEMORY`] is free.
struct Memory {
    free: Mutex<u64>,
    freed: Condvar,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            free: Mutex::new(MEMORY),
            freed: Condvar::new(),
        }
    }
}

/// Some of it, given back also by work that panics: the others would wait for it for ever.
struct Room<'a>(&'a Memory, u64);

impl Memory {
    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is as much.
    fn take(&self, bytes: u64) -> Room<'_> {
        let free = self.freed.wait_while(self.free(), |free| *free < bytes);
        let mut free = free.unwrap_or_else(PoisonError::into_inner);
        *free = free.saturating_sub(bytes);
        Room(self, bytes)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut free = self.0.free();
        *free = free.saturating_add(self.1);
        drop(free);
        self.0.freed.notify_all();
    }
}

/// Works on parts, as many at a time as there is memory for, until one fails.
///
/// # Errors
/// The first failure.
pub(super) fn for_each_part<E: Send>(
    parts: &[Part],
    work: impl Fn(&Part) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let memory = Memory::default();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE.min(parts.len()) {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let room = memory.take(part.memory());
                    let done = work(part);
                    drop(room);
                    if let Err(failed) = done {
                        next.store(parts.len(), Ordering::Relaxed);
                        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        failure.get_or_insert(failed);
                    }
                }
            });
        }
    });
    let failed = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn located(pack: u8, at: Range<u32>) -> LocatedPiece {
        LocatedPiece {
            pack: Id::new([pack; 32]),
            length: at.end - at.start,
            at,
            piece: DataId::default(),
            goes_to: (1, 0),
        }
    }

    #[test]
    fn pieces_are_read_together_unless_much_lies_between_them() {
        let far = 200 + GAP + 1;
        let pieces = vec![
            located(2, 0..100),
            located(1, far..far + 1),
            located(1, 100..200),
            located(1, 0..50),
            located(1, 0..50),
        ];
        let parts: Vec<_> = parts(pieces)
            .into_iter()
            .map(|part| (part.pack, part.at, part.pieces.len()))
            .collect();
        let [one, two] = [1, 2].map(|pack| Id::new([pack; 32]));
        assert_eq!(
            parts,
            [(one, 0..200, 3), (one, far..far + 1, 1), (two, 0..100, 1)]
        );
    }

    #[test]
    fn a_part_is_no_longer_than_memory_allows() {
        let pieces = (0..30)
            .map(|piece| located(1, piece << 20..(piece + 1) << 20))
            .collect();
        let parts = parts(pieces);
        assert_eq!(
            parts.iter().map(|part| part.pieces.len()).collect::<Vec<_>>(),
            [12, 12, 6]
        );
        let (taken, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let all = for_each_part(&parts, |part| {
            let now = taken.fetch_add(part.memory(), Ordering::Relaxed) + part.memory();
            most.fetch_max(now, Ordering::Relaxed);
            std::thread::yield_now();
            taken.fetch_sub(part.memory(), Ordering::Relaxed);
            Ok::<_, ()>(())
        });
        assert_eq!(all, Ok(()));
        assert!(most.into_inner() <= MEMORY);
    }

    #[test]
    fn the_first_failure_ends_the_work() {
        let pieces = (0..200).map(|pack| located(pack, 0..1)).collect();
        let parts = parts(pieces);
        let begun = AtomicUsize::new(0);
        let failed = for_each_part(&parts, |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        assert!(begun.into_inner() <= 2 * SIDE_BY_SIDE);
    }

    #[test]
    fn work_that_panics_gives_its_memory_back() {
        let memory = Memory::default();
        std::thread::scope(|scope| {
            let broken = scope.spawn(|| {
                let _room = memory.take(MEMORY);
                panic!("as a library does");
            });
            assert!(broken.join().is_err());
        });
        assert_eq!(*memory.free(), MEMORY);
    }
}
