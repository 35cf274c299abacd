//! What a Sandbox keeps in its SQLite about the bot's snapshots: the backup state, what is known of each, and which are held.

use moltworker_core::api::snapshots::{Details, ShownSnapshot};
use moltworker_core::backup::state::{BackupState, StoredSnapshot};
use moltworker_core::wire::job::MAX_HOLDS;
use moltworker_core::wire::run::SnapshotId;
use serde::{Deserialize, Serialize};
use worker::Result;

use super::store::{Store, sql_integer};
use crate::platform::json;
use crate::repository::BucketSnapshot;

/// Snapshots that are described here: a busy bot takes 1,440 a day, and what nobody maintains for a week is not read by
/// everybody who looks at a list. They are read whole, and a row is some 400 bytes of an isolate's 128 MB.
const MAX_DESCRIBED: u32 = 10_000;

#[derive(Deserialize)]
struct Record {
    record: String,
}

#[derive(Deserialize)]
struct Kept {
    record: Option<String>,
}

#[derive(Deserialize)]
struct Known {
    id: SnapshotId,
    details: Option<String>,
    verified_at: Option<u64>,
}

#[derive(Deserialize)]
struct Suspicious {
    id: SnapshotId,
    lost: String,
}

/// Also as it lies in the bucket.
#[derive(Serialize, Deserialize)]
struct Hold {
    id: SnapshotId,
    until: Option<u64>,
}

impl Store {
    /// The backup state; a new one before the first run.
    pub(super) fn backup_state(&self) -> Result<BackupState> {
        let row: Option<Record> = self.one("SELECT record FROM ledger", vec![])?;
        match row {
            Some(row) => json::read(&row.record),
            None => Ok(BackupState::default()),
        }
    }

    pub(super) fn save_backup_state(&self, backup_state: &BackupState) -> Result<()> {
        let record = serde_json::to_string(backup_state)?;
        self.exec(
            "INSERT OR REPLACE INTO ledger (only, record) VALUES (1, ?)",
            vec![record.into()],
        )
    }

    /// What a snapshot holds, by the word of a container. Of more than [`MAX_DESCRIBED`] it is not remembered, and asked for
    /// when somebody looks.
    pub(super) fn describe(&self, id: &SnapshotId, details: &Details) -> Result<()> {
        self.exec(
            "INSERT INTO snapshots (id, details) SELECT ?1, ?2 WHERE (SELECT count(*) FROM snapshots) < ?3 \
             OR EXISTS (SELECT 1 FROM snapshots WHERE id = ?1) ON CONFLICT (id) DO UPDATE SET details = ?2",
            vec![
                id.as_str().into(),
                serde_json::to_string(details)?.into(),
                sql_integer(MAX_DESCRIBED.into())?,
            ],
        )
    }

    /// That a snapshot was restored and compared.
    pub(super) fn verified(&self, id: &SnapshotId, now: u64) -> Result<()> {
        self.exec(
            "INSERT INTO snapshots (id, verified_at) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET verified_at = ?2",
            vec![id.as_str().into(), sql_integer(now)?],
        )
    }

    /// Nobody needs to remember it any more. What is held stays held: maintenance leaves it, whatever a container says.
    pub(super) fn forget(&self, id: &SnapshotId) -> Result<()> {
        self.exec("DELETE FROM snapshots WHERE id = ?", vec![id.as_str().into()])
    }

    /// Nothing is known any more of snapshots that are not these.
    pub(super) fn keep_only(&self, stored: &[BucketSnapshot]) -> Result<()> {
        let ids: Vec<&SnapshotId> = stored.iter().map(|stored| &stored.id).collect();
        self.exec(
            "DELETE FROM snapshots WHERE id NOT IN (SELECT value FROM json_each(?))",
            vec![serde_json::to_string(&ids)?.into()],
        )
    }

    /// Keeps a snapshot whatever the policy says: for ever, or until then.
    pub(super) fn hold(&self, id: &SnapshotId, until: Option<u64>) -> Result<()> {
        match until {
            Some(until) => self.exec(
                "INSERT OR IGNORE INTO holds (id, until) VALUES (?, ?)",
                vec![id.as_str().into(), sql_integer(until)?],
            ),
            None => self.exec(
                "INSERT OR IGNORE INTO holds (id) VALUES (?)",
                vec![id.as_str().into()],
            ),
        }
    }

    /// Keeps a snapshot until then at least. Each start passes the same ones over, and then it is the same time.
    pub(super) fn hold_until(&self, id: &SnapshotId, until: u64) -> Result<()> {
        let mut values = vec![id.as_str().into(), sql_integer(until)?];
        self.exec("DELETE FROM holds WHERE id = ? AND until < ?", values.clone())?;
        values.push(sql_integer(MAX_HOLDS.into())?);
        self.exec(
            "INSERT INTO holds (id, until) SELECT ?1, ?2 \
             WHERE NOT EXISTS (SELECT 1 FROM holds WHERE id = ?1 AND until IS NOT NULL) \
             AND (SELECT count(*) FROM holds) < ?3",
            values,
        )
    }

    /// Takes somebody's pin away; what is held for a while stays held.
    pub(super) fn unpin(&self, id: &SnapshotId) -> Result<()> {
        self.exec(
            "DELETE FROM holds WHERE id = ? AND until IS NULL",
            vec![id.as_str().into()],
        )
    }

    /// The snapshots that are held at this moment.
    pub(super) fn held(&self, now: u64) -> Result<Vec<SnapshotId>> {
        Ok(self.holds(now)?.into_iter().map(|hold| hold.id).collect())
    }

    fn holds(&self, now: u64) -> Result<Vec<Hold>> {
        self.exec("DELETE FROM holds WHERE until <= ?", vec![sql_integer(now)?])?;
        self.all("SELECT id, until FROM holds ORDER BY id, until", vec![])
    }

    /// What is held, as it is kept elsewhere.
    pub(super) fn holds_record(&self, now: u64) -> Result<String> {
        Ok(serde_json::to_string(&self.holds(now)?)?)
    }

    /// What the bucket has of what is held. The outer `None` where it was not asked, the inner one where nobody knows.
    pub(super) fn kept_holds(&self) -> Result<Option<Option<String>>> {
        let row: Option<Kept> = self.one("SELECT record FROM kept_holds", vec![])?;
        Ok(row.map(|row| row.record))
    }

    /// Remembers what the bucket has; nothing while that may be one or the other.
    pub(super) fn set_kept_holds(&self, record: Option<&str>) -> Result<()> {
        match record {
            Some(record) => self.exec(
                "INSERT OR REPLACE INTO kept_holds (only, record) VALUES (1, ?)",
                vec![record.into()],
            ),
            None => self.exec("INSERT OR REPLACE INTO kept_holds (only) VALUES (1)", vec![]),
        }
    }

    /// Takes up what was kept elsewhere.
    pub(super) fn take_holds(&self, record: &str) -> Result<()> {
        let holds: Vec<Hold> = json::read(record)?;
        holds.iter().try_for_each(|hold| self.hold(&hold.id, hold.until))
    }

    /// What the bucket has, and which of it is known to have lost too much.
    pub(super) fn in_bucket(&self, stored: Vec<BucketSnapshot>) -> Result<Vec<StoredSnapshot>> {
        let suspicious: Vec<Suspicious> = self.all(
            "SELECT id, details ->> 'suspicious' AS lost FROM snapshots WHERE lost IS NOT NULL",
            vec![],
        )?;
        // A handful at most, and a map would be code of its own.
        let known = |BucketSnapshot { id, stored_at }| StoredSnapshot {
            stored_at,
            suspicious: suspicious
                .iter()
                .find(|row| row.id == id)
                .map(|row| row.lost.clone()),
            id,
        };
        Ok(stored.into_iter().map(known).collect())
    }

    /// What the bucket has, with what is known of it.
    pub(super) fn shown(&self, stored: Vec<BucketSnapshot>, now: u64) -> Result<Vec<ShownSnapshot>> {
        let known: Vec<Known> = self.all(
            "SELECT id, details, verified_at FROM snapshots ORDER BY id",
            vec![],
        )?;
        let holds = self.holds(now)?;
        Ok(stored
            .into_iter()
            .map(|BucketSnapshot { id, stored_at }| {
                let row = known.binary_search_by(|row| row.id.cmp(&id));
                let row = row.ok().and_then(|found| known.get(found));
                let holds = || holds.iter().filter(|hold| hold.id == id);
                ShownSnapshot {
                    stored_at,
                    // What another version wrote and this one cannot read is asked for again.
                    details: row.and_then(|row| json::read(row.details.as_ref()?).ok()),
                    verified_at: row.and_then(|row| row.verified_at),
                    pinned: holds().any(|hold| hold.until.is_none()),
                    held_until: holds().filter_map(|hold| hold.until).max(),
                    id,
                }
            })
            .collect())
    }
}
