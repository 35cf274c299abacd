//! The list of a bot's snapshots, in pages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ShownSnapshot;
use crate::wire::run::SnapshotId;

/// Snapshots listed at a time: some 100 KB with all that is known of each.
pub const PAGE: usize = 100;

/// A place in the list, by the last snapshot before it: the place stays where it is when that one is deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotCursor {
    stored_at: u64,
    id: SnapshotId,
}

impl SnapshotCursor {
    fn of(snapshot: &ShownSnapshot) -> Self {
        Self {
            stored_at: snapshot.stored_at,
            id: snapshot.id.clone(),
        }
    }
}

impl fmt::Display for SnapshotCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stored_at, self.id)
    }
}

impl From<SnapshotCursor> for String {
    fn from(cursor: SnapshotCursor) -> Self {
        cursor.to_string()
    }
}

impl FromStr for SnapshotCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('.');
        let parts = parts.and_then(|(stored_at, id)| Some((stored_at.parse().ok()?, id.parse().ok()?)));
        let (stored_at, id) = parts.ok_or("`after` is the `next` of the page before")?;
        Ok(Self { stored_at, id })
    }
}

impl TryFrom<String> for SnapshotCursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A page of a bot's snapshots, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SnapshotList {
    /// At most a hundred.
    pub snapshots: Vec<ShownSnapshot>,
    /// How many there are in all.
    pub total: usize,
    /// What `after` has to be for those that follow; null where there are none.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub next: Option<SnapshotCursor>,
}

impl SnapshotList {
    /// The page of all of them that begins at this place, or the first one.
    pub fn page(mut all: Vec<ShownSnapshot>, after: Option<&SnapshotCursor>) -> Self {
        all.sort_by_cached_key(|snapshot| std::cmp::Reverse(SnapshotCursor::of(snapshot)));
        let total = all.len();
        all.retain(|snapshot| after.is_none_or(|after| SnapshotCursor::of(snapshot) < *after));
        let is_more = all.len() > PAGE;
        all.truncate(PAGE);
        let last = all.last().filter(|_| is_more);
        Self {
            next: last.map(SnapshotCursor::of),
            total,
            snapshots: all,
        }
    }
}
