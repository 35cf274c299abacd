//! What errands are for.

use moltworker_core::backup::schedule::Purpose;
use moltworker_core::bot::gateway::GatewayEvent;
use moltworker_core::wire::control::{Doing, SnapshotReason};

/// What an errand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The home is made from a snapshot.
    Restore,
    /// The last snapshot before something.
    Save(SnapshotReason),
    /// A snapshot of the running bot.
    Snapshot(Purpose),
    /// The token is renewed.
    Renew,
    /// The repository is maintained.
    Maintain,
}

impl Kind {
    pub(super) fn doing(self) -> Doing {
        match self {
            Self::Restore => Doing::Restore,
            // Without a token that opens the repository nothing is saved: to an owner it is the same.
            Self::Save(_) | Self::Snapshot(_) | Self::Renew => Doing::Snapshot,
            Self::Maintain => Doing::Maintain,
        }
    }

    /// What the machine is told about its end, where it was the machine that wanted it.
    pub(super) fn ended(self, well: bool, intact: bool) -> Option<GatewayEvent> {
        match self {
            Self::Restore if well => Some(GatewayEvent::Restored),
            Self::Restore => Some(GatewayEvent::NotRestored { intact }),
            Self::Save(_) => Some(GatewayEvent::Saved(well)),
            Self::Snapshot(_) | Self::Renew | Self::Maintain => None,
        }
    }
}
