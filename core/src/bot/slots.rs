//! Slots for bots that are awake: the platform runs a limited number of containers. When all are taken, the bot that
//! has been idle longest is put to sleep first.

use crate::bot::bot_state::BotState;
use crate::user_id::UserId;

/// Idle for less than this, a bot keeps its slot: its owner may be reading the last answer.
pub const MIN_IDLE_MS: u64 = 2 * 60 * 1_000;
/// How long the answer that there is no slot is good for. Who waits is told to ask again after twice as long, but
/// a page may ask every second, and each question costs queries and other bots' time.
pub const NO_SLOT_CACHED_MS: u64 = 5_000;
/// Idle bots asked for their slot on behalf of one that waits. Each answer takes up to fifteen seconds, and
/// the caller's patience ends after ninety.
pub const MAX_ASKED: usize = 3;

/// Whether there still is no slot at `now`, because there was none a moment ago.
pub fn is_still_full(lacking_at: Option<u64>, now: u64) -> bool {
    lacking_at.is_some_and(|at| now.saturating_sub(at) < NO_SLOT_CACHED_MS)
}

/// Bots other than the one that looks for a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Those that are awake.
    pub awake: u32,
    /// Of these, the ones on their way down: their slots are being freed already.
    pub stopping: u32,
}

/// Whether one more bot may wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// It may.
    Free,
    /// Not yet: enough are on their way down. A page that waits asks every second, and a stop takes longer: each
    /// question must not cost one more bot its slot.
    BeingFreed,
    /// Not unless somebody makes room.
    Full,
}

/// Whether one more bot may wake where `most` may be awake.
pub fn slot(most: u32, others: Occupancy) -> Slot {
    if others.awake < most {
        Slot::Free
    } else if others.awake.saturating_sub(others.stopping) < most {
        Slot::BeingFreed
    } else {
        Slot::Full
    }
}

/// A bot that is awake, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwakeBot {
    /// The owner, who names the Sandbox.
    pub user: UserId,
    /// Where it is in its life, by [`BotState::as_str`].
    pub state: String,
    /// It is never put to sleep for being idle.
    pub pinned: bool,
    /// When its owner's traffic last did something, in milliseconds since 1970.
    pub active_at: u64,
}

/// Who is asked to make room at `now`, in this order. One in which something runs stays awake, so there are more than
/// one.
pub fn who_makes_room(bots: Vec<AwakeBot>, now: u64) -> Vec<UserId> {
    let idle_since = now.saturating_sub(MIN_IDLE_MS);
    let mut idle: Vec<(u64, UserId)> = bots
        .into_iter()
        .filter(|bot| bot.state == BotState::Running.as_str() && !bot.pinned && bot.active_at <= idle_since)
        .map(|bot| (bot.active_at, bot.user))
        .collect();
    idle.sort_unstable();
    idle.truncate(MAX_ASKED);
    idle.into_iter().map(|(_, user)| user).collect()
}

/// Whether a bot that was asked makes room, by the state it is in then.
pub fn made_room(state: BotState) -> bool {
    state != BotState::Running
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u8) -> UserId {
        format!("6f1c2a9e-8d2b-4a63-9f5e-0000000000{number:02x}")
            .parse()
            .unwrap()
    }

    #[test]
    fn the_lack_of_a_slot_is_believed_for_a_moment() {
        let now = 10 * NO_SLOT_CACHED_MS;
        for (ago, full) in [
            (0, true),
            (NO_SLOT_CACHED_MS - 1, true),
            (NO_SLOT_CACHED_MS, false),
        ] {
            assert_eq!(is_still_full(Some(now - ago), now), full, "{ago}");
        }
        assert!(!is_still_full(None, now));
        assert!(is_still_full(Some(now + 1), now), "a clock went back");
    }

    #[test]
    fn a_slot_is_free_being_freed_or_has_to_be_made() {
        for (most, awake, stopping, expected) in [
            (0, 0, 0, Slot::Full),
            (1, 0, 0, Slot::Free),
            (1, 1, 0, Slot::Full),
            (1, 1, 1, Slot::BeingFreed),
            (2, 1, 1, Slot::Free),
            (2, 3, 1, Slot::Full),
            (2, 3, 2, Slot::BeingFreed),
            (2, 3, 9, Slot::BeingFreed),
        ] {
            let others = Occupancy { awake, stopping };
            assert_eq!(slot(most, others), expected, "{most} {others:?}");
        }
    }

    #[test]
    fn the_longest_idle_that_may_sleep_are_asked_first() {
        let now = 10 * MIN_IDLE_MS;
        let bot = |number, state: BotState, pinned, active_at| AwakeBot {
            user: user(number),
            state: state.as_str().to_owned(),
            pinned,
            active_at,
        };
        let running = |number, active_at| bot(number, BotState::Running, false, active_at);
        let passed_over = [
            bot(1, BotState::Running, true, 0),
            bot(2, BotState::Starting, false, 0),
            bot(3, BotState::Restoring, false, 0),
            bot(4, BotState::Unhealthy, false, 0),
            bot(5, BotState::Stopping, false, 0),
            bot(6, BotState::CrashLooped, false, 0),
            running(7, now - MIN_IDLE_MS + 1),
        ];
        assert_eq!(who_makes_room(passed_over.to_vec(), now), []);
        let idle = [
            running(13, now - MIN_IDLE_MS),
            running(12, 70),
            running(11, 60),
            running(10, 50),
        ];
        let all = passed_over.into_iter().chain(idle).collect();
        assert_eq!(who_makes_room(all, now), [10, 11, 12].map(user));
        let one = vec![running(13, now - MIN_IDLE_MS)];
        assert_eq!(who_makes_room(one, now), [user(13)]);
    }

    #[test]
    fn one_that_goes_on_running_made_no_room() {
        assert!(!made_room(BotState::Running));
        assert!(made_room(BotState::Stopping));
        assert!(made_room(BotState::Asleep));
    }
}
