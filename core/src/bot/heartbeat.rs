//! The heartbeat of a bot that is awake: how often its Sandbox says in the registry that it looks after it, and when
//! cron takes its silence for trouble. Pure; times are milliseconds since 1970.

use super::lifecycle::PROBE_AGAIN_MS;

/// How old a heartbeat becomes while nothing changes. Twelve rows an hour, each with its place in the index, and a point of
/// the time series that goes with it: some four cents a month for a bot that is always awake.
pub const HEARTBEAT_MS: u64 = 5 * 60_000;
/// When cron has a bot looked at: two heartbeats and a minute, so that one which D1 missed is nobody's business.
pub const LATE_MS: u64 = 2 * HEARTBEAT_MS + 60_000;
/// How long one look has a bot for itself. Longer than a whole message takes whose every bot hangs (fifty of them, six side by
/// side, 25 seconds each), so that no two look at one bot; then cron takes it up again, whatever became of the first.
pub const CLAIM_MS: u64 = 4 * 60_000;
/// Activity is news once it is so much later than what the registry has: who needs a slot asks for two idle minutes.
pub const ACTIVITY_MS: u64 = 60_000;

/// What a Sandbox wrote last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// When that was.
    pub at: u64,
    /// The last activity of the owner's traffic that it knew of; zero for none.
    pub active_at: u64,
}

/// Whether it is time for the next one, of a bot whose row has not changed otherwise. The alarm rings once a minute: what
/// would be due before it rings again is due now.
pub fn is_due(last: Heartbeat, is_awake: bool, active_at: u64, now: u64) -> bool {
    let age = now.saturating_sub(last.at);
    let has_news = active_at >= last.active_at.saturating_add(ACTIVITY_MS);
    is_awake && (has_news || age.saturating_add(PROBE_AGAIN_MS / 2) >= HEARTBEAT_MS)
}

/// The newest heartbeat that is late.
pub fn late_before(now: u64) -> u64 {
    now.saturating_sub(LATE_MS)
}

/// The newest claim that has lapsed.
pub fn claimed_before(now: u64) -> u64 {
    now.saturating_sub(CLAIM_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAST: Heartbeat = Heartbeat {
        at: 10_000_000,
        active_at: 9_000_000,
    };

    #[test]
    fn a_quiet_bot_beats_every_five_minutes_and_a_sleeping_one_never() {
        let due = |after, is_awake| is_due(LAST, is_awake, LAST.active_at, LAST.at + after);
        for (after, expected) in [
            (0, false),
            (4 * 60_000 + 29_999, false),
            (4 * 60_000 + 30_000, true),
            (HEARTBEAT_MS, true),
        ] {
            assert_eq!(due(after, true), expected, "{after}");
            assert!(!due(after, false), "{after}");
        }
    }

    #[test]
    fn activity_is_written_once_a_minute() {
        let due = |active_at| is_due(LAST, true, active_at, LAST.at + 60_000);
        assert!(!due(LAST.active_at + ACTIVITY_MS - 1));
        assert!(due(LAST.active_at + ACTIVITY_MS));
        assert!(!due(0), "nobody knows");
    }

    proptest! {
        /// An alarm that rings once a minute, give or take two seconds, and writes that fail, one or two in a row: what failed
        /// is due at the next alarm, and no heartbeat is ever late.
        #[test]
        fn a_bot_whose_alarm_rings_is_never_late(rings in prop::collection::vec((0_u64..2_000, 0_u8..3), 60..200)) {
            let (mut now, mut last, mut failed) = (1_000_000, Heartbeat { at: 1_000_000, active_at: 0 }, 0);
            for (delay, fails) in rings {
                now += PROBE_AGAIN_MS + delay;
                prop_assert!(last.at > late_before(now), "{} {}", last.at, now);
                if !is_due(last, true, 0, now) {
                    continue;
                }
                if failed < fails {
                    failed += 1;
                } else {
                    (last.at, failed) = (now, 0);
                }
            }
        }
    }
}
