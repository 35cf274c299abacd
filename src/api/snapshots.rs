//! Calls about a bot's snapshots: handed to its Sandbox.

use moltworker_core::api::snapshots::SnapshotCommand;
use worker::Response;

use crate::api::context::Context;
use crate::http::error::Result;
use crate::http::reply;
use crate::platform::sandbox_client::{self, SnapshotOutcome};

/// Carries one call out.
pub(super) async fn call(ctx: &Context<'_>, command: SnapshotCommand) -> Result<Response> {
    ctx.audit.note(command.history_detail());
    ctx.audit.begin().await;
    Ok(
        match sandbox_client::snapshots(ctx.env, ctx.subject()?, command).await? {
            SnapshotOutcome::List(list) => reply::document(list.into_text())?,
            SnapshotOutcome::Accepted(status) => reply::document(status.into_text())?.with_status(202),
            SnapshotOutcome::Content(stream) => stream,
        },
    )
}
