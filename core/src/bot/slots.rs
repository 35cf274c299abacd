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
pub const MAX_ASKED: u32 = 3;

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

/// Whom the registry is asked for when somebody has to make room: of the bots that are awake those of which all of this
/// holds, the one idle longest first. One in which something runs stays awake, so there are more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates {
    /// Where it is in its life: one on its way up or down, or in trouble, has no room to give.
    pub state: BotState,
    /// One that is pinned is never put to sleep for being idle.
    pub pinned: bool,
    /// Its owner's traffic last did something then or before, in milliseconds since 1970.
    pub idle_since: u64,
    /// No more than these.
    pub most: u32,
}

/// Who is asked to make room at `now`.
pub fn candidates(now: u64) -> Candidates {
    Candidates {
        state: BotState::Running,
        pinned: false,
        idle_since: now.saturating_sub(MIN_IDLE_MS),
        most: MAX_ASKED,
    }
}

/// Whether a bot that was asked makes room, by the state it is in then.
pub fn made_room(state: BotState) -> bool {
    state != BotState::Running
}

const MAKES_ROOM: &str = "makes room";

/// Which bot makes room, in the history's words; admins read them.
pub fn room(freed: Option<UserId>) -> String {
    freed.map_or_else(
        || "none is idle".to_owned(),
        |user| format!("{user} {MAKES_ROOM}"),
    )
}

/// The same as the owner reads it who wanted the room.
pub fn room_for_owner(room: String) -> String {
    if room.ends_with(MAKES_ROOM) {
        return format!("another bot {MAKES_ROOM}");
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_bot_in_use_or_in_trouble_is_not_asked_for_its_slot() {
        let expected = Candidates {
            state: BotState::Running,
            pinned: false,
            idle_since: 9 * MIN_IDLE_MS,
            most: 3,
        };
        assert_eq!(candidates(10 * MIN_IDLE_MS), expected);
        assert_eq!(candidates(0).idle_since, 0);
    }

    #[test]
    fn one_that_goes_on_running_made_no_room() {
        assert!(!made_room(BotState::Running));
        assert!(made_room(BotState::Stopping));
        assert!(made_room(BotState::Asleep));
    }
}
