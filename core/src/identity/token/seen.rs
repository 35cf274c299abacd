//! Tokens that were verified before: each costs a signature once, not with every request.

use std::collections::VecDeque;
use std::rc::Rc;

use super::Identity;

/// Tokens remembered at most: more people than one isolate serves within a token's hour.
pub const MAX_SEEN: usize = 2_048;
/// Bytes of tokens remembered at most, of the isolate's 128 MB. Most have less than 1 KB, which makes 2 MB of them; a
/// person can have their own grow to sixteen times that by what they write into their metadata.
pub const MAX_SEEN_BYTES: usize = 4 * 1024 * 1024;

/// Which set of the provider's public keys a signature was checked with; `None` for the legacy secret, which
/// changes with a deployment only.
pub type KeySet = Option<u32>;

/// What was found out about tokens that hold; nothing is remembered about those that do not.
///
/// A token is found by its whole text, signature included. Nothing shorter is as exact and as cheap: its SHA-256 by
/// WebCrypto costs more than all the rest of identifying a caller. They are ordered, and not hashed, because wasm has
/// no random seed that would keep others from choosing what collides; and a list, because a tree's code is 4 kB of the
/// compressed Worker and a new token moves 150 kB at most, in microseconds.
#[derive(Default)]
pub struct SeenTokens {
    found: Vec<(Rc<str>, KeySet, Identity)>,
    oldest_first: VecDeque<Rc<str>>,
    bytes: usize,
}

impl SeenTokens {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            found: Vec::new(),
            oldest_first: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Who a token said it is, until it expires (`now` in seconds since 1970). `trusted` says whether the keys
    /// it was checked with are still the ones to trust: a key that was withdrawn takes its tokens with it.
    pub fn find(&self, token: &str, now: u64, trusted: impl FnOnce(KeySet) -> bool) -> Option<&Identity> {
        let (_, keys, identity) = self.found.get(self.place(token).ok()?)?;
        (now < identity.expires_at && trusted(*keys)).then_some(identity)
    }

    /// Remembers a token that was verified; the oldest are forgotten when there is no room.
    pub fn remember(&mut self, token: &str, keys: KeySet, identity: Identity) {
        let token: Rc<str> = token.into();
        match self.place(&token) {
            Ok(at) => {
                if let Some(known) = self.found.get_mut(at) {
                    *known = (token, keys, identity);
                }
            }
            Err(at) => {
                self.bytes += token.len();
                self.oldest_first.push_back(Rc::clone(&token));
                self.found.insert(at, (token, keys, identity));
            }
        }
        while self.oldest_first.len() > MAX_SEEN || self.bytes > MAX_SEEN_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
            if let Ok(at) = self.place(&oldest) {
                self.found.remove(at);
            }
        }
    }

    /// Where a token is, or would be.
    fn place(&self, token: &str) -> Result<usize, usize> {
        self.found.binary_search_by(|(known, _, _)| (**known).cmp(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::token::MAX_TOKEN_BYTES;

    fn identity(expires_at: u64) -> Identity {
        Identity {
            user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            admin: false,
            mfa: false,
            email: None,
            expires_at,
        }
    }

    #[test]
    fn a_token_is_cached_until_it_expires_or_its_key_is_withdrawn() {
        let mut seen = SeenTokens::new();
        seen.remember("a.b.c", Some(7), identity(100));
        let find = |now, trusted: u32| seen.find("a.b.c", now, |keys| keys == Some(trusted)).is_some();
        assert!(find(99, 7));
        assert!(!find(100, 7), "expired");
        assert!(!find(0, 8), "the key was withdrawn");
        for other in ["a.b.d", "a.b.", "a.b.c.", "", "A.b.c"] {
            assert!(seen.find(other, 0, |_| true).is_none(), "another token: {other}");
        }
    }

    #[test]
    fn the_token_cache_is_bounded() {
        let mut seen = SeenTokens::new();
        for number in 0..MAX_SEEN + 10 {
            seen.remember(&format!("token {number:05}"), None, identity(100));
            seen.remember(&format!("token {number:05}"), None, identity(100));
        }
        assert_eq!((seen.found.len(), seen.oldest_first.len()), (MAX_SEEN, MAX_SEEN));
        assert_eq!(seen.bytes, MAX_SEEN * "token 00000".len());
        assert!(seen.find("token 00009", 0, |_| true).is_none());
        assert!(seen.find("token 00010", 0, |_| true).is_some());
    }

    #[test]
    fn long_tokens_make_it_shorter() {
        let mut seen = SeenTokens::new();
        for number in 0..MAX_SEEN {
            seen.remember(&format!("{number:0MAX_TOKEN_BYTES$}"), None, identity(100));
        }
        assert_eq!(seen.found.len(), MAX_SEEN_BYTES / MAX_TOKEN_BYTES);
        assert_eq!(seen.bytes, MAX_SEEN_BYTES);
    }
}
