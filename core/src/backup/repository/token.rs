//! The token that opens a bot's repository to one run, for an hour.
//!
//! `mr1.<version of the key>.<user>.<run>.<scope>.<expiry, ms since 1970>.<MAC, base64url>`. The MAC is an
//! HMAC-SHA256 over everything before its dot, made and checked by whoever holds the key ([`super::keys`]).

use super::scope::{Bearer, Scope};
use crate::base64;
use crate::user_id::UserId;
use crate::wire::run::{RepositoryToken, Run};

/// How long a token holds. It is renewed while its run lives, so this is how long the last one outlives it.
pub const LIFETIME_MS: u64 = 60 * 60 * 1_000;
/// Bytes of an HMAC-SHA256.
pub const MAC_BYTES: usize = 32;
/// The first part; counts up if the form changes.
const FORM: &str = "mr1";

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Whose repository it opens.
    pub user: UserId,
    /// To which run.
    pub run: Run,
    /// How far.
    pub scope: Scope,
    /// Until when, in milliseconds since 1970.
    pub expires_at: u64,
}

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryTokenError {
    /// Not a token of ours.
    #[error("it is not a repository token")]
    Malformed,
    /// Its key is not among those configured.
    #[error("its key is not in BACKUP_KEY")]
    UnknownKey,
    /// It was not made with that key.
    #[error("its MAC does not hold")]
    WrongMac,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
}

impl Claims {
    /// What a token minted now says.
    pub fn minted(now_ms: u64, user: UserId, run: Run, scope: Scope) -> Self {
        Self {
            user,
            run,
            scope,
            expires_at: now_ms.saturating_add(LIFETIME_MS),
        }
    }

    /// What the MAC is to be made of.
    pub fn to_sign(&self, key_version: u32) -> String {
        let Self {
            user,
            run,
            scope,
            expires_at,
        } = self;
        format!(
            "{FORM}.{key_version}.{user}.{run}.{}.{expires_at}",
            scope.as_str()
        )
    }
}

/// Joins what was signed and its MAC.
///
/// # Errors
/// The reason, when that is not a text that can travel as a token.
pub fn assemble(signed: &str, mac: &[u8]) -> Result<RepositoryToken, &'static str> {
    RepositoryToken::new(format!("{signed}.{}", base64::encode_url(mac)))
}

/// A token that is well-formed; its MAC is not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked<'a> {
    /// The key it says it was made with.
    pub key_version: u32,
    /// What the MAC is over.
    pub signed: &'a str,
    /// HMAC-SHA-256 of what is before it, not checked yet.
    pub mac: Vec<u8>,
    claims: Claims,
}

/// Takes a token apart.
///
/// # Errors
/// [`RepositoryTokenError::Malformed`].
pub fn parse(text: &str) -> Result<Unchecked<'_>, RepositoryTokenError> {
    let (signed, mac) = text.rsplit_once('.').ok_or(RepositoryTokenError::Malformed)?;
    let mac = base64::decode_url(mac)
        .filter(|mac| mac.len() == MAC_BYTES)
        .ok_or(RepositoryTokenError::Malformed)?;
    let parts: Vec<&str> = signed.split('.').collect();
    let [FORM, version, user, run, scope, expires_at] = *parts else {
        return Err(RepositoryTokenError::Malformed);
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| RepositoryTokenError::Malformed);
    let claims = Claims {
        user: user.parse().map_err(|_| RepositoryTokenError::Malformed)?,
        run: Run(number(run)?),
        scope: Scope::parse(scope).ok_or(RepositoryTokenError::Malformed)?,
        expires_at: number(expires_at)?,
    };
    let key_version = version.parse().map_err(|_| RepositoryTokenError::Malformed)?;
    Ok(Unchecked {
        key_version,
        signed,
        mac,
        claims,
    })
}

impl Unchecked<'_> {
    /// Who presents it, once it is known whether its MAC holds.
    ///
    /// # Errors
    /// [`RepositoryTokenError::WrongMac`] or [`RepositoryTokenError::Expired`].
    pub fn judged(&self, mac_holds: bool, now_ms: u64) -> Result<Bearer, RepositoryTokenError> {
        if !mac_holds {
            return Err(RepositoryTokenError::WrongMac);
        }
        if now_ms >= self.claims.expires_at {
            return Err(RepositoryTokenError::Expired);
        }
        Ok(Bearer::Run(self.claims.user, self.claims.run, self.claims.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000_000;
    const MAC: [u8; MAC_BYTES] = [7; MAC_BYTES];

    fn claims(scope: Scope) -> Claims {
        let user = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap();
        Claims::minted(NOW, user, Run(7), scope)
    }

    #[test]
    fn a_minted_token_parses_back() {
        for scope in Scope::ALL {
            let claims = claims(scope);
            let signed = claims.to_sign(2);
            let token = assemble(&signed, &MAC).unwrap();
            let read = parse(token.reveal()).unwrap();
            assert_eq!(
                (read.key_version, read.signed, read.mac.as_slice()),
                (2, signed.as_str(), MAC.as_slice())
            );
            assert_eq!(
                read.judged(true, NOW),
                Ok(Bearer::Run(claims.user, Run(7), scope))
            );
        }
    }

    #[test]
    fn a_token_is_valid_for_an_hour_and_only_with_its_mac() {
        let token = assemble(&claims(Scope::Append).to_sign(1), &MAC).unwrap();
        let read = parse(token.reveal()).unwrap();
        assert!(read.judged(true, NOW + 3_599_999).is_ok());
        assert_eq!(
            read.judged(true, NOW + 3_600_000),
            Err(RepositoryTokenError::Expired)
        );
        assert_eq!(read.judged(false, NOW), Err(RepositoryTokenError::WrongMac));
        // What it says is not looked at before the MAC is.
        assert_eq!(
            read.judged(false, NOW + LIFETIME_MS),
            Err(RepositoryTokenError::WrongMac)
        );
    }

    #[test]
    fn an_invalid_token_is_refused() {
        let good = assemble(&claims(Scope::Append).to_sign(1), &MAC).unwrap();
        let good = good.reveal();
        assert!(parse(good).is_ok());
        for bad in [
            String::new(),
            "x".into(),
            good.replace("mr1", "mr2"),
            good.replace("append", "admin"),
            good.replace("6f1c", "6F1C"),
            good.replace(".7.", ".-7."),
            good.replace(".1.", ".99999999999."),
            good.trim_end_matches(|last| last != '.').into(),
            format!("{good}.x"),
            format!("{good}="),
            format!("mr1.{good}"),
        ] {
            assert_eq!(parse(&bad).unwrap_err(), RepositoryTokenError::Malformed, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in ".{0,200}") {
            let _read = parse(&text);
        }
    }
}
