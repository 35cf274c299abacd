//! What runs in a bot's container: asked of its Sandbox.

use moltworker_core::api::processes::BotProcesses;
use moltworker_core::api::sandbox::SandboxCommand;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::error::Result;
use crate::platform::sandbox_client;

/// The processes, and what they take. Never wakes the bot.
pub(super) async fn list(ctx: &Context<'_>) -> Result<Answer> {
    let processes = sandbox_client::document(ctx.env, ctx.subject()?, &SandboxCommand::Processes).await?;
    Ok(Answer::raw::<BotProcesses>(processes))
}
