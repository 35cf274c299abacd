//! How long things may take in a gateway's life, and how often they may fail.

use std::time::Duration;

/// The pause after the first failure; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: no longer than a start takes, so that it never is most of an outage.
pub const MAX_PAUSE: Duration = Duration::from_secs(30);
/// A gateway that was ready for this long had recovered: the next pause is a first one again.
pub const STEADY: Duration = Duration::from_secs(60);

/// What may be set about a gateway's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayRules {
    /// How long a start may take.
    pub start_deadline: Duration,
    /// How long a gateway that was told to end may take.
    pub stop_grace: Duration,
    /// From one probe to the next.
    pub probe_every: Duration,
    /// How long an answer to a probe may take.
    pub probe_patience: Duration,
    /// So many failures within the window make a crash loop.
    pub failures: usize,
    /// How long a failure counts.
    pub window: Duration,
    /// How long one attempt to restore the home may take.
    pub restore_deadline: Duration,
    /// How long the last snapshot before a stop or a restore may take, all attempts together.
    pub save_deadline: Duration,
}

impl Default for GatewayRules {
    fn default() -> Self {
        Self {
            // On a quarter of a core the gateway was seen to need 92 s.
            start_deadline: Duration::from_secs(150),
            stop_grace: Duration::from_secs(25),
            // With three failed probes a hang is over after 30 to 40 s. Loading code for its first answer keeps
            // a healthy gateway from answering for seconds, on half a core for many of them.
            probe_every: Duration::from_secs(10),
            probe_patience: Duration::from_secs(10),
            // After three unclean ends the gateway itself leaves its channels off in the next start: that start
            // has to be given to it.
            failures: 5,
            // Five starts that each run into their deadline, and the pauses between them, fit in.
            window: Duration::from_secs(15 * 60),
            // Ten GB at 6 MB/s. What takes longer has been given up by everybody who waited for it.
            restore_deadline: Duration::from_secs(30 * 60),
            // What changed since the snapshot of a minute ago; a first one of some 500 MB fits in as well.
            save_deadline: Duration::from_secs(60),
        }
    }
}

/// The first pause after a restore that failed; it doubles with each further one. A repository that hiccups is
/// back soon, and the owner waits.
pub(super) const FIRST_RESTORE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to restore.
pub const MAX_RESTORE_PAUSE: Duration = Duration::from_secs(60);
/// Between two attempts at the last snapshot.
pub const SAVE_AGAIN: Duration = Duration::from_secs(1);

/// The pause after so many failed restores in a row, spread as [`pause`] is.
pub(super) fn restore_pause(failed: u32, chance: f64) -> Duration {
    let doublings = failed.saturating_sub(1).min(16);
    let whole = FIRST_RESTORE_PAUSE
        .saturating_mul(1 << doublings)
        .min(MAX_RESTORE_PAUSE);
    spread(whole, chance)
}

/// Half of it is fixed and half is chance.
fn spread(whole: Duration, chance: f64) -> Duration {
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// The pause after so many quick ends in a row. Half of it is fixed and half is chance: a fleet that fell
/// together does not rise in step, and no pause is close to nothing.
pub fn pause(quick: u32, chance: f64) -> Duration {
    let Some(doublings) = quick.checked_sub(1) else {
        return Duration::ZERO;
    };
    let whole = FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(MAX_PAUSE);
    spread(whole, chance)
}
