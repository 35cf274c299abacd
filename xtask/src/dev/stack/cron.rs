//! The clock of the local system: wrangler dev leaves cron triggers to whoever asks for them.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_secs(60);

/// Triggers the Worker's cron once a minute, for ever.
pub(super) async fn tick(port: u16) -> Result<()> {
    let client = super::local_client()?;
    // The only trigger in wrangler.toml.
    let url = format!("http://127.0.0.1:{port}/cdn-cgi/handler/scheduled?cron=*+*+*+*+*");
    let mut clock = interval(PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    clock.tick().await;
    loop {
        clock.tick().await;
        // A Worker that is being rebuilt misses a tick, as it would anywhere; it says so in its own log.
        client.get(&url).timeout(PERIOD).send().await.ok();
    }
}
