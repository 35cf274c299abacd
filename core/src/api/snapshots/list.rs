//! The list of a bot's snapshots, in pages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ShownSnapshot;
use crate::api::page;
use crate::backup::newest_first;
use crate::wire::run::SnapshotId;

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
    /// One page of them.
    pub snapshots: Vec<ShownSnapshot>,
    /// How many there are in all.
    pub total: usize,
    /// What `after` has to be for those that follow; null where there are none.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub next: Option<SnapshotCursor>,
}

impl SnapshotList {
    /// The page of all of them that begins at this place, or the first one.
    pub fn page(all: Vec<ShownSnapshot>, after: Option<&SnapshotCursor>) -> Self {
        let total = all.len();
        // What is moved about is small.
        let boxed = all.into_iter().map(Box::new);
        let sorted = newest_first(boxed, |snapshot| (snapshot.stored_at, &snapshot.id));
        let mut all: Vec<_> = sorted.into_iter().map(|snapshot| *snapshot).collect();
        all.retain(|snapshot| after.is_none_or(|after| SnapshotCursor::of(snapshot) < *after));
        let (snapshots, next) = page::cut(all, SnapshotCursor::of);
        Self {
            snapshots,
            total,
            next,
        }
    }
}
