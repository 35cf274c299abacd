//! What is ordered of many bots, as one of them takes it.

use std::rc::Rc;

use moltworker_core::api::sandbox::{Order, SandboxAnswer};
use moltworker_core::api::snapshots::SnapshotCommand;
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::jobs::bulk::{BulkStep, BulkVerb};
use worker::Result;

use super::Inner;
use super::answer::Reply;

impl Inner {
    /// Does it, where it is for a bot in this state.
    pub(super) async fn bulk(self: &Rc<Self>, verb: BulkVerb, tried_at: Option<u64>) -> Result<Reply> {
        self.load().await?;
        let order = Order::of_bulk(verb);
        let lost = match order {
            Some(order) => self.would_lose(order).await?,
            None => None,
        };
        // Nothing is waited for between this look and the order: what falls asleep meanwhile would be started by it.
        let life = self.life();
        Ok(match (verb.step(&life, tried_at), order) {
            (BulkStep::Skip(why), _) => SandboxAnswer::Skipped(why.to_owned()).into(),
            (BulkStep::IsDone, _) => SandboxAnswer::Done.into(),
            (BulkStep::Do, Some(order)) => self.order(Authority::Admin, order, lost).await?.into(),
            (BulkStep::Do, None) => self.snapshots(SnapshotCommand::Take(false)).await?,
        })
    }
}
