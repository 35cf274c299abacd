//! The part of the machine that is about the bot's data: nothing runs on a home that is not confirmed, nothing is
//! saved from one, and nothing ends before what there is was saved, or could not be in time.

use std::time::Duration;

use super::rules::restore_pause;
use super::{GatewayEffect, GatewayLifecycle, GatewayState, HomeState, KILL_AGAIN, Next, SAVE_AGAIN, Then};
use crate::wire::control::SnapshotReason;
use crate::wire::run::RestorePoint;

impl GatewayLifecycle {
    /// What the home is to be made from.
    pub fn restore_point(&self) -> &RestorePoint {
        &self.point
    }

    /// Begins to make the home from a snapshot. `fallback`: there is a good one, should that fail.
    pub(super) fn restore(&mut self, now: Duration, fallback: bool) -> GatewayEffect {
        self.view.home = HomeState::Unconfirmed;
        self.superseded = false;
        let deadline = now + self.rules.restore_deadline;
        self.state = GatewayState::Restoring { deadline, fallback };
        GatewayEffect::Restore
    }

    pub(super) fn restored(&mut self, now: Duration) -> Option<GatewayEffect> {
        if !matches!(self.state, GatewayState::Restoring { .. }) {
            return self.ignore();
        }
        self.failed_restores = 0;
        if self.superseded {
            return Some(self.restore(now, false));
        }
        self.confirmed(now)
    }

    fn confirmed(&mut self, now: Duration) -> Option<GatewayEffect> {
        self.view.home = HomeState::Confirmed;
        self.reset_and_launch(now)
    }

    pub(super) fn not_restored(&mut self, now: Duration, chance: f64, intact: bool) -> Option<GatewayEffect> {
        let GatewayState::Restoring { fallback, .. } = self.state else {
            return self.ignore();
        };
        if self.superseded {
            return Some(self.restore(now, false));
        }
        if fallback && intact {
            return self.confirmed(now);
        }
        self.failed_restores = self.failed_restores.saturating_add(1);
        let until = now + restore_pause(self.failed_restores, chance);
        self.state = GatewayState::RestorePause { until };
        None
    }

    /// There is no gateway any more: what it left is saved before `then`.
    pub(super) fn save(&mut self, now: Duration, then: Then) -> Option<GatewayEffect> {
        if self.view.home != HomeState::Confirmed {
            return match then {
                Then::Restore => Some(self.restore(now, false)),
                Then::StartAgain | Then::Leave => self.leave(),
            };
        }
        let deadline = now + self.rules.save_deadline;
        self.state = GatewayState::Saving {
            deadline,
            again: None,
            then,
        };
        Some(GatewayEffect::Save(reason(then)))
    }

    pub(super) fn saved(&mut self, now: Duration, well: bool) -> Option<GatewayEffect> {
        let GatewayState::Saving {
            deadline,
            again: None,
            then,
        } = self.state
        else {
            return self.ignore();
        };
        match (then, well) {
            (Then::Leave, true) => self.leave(),
            (Then::Leave, false) => {
                let again = Some(now + SAVE_AGAIN);
                self.state = GatewayState::Saving {
                    deadline,
                    again,
                    then,
                };
                None
            }
            (Then::Restore, true) => Some(self.restore(now, true)),
            // What cannot be saved is not replaced.
            (Then::Restore, false) | (Then::StartAgain, _) => self.reset_and_launch(now),
        }
    }

    pub(super) fn restore_to(&mut self, now: Duration, point: RestorePoint) -> Option<GatewayEffect> {
        if self.view.home == HomeState::Unkept {
            return self.ignore();
        }
        match &mut self.state {
            GatewayState::Starting { .. } | GatewayState::Up { .. } => {
                self.point = point;
                self.end_for(now, Then::Restore)
            }
            GatewayState::Ending { then, .. } if *then != Then::Leave => {
                *then = Then::Restore;
                self.point = point;
                None
            }
            GatewayState::Clearing { next, .. } if *next != Next::Save(Then::Leave) => {
                *next = Next::Save(Then::Restore);
                self.point = point;
                None
            }
            GatewayState::Restarting { .. } | GatewayState::CrashLooped { .. } => {
                self.point = point;
                self.save(now, Then::Restore)
            }
            // Another one than was asked for first.
            GatewayState::Saving { then, .. } if *then != Then::Leave => {
                self.point = point;
                None
            }
            GatewayState::Restoring { .. } => {
                // What is under way is of the other snapshot, and its end begins this one.
                self.superseded = true;
                self.point = point;
                self.failed_restores = 0;
                Some(GatewayEffect::BreakOff)
            }
            GatewayState::RestorePause { .. } => {
                self.point = point;
                self.failed_restores = 0;
                Some(self.restore(now, false))
            }
            GatewayState::Ending { .. }
            | GatewayState::Clearing { .. }
            | GatewayState::Saving { .. }
            | GatewayState::Over => self.ignore(),
        }
    }

    pub(super) fn data_time_is_up(&mut self, now: Duration) -> Option<GatewayEffect> {
        match &mut self.state {
            GatewayState::Restoring { deadline, .. } => {
                *deadline = now + KILL_AGAIN;
                Some(GatewayEffect::BreakOff)
            }
            GatewayState::RestorePause { .. } => Some(self.restore(now, false)),
            GatewayState::Saving {
                deadline,
                again,
                then,
            } => {
                if now < *deadline {
                    *again = None;
                    return Some(GatewayEffect::Save(reason(*then)));
                }
                if *then == Then::Leave {
                    return self.leave();
                }
                // Its end says that it failed.
                *again = None;
                *deadline = now + KILL_AGAIN;
                Some(GatewayEffect::BreakOff)
            }
            _ => None,
        }
    }
}

/// Why the last snapshot before something is taken.
fn reason(then: Then) -> SnapshotReason {
    match then {
        Then::Leave => SnapshotReason::Stop,
        Then::Restore | Then::StartAgain => SnapshotReason::BeforeRestore,
    }
}

#[cfg(test)]
mod tests;
