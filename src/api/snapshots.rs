//! Calls about a bot's snapshots: handed to its Sandbox.

use moltworker_core::api::bot::BotStatus;
use moltworker_core::api::snapshots::{SnapshotCommand, SnapshotList};
use moltworker_core::http::problem::Refusal;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::error::Result;
use crate::http::reply::Page;
use crate::platform::sandbox_client::{self, SandboxError, SnapshotOutcome};

/// Carries one call out.
pub(super) async fn call(ctx: &Context<'_>, command: SnapshotCommand) -> Result<Answer> {
    ctx.audit.note(command.history_detail());
    ctx.audit.begin().await;
    let leads_on = command.leads_on().filter(|_| ctx.by_button());
    let outcome = sandbox_client::snapshots(ctx.env, ctx.subject()?, command).await;
    if let Some(page) = leads_on {
        return match outcome {
            // Pressed twice, or in another tab as well: the page shows what came of it.
            Ok(_) | Err(SandboxError::Refused(Refusal::NothingPassedOver, _)) => {
                Ok(Page::elsewhere(page)?.into())
            }
            Err(error) => Err(error.into()),
        };
    }
    Ok(match outcome? {
        SnapshotOutcome::List(list) => Answer::raw::<SnapshotList>(list),
        SnapshotOutcome::Accepted(status) => Answer::raw::<BotStatus>(status),
        SnapshotOutcome::Content(stream) => Answer::Stream(stream),
        SnapshotOutcome::File(facts) => Answer::File(facts),
        SnapshotOutcome::Unsatisfiable(size) => Answer::Unsatisfiable(size),
    })
}
