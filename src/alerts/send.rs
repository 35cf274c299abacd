//! One message to one sink.

use std::time::Duration;

use moltworker_core::alerts::delivery::{DEADLINE_SECONDS, Tried};
use moltworker_core::alerts::format::{self, Message};
use moltworker_core::alerts::incident::Notice;
use moltworker_core::alerts::sink::{SinkAccess, SinkKind, signing_key};
use moltworker_core::alerts::target;
use moltworker_core::base64;
use moltworker_core::settings::Settings;
use worker::{Error, Fetch, Headers, Method, Response, Result};

use crate::platform::{clock, outgoing, webcrypto};

/// Sends it. What comes back is judged by its status alone: nothing of its body is read.
pub(super) async fn send(
    settings: &Settings,
    access: &SinkAccess,
    notice: &Notice,
    message_id: &str,
) -> Tried {
    // Also of one that was set up while the operator allowed more.
    if let Err(error) = target::check(&access.url, &settings.access.alert_internal_hosts) {
        return Tried::Refused(error.to_string());
    }
    match answered(access, notice, message_id).await {
        Ok(answer) => {
            let retry_after = answer.headers().get("retry-after").ok().flatten();
            Tried::answered(answer.status_code(), retry_after.as_deref())
        }
        // In our own words: the runtime's may have the address in them, which opens some sinks.
        Err(_) => Tried::Failed {
            reason: format!("it did not answer within {DEADLINE_SECONDS} seconds, or cannot be reached"),
            retry_after_ms: None,
        },
    }
}

async fn answered(access: &SinkAccess, notice: &Notice, message_id: &str) -> Result<Response> {
    let now = clock::now_ms();
    let Message { body, bearer } = format::message(access, notice, now)?;
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
    let deadline = Duration::from_secs(DEADLINE_SECONDS);
    clock::within(deadline, Fetch::Request(request).send()).await
}

/// As Standard Webhooks has it: the version, and the MAC in base64.
async fn signature(access: &SinkAccess, content: &str) -> Result<String> {
    let key = access.secret.as_deref().and_then(signing_key);
    let key = key.ok_or_else(|| Error::RustError("the webhook has no key".into()))?;
    let key = webcrypto::import_mac_key(&key).await?;
    let mac = webcrypto::mac(&key, content.as_bytes()).await?;
    Ok(format!("v1,{}", base64::encode(mac)))
}
