//! The channels of a bot's gateway: handed to its Sandbox.

use moltworker_core::api::channels::{
    ChannelCall, ChannelCommand, ChannelName, ChannelRequest, removing_patch,
};
use moltworker_core::api::sandbox::{RawDocument, SandboxCommand};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::channels::ChannelList;
use worker::Request;

use super::config::author;
use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::body;
use crate::http::error::{Error, Result};
use crate::platform::sandbox_client;

/// Answers one of these calls.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: ChannelCall) -> Result<Answer> {
    let command = match call {
        ChannelCall::List => ChannelCommand::List,
        ChannelCall::Set => {
            let wanted: ChannelRequest = body::json(ctx.endpoint, request).await?;
            let patch = wanted
                .patch()
                .map_err(|why| Error::detailed(Refusal::BadRequest, why))?;
            ctx.audit.note(wanted.kind.as_str());
            ChannelCommand::Change(author(ctx)?, RawDocument::of_text(patch))
        }
        ChannelCall::Remove => {
            let ChannelName { kind } = body::json(ctx.endpoint, request).await?;
            ctx.audit.note(kind.as_str());
            ChannelCommand::Change(author(ctx)?, RawDocument::of_text(removing_patch(kind)))
        }
    };
    ctx.audit.begin().await;
    let command = SandboxCommand::Channels(command);
    let channels = sandbox_client::document(ctx.env, ctx.subject()?, &command).await?;
    Ok(Answer::raw::<ChannelList>(channels))
}
