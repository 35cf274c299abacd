//! The Sandbox's questions and orders about the devices that may reach the bot's gateway: the gateway keeps them.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::devices::{DeviceCall, DeviceList, DeviceName, is_device_id};
use serde_json::{Value, json};

use crate::control::{Control, Refused};
use crate::http::answer;
use crate::http::body::Body;
use crate::supervisor::gateway_rpc::NotDone;

/// Measured: 15 to 60 ms.
const ANSWER_DEADLINE: Duration = Duration::from_secs(4);
/// An id, and what is around it.
const MAX_NAME: usize = 1024;

/// Answers one question, or passes one order on to the gateway.
pub(crate) async fn handle(
    control: &Control,
    call: DeviceCall,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refused> {
    let method = match call {
        DeviceCall::List => Method::GET,
        DeviceCall::Approve | DeviceCall::Reject | DeviceCall::Revoke => Method::POST,
    };
    if *request.method() != method {
        return Err((Refusal::WrongMethod, None));
    }
    let (method, name) = match call {
        DeviceCall::List => return Ok(answer::json(&list(control).await?)),
        DeviceCall::Approve => ("device.pair.approve", "requestId"),
        DeviceCall::Reject => ("device.pair.reject", "requestId"),
        DeviceCall::Revoke => ("device.pair.remove", "deviceId"),
    };
    let bad = |error: String| (Refusal::BadRequest, Some(error));
    let body = Limited::new(request.into_body(), MAX_NAME).collect().await;
    let body = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    let DeviceName { id } = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    if !is_device_id(&id) {
        return Err(bad("no device has such an id".to_owned()));
    }
    let before = list(control).await?;
    let done: Result<Value, _> = control
        .rpc
        .order(method, json!({ name: id }), ANSWER_DEADLINE)
        .await;
    done.map_err(|error| match error {
        NotDone::Refused(words) => (Refusal::NoSuchEntry, Some(words)),
        NotDone::Unavailable => (Refusal::GatewayUnavailable, None),
    })?;
    // It is done: that the gateway does not tell how it is now is no reason to say that it was not.
    let after = list(control).await.unwrap_or_else(|_| before.without(&id));
    Ok(answer::json(&after))
}

async fn list(control: &Control) -> Result<DeviceList, Refused> {
    let said: Result<Value, _> = control
        .rpc
        .order("device.pair.list", json!({}), ANSWER_DEADLINE)
        .await;
    let said = said.map_err(|_| (Refusal::GatewayUnavailable, None))?;
    Ok(DeviceList::of_gateway(&said))
}
