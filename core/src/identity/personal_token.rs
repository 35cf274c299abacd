//! Personal access tokens: what a person gives a device or a program that cannot sign in, in place of an access token of
//! the identity provider, which is over after an hour.
//!
//! A token is random, and known to the platform by its SHA-256 alone. It is looked up with each request and remembered
//! nowhere, so that one that was revoked opens nothing from then on.

use crate::base64;
use serde::{Deserialize, Serialize};

use crate::http::problem::Refusal;
use crate::identity::users::UserStatus;
use crate::user_id::UserId;

/// How every token begins, so that people and scanners of secrets know one.
pub const PREFIX: &str = "mwk_";
/// Random bytes in a token: not to be guessed, so that its hash needs neither salt nor stretching.
pub const SECRET_BYTES: u32 = 32;
/// Random bytes in the id by which its owner speaks of it.
pub const ID_BYTES: u32 = 8;
/// Tokens one person may have at a time: more than they have devices, few enough to look through.
pub const MAX_TOKENS: u32 = 25;
/// Characters a name may have: it is shown in lists.
pub const MAX_NAME_CHARACTERS: usize = 64;
/// Days a token may live: a forgotten one ends within a year.
pub const MAX_DAYS: u32 = 366;
/// Days it lives when nobody says otherwise.
pub const DEFAULT_DAYS: u32 = 90;
/// Milliseconds by which the last use may be out of date: exact to the hour is enough for people, and a write per
/// request would cost more than the rest of it.
pub const USED_AGAIN_AFTER_MS: u64 = 60 * 60 * 1_000;
/// The header in which OpenClaw's node hosts send a secret to what stands before a gateway. They can set no other: its
/// name is that of Cloudflare Access, whose `CF_ACCESS_CLIENT_SECRET` they take from their environment.
pub const NODE_HEADER: &str = "cf-access-client-secret";

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1_000;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum TokenScope {
    /// The bot itself: its pages, its API, its WebSockets.
    Connect,
    /// That, and what the owner may do under `/api/bot` but for making and revoking tokens.
    Manage,
}

impl TokenScope {
    /// Its text in JSON and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Manage => "manage",
        }
    }
}

/// Writes a token of random bytes.
pub fn write(secret: &[u8]) -> String {
    format!("{PREFIX}{}", base64::encode_url(secret))
}

/// The personal token in an `Authorization` header: as bearer token, or as the password of HTTP Basic with any name.
/// `None` for whatever else stands there.
pub fn in_authorization(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_one(rest).then(|| rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(base64::decode(rest)?).ok()?;
    let (_name, password) = decoded.split_once(':')?;
    is_one(password).then(|| password.to_owned())
}

/// Whether a text claims to be a personal token; whether it is one, the database says.
pub fn is_one(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// A token as the database knows it, with what it says of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recorded {
    /// By which its owner speaks of it.
    pub token_id: String,
    /// Its owner.
    pub user_id: UserId,
    /// What it is good for.
    pub scope: TokenScope,
    /// Milliseconds since 1970.
    pub expires_at: u64,
    /// When it was used last, out of date by an hour at most.
    pub used_at: Option<u64>,
    /// Whether its owner may use the platform.
    pub status: UserStatus,
    /// The owner's role as their last access token said it.
    pub role: String,
    /// Not zero where its owner had proven a second factor when they made it.
    pub mfa: u8,
}

impl Recorded {
    /// Whether it counts at `now` (milliseconds since 1970).
    ///
    /// # Errors
    /// [`Refusal::TokenExpired`], or that its owner is not let in.
    pub fn check(&self, now: u64) -> Result<(), Refusal> {
        if now >= self.expires_at {
            return Err(Refusal::TokenExpired);
        }
        self.status.refusal().map_or(Ok(()), Err)
    }

    /// Whether this use of it is to be written down.
    pub fn is_used_anew(&self, now: u64) -> bool {
        self.used_at
            .is_none_or(|at| now >= at.saturating_add(USED_AGAIN_AFTER_MS))
    }
}

/// When a token ends that is made at `now`.
///
/// # Errors
/// What is wrong with the number of days.
pub fn expiry(days: Option<u32>, now: u64) -> Result<u64, String> {
    let days = days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(format!("expires_in_days: a token lives 1 to {MAX_DAYS} days"));
    }
    Ok(now.saturating_add(u64::from(days).saturating_mul(MS_PER_DAY)))
}

/// A name as it is shown.
///
/// # Errors
/// What is wrong with it.
pub fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    // As it was sent: what the document of the API says is not about what is left of it.
    let too_long = text.chars().count() > MAX_NAME_CHARACTERS;
    if name.is_empty() || too_long || text.chars().any(char::is_control) {
        return Err(format!(
            "name: 1 to {MAX_NAME_CHARACTERS} characters that say which device or program has it"
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_prefix_and_has_all_its_randomness() {
        let token = write(&[0xff; 32]);
        assert_eq!(token.len(), PREFIX.len() + 43);
        assert!(is_one(&token));
        assert_eq!(
            in_authorization(&format!("Bearer {token}")).as_deref(),
            Some(token.as_str())
        );
    }

    #[test]
    fn a_token_is_found_in_the_headers_programs_can_send() {
        let basic = |text: &str| format!("Basic {}", base64::encode(text));
        for (value, expected) in [
            ("Bearer mwk_a".to_owned(), Some("mwk_a")),
            ("bearer  mwk_a ".to_owned(), Some("mwk_a")),
            (basic("phone:mwk_a"), Some("mwk_a")),
            (basic(":mwk_a"), Some("mwk_a")),
            (basic("mwk_a"), None),
            (basic("mwk_a:"), None),
            (basic("phone:password"), None),
            (basic("phone:other:mwk_a"), None),
            ("Basic %%%".to_owned(), None),
            ("Bearer eyJhbGciOi.x.y".to_owned(), None),
            ("Bearer MWK_a".to_owned(), None),
            ("mwk_a".to_owned(), None),
            ("Digest mwk_a".to_owned(), None),
        ] {
            assert_eq!(in_authorization(&value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_token_counts_until_it_ends_and_while_its_owner_may_come() {
        let of = |status| Recorded {
            token_id: "a".into(),
            user_id: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            scope: TokenScope::Connect,
            expires_at: 1_000,
            used_at: Some(500),
            status,
            role: "user".into(),
            mfa: 0,
        };
        let active = of(UserStatus::Active);
        assert_eq!(active.check(999), Ok(()));
        assert_eq!(active.check(1_000), Err(Refusal::TokenExpired));
        assert_eq!(of(UserStatus::Suspended).check(0), Err(Refusal::AccountSuspended));
        assert_eq!(of(UserStatus::Deleted).check(0), Err(Refusal::AccountDeleted));
        assert!(!active.is_used_anew(500 + USED_AGAIN_AFTER_MS - 1));
        assert!(active.is_used_anew(500 + USED_AGAIN_AFTER_MS));
    }

    #[test]
    fn names_and_days_have_limits_that_are_told() {
        assert_eq!(name("  Alice's phone ").as_deref(), Ok("Alice's phone"));
        assert_eq!(name(&"é".repeat(64)).map(|name| name.chars().count()), Ok(64));
        for bad in [
            "",
            "  ",
            "a\nb",
            "\ta",
            &"a".repeat(65),
            &format!("a{}", " ".repeat(64)),
        ] {
            assert!(name(bad).unwrap_err().contains("64 characters"), "{bad:?}");
        }
        assert_eq!(expiry(None, 0), Ok(90 * MS_PER_DAY));
        assert_eq!(expiry(Some(366), 5), Ok(366 * MS_PER_DAY + 5));
        for bad in [0, 367, u32::MAX] {
            assert!(expiry(Some(bad), 0).unwrap_err().contains("366 days"));
        }
        for scope in [TokenScope::Connect, TokenScope::Manage] {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }
}
