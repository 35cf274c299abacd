//! The states of a gateway's life.

use std::time::Duration;

use super::Rules;
use crate::wire::control::{EndReason, GatewayPhase};

/// Where a gateway is in its life, with what leads on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
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

impl State {
    /// When the machine has to go on by itself.
    pub(super) fn deadline(&self, rules: &Rules) -> Option<Duration> {
        match *self {
            State::Starting { deadline }
            | State::Ending { deadline, .. }
            | State::Restoring { deadline, .. } => Some(deadline),
            State::Saving { deadline, again, .. } => {
                Some(again.map_or(deadline, |again| again.min(deadline)))
            }
            State::Up { probe, .. } => match probe {
                Probe::Next(at) => Some(at),
                Probe::Asked(at) => Some(at + rules.probe_patience),
            },
            State::Restarting { until } | State::RestorePause { until } => Some(until),
            State::CrashLooped { look } => Some(look),
            State::Over => None,
        }
    }

    /// As others are told of it.
    pub(super) fn phase(&self) -> GatewayPhase {
        match self {
            State::Restoring { .. }
            | State::RestorePause { .. }
            | State::Saving {
                then: Then::StartAgain | Then::Restore,
                ..
            } => GatewayPhase::Restoring,
            State::Starting { .. } => GatewayPhase::Starting,
            State::Up { failed: 0, .. } => GatewayPhase::Ready,
            State::Up { .. } => GatewayPhase::Suspect,
            State::Ending {
                then: Then::StartAgain | Then::Restore,
                ..
            }
            | State::Restarting { .. } => GatewayPhase::Restarting,
            State::CrashLooped { .. } => GatewayPhase::CrashLooped,
            State::Ending {
                then: Then::Leave, ..
            }
            | State::Saving {
                then: Then::Leave, ..
            }
            | State::Over => GatewayPhase::Draining,
        }
    }
}
