//! What a bot's gateway wrote last, and goes on to write.

use moltworker_core::api::contract::Access;
use moltworker_core::api::sandbox::LogRequest;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::error::Result;
use crate::platform::sandbox_client;

/// The lines that are wanted. Never wakes the bot.
pub(super) async fn tell(ctx: &Context<'_>, mut wanted: LogRequest) -> Result<Answer> {
    wanted.by_admin = ctx.endpoint.access() == Access::Admin;
    ctx.audit.note("read the log");
    let lines = sandbox_client::logs(ctx.env, ctx.subject()?, wanted).await?;
    Ok(Answer::Stream(lines))
}
