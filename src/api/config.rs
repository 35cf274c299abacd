//! The config of a bot's gateway: handed to its Sandbox.

use moltworker_core::api::config::{
    BotConfig, ConfigAuthor, ConfigCall, ConfigChangeName, ConfigCommand, ConfigHistory, ConfigPatch,
};
use moltworker_core::api::contract::Access;
use moltworker_core::api::sandbox::{RawDocument, SandboxCommand};
use worker::Request;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::body;
use crate::http::error::Result;
use crate::platform::sandbox_client;

/// Answers one of these calls. The values of a patch may be secrets: the history has who changed it and when, the list of changes
/// also what.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: ConfigCall) -> Result<Answer> {
    let command = match call {
        ConfigCall::Read => ConfigCommand::Read,
        ConfigCall::List => ConfigCommand::List,
        ConfigCall::Patch => {
            let (_, text) = body::json_as_it_came::<ConfigPatch>(ctx.endpoint, request).await?;
            ConfigCommand::Patch(author(ctx)?, RawDocument::of_text(text))
        }
        ConfigCall::RollBack => {
            let ConfigChangeName { id } = body::json(ctx.endpoint, request).await?;
            ctx.audit.note(format!("to before change {id}"));
            ConfigCommand::RollBack(author(ctx)?, id)
        }
    };
    ctx.audit.begin().await;
    let command = SandboxCommand::Config(command);
    let document = sandbox_client::document(ctx.env, ctx.subject()?, &command).await?;
    Ok(match call {
        ConfigCall::List => Answer::raw::<ConfigHistory>(document),
        ConfigCall::Read | ConfigCall::Patch | ConfigCall::RollBack => Answer::raw::<BotConfig>(document),
    })
}

/// Who changes it.
///
/// # Errors
/// As [`Context::caller`].
pub(super) fn author(ctx: &Context<'_>) -> Result<ConfigAuthor> {
    Ok(ConfigAuthor {
        user: ctx.caller()?.identity().user,
        is_admin: ctx.endpoint.access() == Access::Admin,
    })
}
