//! Packs of a repository, of which rustic asks for one piece after the other: read as a whole and kept for a moment, or a part of
//! one that is known to be needed in hand, and not asked for again where that was in vain.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rustic_core::Id;
use ureq::http::Method;

use super::{Remote, RemoteError, check_digest, locked};

/// Larger objects are not read as a whole: of a pack of that size only what is asked for.
const MAX_WHOLE_PACK: u64 = 40 * 1024 * 1024;
/// Packs that are kept in memory while their blobs are asked for one by one. They hold up to 8 MiB each (see
/// `repository.rs`), and a tree is read in the order in which it was written.
const KEPT: usize = 4;

/// A pack in memory, once it is read; nothing when it is too large to be kept.
type Held = Arc<Mutex<Option<Bytes>>>;

/// What is known of packs.
#[derive(Default)]
pub(super) struct Packs {
    kept: Mutex<VecDeque<(Id, Held)>>,
    /// Parts that somebody works on, by where they begin.
    in_hand: Mutex<BTreeMap<(Id, u32), Bytes>>,
    /// Those that could not be read, and why. Each would cost all attempts again for every piece of it.
    unreadable: Mutex<BTreeMap<Id, String>>,
}

impl Packs {
    /// The place of a pack among those that are kept.
    fn place(&self, id: &Id) -> Held {
        let mut all = locked(&self.kept);
        let at = all.iter().position(|(kept, _)| kept == id);
        let entry = at
            .and_then(|at| all.remove(at))
            .unwrap_or_else(|| (*id, Arc::default()));
        let kept = Arc::clone(&entry.1);
        all.push_back(entry);
        if all.len() > KEPT {
            all.pop_front();
        }
        kept
    }

    /// A part of what is in hand.
    fn in_hand(&self, id: &Id, offset: u32, length: u32) -> Option<Bytes> {
        let all = locked(&self.in_hand);
        let ((_, from), bytes) = all.range((*id, 0)..=(*id, offset)).next_back()?;
        let from = usize::try_from(offset.checked_sub(*from)?).ok()?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        (to <= bytes.len()).then(|| bytes.slice(from..to))
    }
}

/// A part of a pack, in memory until this is dropped.
pub(in crate::backup::worker) struct InHand<'a> {
    packs: &'a Packs,
    key: (Id, u32),
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        locked(&self.packs.in_hand).remove(&self.key);
    }
}

impl Remote {
    /// Why a pack could not be read, if one could not.
    pub(crate) fn unreadable_pack(&self) -> Option<String> {
        locked(&self.packs.unreadable).values().next().cloned()
    }

    /// A pack of trees that was written, and will be read again by the next pass and the next snapshot.
    pub(in crate::backup::worker) fn keep_trees(&self, id: &Id, pack: &[u8]) {
        if let Some(trees) = &self.trees {
            trees.put(id, pack);
        }
    }

    /// Reads a part of a pack of which pieces will be asked for now. Whoever takes one of them compares it with its digest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::backup::worker) fn take_in_hand(
        &self,
        path: &str,
        id: &Id,
        from: u32,
        to: u32,
    ) -> Result<InHand<'_>, RemoteError> {
        let bytes = self.read(&Method::GET, path, Some((from, to.saturating_sub(1))))?;
        let key = (*id, from);
        locked(&self.packs.in_hand).insert(key, bytes);
        Ok(InHand {
            packs: &self.packs,
            key,
        })
    }

    /// A part of a pack; `trees`: of one that holds trees.
    ///
    /// # Errors
    /// When it cannot be read as it was written.
    pub(in crate::backup::worker) fn part(
        &self,
        path: &str,
        id: &Id,
        trees: bool,
        offset: u32,
        length: u32,
    ) -> Result<Bytes, RemoteError> {
        if let Some(part) = self.packs.in_hand(id, offset, length) {
            return Ok(part);
        }
        let trees = self.trees.as_ref().filter(|_| trees);
        if let Some(part) = trees.and_then(|trees| trees.part(id, offset, length)) {
            return Ok(part);
        }
        let place = self.packs.place(id);
        // Whoever wants the same pack waits here, and does not ask for it again.
        let mut kept = locked(&place);
        if let Some(failed) = locked(&self.packs.unreadable).get(id) {
            return Err(RemoteError::Again(failed.clone()));
        }
        let was_read = kept.is_some();
        let part = self.part_of(&mut kept, path, id, offset, length);
        if let (Some(trees), Some(pack), false) = (trees, &*kept, was_read) {
            trees.put(id, pack);
        }
        part.inspect_err(|error| {
            locked(&self.packs.unreadable).insert(*id, error.to_string());
        })
    }

    fn part_of(
        &self,
        kept: &mut Option<Bytes>,
        path: &str,
        id: &Id,
        offset: u32,
        length: u32,
    ) -> Result<Bytes, RemoteError> {
        if kept.is_none() {
            *kept = self.pack(path, id)?;
        }
        let part = match kept {
            Some(pack) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let to = from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                (to <= pack.len()).then(|| pack.slice(from..to))
            }
            None => {
                let last = offset.saturating_add(length).saturating_sub(1);
                Some(self.read(&Method::GET, path, Some((offset, last)))?)
            }
        };
        let whole = |part: &Bytes| u32::try_from(part.len()) == Ok(length);
        part.filter(whole).ok_or_else(|| RemoteError::Damaged {
            path: path.to_owned(),
            what: "it is shorter than its index says".to_owned(),
        })
    }

    /// A pack as a whole; `None` when it is too large for that.
    fn pack(&self, path: &str, id: &Id) -> Result<Option<Bytes>, RemoteError> {
        self.attempts(&Method::GET, path, None, &[], &|response, damaged| {
            if response
                .body()
                .content_length()
                .is_none_or(|length| length > MAX_WHOLE_PACK)
            {
                return Ok(None);
            }
            let bytes = self.body(response, MAX_WHOLE_PACK).map_err(damaged)?;
            check_digest(&bytes, id).map_err(damaged)?;
            Ok(Some(bytes))
        })
    }
}
