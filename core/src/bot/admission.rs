//! What a request of the owner's meets: whether it is let in, waits, or is refused, and why.

use super::lifecycle::{Desired, Lifecycle, LifecycleState};
use crate::http::problem::Refusal;
use crate::wire::run::Run;

/// Whether a request may want the bot at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It may.
    Open,
    /// It may where there is a free slot: a container would be started for it.
    NeedsSlot,
    /// Nothing wakes this bot.
    Refused(Refusal),
}

/// What is done with a request once the bot is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Hand it to the container of this run.
    Forward(Run),
    /// Wait for the next change; where that cannot be, or takes too long, this is the refusal.
    Wait(Refusal),
    /// Waiting would not help. The words say why, for the owner.
    Refused(Refusal, String),
}

impl Lifecycle {
    /// Whether a request at time `now` may want this bot.
    pub fn entry(&self, now: u64) -> Entry {
        match self.desired {
            Desired::Stopped => Entry::Refused(Refusal::BotStopped),
            Desired::Suspended => Entry::Refused(Refusal::BotSuspended),
            Desired::Available if self.spent(now).is_some() => Entry::Refused(Refusal::SpendLimitReached),
            Desired::Available if self.would_start(now) => Entry::NeedsSlot,
            Desired::Available => Entry::Open,
        }
    }

    /// What is done with a request for which this bot is wanted.
    pub fn admission(&self) -> Admission {
        match &self.state {
            // Unhealthy: the ingress holds the request while the supervisor brings the gateway back.
            LifecycleState::Running | LifecycleState::Unhealthy { .. } => Admission::Forward(self.run),
            LifecycleState::BackingOff { reason, .. } => {
                Admission::Refused(Refusal::BotFailed, reason.clone())
            }
            LifecycleState::CrashLooped { reason, .. } => {
                Admission::Refused(Refusal::BotCrashLooped, reason.clone())
            }
            LifecycleState::Stopping { .. } => Admission::Wait(Refusal::BotStopping),
            LifecycleState::Starting { .. } | LifecycleState::Restoring { .. } => {
                Admission::Wait(Refusal::BotWaking)
            }
            // It ended a moment ago: the next round starts it.
            LifecycleState::Asleep => Admission::Wait(Refusal::BotWaking),
        }
    }
}

/// Whether a person is shown the page that follows the bot and goes on by itself, rather than one that only says no.
pub fn follows_the_bot(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::BotFailed
            | Refusal::BotCrashLooped
            | Refusal::NoCapacity
            | Refusal::BotWaking
            | Refusal::BotStopping
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn all_states() -> Vec<LifecycleState> {
        let reason = || "x".to_owned();
        vec![
            LifecycleState::Asleep,
            LifecycleState::Starting {
                deadline: 0,
                met: false,
            },
            LifecycleState::Restoring { deadline: 0, done: 0 },
            LifecycleState::Running,
            LifecycleState::Unhealthy { deadline: 0 },
            LifecycleState::Stopping {
                deadline: 0,
                wanted: false,
            },
            LifecycleState::BackingOff {
                until: NOW,
                reason: reason(),
            },
            LifecycleState::BackingOff {
                until: NOW + 1,
                reason: reason(),
            },
            LifecycleState::CrashLooped {
                until: None,
                reason: reason(),
            },
            LifecycleState::CrashLooped {
                until: Some(NOW),
                reason: reason(),
            },
            LifecycleState::CrashLooped {
                until: Some(NOW + 1),
                reason: reason(),
            },
        ]
    }

    fn lives(desired: Desired) -> Vec<Lifecycle> {
        let life = |state| Lifecycle {
            state,
            run: Run(3),
            desired,
            ..Lifecycle::new(0)
        };
        all_states().into_iter().map(life).collect()
    }

    #[test]
    fn a_bot_that_may_not_run_lets_nobody_in_whatever_its_state() {
        for (desired, refusal) in [
            (Desired::Stopped, Refusal::BotStopped),
            (Desired::Suspended, Refusal::BotSuspended),
        ] {
            for life in lives(desired) {
                assert_eq!(life.entry(NOW), Entry::Refused(refusal), "{life:?}");
            }
        }
    }

    #[test]
    fn a_slot_is_needed_where_a_container_would_be_started() {
        use Entry::{NeedsSlot, Open};
        let entries: Vec<_> = lives(Desired::Available)
            .iter()
            .map(|life| life.entry(NOW))
            .collect();
        assert_eq!(
            entries,
            [
                NeedsSlot, Open, Open, Open, Open, Open, NeedsSlot, Open, Open, NeedsSlot, Open
            ]
        );
    }

    #[test]
    fn each_state_meets_a_request_in_its_own_way() {
        let failed = || Admission::Refused(Refusal::BotFailed, "x".into());
        let given_up = || Admission::Refused(Refusal::BotCrashLooped, "x".into());
        let admissions: Vec<_> = lives(Desired::Available)
            .iter()
            .map(Lifecycle::admission)
            .collect();
        assert_eq!(
            admissions,
            [
                Admission::Wait(Refusal::BotWaking),
                Admission::Wait(Refusal::BotWaking),
                Admission::Wait(Refusal::BotWaking),
                Admission::Forward(Run(3)),
                Admission::Forward(Run(3)),
                Admission::Wait(Refusal::BotStopping),
                failed(),
                failed(),
                given_up(),
                given_up(),
                given_up(),
            ]
        );
    }

    #[test]
    fn a_person_follows_what_passes_by_itself() {
        let followed: Vec<_> = Refusal::ALL
            .into_iter()
            .filter(|refusal| follows_the_bot(*refusal))
            .collect();
        assert_eq!(
            followed,
            [
                Refusal::NoCapacity,
                Refusal::BotWaking,
                Refusal::BotStopping,
                Refusal::BotFailed,
                Refusal::BotCrashLooped
            ]
        );
        for life in lives(Desired::Available) {
            match life.admission() {
                Admission::Forward(_) => {}
                Admission::Wait(refusal) | Admission::Refused(refusal, _) => {
                    assert!(follows_the_bot(refusal), "{life:?}");
                }
            }
        }
    }
}
