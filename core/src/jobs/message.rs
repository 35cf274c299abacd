//! What goes on the queue of jobs, and what becomes of it. Queues deliver at least once, in any order, and to an older version
//! as well as to a newer one: every job may be done twice, and what cannot be read is not lost.

use serde::{Deserialize, Serialize};

use crate::json;
use crate::user_id::UserId;

/// Bots named in one message. Some 2 kB of the 128 kB a message may have; one that is lost or hangs takes no more than
/// these with it, and a fiftieth of a message for each makes the queue's price nothing.
pub const MAX_USERS: usize = 50;
/// Bots of one tick: what fits into one call of the queue (100 messages, 256 kB). The next tick takes the rest.
pub const MAX_PER_TICK: u32 = 4_000;
/// Bots looked at by one tick that has no queue: a Worker may make 1,000 subrequests per invocation at the least; each bot
/// costs one, and what is not answered a fiftieth.
pub const MAX_WITHOUT_QUEUE: u32 = 500;
/// How long a message rests that could not be read, in seconds: long enough for a deployment to have got further.
pub const RETRY_AFTER_S: u32 = 60;
/// How the name of a queue ends that holds what could not be done.
pub const DEAD_LETTERS: &str = "-dead";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Look at these bots: their heartbeats were late at this tick.
    Tick {
        /// Which tick, by its number in `cron_ticks`.
        tick: u64,
        /// At most [`MAX_USERS`] of them.
        users: Vec<UserId>,
    },
    /// Ask what the platform stands on how it is.
    Probe {
        /// Which tick.
        tick: u64,
    },
    /// Send the alerts that are due.
    Deliver,
    /// Do what an admin ordered about these bots.
    Order {
        /// Which order, by its number in `bulk_orders`.
        order: u32,
        /// At most [`MAX_USERS`] of its bots.
        users: Vec<UserId>,
    },
}

impl Job {
    /// The messages of a tick: one that asks how the platform is, which proves the queue as well, and the late bots.
    pub fn of_tick(tick: u64, late: &[UserId]) -> Vec<Self> {
        let looks = late.chunks(MAX_USERS).map(|users| Self::Tick {
            tick,
            users: users.to_vec(),
        });
        std::iter::once(Self::Probe { tick }).chain(looks).collect()
    }

    /// The messages that carry out orders: bots of one order stand one after the other.
    pub fn of_orders(bots: &[(u32, UserId)]) -> Vec<Self> {
        bots.chunk_by(|(one, _), (next, _)| one == next)
            .flat_map(|of_one| of_one.chunks(MAX_USERS))
            .filter_map(|bots| {
                Some(Self::Order {
                    order: bots.first()?.0,
                    users: bots.iter().map(|(_, user)| *user).collect(),
                })
            })
            .collect()
    }

    /// What a message says. `None` for one of another version, or for something that is none: it is tried again, because a newer
    /// version may be on its way here, and ends among the dead letters, where it is counted.
    pub fn read(text: &str) -> Option<Self> {
        json::of_value(&json::parse(text.as_bytes()).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: usize) -> UserId {
        format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
    }

    #[test]
    fn every_late_bot_is_in_one_message_of_its_tick() {
        for late in [0, 1, 49, 50, 51, 1_000, MAX_PER_TICK as usize] {
            let late: Vec<UserId> = (0..late).map(user).collect();
            let jobs = Job::of_tick(7, &late);
            assert_eq!(jobs.first(), Some(&Job::Probe { tick: 7 }));
            let mut named = Vec::new();
            for job in jobs.iter().skip(1) {
                let Job::Tick { tick: 7, users } = job else {
                    panic!("{job:?}")
                };
                assert!(!users.is_empty() && users.len() <= MAX_USERS);
                named.extend(users.clone());
            }
            assert_eq!(named, late);
            let bytes: usize = jobs
                .iter()
                .map(|job| serde_json::to_string(job).unwrap().len())
                .sum();
            assert!(jobs.len() <= 100 && bytes < 256_000, "{} {bytes}", jobs.len());
        }
    }

    #[test]
    fn no_message_has_bots_of_two_orders_or_more_than_fifty() {
        let bots = |order, count| (0..count).map(move |number| (order, user(number)));
        let all: Vec<_> = bots(1, 120).chain(bots(2, 1)).chain(bots(5, 50)).collect();
        let jobs = Job::of_orders(&all);
        let lengths: Vec<_> = jobs
            .iter()
            .map(|job| match job {
                Job::Order { order, users } => (*order, users.len()),
                _ => panic!("{job:?}"),
            })
            .collect();
        assert_eq!(lengths, [(1, 50), (1, 50), (1, 20), (2, 1), (5, 50)]);
        assert!(Job::of_orders(&[]).is_empty());
    }

    #[test]
    fn the_form_of_a_message_is_fixed_and_others_are_not_read() {
        for (job, text) in [
            (
                Job::Tick {
                    tick: 7,
                    users: vec![user(1)],
                },
                r#"{"tick":{"tick":7,"users":["00000000-0000-4000-8000-000000000001"]}}"#,
            ),
            (Job::Probe { tick: 7 }, r#"{"probe":{"tick":7}}"#),
            (Job::Deliver, r#""deliver""#),
            (
                Job::Order {
                    order: 3,
                    users: vec![user(1)],
                },
                r#"{"order":{"order":3,"users":["00000000-0000-4000-8000-000000000001"]}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&job).unwrap(), text);
            assert_eq!(Job::read(text), Some(job));
        }
        for other in [
            "",
            "null",
            "[]",
            "{",
            r#"{"dance":{}}"#,
            r#"{"tick":{}}"#,
            r#"{"tick":{"tick":-1,"users":[]}}"#,
            r#"{"tick":{"tick":7,"users":["../x"]}}"#,
        ] {
            assert_eq!(Job::read(other), None, "{other}");
        }
    }
}
