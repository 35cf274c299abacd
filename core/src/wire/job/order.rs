//! Jobs as they are ordered over the control port.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BackupJob;
use crate::wire::control::{MAINTAIN_PATH, RESTORE_PATH, SNAPSHOT_PATH};
use crate::wire::run::{RepositoryToken, RestorePoint, SnapshotId};

/// A job as it is ordered, with what opens the repository for it: the one place where a job and a secret meet.
///
/// On the control port each kind that can be ordered has a path of its own, and a body: the fields of the job, and the
/// token among them. They are older than these types and stay what they are, because a Sandbox and a supervisor may be of
/// different versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedJob {
    /// What is to be done.
    pub job: BackupJob,
    /// For a snapshot or a restore a fresh token that adds and reads, for the rest of the run: the one the run has may
    /// have expired while the repository could not be reached, and one that has expired cannot be renewed. For maintenance
    /// one that may delete, which the run's own may not, and which is used for nothing else. Without one, the run's.
    pub token: Option<RepositoryToken>,
}

/// The body of an order to restore.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestoreBody {
    /// Which snapshot; without one the newest that is not suspicious.
    snapshot: Option<SnapshotId>,
}

/// What came is no order. The words quote nothing of it: there may be a token in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOrder {
    /// No job is ordered at that path.
    #[error("no job is ordered here")]
    Path,
    /// The body is no JSON object.
    #[error("the body is not a JSON object")]
    Json,
    /// The token could not travel in a header.
    #[error("the token is malformed")]
    Token,
    /// Something is missing, unknown, or not what it should be.
    #[error("the body is not an order for this job")]
    Fields,
    /// Maintenance without a token that may delete.
    #[error("maintenance takes a token of its own")]
    TokenRequired,
}

impl From<BackupJob> for OrderedJob {
    /// One that is done with the run's own token.
    fn from(job: BackupJob) -> Self {
        Self { job, token: None }
    }
}

impl OrderedJob {
    /// The path where a kind of job is ordered; none for those a supervisor does by itself.
    fn path(&self) -> Option<&'static str> {
        match self.job {
            BackupJob::Restore(_) => Some(RESTORE_PATH),
            BackupJob::Snapshot(_) => Some(SNAPSHOT_PATH),
            BackupJob::Maintain(_) => Some(MAINTAIN_PATH),
            BackupJob::RenewToken | BackupJob::Read(_) => None,
        }
    }

    /// The path and the body it is ordered with. The body holds the token.
    ///
    /// # Errors
    /// When no such job is ordered.
    pub fn to_request(&self) -> Result<(&'static str, String), BadOrder> {
        let path = self.path().ok_or(BadOrder::Path)?;
        let token = self.token.as_ref().map(RepositoryToken::reveal);
        let body = match &self.job {
            BackupJob::Restore(point) => body(
                RestoreBody {
                    snapshot: match point {
                        RestorePoint::Latest => None,
                        RestorePoint::Snapshot(id) => Some(id.clone()),
                    },
                },
                token,
            ),
            BackupJob::Snapshot(job) => body(job, token),
            BackupJob::Maintain(job) => body(job, token),
            BackupJob::RenewToken | BackupJob::Read(_) => return Err(BadOrder::Path),
        };
        Ok((path, body?))
    }

    /// The order that came to `path` with this body.
    ///
    /// # Errors
    /// Why it is none.
    pub fn from_request(path: &str, body: &[u8]) -> Result<Self, BadOrder> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
            return Err(BadOrder::Json);
        };
        let token = match fields.remove(TOKEN) {
            None | Some(Value::Null) => None,
            Some(token) => Some(serde_json::from_value(token).map_err(|_| BadOrder::Token)?),
        };
        let fields = Value::Object(fields);
        let job = match path {
            RESTORE_PATH => {
                let body: RestoreBody = read(fields)?;
                BackupJob::Restore(body.snapshot.map_or(RestorePoint::Latest, RestorePoint::Snapshot))
            }
            SNAPSHOT_PATH => BackupJob::Snapshot(read(fields)?),
            MAINTAIN_PATH if token.is_none() => return Err(BadOrder::TokenRequired),
            MAINTAIN_PATH => BackupJob::Maintain(read(fields)?),
            _ => return Err(BadOrder::Path),
        };
        Ok(Self { job, token })
    }
}

/// The field of a body that is the token.
const TOKEN: &str = "token";

/// A body as it is written. Straight from its type: through a [`Value`] it would bring how floats are written into the
/// Worker.
#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(flatten)]
    fields: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

fn body(fields: impl Serialize, token: Option<&str>) -> Result<String, BadOrder> {
    serde_json::to_string(&Body { fields, token }).map_err(|_| BadOrder::Fields)
}

fn read<T: DeserializeOwned>(fields: Value) -> Result<T, BadOrder> {
    serde_json::from_value(fields).map_err(|_| BadOrder::Fields)
}

#[cfg(test)]
mod tests {
    use super::super::{MaintenanceJob, ReadJob, SnapshotJob};
    use super::*;
    use crate::wire::control::SnapshotReason;
    use proptest::prelude::*;

    fn id(digit: char) -> SnapshotId {
        digit.to_string().repeat(64).parse().unwrap()
    }

    fn token() -> RepositoryToken {
        RepositoryToken::new("secret").unwrap()
    }

    fn maintenance() -> MaintenanceJob {
        MaintenanceJob {
            pinned: vec![id('a')],
            verified: Some(id('b')),
            part: 2,
            parts: 7,
            drill: true,
            now: 1_790_000_000_000,
        }
    }

    /// What supervisors and Sandboxes of every version write and read.
    #[test]
    fn the_bodies_of_orders_are_fixed() {
        let a = "a".repeat(64);
        let b = "b".repeat(64);
        let accepted = SnapshotJob {
            reason: SnapshotReason::Manual,
            accept: true,
        };
        for (job, with_token, path, body) in [
            (
                BackupJob::Snapshot(SnapshotJob::new(SnapshotReason::Change)),
                false,
                "/v1/snapshot",
                r#"{"reason":"change","accept":false}"#.to_owned(),
            ),
            (
                BackupJob::Snapshot(accepted),
                true,
                "/v1/snapshot",
                r#"{"reason":"manual","accept":true,"token":"secret"}"#.to_owned(),
            ),
            (
                BackupJob::Restore(RestorePoint::Latest),
                false,
                "/v1/restore",
                r#"{"snapshot":null}"#.to_owned(),
            ),
            (
                BackupJob::Restore(RestorePoint::Snapshot(id('a'))),
                true,
                "/v1/restore",
                format!(r#"{{"snapshot":"{a}","token":"secret"}}"#),
            ),
            (
                BackupJob::Maintain(maintenance()),
                true,
                "/v1/maintain",
                format!(
                    r#"{{"token":"secret","pinned":["{a}"],"verified":"{b}","part":2,"parts":7,"drill":true,"now":1790000000000}}"#
                ),
            ),
        ] {
            let order = OrderedJob {
                job,
                token: with_token.then(token),
            };
            let (to, written) = order.to_request().unwrap();
            assert_eq!(to, path);
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(value(&written), value(&body));
            assert_eq!(OrderedJob::from_request(path, body.as_bytes()), Ok(order));
        }
    }

    #[test]
    fn what_an_order_leaves_out_has_a_default() {
        let read = |path, body: &str| OrderedJob::from_request(path, body.as_bytes()).unwrap().job;
        assert_eq!(
            read(SNAPSHOT_PATH, r#"{"reason":"manual"}"#),
            BackupJob::Snapshot(SnapshotJob::new(SnapshotReason::Manual))
        );
        assert_eq!(read(RESTORE_PATH, "{}"), BackupJob::Restore(RestorePoint::Latest));
        assert_eq!(
            read(MAINTAIN_PATH, r#"{"token":"secret"}"#),
            BackupJob::Maintain(MaintenanceJob {
                pinned: vec![],
                verified: None,
                part: 1,
                parts: 1,
                drill: false,
                now: 0
            })
        );
    }

    #[test]
    fn what_is_no_order_is_refused_without_quoting_it() {
        for (path, body, expected) in [
            (SNAPSHOT_PATH, "", BadOrder::Json),
            (SNAPSHOT_PATH, "[]", BadOrder::Json),
            (SNAPSHOT_PATH, "{}", BadOrder::Fields),
            (
                SNAPSHOT_PATH,
                r#"{"reason":"manual","acept":true}"#,
                BadOrder::Fields,
            ),
            (
                SNAPSHOT_PATH,
                r#"{"reason":"manual","token":"two words"}"#,
                BadOrder::Token,
            ),
            (SNAPSHOT_PATH, r#"{"reason":"manual","token":7}"#, BadOrder::Token),
            (RESTORE_PATH, r#"{"snapshot":"secret"}"#, BadOrder::Fields),
            (RESTORE_PATH, r#"{"point":"latest"}"#, BadOrder::Fields),
            (MAINTAIN_PATH, "{}", BadOrder::TokenRequired),
            (MAINTAIN_PATH, r#"{"token":null}"#, BadOrder::TokenRequired),
            (
                MAINTAIN_PATH,
                r#"{"token":"secret","parts":-1}"#,
                BadOrder::Fields,
            ),
            ("/v1/status", "{}", BadOrder::Path),
        ] {
            let refused = OrderedJob::from_request(path, body.as_bytes()).unwrap_err();
            assert_eq!(refused, expected, "{path} {body}");
            assert!(!refused.to_string().contains("secret"));
        }
        for job in [BackupJob::RenewToken, BackupJob::Read(ReadJob::Snapshots)] {
            assert_eq!(OrderedJob::from(job).to_request(), Err(BadOrder::Path));
        }
    }

    #[test]
    fn the_token_of_an_order_is_never_printed() {
        let order = OrderedJob {
            job: BackupJob::Maintain(maintenance()),
            token: Some(token()),
        };
        assert!(!format!("{order:?} {}", order.job).contains("secret"));
        assert!(order.to_request().unwrap().1.contains("secret"));
    }

    fn point() -> impl Strategy<Value = RestorePoint> {
        prop_oneof![
            Just(RestorePoint::Latest),
            "[0-9a-f]{64}".prop_map(|id| RestorePoint::Snapshot(id.parse().unwrap())),
        ]
    }

    fn ordered_job() -> impl Strategy<Value = BackupJob> {
        let reason = prop::sample::select(SnapshotReason::ALL.to_vec());
        let ids = prop::collection::vec("[0-9a-f]{64}", 0..3);
        prop_oneof![
            point().prop_map(BackupJob::Restore),
            (reason, any::<bool>())
                .prop_map(|(reason, accept)| BackupJob::Snapshot(SnapshotJob { reason, accept })),
            (ids, any::<(u32, u32, bool, i64)>()).prop_map(|(ids, (part, parts, drill, now))| {
                let ids: Vec<SnapshotId> = ids.iter().map(|id| id.parse().unwrap()).collect();
                BackupJob::Maintain(MaintenanceJob {
                    verified: ids.first().cloned(),
                    pinned: ids,
                    part,
                    parts,
                    drill,
                    now,
                })
            }),
        ]
    }

    proptest! {
        /// Whatever can be ordered arrives as it was ordered, with its token; so does what a backup process is given.
        #[test]
        fn an_ordered_job_survives_the_wire(job in ordered_job(), secret in "[!-~]{1,40}") {
            let order = OrderedJob { job, token: Some(RepositoryToken::new(secret).unwrap()) };
            let (path, body) = order.to_request().unwrap();
            prop_assert_eq!(&OrderedJob::from_request(path, body.as_bytes()).unwrap(), &order);
            let text = serde_json::to_string(&order.job).unwrap();
            prop_assert_eq!(&serde_json::from_str::<BackupJob>(&text).unwrap(), &order.job);
        }

        /// Whatever comes to the control port is read or refused.
        #[test]
        fn any_body_is_read_or_refused(body in any::<Vec<u8>>(), path in prop::sample::select(vec![RESTORE_PATH, SNAPSHOT_PATH, MAINTAIN_PATH])) {
            let _either = OrderedJob::from_request(path, &body);
        }
    }
}
