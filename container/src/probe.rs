//! Watches a starting gateway until it says "started".

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::ingress;
use crate::life::Event;

const PATH: &str = "/startupz";
/// Between two questions. Each costs the starting gateway next to nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// A gateway that is busy loading answers late, not never.
const PATIENCE: Duration = Duration::from_secs(5);
/// The answer is one line; the gateway's page is not (see [`started`]).
const LONGEST_ANSWER: usize = 4 * 1024;

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    status: String,
}

/// Tells `report` that the gateway listens and then that it has started; then it is done.
pub(crate) async fn watch(gateway: SocketAddr, report: impl AsyncFn(Event)) {
    while TcpStream::connect(gateway).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    report(Event::Listening).await;
    while !matches!(
        tokio::time::timeout(PATIENCE, started(gateway)).await,
        Ok(Some(true))
    ) {
        tokio::time::sleep(PAUSE).await;
    }
    report(Event::Started).await;
}

/// One question. The gateway answers any unknown path with its page and 200, so the body is what counts.
async fn started(gateway: SocketAddr) -> Option<bool> {
    // No forwarded header: this is the gateway's own loopback caller, which needs none.
    let request = Request::get(PATH)
        .header("host", gateway.to_string())
        .body(Empty::<Bytes>::new())
        .ok()?;
    let response = ingress::ask(gateway, request).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(response.into_body(), LONGEST_ANSWER)
        .collect()
        .await
        .ok()?;
    let answer: Answer = serde_json::from_slice(&body.to_bytes()).ok()?;
    Some(answer.ok && answer.status == "started")
}
