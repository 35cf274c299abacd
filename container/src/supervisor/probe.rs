//! Asks the gateway over loopback how it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::ingress;

/// Whether it has started. Also "no" while it is suspended or drains.
const STARTED_PATH: &str = "/startupz";
/// Whether it lives: the one question it also answers with "yes" while it is suspended or drains.
const LIVE_PATH: &str = "/healthz";
/// Between two questions to one that starts. Each costs it next to nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// A gateway that is busy loading answers late, not never.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// The answer is one line; the gateway's page is not (see [`ask`]).
const MAX_ANSWER: usize = 4 * 1024;

#[derive(Deserialize)]
struct ProbeAnswer {
    ok: bool,
    status: String,
    version: Option<String>,
}

/// Ends when the gateway's port is open.
pub(crate) async fn listens(gateway: SocketAddr) {
    while TcpStream::connect(gateway).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Ends when the gateway has started, with its version where it says one.
pub(crate) async fn has_started(gateway: SocketAddr) -> Option<String> {
    loop {
        let asked = tokio::time::timeout(ANSWER_DEADLINE, ask(gateway, STARTED_PATH)).await;
        match asked {
            Ok(Some(answer)) if answer.ok && answer.status == "started" => return answer.version,
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whether the gateway lives. Waits for as long as it takes to answer, and notes how long that was.
pub(crate) async fn lives(gateway: SocketAddr, latency: &Latency) -> bool {
    let asked = Instant::now();
    let answer = ask(gateway, LIVE_PATH).await;
    let lives = answer.is_some_and(|answer| answer.ok && answer.status == "live");
    if lives {
        latency.note(asked.elapsed());
    }
    lives
}

/// How long the gateway took to answer the last probe that it answered.
#[derive(Clone)]
pub(crate) struct Latency(Arc<AtomicU64>);

/// It has answered none yet.
const UNKNOWN: u64 = u64::MAX;

impl Default for Latency {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNKNOWN)))
    }
}

impl Latency {
    fn note(&self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(UNKNOWN);
        self.0.store(millis, Ordering::Relaxed);
    }

    /// In milliseconds.
    pub(crate) fn millis(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|millis| *millis != UNKNOWN)
    }
}

/// One question. The gateway answers any unknown path with its page and 200, so the body is what counts.
async fn ask(gateway: SocketAddr, path: &str) -> Option<ProbeAnswer> {
    // No forwarded header: this is the gateway's own loopback caller, which needs none.
    let request = Request::get(path)
        .header("host", gateway.to_string())
        .body(Empty::<Bytes>::new())
        .ok()?;
    let response = ingress::ask(gateway, request).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}
