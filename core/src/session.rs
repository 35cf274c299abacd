//! The browser's session: one sealed cookie. Sealing itself is the Worker's (AES-GCM by WebCrypto).

use serde::{Deserialize, Serialize};

use crate::token::Identity;

/// Cookies that start like this are the platform's. `__Host-` makes the browser insist on Secure, on this
/// host alone and on `Path=/`, so neither a sibling domain nor plain HTTP can plant one.
pub const COOKIE_PREFIX: &str = "__Host-moltbot-";
/// The cookie that holds the sealed [`Session`].
pub const SESSION_COOKIE: &str = "__Host-moltbot-session";

/// What the sealed cookie says. It was written after the person's token had been verified, and only the
/// holder of the session key can write one, so it is believed until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who signed in.
    #[serde(flatten)]
    pub identity: Identity,
}

impl Session {
    /// The identity, unless the session's time is over (`now` in seconds since 1970).
    pub fn current(self, now: u64) -> Option<Identity> {
        (now < self.identity.expires_at).then_some(self.identity)
    }
}

/// The value of our session cookie in a `Cookie` header. Two of them (one was planted before `__Host-` was
/// understood, say) count as none.
pub fn find(cookie_header: &str) -> Option<&str> {
    let mut values = cookie_header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// `Set-Cookie` that begins a session of `max_age` seconds.
pub fn begin(sealed: &str, max_age: u64) -> String {
    // Lax, not Strict: a link in a mail to one's own bot should open it signed in. State changes are POST
    // with an Origin check, so Lax opens nothing.
    format!("{SESSION_COOKIE}={sealed}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax")
}

/// `Set-Cookie` that ends the session.
pub fn end() -> String {
    begin("", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(find("a=1; __Host-moltbot-session=v; b=2"), Some("v"));
        assert_eq!(find("__Host-moltbot-session=v=="), Some("v=="));
        for other in [
            "",
            "a=1",
            "__Host-moltbot-session",
            "x__Host-moltbot-session=v",
            "__host-moltbot-session=v",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
        assert_eq!(find("__Host-moltbot-session=a; __Host-moltbot-session=b"), None);
    }

    #[test]
    fn a_session_ends_with_the_token_it_came_from() {
        let identity = Identity {
            user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            admin: false,
            email: None,
            expires_at: 100,
        };
        let session = Session {
            identity: identity.clone(),
        };
        assert_eq!(session.clone().current(99), Some(identity));
        assert_eq!(session.current(100), None);
    }

    #[test]
    fn scripts_and_other_sites_cannot_use_the_cookie() {
        let cookie = begin("v", 60);
        for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"));
        assert!(end().contains("Max-Age=0"));
    }
}
