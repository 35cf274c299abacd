//! The calls of the control plane that the supervisor makes, answered as the real gateway does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::{Answer, Fake, FakeError, status, text};

/// How this gateway calls itself in its lock.
pub(crate) const OWNER: &str = "owner-of-the-state";
const SUSPENSION: &str = "the-suspension";
/// Longer than the supervisor waits.
const LATE: Duration = Duration::from_secs(5);

/// One call. While suspended only a few are let through.
pub(crate) async fn call(fake: &Fake, request: Request<Incoming>) -> Result<Answer, FakeError> {
    let authorised = request.headers().get(AUTHORIZATION).cloned();
    let call: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let password = format!("Bearer {}", fake.secret);
    if authorised.is_none_or(|value| value.as_bytes() != password.as_bytes()) {
        return Ok(status(StatusCode::FORBIDDEN));
    }
    let part = |path: &str| call.pointer(path).cloned().unwrap_or_default();
    let suspended = fake.suspended.load(Ordering::Relaxed);
    Ok(match part("/method").as_str() {
        Some("gateway.restart.request") => restart(fake, part),
        Some("gateway.suspend.prepare") => {
            if fake.agrees_late {
                tokio::time::sleep(LATE).await;
            }
            prepare(fake)
        }
        Some("gateway.suspend.resume") if part("/params/suspensionId") == SUSPENSION => {
            fake.suspended.store(false, Ordering::Relaxed);
            println!("goes on");
            payload(&json!({ "ok": true, "status": "running", "resumed": suspended }))
        }
        Some("channels.status") if !suspended => payload(&channels(fake)),
        Some("channels.status") => refused(StatusCode::SERVICE_UNAVAILABLE),
        Some("config.get") => told()?,
        Some("config.patch") => patch(&part)?,
        Some(method) if method.starts_with("device.pair.") => pair(fake, method, &part),
        _ => refused(StatusCode::BAD_REQUEST),
    })
}

/// Who is meant has to be right. Work under way is waited for, up to the budget.
fn restart(fake: &Fake, part: impl Fn(&str) -> Value) -> Answer {
    let is_meant =
        part("/params/target/ownerId") == OWNER && part("/params/target/pid") == std::process::id();
    if !is_meant {
        return refused(StatusCode::BAD_REQUEST);
    }
    let budget = part("/params/restartIntent/drainBudgetMs").as_u64().unwrap_or(0);
    let stalled = fake.stalled.load(Ordering::Relaxed);
    println!("asked to end within {budget} ms, {stalled} requests under way");
    let end = fake.end.clone();
    tokio::spawn(async move {
        if stalled > 0 {
            tokio::time::sleep(Duration::from_millis(budget)).await;
        }
        end.send(0).await
    });
    payload(&json!({ "status": "emitted" }))
}

fn prepare(fake: &Fake) -> Answer {
    let stalled = fake.stalled.load(Ordering::Relaxed);
    if stalled > 0 {
        let blocker = json!({ "kind": "embedded-run", "count": stalled, "message": "words of the owner" });
        return payload(&json!({ "status": "busy", "retryAfterMs": 20_000, "blockers": [blocker] }));
    }
    fake.suspended.store(true, Ordering::Relaxed);
    payload(&json!({ "status": "ready", "suspensionId": SUSPENSION, "blockers": [] }))
}

fn channels(fake: &Fake) -> Value {
    let mode = if fake.polls { "polling" } else { "webhook" };
    let account = json!({ "accountId": "default", "enabled": true, "running": true, "mode": mode });
    json!({ "channelOrder": ["telegram"], "channelAccounts": { "telegram": [account] } })
}

fn config_file() -> String {
    format!("{}/openclaw.json", crate::variable("OPENCLAW_STATE_DIR"))
}

fn config() -> Result<String, FakeError> {
    Ok(std::fs::read_to_string(config_file())?)
}

/// One with `edited` in it is changed by somebody else as soon as it was told.
fn told() -> Result<Answer, FakeError> {
    let text = config()?;
    if text.contains("edited") {
        std::fs::write(config_file(), format!("{text} "))?;
    }
    Ok(payload(
        &json!({ "exists": true, "hash": hash(&text), "config": {} }),
    ))
}

fn hash(text: &str) -> String {
    format!("of {} bytes", text.len())
}

/// Takes whatever has no key `foo`, and repeats what it refuses as `echo`. One that sets `restarts` is written, and not answered as such.
fn patch(part: &impl Fn(&str) -> Value) -> Result<Answer, FakeError> {
    let before = config()?;
    let raw = part("/params/raw");
    let patch: Value = serde_json::from_str(raw.as_str().unwrap_or_default())?;
    println!("replaces {}", part("/params/replacePaths"));
    if part("/params/baseHash") != hash(&before) {
        return Ok(invalid(
            "config changed since last load; re-run config.get and retry",
        ));
    }
    if let Some(value) = patch.get("echo") {
        return Ok(invalid(&format!("invalid config: echo is {value}")));
    }
    if patch.get("foo").is_some() {
        return Ok(invalid("invalid config: <root>: Unrecognized key: \"foo\""));
    }
    let mut config: Value = serde_json::from_str(&before)?;
    moltworker_core::bot::config::merge(&mut config, &patch);
    std::fs::write(config_file(), config.to_string())?;
    Ok(match patch.get("restarts") {
        Some(_) => refused(StatusCode::SERVICE_UNAVAILABLE),
        None => payload(&json!({ "ok": true, "config": config })),
    })
}

/// One that waits and one that is let in.
pub(crate) fn devices() -> Value {
    json!({
        "pending": [{ "requestId": "r-1", "deviceId": "d-1", "displayName": "phone", "role": "operator", "ts": 5 }],
        "paired": [{ "deviceId": "d-2", "displayName": "laptop", "approvedAtMs": 7, "connected": true }],
    })
}

fn pair(fake: &Fake, method: &str, part: &impl Fn(&str) -> Value) -> Answer {
    let Ok(mut devices) = fake.devices.lock() else {
        return refused(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut take = |list: &str, name: &str| {
        let wanted = part(&format!("/params/{name}"));
        let all = devices.get_mut(list).and_then(Value::as_array_mut)?;
        let found = all.iter().position(|device| device.get(name) == Some(&wanted))?;
        Some(all.remove(found))
    };
    let taken = match method {
        "device.pair.list" => return payload(&devices),
        "device.pair.approve" | "device.pair.reject" => take("pending", "requestId"),
        "device.pair.remove" => take("paired", "deviceId"),
        _ => return refused(StatusCode::BAD_REQUEST),
    };
    let Some(taken) = taken else {
        return invalid("unknown id");
    };
    if method == "device.pair.approve"
        && let Some(paired) = devices.get_mut("paired").and_then(Value::as_array_mut)
    {
        paired.push(taken);
    }
    payload(&json!({ "ok": true }))
}

fn invalid(message: &str) -> Answer {
    let words = json!({ "id": "1", "ok": false, "error": { "code": "INVALID_REQUEST", "message": message } });
    let mut answer = text(&words.to_string());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer
}

fn payload(payload: &Value) -> Answer {
    text(&json!({ "id": "1", "ok": true, "payload": payload }).to_string())
}

fn refused(code: StatusCode) -> Answer {
    let mut answer = text(r#"{"id":"1","ok":false,"error":{"code":"REFUSED"}}"#);
    *answer.status_mut() = code;
    answer
}
