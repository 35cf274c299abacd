//! When to ask the identity provider for its public keys again.

/// Milliseconds for which fetched keys are used without asking. Supabase serves its JWKS with a ten-minute
/// cache, and announces a new key at least that long before signing with it.
pub const LIFETIME_MS: u64 = 10 * 60 * 1_000;
/// Milliseconds between two questions for a key nobody knows: a stranger can make up key ids, and each
/// must not cost a request to the provider.
pub const UNKNOWN_KEY_PAUSE_MS: u64 = 60 * 1_000;
/// Milliseconds between two questions while the provider does not answer and old keys still serve.
pub const FAILURE_PAUSE_MS: u64 = 5 * 1_000;

/// What is known about the keys at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// When they were fetched.
    pub fetched_at: u64,
    /// When the provider was last asked, with or without an answer.
    pub asked_at: u64,
}

/// Whether to ask now. `key_known` says whether the keys at hand have the one a token names.
pub fn ask_now(known: Option<Known>, key_known: bool, now: u64) -> bool {
    let Some(known) = known else { return true };
    let since_asked = now.saturating_sub(known.asked_at);
    if now.saturating_sub(known.fetched_at) >= LIFETIME_MS {
        return since_asked >= FAILURE_PAUSE_MS;
    }
    !key_known && since_asked >= UNKNOWN_KEY_PAUSE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_asked_no_more_than_needed() {
        let at = |fetched_at, asked_at| Some(Known { fetched_at, asked_at });
        let cases = [
            (None, true, 0, true, "nothing is known"),
            (at(0, 0), true, LIFETIME_MS - 1, false, "fresh"),
            (at(0, 0), true, LIFETIME_MS, true, "old"),
            (
                at(0, LIFETIME_MS),
                true,
                LIFETIME_MS + 1,
                false,
                "old, but asked just now in vain",
            ),
            (
                at(0, LIFETIME_MS),
                true,
                LIFETIME_MS + FAILURE_PAUSE_MS,
                true,
                "old, and asked a while ago",
            ),
            (
                at(0, 0),
                false,
                UNKNOWN_KEY_PAUSE_MS - 1,
                false,
                "a made-up key id",
            ),
            (at(0, 0), false, UNKNOWN_KEY_PAUSE_MS, true, "perhaps a rotation"),
            (at(9, 9), true, 0, false, "a clock that went back"),
        ];
        for (known, key_known, now, expected, why) in cases {
            assert_eq!(ask_now(known, key_known, now), expected, "{why}");
        }
    }
}
