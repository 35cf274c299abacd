//! The states of a gateway's life.

use std::time::Duration;

use super::GatewayRules;
use crate::wire::control::{EndReason, GatewayPhase};

/// Where a gateway is in its life, with what leads on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GatewayState {
    /// The home is being made from a snapshot. Until that is over no gateway is started.
    Restoring {
        deadline: Duration,
        /// Whether there is a home to go on with if the snapshot cannot be restored.
        fallback: bool,
    },
    /// It could not be made; tried again then.
    RestorePause {
        until: Duration,
    },
    /// The last snapshot before something is being taken, or tried again from `again` on.
    Saving {
        deadline: Duration,
        again: Option<Duration>,
        then: Then,
    },
    Starting {
        deadline: Duration,
    },
    Up {
        failed: u32,
        probe: Probe,
    },
    /// It is being ended, for a reason that is not its own.
    Ending {
        reason: EndReason,
        deadline: Duration,
        then: Then,
    },
    /// It has ended, and what it left running is being ended. Nothing else begins before none of that is there.
    Clearing {
        deadline: Duration,
        next: Next,
    },
    Restarting {
        until: Duration,
    },
    CrashLooped {
        look: Duration,
    },
    Over,
}

/// Its next probe, or the one that is under way and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Next(Duration),
    Asked(Duration),
}

/// What comes after the end of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    StartAgain,
    Restore,
    Leave,
}

/// What comes once nothing is left of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Pause { until: Duration },
    GiveUp,
    Save(Then),
}

impl GatewayState {
    /// When the machine has to go on by itself.
    pub(super) fn deadline(&self, rules: &GatewayRules) -> Option<Duration> {
        match *self {
            GatewayState::Starting { deadline }
            | GatewayState::Ending { deadline, .. }
            | GatewayState::Clearing { deadline, .. }
            | GatewayState::Restoring { deadline, .. } => Some(deadline),
            GatewayState::Saving { deadline, again, .. } => {
                Some(again.map_or(deadline, |again| again.min(deadline)))
            }
            GatewayState::Up { probe, .. } => match probe {
                Probe::Next(at) => Some(at),
                Probe::Asked(at) => Some(at + rules.probe_patience),
            },
            GatewayState::Restarting { until } | GatewayState::RestorePause { until } => Some(until),
            GatewayState::CrashLooped { look } => Some(look),
            GatewayState::Over => None,
        }
    }

    /// As others are told of it.
    pub(super) fn phase(&self) -> GatewayPhase {
        match self {
            GatewayState::Restoring { .. }
            | GatewayState::RestorePause { .. }
            | GatewayState::Saving {
                then: Then::StartAgain | Then::Restore,
                ..
            } => GatewayPhase::Restoring,
            GatewayState::Starting { .. } => GatewayPhase::Starting,
            GatewayState::Up { failed: 0, .. } => GatewayPhase::Ready,
            GatewayState::Up { .. } => GatewayPhase::Suspect,
            GatewayState::Ending {
                then: Then::StartAgain | Then::Restore,
                ..
            }
            | GatewayState::Clearing {
                next: Next::Pause { .. } | Next::GiveUp | Next::Save(Then::StartAgain | Then::Restore),
                ..
            }
            | GatewayState::Restarting { .. } => GatewayPhase::Restarting,
            GatewayState::CrashLooped { .. } => GatewayPhase::CrashLooped,
            GatewayState::Ending {
                then: Then::Leave, ..
            }
            | GatewayState::Clearing {
                next: Next::Save(Then::Leave),
                ..
            }
            | GatewayState::Saving {
                then: Then::Leave, ..
            }
            | GatewayState::Over => GatewayPhase::Draining,
        }
    }
}
