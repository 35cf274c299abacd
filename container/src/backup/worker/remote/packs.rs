//! Packs of a repository, of which rustic asks for one piece after the other: read as a whole, kept for a moment in memory and
//! then on disk, and not asked for again where that was in vain.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rustic_core::Id;
use ureq::http::Method;

use super::spool::Spool;
use super::{Remote, RemoteError, check_digest, locked, number};

/// Larger objects are not read as a whole: of a pack of that size only what is asked for.
const MAX_WHOLE_PACK: u64 = 40 * 1024 * 1024;
/// Packs that are kept in memory while their blobs are asked for one by one. They hold up to 8 MiB each (see
/// `repository.rs`), and a tree is read in the order in which it was written.
const KEPT: usize = 4;

/// A pack in memory.
#[derive(Default)]
struct Held {
    /// Once it is read; nothing when it is too large to be kept.
    bytes: Option<Bytes>,
    /// So much of it was asked for. What was asked for as a whole is hardly asked for again.
    served: u64,
}

/// What is known of packs.
#[derive(Default)]
pub(super) struct Packs {
    kept: Mutex<VecDeque<(Id, Arc<Mutex<Held>>)>>,
    spool: Mutex<Spool>,
    /// Those that could not be read, and why. Each would cost all attempts again for every piece of it.
    unreadable: Mutex<BTreeMap<Id, String>>,
}

impl Packs {
    /// The place of a pack among those that are kept.
    fn place(&self, id: &Id) -> Arc<Mutex<Held>> {
        let mut all = locked(&self.kept);
        let at = all.iter().position(|(kept, _)| kept == id);
        let entry = at
            .and_then(|at| all.remove(at))
            .unwrap_or_else(|| (*id, Arc::default()));
        let kept = Arc::clone(&entry.1);
        all.push_back(entry);
        while all.len() > KEPT
            && let Some((id, left)) = all.pop_front()
        {
            // Whoever reads from it right now has it for as long as that takes.
            if let Ok(held) = left.try_lock()
                && let Some(pack) = &held.bytes
                && number(pack.len()) > held.served
            {
                locked(&self.spool).put(id, pack);
            }
        }
        kept
    }
}

impl Remote {
    /// Why a pack could not be read, if one could not.
    pub(crate) fn unreadable_pack(&self) -> Option<String> {
        locked(&self.packs.unreadable).values().next().cloned()
    }

    /// Packs that will be needed again may take so many bytes of the disk `path` is on.
    pub(crate) fn spool_packs(&self, path: PathBuf, bytes: u64) {
        locked(&self.packs.spool).give_room(path, bytes);
    }

    /// A pack that was written and will be read again.
    pub(in crate::backup::worker) fn spool_pack(&self, id: Id, pack: &[u8]) {
        locked(&self.packs.spool).put(id, pack);
    }

    /// A part of a pack.
    ///
    /// # Errors
    /// When it cannot be read as it was written.
    pub(in crate::backup::worker) fn part(
        &self,
        path: &str,
        id: &Id,
        offset: u32,
        length: u32,
    ) -> Result<Bytes, RemoteError> {
        if let Some(part) = locked(&self.packs.spool).part(id, offset, length) {
            return Ok(part);
        }
        let place = self.packs.place(id);
        // Whoever wants the same pack waits here, and does not ask for it again.
        let mut kept = locked(&place);
        if let Some(failed) = locked(&self.packs.unreadable).get(id) {
            return Err(RemoteError::Again(failed.clone()));
        }
        let part = self.part_of(&mut kept, path, id, offset, length);
        part.inspect_err(|error| {
            locked(&self.packs.unreadable).insert(*id, error.to_string());
        })
    }

    fn part_of(
        &self,
        kept: &mut Held,
        path: &str,
        id: &Id,
        offset: u32,
        length: u32,
    ) -> Result<Bytes, RemoteError> {
        if kept.bytes.is_none() {
            kept.bytes = self.pack(path, id)?;
        }
        kept.served = kept.served.saturating_add(length.into());
        let part = match &kept.bytes {
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
