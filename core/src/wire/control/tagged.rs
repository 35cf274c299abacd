//! How the enums are read whose variant is named by a member beside its content. Read by serde's attributes for that, they
//! would go through a second kind of value with readers of its own.

use serde::Deserialize;

use super::{ExitReason, Quiesce};
use crate::json::{self, Json};

/// The variant is unknown, or what belongs to it is missing or something else.
#[derive(Debug, thiserror::Error)]
#[error("what a supervisor said is none of its answers")]
pub(super) struct BadVariant;

#[derive(Deserialize)]
pub(super) struct ExitRecord {
    kind: String,
    value: Json,
}

impl TryFrom<ExitRecord> for ExitReason {
    type Error = BadVariant;

    fn try_from(record: ExitRecord) -> Result<Self, BadVariant> {
        let value = &record.value;
        let number = || json::of_value(value).map_err(|_| BadVariant);
        match record.kind.as_str() {
            "code" => number().map(Self::Code),
            "signal" => number().map(Self::Signal),
            "not-spawned" => {
                let why = value.as_str().ok_or(BadVariant)?;
                Ok(Self::NotSpawned(why.to_owned()))
            }
            _ => Err(BadVariant),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct QuiesceRecord {
    answer: String,
    blockers: Option<Vec<String>>,
    retry_after_ms: Option<u64>,
}

impl TryFrom<QuiesceRecord> for Quiesce {
    type Error = BadVariant;

    fn try_from(record: QuiesceRecord) -> Result<Self, BadVariant> {
        Ok(match record.answer.as_str() {
            "ready" => Self::Ready,
            "busy" => Self::Busy {
                blockers: record.blockers.ok_or(BadVariant)?,
                retry_after_ms: record.retry_after_ms.ok_or(BadVariant)?,
            },
            "unsupported" => Self::Unsupported,
            "no-gateway" => Self::NoGateway,
            "unsaved" => Self::Unsaved,
            _ => Self::Unknown,
        })
    }
}
