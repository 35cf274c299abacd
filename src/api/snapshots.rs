//! Calls about a bot's snapshots: handed to its Sandbox.

use moltworker_core::api::sandbox::Intent;
use moltworker_core::api::snapshots::{SnapshotCall, SnapshotRequest};
use worker::Response;

use crate::api::context::Context;
use crate::http::error::Result;
use crate::platform::sandbox_client;

/// Carries one call out.
pub(super) async fn call(
    ctx: &Context<'_>,
    call: SnapshotCall,
    request: SnapshotRequest,
) -> Result<Response> {
    ctx.audit.note(request.history_detail(call));
    ctx.audit.begin().await;
    Ok(sandbox_client::ask_with(ctx.env, ctx.subject()?, Intent::Snapshots(call), &request).await?)
}
