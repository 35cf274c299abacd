//! What is told in the log of what happens to a gateway.

use moltworker_core::bot::gateway::GatewayEvent;

/// What is worth a line in the log.
pub(crate) fn log_line(event: &GatewayEvent) -> Option<String> {
    Some(match event {
        GatewayEvent::Spawned(_, pid) => format!("gateway: process {pid} started"),
        GatewayEvent::NotSpawned(_, _, reason) => format!("gateway: not started: {reason}"),
        GatewayEvent::Listening(_) => "gateway: its port is open".to_owned(),
        GatewayEvent::Started(_) => "gateway: ready".to_owned(),
        GatewayEvent::Stop(_) => "told to stop".to_owned(),
        GatewayEvent::Restart => "told to restart the gateway".to_owned(),
        GatewayEvent::ConfigChanged => "gateway: its config has changed".to_owned(),
        GatewayEvent::Restored => "the home is confirmed".to_owned(),
        GatewayEvent::NotRestored { .. } => "the home is not restored".to_owned(),
        GatewayEvent::Saved(well) => {
            format!("the last snapshot was {}taken", if *well { "" } else { "not " })
        }
        GatewayEvent::RestoreTo(point) => format!("told to restore {point}"),
        GatewayEvent::Ended(..)
        | GatewayEvent::Cleared(..)
        | GatewayEvent::Probed(..)
        | GatewayEvent::Deadline => return None,
    })
}
