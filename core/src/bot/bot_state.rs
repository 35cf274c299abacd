//! The states of a bot in words, for JSON, for D1 and for people.

use serde::{Deserialize, Serialize};

/// The name of a [`LifecycleState`](super::lifecycle::LifecycleState), without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum BotState {
    /// No container; the next request starts one.
    Asleep,
    /// On its way up.
    Starting,
    /// On its way up, and its home is being brought back first.
    Restoring,
    /// The gateway answers, or did when last asked.
    Running,
    /// Up and not answering; its supervisor brings it back.
    Unhealthy,
    /// On its way down.
    Stopping,
    /// A run failed; the next one waits.
    BackingOff,
    /// It failed so often that it is left alone for a while, or until it is told to start again.
    CrashLooped,
    /// Its owner stopped it; nothing wakes it.
    Stopped,
    /// An admin suspended it; nothing wakes it.
    Suspended,
}

impl BotState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Asleep,
        Self::Starting,
        Self::Restoring,
        Self::Running,
        Self::Unhealthy,
        Self::Stopping,
        Self::BackingOff,
        Self::CrashLooped,
        Self::Stopped,
        Self::Suspended,
    ];

    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Starting => "starting",
            Self::Restoring => "restoring",
            Self::Running => "running",
            Self::Unhealthy => "unhealthy",
            Self::Stopping => "stopping",
            Self::BackingOff => "backing-off",
            Self::CrashLooped => "crash-looped",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
        }
    }
}
