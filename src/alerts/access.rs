//! What opens a sink, and the way there.

use moltworker_core::alerts::delivery::DeliveryOutcome;
use moltworker_core::alerts::format::Audience;
use moltworker_core::alerts::incident::Notice;
use moltworker_core::alerts::internal_hosts::InternalHosts;
use moltworker_core::alerts::sink::SinkAccess;
use moltworker_core::settings::Settings;

use super::send;

/// What opening a sink gave.
pub(super) enum OpenedSink {
    /// One of the admins'.
    Admins(SinkAccess),
    /// One of an owner's.
    Owners(SinkAccess),
    /// It was sealed with another `SESSION_KEY`.
    Sealed,
    /// There is none of this name.
    Absent,
}

impl OpenedSink {
    /// Sends a notice to it.
    pub(super) async fn send(
        &self,
        settings: &Settings,
        notice: &Notice,
        message_id: &str,
    ) -> DeliveryOutcome {
        match self {
            Self::Admins(access) => {
                let hosts = &settings.access.alert_internal_hosts;
                send::send(hosts, access, notice, Audience::Admins, message_id).await
            }
            // Nowhere that only the operator's allow-list opens.
            Self::Owners(access) => {
                let hosts = InternalHosts::default();
                send::send(&hosts, access, notice, Audience::Owner, message_id).await
            }
            Self::Sealed | Self::Absent => self.unopened(),
        }
    }

    /// Sends an Alertmanager all of what goes on.
    pub(super) async fn resend(&self, settings: &Settings, notices: &[Notice]) -> DeliveryOutcome {
        match self {
            Self::Admins(access) => {
                send::resend(&settings.access.alert_internal_hosts, access, notices).await
            }
            // An owner's is none.
            Self::Owners(_) | Self::Sealed | Self::Absent => self.unopened(),
        }
    }

    fn unopened(&self) -> DeliveryOutcome {
        match self {
            Self::Absent => DeliveryOutcome::Refused("there is no such sink any more".into()),
            Self::Sealed | Self::Admins(_) | Self::Owners(_) => DeliveryOutcome::Failed {
                reason: "it cannot be opened with this SESSION_KEY; set it up again".into(),
                retry_after_ms: None,
            },
        }
    }
}
