//! Calls to the gateway's own control plane, over loopback with the password of callers inside the container.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use moltworker_core::bot::gateway::RpcRefusal;
use moltworker_core::wire::config::MAX_CONFIG_BYTES;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ingress;

const PATH: &str = "/api/v1/admin/rpc";
/// The status of every channel there is fits in a few kilobytes.
const MAX_ANSWER: usize = 256 * 1024;
/// A config of the size that is shown, in the five forms in which it is told at once.
const MAX_LONG_ANSWER: usize = 6 * MAX_CONFIG_BYTES;
/// Characters of the gateway's own words that are passed on.
const MAX_WORDS: usize = 1_000;

/// The way to one gateway after the other: they share address and password.
#[derive(Clone)]
pub(crate) struct Rpc {
    /// Where it listens.
    pub(crate) gateway: SocketAddr,
    /// Its password for callers from inside the container.
    pub(crate) password: String,
}

#[derive(Deserialize)]
struct RpcAnswer<T> {
    ok: bool,
    payload: Option<T>,
    #[serde(default)]
    error: RpcError,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RpcError {
    code: String,
    message: String,
    retry_after_ms: Option<u64>,
}

/// Why the gateway did not do what somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It does not take that, in its own words.
    Refused(String),
    /// It does not answer, or has no such call.
    Unavailable,
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

    /// Has the gateway do what somebody ordered, and reads of its answer what the caller wants to know.
    ///
    /// # Errors
    /// It did not, or it is not known whether it did.
    pub(crate) async fn order<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
    ) -> Result<T, NotDone> {
        let asked = tokio::time::timeout(patience, self.ask_for(method, params, MAX_LONG_ANSWER)).await;
        let (status, body) = asked.ok().flatten().ok_or(NotDone::Unavailable)?;
        judge_order(status, &body)
    }

    async fn ask(&self, method: &str, params: Value) -> Option<(StatusCode, Bytes)> {
        self.ask_for(method, params, MAX_ANSWER).await
    }

    async fn ask_for(&self, method: &str, params: Value, most: usize) -> Option<(StatusCode, Bytes)> {
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
        let body = Limited::new(response.into_body(), most).collect().await.ok()?;
        Some((status, body.to_bytes()))
    }
}

/// A route that is not there is answered with 404 or with the gateway's page, and a call it does not know with
/// 400: neither is better later. Whatever else goes wrong may be.
fn judge(status: StatusCode, body: &[u8]) -> Result<Value, RpcRefusal> {
    let answer: Option<RpcAnswer<Value>> = serde_json::from_slice(body).ok();
    match answer {
        Some(answer) if answer.ok && status == StatusCode::OK => Ok(answer.payload.unwrap_or_default()),
        Some(answer) if status.is_server_error() => Err(RpcRefusal::NotNow(answer.error.retry_after_ms)),
        None if status.is_server_error() => Err(RpcRefusal::NotNow(None)),
        _ => Err(RpcRefusal::NotOffered),
    }
}

/// What it says is wrong with an order, it says with this code.
fn judge_order<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, NotDone> {
    let answer: RpcAnswer<T> = serde_json::from_slice(body).map_err(|_| NotDone::Unavailable)?;
    match answer.payload {
        Some(payload) if answer.ok && status == StatusCode::OK => Ok(payload),
        _ if status == StatusCode::BAD_REQUEST && answer.error.code == "INVALID_REQUEST" => {
            let words = answer.error.message.chars();
            let printable = words.filter(|character| !character.is_control());
            Err(NotDone::Refused(printable.take(MAX_WORDS).collect()))
        }
        _ => Err(NotDone::Unavailable),
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

    #[test]
    fn an_order_that_is_refused_says_so_in_the_gateways_words() {
        let refused = |message: &str| {
            json!({"ok": false, "error": {"code": "INVALID_REQUEST", "message": message}}).to_string()
        };
        let long = "é".repeat(MAX_WORDS + 1);
        for (status, body, meaning) in [
            (
                200,
                r#"{"ok":true,"payload":{"a":1}}"#.to_owned(),
                Ok(json!({"a": 1})),
            ),
            (400, refused("no\nway"), Err(NotDone::Refused("noway".into()))),
            (400, refused(&long), Err(NotDone::Refused("é".repeat(MAX_WORDS)))),
            (500, refused("no"), Err(NotDone::Unavailable)),
            (
                400,
                r#"{"ok":false,"error":{"code":"OTHER"}}"#.to_owned(),
                Err(NotDone::Unavailable),
            ),
            (200, "<html>".to_owned(), Err(NotDone::Unavailable)),
            (200, r#"{"ok":true}"#.to_owned(), Err(NotDone::Unavailable)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(judge_order(status, body.as_bytes()), meaning, "{status} {body}");
        }
    }
}
