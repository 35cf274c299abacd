//! What becomes of a run that ends without being told to, and of one that does not begin.

use super::{
    CRASH_LOOP_AFTER, CRASH_LOOP_REST_MS, Lifecycle, LifecycleEffect, LifecycleState, STABLE_AFTER_MS,
    deadlines::backoff_ms,
};

/// Why a container is gone that somebody else has stopped.
const SHUT_DOWN: &str = "the container was shut down";

impl Lifecycle {
    pub(super) fn start_failed(&mut self, now: u64, jitter: f64, reason: String) -> Vec<LifecycleEffect> {
        match self.state {
            LifecycleState::Starting { .. } => self.back_off(now, jitter, reason),
            _ => self.ignore(),
        }
    }

    pub(super) fn exited(&mut self, now: u64, jitter: f64, reason: String) -> Vec<LifecycleEffect> {
        match self.state {
            LifecycleState::Starting { met: false, .. } => self.back_off(now, jitter, reason),
            LifecycleState::Starting { .. } | LifecycleState::Restoring { .. } => {
                self.failed(now, jitter, reason)
            }
            LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::CrashLooped { until: None, .. } => self.died(now, jitter, reason),
            LifecycleState::Stopping { wanted: true, .. } => self.start(now),
            LifecycleState::Stopping { wanted: false, .. } => {
                self.enter(now, LifecycleState::Asleep);
                vec![LifecycleEffect::ClearAlarm]
            }
            LifecycleState::Asleep
            | LifecycleState::BackingOff { .. }
            | LifecycleState::CrashLooped { until: Some(_), .. } => self.ignore(),
        }
    }

    /// No failure, once it had answered: nothing was wrong with it. Before that it says nothing, and comes again at once.
    pub(super) fn shut_down(&mut self, now: u64, jitter: f64) -> Vec<LifecycleEffect> {
        match self.state {
            LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::CrashLooped { until: None, .. } => {
                if self.restarts_automatically() {
                    return self.pause(now, 0, SHUT_DOWN.into());
                }
                self.enter(now, LifecycleState::Asleep);
                vec![LifecycleEffect::ClearAlarm]
            }
            _ => self.exited(now, jitter, SHUT_DOWN.into()),
        }
    }

    /// A container that had answered is gone. The first time, another may be started at once.
    fn died(&mut self, now: u64, jitter: f64, reason: String) -> Vec<LifecycleEffect> {
        self.count_failure(now);
        match self.failures {
            0 | 1 if self.restarts_automatically() => self.pause(now, 0, reason),
            0 | 1 => {
                self.enter(now, LifecycleState::Asleep);
                vec![LifecycleEffect::ClearAlarm]
            }
            CRASH_LOOP_AFTER.. => self.give_up(now, reason),
            failures => self.pause(now, backoff_ms(failures.saturating_sub(2), jitter), reason),
        }
    }

    /// A start failed for the bot's own reasons.
    pub(super) fn failed(&mut self, now: u64, jitter: f64, reason: String) -> Vec<LifecycleEffect> {
        if self.failures.saturating_add(1) < CRASH_LOOP_AFTER {
            return self.back_off(now, jitter, reason);
        }
        self.count_failure(now);
        self.give_up(now, reason)
    }

    /// A start failed, maybe for want of a machine: it is tried again, however often.
    pub(super) fn back_off(&mut self, now: u64, jitter: f64, reason: String) -> Vec<LifecycleEffect> {
        let pause = backoff_ms(self.failures, jitter);
        self.count_failure(now);
        self.pause(now, pause, reason)
    }

    fn pause(&mut self, now: u64, pause: u64, reason: String) -> Vec<LifecycleEffect> {
        let until = now.saturating_add(pause);
        self.enter(now, LifecycleState::BackingOff { until, reason });
        let alarm = if self.restarts_automatically() {
            LifecycleEffect::SetAlarm(until)
        } else {
            LifecycleEffect::ClearAlarm
        };
        vec![alarm, LifecycleEffect::Kill]
    }

    fn give_up(&mut self, now: u64, reason: String) -> Vec<LifecycleEffect> {
        let until = Some(now.saturating_add(CRASH_LOOP_REST_MS));
        self.enter(now, LifecycleState::CrashLooped { until, reason });
        vec![LifecycleEffect::ClearAlarm, LifecycleEffect::Kill]
    }

    pub(super) fn count_failure(&mut self, now: u64) {
        let stable = |ready_at: u64| now.saturating_sub(ready_at) >= STABLE_AFTER_MS;
        let before = if self.ready_at.is_some_and(stable) {
            0
        } else {
            self.failures
        };
        self.failures = before.saturating_add(1);
    }
}
