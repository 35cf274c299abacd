//! What of a bot's life is counted: what the history tells, how its gateways ended, and how long a start took.

use super::count::Count;
use super::table::{BOT_EVENTS, GATEWAY_ENDINGS, START_PHASE_SECONDS, START_PHASES, START_SECONDS};
use crate::bot::history::HistoryKind;
use crate::bot::lifecycle::{Lifecycle, LifecycleState};
use crate::wire::control::EndReason;
use crate::wire::run::Run;

/// That something happened to a bot.
pub fn of_event(kind: HistoryKind) -> Count {
    BOT_EVENTS.count(&[kind.as_str()], 1)
}

/// That a gateway's process ended.
pub fn of_ending(reason: EndReason) -> Count {
    GATEWAY_ENDINGS.count(&[reason.as_str()], 1)
}

/// Watches one start by the Sandbox's own clock. It lives in memory: a start whose Sandbox is thrown out of it on the way is not
/// measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StartWatch {
    begun: Option<(Run, u64)>,
    up_at: Option<u64>,
    restore_began_at: Option<u64>,
    restored_at: Option<u64>,
}

impl StartWatch {
    /// Takes note of a step of a life; what is to be counted once it is up.
    pub fn step(&mut self, before: &Lifecycle, after: &Lifecycle, now: u64) -> Vec<Count> {
        if after.run != before.run {
            *self = Self {
                begun: Some((after.run, now)),
                ..Self::default()
            };
        }
        let Some((_, began_at)) = self.begun.filter(|(run, _)| *run == after.run) else {
            return Vec::new();
        };
        let was_restoring = matches!(before.state, LifecycleState::Restoring { .. });
        if was_restoring && !matches!(after.state, LifecycleState::Restoring { .. }) {
            self.restored_at = Some(now);
        }
        match after.state {
            LifecycleState::Starting { met: false, .. } => return Vec::new(),
            LifecycleState::Starting { .. } => {
                self.up_at.get_or_insert(now);
                return Vec::new();
            }
            LifecycleState::Restoring { .. } => {
                self.up_at.get_or_insert(now);
                self.restore_began_at.get_or_insert(now);
                return Vec::new();
            }
            LifecycleState::Running => {}
            // It came to something else than was wanted: nothing to measure.
            _ => {
                self.begun = None;
                return Vec::new();
            }
        }
        self.begun = None;
        let all = now.saturating_sub(began_at);
        let container = self.up_at.unwrap_or(now).saturating_sub(began_at);
        let restore = match (self.restore_began_at, self.restored_at) {
            (Some(began), Some(ended)) => ended.saturating_sub(began),
            _ => 0,
        };
        let gateway = all.saturating_sub(container).saturating_sub(restore);
        let mut counts = START_SECONDS.observe(&[], all).to_vec();
        for (phase, ms) in START_PHASES.into_iter().zip([container, restore, gateway]) {
            counts.extend(START_PHASE_SECONDS.observe(&[phase], ms));
        }
        counts
    }
}
