//! How the real gateway says no, dies and leaves, in its own words.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::{Answer, Failure, Fake, status, text};

const OWNER: &str = "owner-of-the-state";

/// What is said about a config with a key nobody knows.
pub(crate) fn reject(state: &str) {
    println!("2026-11-22T22:14:10.420+00:00 [gateway] loading configuration…");
    eprintln!(
        "2026-11-22T22:14:13.368+00:00 Gateway failed to start: Invalid config at {state}/openclaw.json:"
    );
    eprintln!("<root>: Unrecognized key: \"foo\"");
    eprintln!("Run \"openclaw doctor --fix\" to repair, then retry.");
}

/// Takes the lock on the state, and says who had it before.
pub(crate) fn lock(state: &str, port: u64) -> Result<(), Failure> {
    let directory = format!("{state}/tmp/openclaw-{}", rustix::process::geteuid().as_raw());
    fs::create_dir_all(&directory)?;
    let before = fs::read_dir(&directory)?.count();
    println!("{before} locks were there");
    let lock = json!({ "pid": std::process::id(), "ownerId": OWNER, "port": port });
    Ok(fs::write(
        format!("{directory}/gateway.state.lock"),
        lock.to_string(),
    )?)
}

/// Dies as V8 does when its heap is full.
pub(crate) fn fill_the_heap() -> ! {
    eprintln!("<--- Last few GCs --->");
    eprintln!(
        "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory"
    );
    for frame in 0..50 {
        eprintln!("{frame}: 0x{frame:x} node::Abort() [node]");
    }
    std::process::abort()
}

/// The restart call: who is meant has to be right. Work under way is waited for, up to the budget.
pub(crate) async fn restart(fake: &Fake, request: Request<Incoming>) -> Result<Answer, Failure> {
    let authorised = request.headers().get(AUTHORIZATION).cloned();
    let call: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let part = |path: &str| call.pointer(path).cloned().unwrap_or_default();
    let known = authorised
        .is_some_and(|value| value.as_bytes() == format!("Bearer {}", fake.secret).as_bytes())
        && part("/method") == "gateway.restart.request"
        && part("/params/target/ownerId") == OWNER
        && part("/params/target/pid") == std::process::id();
    if !known {
        return Ok(status(StatusCode::FORBIDDEN));
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
    Ok(text(r#"{"id":"1","ok":true,"payload":{"status":"emitted"}}"#))
}
