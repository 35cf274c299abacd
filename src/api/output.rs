//! What a bot's gateway wrote last.

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::error::Result;
use crate::platform::sandbox_client;

/// The last lines. Never wakes the bot.
pub(super) async fn tail(ctx: &Context<'_>, lines: u16) -> Result<Answer> {
    ctx.audit.note("read the log");
    let lines = sandbox_client::logs(ctx.env, ctx.subject()?, lines).await?;
    Ok(Answer::Stream(lines))
}
