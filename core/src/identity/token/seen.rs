//! Tokens that were verified before: each costs a signature once, not with every request.

use std::collections::{BTreeMap, VecDeque};

use super::Identity;

/// Tokens remembered at most. At some 200 bytes each that is 400 KB of the isolate's 128 MB, and more people
/// than one isolate serves within a token's hour.
pub const MAX_SEEN: usize = 2_048;

/// SHA-256 of a whole token, signature included. The token itself is not kept.
pub type TokenHash = [u8; 32];

/// Which set of the provider's public keys a signature was checked with; `None` for the legacy secret, which
/// changes with a deployment only.
pub type KeySet = Option<u32>;

/// What was found out about tokens that hold; nothing is remembered about those that do not.
#[derive(Debug, Default)]
pub struct Seen {
    found: BTreeMap<TokenHash, (KeySet, Identity)>,
    oldest_first: VecDeque<TokenHash>,
}

impl Seen {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            found: BTreeMap::new(),
            oldest_first: VecDeque::new(),
        }
    }

    /// Who a token said it is, until it expires (`now` in seconds since 1970). `trusted` says whether the keys
    /// it was checked with are still the ones to trust: a key that was withdrawn takes its tokens with it.
    pub fn find(
        &self,
        hash: &TokenHash,
        now: u64,
        trusted: impl FnOnce(KeySet) -> bool,
    ) -> Option<&Identity> {
        let (keys, identity) = self.found.get(hash)?;
        (now < identity.expires_at && trusted(*keys)).then_some(identity)
    }

    /// Remembers a token that was verified; the oldest is forgotten when there is no room.
    pub fn remember(&mut self, hash: TokenHash, keys: KeySet, identity: Identity) {
        if self.found.insert(hash, (keys, identity)).is_none() {
            self.oldest_first.push_back(hash);
        }
        while self.oldest_first.len() > MAX_SEEN {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.found.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(expires_at: u64) -> Identity {
        Identity {
            user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            admin: false,
            email: None,
            expires_at,
        }
    }

    fn hash(number: usize) -> TokenHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn a_token_is_cached_until_it_expires_or_its_key_is_withdrawn() {
        let mut seen = Seen::new();
        seen.remember(hash(1), Some(7), identity(100));
        let find = |now, trusted: u32| seen.find(&hash(1), now, |keys| keys == Some(trusted)).is_some();
        assert!(find(99, 7));
        assert!(!find(100, 7), "expired");
        assert!(!find(0, 8), "the key was withdrawn");
        assert!(seen.find(&hash(2), 0, |_| true).is_none(), "another token");
    }

    #[test]
    fn the_token_cache_is_bounded() {
        let mut seen = Seen::new();
        for number in 0..MAX_SEEN + 10 {
            seen.remember(hash(number), None, identity(100));
            seen.remember(hash(number), None, identity(100));
        }
        assert_eq!((seen.found.len(), seen.oldest_first.len()), (MAX_SEEN, MAX_SEEN));
        assert!(seen.find(&hash(9), 0, |_| true).is_none());
        assert!(seen.find(&hash(10), 0, |_| true).is_some());
    }
}
