//! The stored form of a [`Lifecycle`]. The state's name and particulars lie flat among the rest: read by serde's attributes
//! for that, they would go through a second kind of value with readers of its own.

use serde::Deserialize;

use super::{Desired, Lifecycle, LifecycleState};
use crate::bot::incidents::Incidents;
use crate::cost::limit::Spending;
use crate::wire::run::Run;

/// A record, with the particulars of every state.
#[derive(Deserialize)]
pub(super) struct LifecycleRecord {
    state: String,
    deadline: Option<u64>,
    #[serde(default)]
    met: bool,
    #[serde(default)]
    done: u64,
    wanted: Option<bool>,
    until: Option<u64>,
    reason: Option<String>,
    run: Run,
    since: u64,
    ready_at: Option<u64>,
    failures: u32,
    #[serde(default)]
    ignored: u64,
    #[serde(default)]
    desired: Desired,
    #[serde(default)]
    pinned: bool,
    #[serde(default)]
    works_alone: bool,
    #[serde(default)]
    outlived: Option<u32>,
    #[serde(default)]
    ended_at: u64,
    #[serde(default)]
    memory_ends: Vec<u64>,
    #[serde(default)]
    incidents: Incidents,
    spending: Option<Spending>,
    spent_deadline: Option<u64>,
}

/// The record's state is unknown, or something that belongs to it is missing.
#[derive(Debug, thiserror::Error)]
#[error("a bot's stored state is not one with what belongs to it")]
pub(super) struct NoState;

impl TryFrom<LifecycleRecord> for Lifecycle {
    type Error = NoState;

    fn try_from(record: LifecycleRecord) -> Result<Self, NoState> {
        let deadline = record.deadline.ok_or(NoState);
        let reason = record.reason.ok_or(NoState);
        let state = match record.state.as_str() {
            "asleep" => LifecycleState::Asleep,
            "starting" => LifecycleState::Starting {
                deadline: deadline?,
                met: record.met,
            },
            "restoring" => LifecycleState::Restoring {
                deadline: deadline?,
                done: record.done,
            },
            "running" => LifecycleState::Running,
            "unhealthy" => LifecycleState::Unhealthy { deadline: deadline? },
            "stopping" => LifecycleState::Stopping {
                deadline: deadline?,
                wanted: record.wanted.ok_or(NoState)?,
            },
            "backing-off" => LifecycleState::BackingOff {
                until: record.until.ok_or(NoState)?,
                reason: reason?,
            },
            "crash-looped" => LifecycleState::CrashLooped {
                until: record.until,
                reason: reason?,
            },
            _ => return Err(NoState),
        };
        Ok(Self {
            state,
            run: record.run,
            since: record.since,
            ready_at: record.ready_at,
            failures: record.failures,
            ignored: record.ignored,
            desired: record.desired,
            pinned: record.pinned,
            has_background_work: record.works_alone,
            outlived: record.outlived,
            ended_at: record.ended_at,
            memory_ends: record.memory_ends,
            incidents: record.incidents,
            spending: record.spending,
            spent_deadline: record.spent_deadline,
        })
    }
}
