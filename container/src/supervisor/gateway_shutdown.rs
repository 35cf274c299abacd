//! Asks a gateway to end well, and in time.
//!
//! A plain SIGTERM may take it five minutes. Its own restart call takes a budget: what is not finished by then
//! is broken off and marked for recovery, and the process ends with code 0.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::output::Logs;
use crate::settings::Settings;
use crate::supervisor::gateway_rpc::Rpc;
use crate::supervisor::locks;

/// What ends after the budget: connections, databases, the process. Measured: one second on an idle machine.
const EXIT_MARGIN: Duration = Duration::from_secs(8);
/// How long the gateway may take to say that it has understood. Measured: 15 to 60 ms.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// Asks the gateway `pid` in the way that has an end. False where it did not understand: then a signal is what is left.
pub(crate) async fn end_well(settings: &Settings, rpc: Rpc, pid: u32, grace: Duration, logs: &Logs) -> bool {
    let begun = Instant::now();
    let Some(owner) = locks::owner(settings, pid).await else {
        logs.say("gateway: does not say how it calls itself; it gets a signal");
        return false;
    };
    // What the reading took is not the gateway's any more.
    let left = grace.saturating_sub(begun.elapsed());
    let understood = GracefulStop { rpc, pid, owner }.request(left).await;
    if !understood {
        logs.say("gateway: did not understand that it is to end; it gets a signal");
    }
    understood
}

/// The gateway that is to end.
struct GracefulStop {
    /// The way to it.
    rpc: Rpc,
    /// Its process.
    pid: u32,
    /// Who holds its state, in its own words; from its lock.
    owner: String,
}

impl GracefulStop {
    /// Whether the gateway has understood that it is to end within `grace`.
    async fn request(&self, grace: Duration) -> bool {
        let budget = u64::try_from(budget(grace).as_millis()).unwrap_or(u64::MAX);
        let params = json!({
            "reason": "host.stop",
            "target": { "pid": self.pid, "ownerId": self.owner, "port": self.rpc.gateway.port() },
            "restartIntent": { "force": true, "drainBudgetMs": budget },
        });
        self.rpc
            .call("gateway.restart.request", params, ANSWER_DEADLINE)
            .await
            .is_ok()
    }
}

/// What of `grace` the gateway may spend on work under way. At least half of it: a short grace says that there
/// is little to lose.
fn budget(grace: Duration) -> Duration {
    grace.saturating_sub(EXIT_MARGIN).max(grace / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resume_budget_leaves_time_to_terminate() {
        for (grace, seconds) in [(25, 17), (16, 8), (4, 2), (0, 0)] {
            assert_eq!(budget(Duration::from_secs(grace)), Duration::from_secs(seconds));
        }
    }
}
