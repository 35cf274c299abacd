//! How a browser's session crosses from the platform's host to a bot's own.
//!
//! Cookies do not cross hosts. So the bot's host sends the browser to the platform with a challenge, the
//! platform sends it back with a code, and the host takes the code for a cookie of its own. The code is
//! good once, for one host, for a minute, and only in the browser that holds what the challenge was made
//! from: who reads a code in a log cannot use it, and who makes somebody else's browser open a code of their
//! own signs nobody in.

use crate::base64;
use serde::Deserialize;

use crate::http::cookies::SESSION_COOKIE;
use crate::http::host::HostName;
use crate::user_id::UserId;

/// Random bytes in a code and in a verifier, and bytes of a SHA-256: all are written the same way.
pub const SECRET_BYTES: u32 = 32;
/// How long a code may take from one host to the other: two redirects.
pub const CODE_LIFETIME_MS: u64 = 60 * 1_000;
/// How long a browser keeps what its challenge was made from. Signing in lies between, which may take a
/// person a while.
pub const VERIFIER_LIFETIME_SECONDS: u64 = 60 * 60;
/// For what a session is sealed while it crosses.
pub const HANDOFF_PURPOSE: &str = "crossing-session";
/// What the challenge was made from.
pub const VERIFIER_COOKIE: &str = "__Host-moltbot-verifier";

/// A secret or a digest in text: 32 bytes in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(String);

impl Opaque {
    /// Writes 32 bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(base64::encode_url(bytes))
    }

    /// Reads what [`Opaque::of`] wrote, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = base64::decode_url(text)?;
        u32::try_from(bytes.len())
            .is_ok_and(|length| length == SECRET_BYTES)
            .then(|| Self(text.to_owned()))
    }

    /// What it hides, for whoever sends or compares it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opaque(hidden)")
    }
}

/// A code as the database knows it, without the code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PendingHandoff {
    /// The host it was made for.
    pub host: HostName,
    /// Whom it signs in.
    pub user_id: UserId,
    /// SHA-256 of the browser's verifier.
    pub challenge: String,
    /// Where to go then: a path on that host.
    pub next: String,
    /// The session, sealed for [`HANDOFF_PURPOSE`].
    pub session: String,
    /// Milliseconds since 1970.
    pub expires_at: u64,
}

/// Why a code is refused. For the log; the caller hears one and the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    /// It was made for another host.
    #[error("the code was made for another host")]
    WrongHost,
    /// It is too old.
    #[error("the code has expired")]
    Expired,
    /// Another browser asked for it.
    #[error("the code was made for another browser")]
    WrongBrowser,
    /// The host has another owner by now.
    #[error("the host belongs to somebody else")]
    WrongOwner,
}

impl PendingHandoff {
    /// Whether this code, which the database has given out for the only time, signs its user in here.
    ///
    /// # Errors
    /// Why not.
    pub fn redeem(
        &self,
        host: &HostName,
        owner: UserId,
        challenge: &Opaque,
        now: u64,
    ) -> Result<(), CodeRefused> {
        if self.host != *host {
            return Err(CodeRefused::WrongHost);
        }
        if now >= self.expires_at {
            return Err(CodeRefused::Expired);
        }
        // Digests of random secrets: how long a comparison takes tells nothing one could use.
        if self.challenge != challenge.as_str() {
            return Err(CodeRefused::WrongBrowser);
        }
        if self.user_id != owner {
            return Err(CodeRefused::WrongOwner);
        }
        Ok(())
    }
}

/// For what a session's cookie is sealed on a bot's own host. The host is part of it, so that a cookie of one
/// host opens on no other, wherever somebody takes it.
pub fn purpose(host: &HostName) -> String {
    format!("{SESSION_COOKIE}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
    const BOB: &str = "0d3cf1f6-1c5e-4f6b-8a43-5a2f7b7f9c11";

    #[test]
    fn a_code_is_valid_for_one_host_browser_owner_and_minute() {
        let challenge = Opaque::of(&[7; 32]);
        let code = PendingHandoff {
            host: host("claw.example.org"),
            user_id: ALICE.parse().unwrap(),
            challenge: challenge.as_str().into(),
            next: "/".into(),
            session: String::new(),
            expires_at: 1_000,
        };
        let (alice, bob) = (ALICE.parse().unwrap(), BOB.parse().unwrap());
        let here = host("claw.example.org");
        let other_browser = Opaque::of(&[8; 32]);
        for (at, owner, challenge, now, expected) in [
            (&here, alice, &challenge, 999, Ok(())),
            (
                &host("other.example.org"),
                alice,
                &challenge,
                999,
                Err(CodeRefused::WrongHost),
            ),
            (&here, alice, &challenge, 1_000, Err(CodeRefused::Expired)),
            (&here, alice, &other_browser, 999, Err(CodeRefused::WrongBrowser)),
            (&here, bob, &challenge, 999, Err(CodeRefused::WrongOwner)),
        ] {
            assert_eq!(code.redeem(at, owner, challenge, now), expected);
        }
    }

    #[test]
    fn a_secret_has_one_format_and_is_hidden_in_debug_output() {
        let secret = Opaque::of(&[255; 32]);
        assert_eq!(Opaque::parse(secret.as_str()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Opaque(hidden)");
        let text = secret.as_str();
        for bad in [
            "",
            "AAAA",
            &format!("{text}A"),
            &text.replace('_', "/"),
            &format!("{text}="),
        ] {
            assert_eq!(Opaque::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_host_derives_its_own_sealing_purpose() {
        let purposes = [
            purpose(&host("a.example.org")),
            purpose(&host("b.example.org")),
            SESSION_COOKIE.to_owned(),
        ];
        assert_ne!(purposes[0], purposes[1]);
        assert!(!purposes[..2].contains(&purposes[2]));
    }
}
