//! Calls to the gateway's own control plane, over loopback with the password of callers inside the container.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use moltworker_core::bot::gateway::RpcRefusal;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ingress;

const PATH: &str = "/api/v1/admin/rpc";
/// The status of every channel there is fits in a few kilobytes.
const MAX_ANSWER: usize = 256 * 1024;

/// The way to one gateway after the other: they share address and password.
#[derive(Clone)]
pub(crate) struct Rpc {
    /// Where it listens.
    pub(crate) gateway: SocketAddr,
    /// Its password for callers from inside the container.
    pub(crate) password: String,
}

#[derive(Deserialize)]
struct RpcAnswer {
    ok: bool,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    error: RpcError,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RpcError {
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

impl Rpc {
    /// Makes one call and waits for its answer, but not longer than `patience`.
    ///
    /// # Errors
    /// When the answer is not the call's: it is missing, or the gateway says no.
    pub(crate) async fn call(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
    ) -> Result<Value, RpcRefusal> {
        let asked = tokio::time::timeout(patience, self.ask(method, params)).await;
        let (status, body) = asked.ok().flatten().ok_or(RpcRefusal::NotNow(None))?;
        judge(status, &body)
    }

    async fn ask(&self, method: &str, params: Value) -> Option<(StatusCode, Bytes)> {
        let call = json!({ "method": method, "params": params });
        // No forwarded header: this is the gateway's own loopback caller, which needs none.
        let request = Request::post(PATH)
            .header("host", self.gateway.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.password))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(call.to_string())))
            .ok()?;
        let response = ingress::ask(self.gateway, request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .ok()?;
        Some((status, body.to_bytes()))
    }
}

/// A route that is not there is answered with 404 or with the gateway's page, and a call it does not know with
/// 400: neither is better later. Whatever else goes wrong may be.
fn judge(status: StatusCode, body: &[u8]) -> Result<Value, RpcRefusal> {
    let answer: Option<RpcAnswer> = serde_json::from_slice(body).ok();
    match answer {
        Some(answer) if answer.ok && status == StatusCode::OK => Ok(answer.payload),
        Some(answer) if status.is_server_error() => Err(RpcRefusal::NotNow(answer.error.retry_after_ms)),
        None if status.is_server_error() => Err(RpcRefusal::NotNow(None)),
        _ => Err(RpcRefusal::NotOffered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_answer_is_classified() {
        for (status, body, meaning) in [
            (
                200,
                r#"{"id":"1","ok":true,"payload":{"a":1}}"#,
                Ok(json!({"a": 1})),
            ),
            (200, r#"{"id":"1","ok":true}"#, Ok(Value::Null)),
            (
                503,
                r#"{"ok":false,"error":{"code":"UNAVAILABLE","message":"m","retryable":true,"retryAfterMs":9}}"#,
                Err(RpcRefusal::NotNow(Some(9))),
            ),
            (
                504,
                r#"{"ok":false,"error":{"code":"AGENT_TIMEOUT"}}"#,
                Err(RpcRefusal::NotNow(None)),
            ),
            (502, "<html>", Err(RpcRefusal::NotNow(None))),
            (
                400,
                r#"{"ok":false,"error":{"code":"INVALID_REQUEST"}}"#,
                Err(RpcRefusal::NotOffered),
            ),
            (404, "Not Found", Err(RpcRefusal::NotOffered)),
            (200, "<html>a page</html>", Err(RpcRefusal::NotOffered)),
            (200, r#"{"ok":false}"#, Err(RpcRefusal::NotOffered)),
            (401, "{}", Err(RpcRefusal::NotOffered)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge(status, body.as_bytes()), meaning, "{status} {body}");
        }
    }
}
