//! What a bot's gateway wrote last.

use worker::Response;

use crate::api::context::Context;
use crate::http::error::Result;
use crate::platform::sandbox_client;

/// The last lines. Never wakes the bot.
pub(super) async fn tail(ctx: &Context<'_>, lines: u16) -> Result<Response> {
    ctx.audit.note("read the log");
    Ok(sandbox_client::logs(ctx.env, ctx.subject()?, lines).await?)
}
