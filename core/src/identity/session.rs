//! The browser's session: a sealed cookie that says who it is and until when that is proven, and in the
//! person's Sandbox the tokens that prove it anew. Sealing itself is the Worker's (AES-GCM by WebCrypto).
//!
//! The refresh token is not in the cookie because it works once: two requests, or two hosts with a cookie of
//! their own, would each spend it, and the provider takes a second use for theft and ends the session. The
//! Sandbox is one for one person, so there it is spent by one at a time and all others get what came of it.

use crate::base64;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::token::Identity;
use crate::user_id::UserId;

/// Seconds before its proof ends from which on a session is renewed. A request that finds the identity
/// provider down in this time still goes through, and the next ones try again.
pub const RENEW_BEFORE_SECONDS: u64 = 60;
/// Seconds a browser keeps the cookie after the last renewal: people who come once a month stay signed in.
/// The identity provider may end the session earlier.
pub const COOKIE_SECONDS: u64 = 30 * 24 * 3600;
/// Seconds the admin UI stays signed in over reloads: a working day. A stolen cookie is worth nothing after it, and an admin
/// proves their second factor once a day.
pub const ADMIN_SESSION_SECONDS: u64 = 12 * 3600;
/// Sessions one person may have at once: browsers, and hosts of their own. The longest unused one makes room.
pub const MAX_SESSIONS: u32 = 32;

/// Names one session of one person. Random; the Sandbox keeps the session's tokens under it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// Makes one of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(base64::encode_url(bytes))
    }

    /// The text it is stored under.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With it and the sealed tokens a session is renewed, so it stays out of logs.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(hidden)")
    }
}

/// What the sealed cookie says. It was written after the person's token had been verified, and only the
/// holder of the session key can write one, so it is believed until its proof ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who signed in, and until when that is proven.
    pub identity: Identity,
    /// Under which the person's Sandbox keeps the refresh token.
    pub id: SessionId,
}

/// How far a session's proof carries at a given moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Good,
    /// It holds, but not for long: renew it, and go on if that cannot be done right now.
    Ending,
    /// It has ended: renew it first.
    Ended,
}

impl Identity {
    /// How far this proof carries at `now` (seconds since 1970).
    pub fn standing(&self, now: u64) -> Standing {
        if now >= self.expires_at {
            Standing::Ended
        } else if now.saturating_add(RENEW_BEFORE_SECONDS) >= self.expires_at {
            Standing::Ending
        } else {
            Standing::Good
        }
    }
}

/// What the sealed cookie of the admin UI says. It opens nothing by itself: one endpoint takes it, and gives for it an access
/// token that every other one judges anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminSession {
    /// Whose it is.
    pub user: UserId,
    /// Under which the person's Sandbox keeps the refresh token.
    pub id: SessionId,
    /// When it ends, in seconds since 1970; nothing makes it longer.
    pub until: u64,
}

impl AdminSession {
    /// One that begins at `now`.
    pub fn begin(user: UserId, id: SessionId, now: u64) -> Self {
        let until = now.saturating_add(ADMIN_SESSION_SECONDS);
        Self { user, id, until }
    }

    /// Whether it has ended by `now`, whatever the browser still keeps.
    pub fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

/// What the Worker wants of a Sandbox about one session of its person. The tokens are the identity provider's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SessionCommand {
    /// Keep these tokens.
    Begin {
        /// Under which name.
        id: SessionId,
        /// What they prove.
        identity: Identity,
        /// The tokens themselves.
        tokens: Tokens,
    },
    /// Prove it anew.
    Renew(SessionId),
    /// Prove it anew if need be, and tell the access token that does.
    Prove(SessionId),
    /// Forget it, and have the provider revoke it.
    End(SessionId),
}

/// What a Sandbox answers to [`SessionCommand::Renew`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Renewal {
    /// It is proven again.
    Renewed(Identity),
    /// There is no such session any more: sign in again.
    Ended,
    /// The identity provider could not be asked; the session is kept.
    Unavailable,
}

/// What a Sandbox answers to [`SessionCommand::Prove`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proven {
    /// This access token proves it.
    By {
        /// Who it is, and until when.
        identity: Identity,
        /// The token.
        access_token: String,
    },
    /// There is no such session any more: sign in again.
    Ended,
    /// The identity provider could not be asked; the session is kept.
    Unavailable,
}

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::By { .. } => "By(hidden)",
            Self::Ended => "Ended",
            Self::Unavailable => "Unavailable",
        })
    }
}

/// What the identity provider grants. The refresh token never leaves the platform.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// Proves who the person is, for an hour or so.
    pub access_token: String,
    /// Gets the next pair, once.
    pub refresh_token: String,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admins_session_ends_after_a_day_of_work_and_not_later() {
        let user = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap();
        let session = AdminSession::begin(user, SessionId::from_random([7; 16]), 1_000);
        assert!(!session.is_over(1_000 + ADMIN_SESSION_SECONDS - 1));
        assert!(session.is_over(1_000 + ADMIN_SESSION_SECONDS));
        assert!(AdminSession::begin(user, session.id, u64::MAX).is_over(u64::MAX));
    }

    #[test]
    fn a_session_is_renewed_before_its_proof_ends() {
        let identity = Identity {
            user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            admin: false,
            mfa: false,
            email: None,
            expires_at: 1_000,
        };
        for (now, standing) in [
            (0, Standing::Good),
            (939, Standing::Good),
            (940, Standing::Ending),
            (999, Standing::Ending),
            (1_000, Standing::Ended),
            (u64::MAX, Standing::Ended),
        ] {
            assert_eq!(identity.standing(now), standing, "{now}");
        }
    }

    #[test]
    fn debug_output_hides_the_refresh_token() {
        let tokens = Tokens {
            access_token: "secret".into(),
            refresh_token: "secret".into(),
        };
        let id = SessionId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "_____________________w");
        assert_eq!(format!("{tokens:?} {id:?}"), "Tokens(hidden) SessionId(hidden)");
    }
}
