//! Asks bots that sleep what they have spent, when the operator's limit is another one than before: a deployment may have raised it, and
//! nothing else looks at a bot that sleeps. Those that are awake look themselves.

use serde::{Deserialize, Serialize};

use crate::cost::money::Money;
use crate::user_id::UserId;

/// How far they were asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReview {
    /// About which limit; none where there is none.
    limit: Option<Money>,
    /// Up to which bot, by user id; none where all were.
    up_to: Option<UserId>,
    /// Whether all were.
    is_done: bool,
}

/// Who is to be asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskNext {
    /// No bot is asked.
    Nobody,
    /// All of them, from the first on.
    All,
    /// Those behind this one.
    Behind(UserId),
}

impl LimitReview {
    /// Who is to be asked now that this is the limit.
    pub fn next(stored: Option<&Self>, limit: Option<Money>) -> AskNext {
        match stored.filter(|stored| stored.limit == limit) {
            None => AskNext::All,
            Some(stored) if stored.is_done => AskNext::Nobody,
            Some(stored) => stored.up_to.map_or(AskNext::All, AskNext::Behind),
        }
    }

    /// What is to be remembered once these were asked, of at most so many.
    pub fn asked(limit: Option<Money>, asked: &[UserId], most: usize) -> Self {
        Self {
            limit,
            up_to: asked.last().copied(),
            is_done: asked.len() < most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u32) -> UserId {
        format!("de000000-0000-4000-8000-{number:012}").parse().unwrap()
    }

    #[test]
    fn each_bot_is_asked_once_for_each_limit() {
        let users: Vec<UserId> = (1..=25).map(user).collect();
        let (ten, twenty) = (Some(Money::of_micro(10)), Some(Money::of_micro(20)));
        let mut stored = None;
        for limit in [ten, twenty, None, ten] {
            let (mut asked, mut ticks) = (Vec::new(), 0);
            loop {
                let behind = match LimitReview::next(stored.as_ref(), limit) {
                    AskNext::Nobody => break,
                    AskNext::All => None,
                    AskNext::Behind(last) => Some(last),
                };
                let now = users
                    .iter()
                    .filter(|user| behind.is_none_or(|last| **user > last));
                let now: Vec<UserId> = now.copied().take(10).collect();
                stored = Some(LimitReview::asked(limit, &now, 10));
                asked.extend(now);
                ticks += 1;
            }
            assert_eq!((asked.as_slice(), ticks), (users.as_slice(), 3), "{limit:?}");
        }
        // A limit that changes in between begins anew.
        let half = LimitReview::asked(ten, &users[..10], 10);
        assert_eq!(LimitReview::next(Some(&half), ten), AskNext::Behind(users[9]));
        assert_eq!(LimitReview::next(Some(&half), twenty), AskNext::All);
        // A tick that had no room for anybody.
        let none = LimitReview::asked(ten, &[], 0);
        assert_eq!(LimitReview::next(Some(&none), ten), AskNext::All);
        let text = serde_json::to_string(&half).unwrap();
        assert_eq!(crate::json::read::<LimitReview>(&text).unwrap(), half);
    }
}
