//! How the platform is, by its parts: what is concluded from the ticks of cron, from what was on the queue, and from how starts of
//! containers went. Pure; times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

/// Ticks that are looked at: two hours of them would tell no more about now.
pub const LOOKED_AT: u32 = 30;
/// Cron comes once a minute; one that has not for so long has missed two.
pub const MISSED_MS: u64 = 150_000;
/// A tick puts what it finds on the queue and is over within a second; without a queue it may take a minute.
pub const SLOW_MS: u64 = 60_000;
/// How old the oldest message may be that is not done: longer than a message takes whose every bot hangs.
pub const STUCK_MS: u64 = 5 * 60_000;
/// Over which time starts of containers are counted: long enough for a few in a small fleet.
pub const STARTS_MS: u64 = 15 * 60_000;
/// Bots that could not be started from which on it is more than bad luck.
pub const FAILED_STARTS: u32 = 3;

/// How long the first statement of a tick may take: D1 answers within some ten milliseconds, and what waits for it are requests.
pub const SLOW_DATABASE_MS: u64 = 2_000;
/// For how long a dead letter is something wrong: what was given up is found again by the next ticks, or it never will be.
pub const DEAD_MS: u64 = 15 * 60_000;
/// Dead letters that are counted: more would say nothing else.
pub const MAX_DEAD: u32 = 50;

/// What the platform is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The trigger that comes once a minute.
    Cron,
    /// D1, the registry.
    Database,
    /// The queue of jobs.
    Queue,
    /// The bucket of backups.
    Bucket,
    /// What signs people in.
    IdentityProvider,
    /// What runs containers.
    ContainerPlatform,
}

/// How one of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentState {
    /// It does what it should.
    Ok,
    /// It does, and something is wrong.
    Degraded,
    /// It does not.
    Down,
    /// Nobody could find out.
    Unknown,
}

impl ComponentState {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Degraded, Self::Down, Self::Unknown];

    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// What was concluded of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Of which.
    pub component: Component,
    /// How it is.
    pub state: ComponentState,
    /// Why, in words.
    pub reason: Option<String>,
}

impl Verdict {
    /// A conclusion; what is in order needs no reason.
    pub fn new(component: Component, state: ComponentState, reason: impl Into<String>) -> Self {
        let reason = Some(reason.into()).filter(|reason| !reason.is_empty());
        Self {
            component,
            state,
            reason,
        }
    }
}

/// One tick, as it left its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Tick {
    /// When it began.
    pub started_at: u64,
    /// When it was over; nothing for one that runs, or was cut short.
    pub finished_at: Option<u64>,
    /// Messages it put on the queue.
    pub queued: u32,
    /// Of these, how many were done.
    pub consumed: u32,
}

/// How cron is, by its last ticks, the newest first.
pub fn cron(ticks: &[Tick], now: u64) -> Verdict {
    let verdict = |state, reason: String| Verdict::new(Component::Cron, state, reason);
    let Some(newest) = ticks.first() else {
        return verdict(ComponentState::Unknown, "no tick has been recorded".into());
    };
    let age = now.saturating_sub(newest.started_at);
    if age > MISSED_MS {
        let seconds = age / 1_000;
        return verdict(
            ComponentState::Down,
            format!("the last tick began {seconds} seconds ago"),
        );
    }
    // What the last one began after, and how the last ones that should be over by now ended.
    let before = ticks.get(1).map_or(newest.started_at, |tick| tick.started_at);
    let gap = newest.started_at.saturating_sub(before);
    if gap > MISSED_MS {
        let seconds = gap / 1_000;
        return verdict(
            ComponentState::Degraded,
            format!("between the last two ticks were {seconds} seconds"),
        );
    }
    let is_slow = |tick: &&Tick| tick.finished_at.unwrap_or(now).saturating_sub(tick.started_at) > SLOW_MS;
    match ticks.iter().take(3).find(is_slow) {
        Some(Tick {
            finished_at: None, ..
        }) => verdict(ComponentState::Degraded, "a tick was cut short".into()),
        Some(_) => verdict(
            ComponentState::Degraded,
            "a tick took longer than a minute".into(),
        ),
        None => verdict(ComponentState::Ok, String::new()),
    }
}

/// How D1 is, by how long it took to answer, and by since when it had not before that, if it had not.
pub fn database(took_ms: u64, away_since: Option<u64>, now: u64) -> Verdict {
    let verdict = |reason| Verdict::new(Component::Database, ComponentState::Degraded, reason);
    if let Some(since) = away_since {
        let seconds = now.saturating_sub(since) / 1_000;
        return verdict(format!("it did not answer for {seconds} seconds"));
    }
    if took_ms >= SLOW_DATABASE_MS {
        return verdict("it takes longer than two seconds to answer".into());
    }
    Verdict::new(Component::Database, ComponentState::Ok, "")
}

/// How the queue is, by what became of the messages of these ticks, the newest first, and by how many were given up lately.
pub fn queue(is_bound: bool, ticks: &[Tick], dead: u32, now: u64) -> Verdict {
    let verdict = |state, reason: &str| Verdict::new(Component::Queue, state, reason);
    if !is_bound {
        return verdict(ComponentState::Ok, "none is bound: cron does the work itself");
    }
    let over = |tick: &&Tick| tick.finished_at.is_some();
    if ticks.iter().find(over).is_some_and(|tick| tick.queued == 0) {
        return verdict(ComponentState::Down, "it took no message of the last tick");
    }
    let is_done = |tick: &Tick| tick.queued > 0 && tick.consumed >= tick.queued;
    let is_stuck =
        |tick: &Tick| tick.consumed < tick.queued && now.saturating_sub(tick.started_at) > STUCK_MS;
    match (ticks.iter().position(is_done), ticks.iter().position(is_stuck)) {
        (Some(done), Some(stuck)) if done < stuck => verdict(
            ComponentState::Degraded,
            "a message was not done, and later ones were",
        ),
        (_, Some(_)) => verdict(ComponentState::Down, "no message was done for five minutes"),
        _ if dead > 0 => {
            let how_many = match dead {
                1 => "a message was".to_owned(),
                MAX_DEAD.. => format!("{MAX_DEAD} messages or more were"),
                _ => format!("{dead} messages were"),
            };
            let reason = format!("{how_many} given up within a quarter of an hour (dead letters)");
            verdict(ComponentState::Degraded, &reason)
        }
        (Some(_), None) => verdict(ComponentState::Ok, ""),
        (None, None) => verdict(ComponentState::Unknown, "no message has been done yet"),
    }
}

/// How what runs containers is, by how many bots could be started lately and how many could not.
pub fn container_platform(ready: u32, failed: u32) -> Verdict {
    let verdict = |state, reason: String| Verdict::new(Component::ContainerPlatform, state, reason);
    let reason = format!("{failed} bots could not be started and {ready} could, in a quarter of an hour");
    match (ready, failed) {
        (0, 0) => verdict(ComponentState::Unknown, "nothing was started lately".into()),
        (0, FAILED_STARTS..) => verdict(ComponentState::Down, reason),
        (_, FAILED_STARTS..) if failed > ready => verdict(ComponentState::Degraded, reason),
        (0, _) => verdict(ComponentState::Unknown, reason),
        _ => verdict(ComponentState::Ok, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ComponentState::{Degraded, Down, Ok, Unknown};

    const NOW: u64 = 100 * 60_000;

    fn tick(minutes_ago: u64) -> Tick {
        let started_at = NOW - minutes_ago * 60_000;
        Tick {
            started_at,
            finished_at: Some(started_at + 200),
            queued: 1,
            consumed: 1,
        }
    }

    #[test]
    fn each_part_of_the_platform_has_its_rule() {
        use crate::alerts::rules::{Rule, Watches};
        use Component::{Bucket, ContainerPlatform, Cron, Database, IdentityProvider, Queue};
        let parts = [Cron, Database, Queue, Bucket, IdentityProvider, ContainerPlatform];
        let name = |part| serde_json::to_value(part).unwrap().as_str().unwrap().to_owned();
        for part in parts {
            assert!(Rule::of_component(&name(part)).is_some(), "{part:?}");
        }
        let of_parts = Rule::ALL
            .into_iter()
            .filter(|rule| matches!(rule.facts().watches, Watches::Component(_)));
        assert_eq!(of_parts.count(), parts.len());
    }

    #[test]
    fn a_missing_slow_or_unfinished_tick_is_noticed() {
        let told = |ticks: &[Tick]| cron(ticks, NOW).state;
        let cut_short = |ago| Tick {
            finished_at: None,
            ..tick(ago)
        };
        let slow = Tick {
            finished_at: Some(NOW),
            ..tick(2)
        };
        assert_eq!(told(&[]), Unknown);
        assert_eq!(told(&[tick(0), tick(1), tick(2)]), Ok);
        assert_eq!(told(&[tick(2), tick(3)]), Ok);
        assert_eq!(told(&[tick(3), tick(4)]), Down);
        assert_eq!(told(&[tick(0), tick(4)]), Degraded, "some were missing");
        assert_eq!(told(&[cut_short(0), tick(1)]), Ok, "it runs");
        assert_eq!(told(&[tick(0), tick(1), cut_short(2)]), Degraded);
        assert_eq!(told(&[tick(0), tick(1), slow]), Degraded);
        assert_eq!(told(&[tick(0), tick(1), tick(2), cut_short(3)]), Ok, "it is over");
    }

    #[test]
    fn a_queue_is_judged_by_what_became_of_its_messages() {
        let told = |ticks: &[Tick]| queue(true, ticks, 0, NOW).state;
        let waiting = |ago| Tick {
            consumed: 0,
            ..tick(ago)
        };
        let refused = Tick {
            queued: 0,
            consumed: 0,
            ..tick(0)
        };
        assert_eq!(told(&[]), Unknown);
        assert_eq!(told(&[tick(0)]), Ok);
        assert_eq!(told(&[waiting(0), waiting(1)]), Unknown);
        assert_eq!(told(&[waiting(0), tick(1)]), Ok);
        assert_eq!(told(&[waiting(0), waiting(6), tick(7)]), Down);
        assert_eq!(told(&[waiting(0), tick(1), waiting(6)]), Degraded);
        assert_eq!(told(&[refused, tick(1)]), Down);
        assert_eq!(queue(false, &[], 0, NOW).state, Ok);
    }

    #[test]
    fn dead_letters_are_told_by_their_number_while_the_queue_moves() {
        let waiting = Tick {
            consumed: 0,
            ..tick(6)
        };
        for (ticks, dead, expected, words) in [
            (vec![tick(0)], 1, Degraded, "a message was given up"),
            (
                vec![tick(0)],
                MAX_DEAD,
                Degraded,
                "50 messages or more were given up",
            ),
            (vec![waiting, tick(7)], 1, Down, "no message was done"),
            (vec![], 3, Degraded, "3 messages"),
        ] {
            let verdict = queue(true, &ticks, dead, NOW);
            assert_eq!(verdict.state, expected, "{dead}");
            assert!(verdict.reason.unwrap().starts_with(words), "{words}");
        }
    }

    #[test]
    fn a_database_that_is_slow_or_was_away_is_degraded() {
        let told = |took, away| database(took, away, NOW);
        assert_eq!(told(SLOW_DATABASE_MS - 1, None).state, Ok);
        assert_eq!(told(SLOW_DATABASE_MS, None).state, Degraded);
        let away = told(5, Some(NOW - 130_000));
        assert_eq!(
            (away.state, away.reason.as_deref()),
            (Degraded, Some("it did not answer for 130 seconds"))
        );
    }

    #[test]
    fn the_container_platform_is_judged_by_many_starts() {
        for (ready, failed, expected) in [
            (0, 0, Unknown),
            (0, 2, Unknown),
            (0, 3, Down),
            (1, 2, Ok),
            (1, 3, Degraded),
            (3, 3, Ok),
        ] {
            assert_eq!(
                container_platform(ready, failed).state,
                expected,
                "{ready} {failed}"
            );
        }
    }
}
