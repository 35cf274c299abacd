//! One message to one sink.

use moltworker_core::alerts::delivery::{DEADLINE_SECONDS, DeliveryOutcome};
use moltworker_core::alerts::format::{self, Audience, SinkMessage};
use moltworker_core::alerts::incident::Notice;
use moltworker_core::alerts::internal_hosts::InternalHosts;
use moltworker_core::alerts::sink::{SinkAccess, SinkKind, signing_key};
use moltworker_core::alerts::target;
use moltworker_core::base64;
use worker::{AbortSignal, Error, Fetch, Headers, Method, Response, Result, web_sys};

use crate::platform::{clock, outgoing, webcrypto};

/// Sends it. What comes back is judged by its status alone: nothing of its body is read.
pub(super) async fn send(
    hosts: &InternalHosts,
    access: &SinkAccess,
    notice: &Notice,
    audience: Audience,
    message_id: &str,
) -> DeliveryOutcome {
    let now = clock::now_ms();
    match format::message(access, notice, audience, now) {
        Ok(message) => post(hosts, access, message, message_id, now).await,
        Err(error) => DeliveryOutcome::Refused(error.to_string()),
    }
}

/// Sends an Alertmanager all of what goes on, until it does not take it.
pub(super) async fn resend(
    hosts: &InternalHosts,
    access: &SinkAccess,
    notices: &[Notice],
) -> DeliveryOutcome {
    let now = clock::now_ms();
    let messages = match format::resent(access, notices, now) {
        Ok(messages) => messages,
        Err(error) => return DeliveryOutcome::Refused(error.to_string()),
    };
    for message in messages {
        let tried = post(hosts, access, message, "", now).await;
        if tried != DeliveryOutcome::Delivered {
            return tried;
        }
    }
    DeliveryOutcome::Delivered
}

async fn post(
    hosts: &InternalHosts,
    access: &SinkAccess,
    message: SinkMessage,
    message_id: &str,
    now: u64,
) -> DeliveryOutcome {
    // Also of one that was set up while the operator allowed more.
    if let Err(error) = target::check(&access.url, hosts) {
        return DeliveryOutcome::Refused(error.to_string());
    }
    match answered(access, message, message_id, now).await {
        Ok(answer) => {
            let retry_after = answer.headers().get("retry-after").ok().flatten();
            DeliveryOutcome::answered(answer.status_code(), retry_after.as_deref())
        }
        // In our own words: the runtime's may have the address in them, which opens some sinks.
        Err(_) => DeliveryOutcome::Failed {
            reason: format!("it did not answer within {DEADLINE_SECONDS} seconds, or cannot be reached"),
            retry_after_ms: None,
        },
    }
}

async fn answered(access: &SinkAccess, message: SinkMessage, message_id: &str, now: u64) -> Result<Response> {
    let SinkMessage { body, bearer } = message;
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("user-agent", "moltworker")?;
    if let Some(token) = bearer {
        headers.set("authorization", &format!("Bearer {token}"))?;
    }
    if access.kind == SinkKind::Webhook {
        let seconds = now / 1_000;
        let signed = format::signed_content(message_id, seconds, &body);
        headers.set("webhook-id", message_id)?;
        headers.set("webhook-timestamp", &seconds.to_string())?;
        headers.set("webhook-signature", &signature(access, &signed).await?)?;
    }
    let request = outgoing::request_once(&Method::Post, &access.url, &headers, Some(&body))?;
    // Given up and closed at the deadline, before its answer or in the middle of it: six connections may be open at once.
    let deadline = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(DEADLINE_SECONDS * 1_000));
    Fetch::Request(request).send_with_signal(&deadline).await
}

/// As Standard Webhooks has it: the version, and the MAC in base64.
async fn signature(access: &SinkAccess, content: &str) -> Result<String> {
    let key = access.secret.as_deref().and_then(signing_key);
    let key = key.ok_or_else(|| Error::RustError("the webhook has no key".into()))?;
    let key = webcrypto::import_mac_key(&key).await?;
    let mac = webcrypto::mac(&key, content.as_bytes()).await?;
    Ok(format!("v1,{}", base64::encode(mac)))
}
