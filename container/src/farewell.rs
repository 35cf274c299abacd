//! Asks a gateway to end well, and in time.
//!
//! A plain SIGTERM may take it five minutes. Its own restart call takes a budget: what is not finished by then
//! is broken off and marked for recovery, and the process ends with code 0.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::ingress;

const PATH: &str = "/api/v1/admin/rpc";
/// What ends after the budget: connections, databases, the process. Measured: one second on an idle machine.
const AFTERWARDS: Duration = Duration::from_secs(8);
/// How long the gateway may take to say that it has understood. Measured: 15 to 60 ms.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_ANSWER: usize = 64 * 1024;

#[derive(Deserialize)]
struct Answer {
    ok: bool,
}

/// The gateway that is to end.
pub(crate) struct Farewell {
    /// Where it listens.
    pub(crate) gateway: SocketAddr,
    /// Its password for callers from inside the container.
    pub(crate) password: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Who holds its state, in its own words; from its lock.
    pub(crate) owner: String,
}

impl Farewell {
    /// Whether the gateway has understood that it is to end within `grace`.
    pub(crate) async fn bid(&self, grace: Duration) -> bool {
        let asked = tokio::time::timeout(PATIENCE, self.ask(budget(grace))).await;
        matches!(asked, Ok(Some(Answer { ok: true })))
    }

    async fn ask(&self, budget: Duration) -> Option<Answer> {
        let call = json!({
            "method": "gateway.restart.request",
            "params": {
                "reason": "host.stop",
                "target": { "pid": self.pid, "ownerId": self.owner, "port": self.gateway.port() },
                "restartIntent": { "force": true, "drainBudgetMs": u64::try_from(budget.as_millis()).ok()? },
            },
        });
        let request = Request::post(PATH)
            .header("host", self.gateway.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.password))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(call.to_string())))
            .ok()?;
        let response = ingress::ask(self.gateway, request).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(response.into_body(), LONGEST_ANSWER)
            .collect()
            .await
            .ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    }
}

/// What of `grace` the gateway may spend on work under way. At least half of it: a short grace says that there
/// is little to lose.
fn budget(grace: Duration) -> Duration {
    grace.saturating_sub(AFTERWARDS).max(grace / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_leaves_time_to_end() {
        for (grace, seconds) in [(25, 17), (16, 8), (4, 2), (0, 0)] {
            assert_eq!(budget(Duration::from_secs(grace)), Duration::from_secs(seconds));
        }
    }
}
