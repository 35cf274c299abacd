//! The part of the machine that is about what a gateway leaves running: nothing else begins before it is gone, and
//! where it does not go the container does.

use std::time::Duration;

use super::{CrashLoop, GatewayEffect, GatewayLifecycle, GatewayState, LOOK_AGAIN, Next, Then, millis};

/// How long ending the processes that a gateway left may take. A killed process goes at once; thousands that
/// fight for a processor were seen to take a second. What is left then is held by the kernel.
pub const CLEAR_DEADLINE: Duration = Duration::from_secs(5);

impl GatewayLifecycle {
    pub(super) fn cleared(&mut self, now: Duration, outlived: u32) -> Option<GatewayEffect> {
        let GatewayState::Clearing { next, .. } = self.state else {
            return self.ignore();
        };
        self.view.outlived = self.view.outlived.saturating_add(outlived);
        match next {
            Next::Pause { until } => {
                self.state = GatewayState::Restarting { until };
                None
            }
            Next::GiveUp => {
                self.give_up(now);
                None
            }
            Next::Save(then) => self.save(now, then),
        }
    }

    /// Something is left of the gateway. No other one runs beside it, and no home is restored below it: the container
    /// ends, and that with it. What there is is saved first, as it is saved while a bot runs.
    pub(super) fn not_cleared(&mut self, now: Duration) -> Option<GatewayEffect> {
        self.save(now, Then::Leave)
    }

    fn give_up(&mut self, now: Duration) {
        // There was an end, or nothing would have had to be cleared.
        self.view.crash_loop = self.view.endings.back().map(|last| CrashLoop {
            since_ms: millis(now),
            failures: u32::try_from(self.failures.len()).unwrap_or(u32::MAX),
            reason: last.reason,
            message: last.message.clone(),
        });
        let look = now + LOOK_AGAIN;
        self.state = GatewayState::CrashLooped { look };
    }
}

#[cfg(test)]
mod tests;
