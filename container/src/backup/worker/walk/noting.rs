//! What is noted on the way: what a snapshot has, and why it has not the rest.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustic_core::ReadSourceEntry;
use rustic_core::repofile::{Metadata, Node, NodeType};

use super::{Walk, entry_of};
use crate::backup::worker::left_out::count;
use crate::backup::worker::record::Seen;
use crate::backup::worker::sources::Source;

impl Walk {
    /// What is in the snapshot, and what was noted of it.
    pub(super) fn seen(
        &mut self,
        path: &Path,
        node: NodeType,
        meta: Metadata,
        source: Option<Source>,
        is_copy: bool,
    ) -> ReadSourceEntry<Source> {
        let entry = entry_of(path, node, meta, source);
        self.keep(Some(&entry.node), path.iter().count(), is_copy);
        entry
    }

    /// What was noted of something that is in no snapshot.
    pub(super) fn not_seen(&mut self) {
        if self.noted.is_more() {
            let depth = self.levels.len();
            self.keep(None, depth, false);
        }
    }

    fn keep(&mut self, node: Option<&Node>, depth: usize, is_copy: bool) {
        let noted = std::mem::take(&mut self.noted);
        let seen = Seen::new(node, noted, is_copy);
        self.home.note(|findings| seen.note(findings));
        if self.since.is_none() {
            self.home.record().push(seen, depth);
        }
    }

    /// How much it is is counted once.
    pub(super) fn leave_out(&mut self, here: &OwnedFd, name: &OsStr, path: &Path) {
        if self.since.is_some() {
            return;
        }
        let (files, bytes, is_more) = count(here, name, &mut self.countable);
        self.home.note(|findings| {
            findings.left_out.push(&path.to_string_lossy(), files, bytes);
            findings.left_out.is_more |= is_more;
        });
    }
}
