//! The Sandbox's question about the bot's channels: the gateway runs them, and tries each that it is asked about.

use std::time::Duration;

use hyper::{Method, Response};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::channels::ChannelList;
use serde_json::{Value, json};

use crate::control::{Control, Refused};
use crate::http::answer;
use crate::http::body::Body;

/// How long the gateway may take to try one channel.
const PROBE_MS: u64 = 5_000;
/// All of them, one after the other at worst.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// Asks the gateway how they are.
pub(crate) async fn handle(control: &Control, method: &Method) -> Result<Response<Body>, Refused> {
    if *method != Method::GET {
        return Err((Refusal::WrongMethod, None));
    }
    let _place = control
        .looks
        .try_acquire()
        .map_err(|_| (Refusal::TooMany, None))?;
    let params = json!({ "probe": true, "timeoutMs": PROBE_MS });
    let said: Result<Value, _> = control
        .rpc
        .order("channels.status", params, ANSWER_DEADLINE)
        .await;
    let said = said.map_err(|_| (Refusal::GatewayUnavailable, None))?;
    Ok(answer::json(&ChannelList::of_gateway(&said)))
}
