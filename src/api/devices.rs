//! The devices that may reach a bot's gateway: asked of its Sandbox.

use moltworker_core::api::devices::DeviceCommand;
use moltworker_core::api::sandbox::SandboxCommand;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::devices::{DeviceCall, DeviceList, DeviceName, is_device_id};
use worker::Request;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::body;
use crate::http::error::{Error, Result};
use crate::platform::sandbox_client;

/// Answers one of these calls.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: DeviceCall) -> Result<Answer> {
    let id = match call {
        DeviceCall::List => None,
        DeviceCall::Approve | DeviceCall::Reject | DeviceCall::Revoke => {
            let DeviceName { id } = body::json(ctx.endpoint, request).await?;
            if !is_device_id(&id) {
                return Err(Error::detailed(
                    Refusal::BadRequest,
                    "id: no device has such a one",
                ));
            }
            ctx.audit.note(id.clone());
            Some(id)
        }
    };
    ctx.audit.begin().await;
    let command = SandboxCommand::Devices(DeviceCommand { call, id });
    let devices = sandbox_client::document(ctx.env, ctx.subject()?, &command).await?;
    Ok(Answer::raw::<DeviceList>(devices))
}
