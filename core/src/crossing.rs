//! How a browser's session crosses from the platform's host to a bot's own.
//!
//! Cookies do not cross hosts. So the bot's host sends the browser to the platform with a challenge, the
//! platform sends it back with a code, and the host takes the code for a session of its own. The code is
//! good once, for one host, for a minute, and only in the browser that holds what the challenge was made
//! from: who reads a code in a log cannot use it, and who makes somebody else's browser open a code of their
//! own signs nobody in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::host::HostName;
use crate::id::UserId;

/// Random bytes in a code and in a verifier, and bytes of a SHA-256: all are written the same way.
pub const SECRET_BYTES: u32 = 32;
/// How long a code may take from one host to the other: two redirects.
pub const CODE_LIFETIME_MS: u64 = 60 * 1_000;
/// How long a browser keeps what its challenge was made from. Signing in lies between, which may take a
/// person a while.
pub const VERIFIER_LIFETIME_SECONDS: u64 = 60 * 60;
/// How long a session on a bot's own host lasts. Then the next page fetches a new one from the platform's,
/// without the person noticing; ending the platform's session is noticed here by then at the latest.
pub const HOST_SESSION_SECONDS: u64 = 12 * 60 * 60;

/// The browser's session on a bot's own host.
pub const HOST_COOKIE: &str = "__Host-moltbot-here";
/// What the challenge was made from.
pub const VERIFIER_COOKIE: &str = "__Host-moltbot-verifier";

/// A secret or a digest in text: 32 bytes in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(String);

impl Opaque {
    /// Writes 32 bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what [`Opaque::of`] wrote, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        u32::try_from(bytes.len())
            .is_ok_and(|length| length == SECRET_BYTES)
            .then(|| Self(text.to_owned()))
    }

    /// The text.
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
pub struct Pending {
    /// The host it was made for.
    pub host: HostName,
    /// Whom it signs in.
    pub user_id: UserId,
    /// SHA-256 of the browser's verifier.
    pub challenge: String,
    /// Where to go then: a path on that host.
    pub next: String,
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

impl Pending {
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

/// What the sealed cookie of a bot's own host says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSession {
    /// Who signed in.
    pub user: UserId,
    /// The host it was given on. It counts nowhere else.
    pub host: HostName,
    /// Seconds since 1970.
    pub expires_at: u64,
}

impl HostSession {
    /// The user, if the session counts on this host now (`now` in seconds since 1970).
    pub fn current(&self, host: &HostName, now: u64) -> Option<UserId> {
        (self.host == *host && now < self.expires_at).then_some(self.user)
    }
}

/// The value of the one cookie of that name in a `Cookie` header. Two of them count as none.
pub fn find_cookie<'a>(cookie_header: &'a str, wanted: &str) -> Option<&'a str> {
    let mut values = cookie_header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// `Set-Cookie` for one of ours. Lax: it has to come along when the browser is led back from the platform.
pub fn set_cookie(name: &str, value: &str, max_age: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax")
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
    fn a_code_is_good_for_one_host_one_browser_one_owner_and_a_minute() {
        let challenge = Opaque::of(&[7; 32]);
        let code = Pending {
            host: host("claw.example.org"),
            user_id: ALICE.parse().unwrap(),
            challenge: challenge.as_str().into(),
            next: "/".into(),
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
    fn a_hosts_session_counts_nowhere_else() {
        let session = HostSession {
            user: ALICE.parse().unwrap(),
            host: host("claw.example.org"),
            expires_at: 100,
        };
        assert_eq!(session.current(&host("claw.example.org"), 99), Some(session.user));
        assert_eq!(session.current(&host("claw.example.org"), 100), None);
        assert_eq!(session.current(&host("other.example.org"), 99), None);
    }

    #[test]
    fn a_secret_has_one_form_and_never_prints_itself() {
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
    fn of_two_cookies_none_counts() {
        assert_eq!(find_cookie("a=1; __Host-moltbot-here=v", HOST_COOKIE), Some("v"));
        assert_eq!(
            find_cookie("__Host-moltbot-here=v; __Host-moltbot-here=w", HOST_COOKIE),
            None
        );
        assert_eq!(find_cookie("x__Host-moltbot-here=v", HOST_COOKIE), None);
        assert!(set_cookie(HOST_COOKIE, "v", 60).ends_with("; Secure; HttpOnly; SameSite=Lax"));
    }
}
