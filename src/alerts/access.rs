//! What opens a sink, and the way there.

use moltworker_core::alerts::delivery::Tried;
use moltworker_core::alerts::format::Audience;
use moltworker_core::alerts::incident::Notice;
use moltworker_core::alerts::internal_hosts::InternalHosts;
use moltworker_core::alerts::sink::SinkAccess;
use moltworker_core::settings::Settings;

use super::send;

/// What opens a sink.
pub(super) enum Access {
    /// Of the admins.
    Open(SinkAccess),
    /// Of an owner.
    Owners(SinkAccess),
    /// It was sealed with another `SESSION_KEY`.
    Sealed,
    /// There is none of this name.
    Absent,
}

/// Tells an Alertmanager all of what goes on.
pub(super) async fn tell_again(settings: &Settings, access: &Access, notices: &[Notice]) -> Tried {
    match access {
        Access::Open(access) => send::resend(&settings.access.alert_internal_hosts, access, notices).await,
        // An owner's is none.
        Access::Owners(_) | Access::Sealed | Access::Absent => unopened(access),
    }
}

/// Tells one sink a notice.
pub(super) async fn tell(settings: &Settings, access: &Access, notice: &Notice, message_id: &str) -> Tried {
    match access {
        Access::Open(access) => {
            let hosts = &settings.access.alert_internal_hosts;
            send::send(hosts, access, notice, Audience::Admins, message_id).await
        }
        // Nowhere that only the operator's allow-list opens.
        Access::Owners(access) => {
            send::send(
                &InternalHosts::default(),
                access,
                notice,
                Audience::Owner,
                message_id,
            )
            .await
        }
        Access::Sealed | Access::Absent => unopened(access),
    }
}

fn unopened(access: &Access) -> Tried {
    match access {
        Access::Absent => Tried::Refused("there is no such sink any more".into()),
        Access::Sealed | Access::Open(_) | Access::Owners(_) => Tried::Failed {
            reason: "it cannot be opened with this SESSION_KEY; set it up again".into(),
            retry_after_ms: None,
        },
    }
}
