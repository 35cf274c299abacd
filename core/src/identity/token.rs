//! Supabase access tokens: what has to hold before one counts.
//!
//! Three steps, each a type, so that none can be left out: [`ParsedToken`] (well-formed, algorithm
//! allowed) → [`SignedToken`] (its signature held, checked by the caller with WebCrypto) → [`Identity`]
//! (every claim holds). Not by the crate `jsonwebtoken`: it reads the clock itself, takes an array of issuers, and brings
//! readers for much that no access token has.

use crate::base64;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::json::{self, Json};
use crate::user_id::UserId;

pub mod seen;

/// Bytes a token may have. Supabase's are about 1 KB; user and app metadata may add some. Cloudflare takes
/// 128 KB of headers in all, and nothing that long is worth the CPU of parsing it for a stranger.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Seconds by which the identity provider's clock and ours may differ.
pub const CLOCK_LEEWAY_SECONDS: u64 = 30;

/// Seconds a token may be valid for from now: a week is the longest a Supabase project can be set to. What
/// lives longer was not made by signing in, and a number too large to be a time never ends a session.
pub const MAX_LIFETIME_SECONDS: u64 = 7 * 24 * 3600;

/// The `aud` and the `role` of a signed-in person's token. The project's public anon key has the role
/// `anon`, its service key `service_role`; neither is a person.
const AUTHENTICATED: &str = "authenticated";
/// The `aal` of a session that proved two factors.
const AAL2: &str = "aal2";

/// The algorithms Supabase signs access tokens with. There is no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, key from the project's JWKS.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, key from the project's JWKS.
    Rs256,
    /// HMAC with SHA-256 and the project's legacy JWT secret.
    Hs256,
}

/// Why a token does not count. For the log; a caller only ever learns [`TokenError::is_expired`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than any real one")]
    TooLong,
    /// Not three base64url parts of JSON, JSON and signature, or a claim of the wrong type.
    #[error("the token is not a well-formed signed JWT with the claims of an access token")]
    Malformed,
    /// `alg` is missing, `none`, or not one of [`Algorithm`].
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// The header demands something we do not implement (`crit`), carries its own key, or says that this is
    /// another kind of token (`typ`, `cty`).
    #[error("the token's header has a member that is not accepted")]
    Header,
    /// No key of the project has this `kid` and algorithm.
    #[error("no key of the identity provider fits the token")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// `iss` is not the project.
    #[error("the token was issued by somebody else")]
    Issuer,
    /// `aud` does not name signed-in users.
    #[error("the token is meant for somebody else")]
    Audience,
    /// `role` is not that of a signed-in person.
    #[error("the token is not a signed-in person's")]
    Role,
    /// The person never signed in with anything (`is_anonymous`).
    #[error("the token belongs to an anonymous user")]
    Anonymous,
    /// Another app got it (`client_id`), and the operator allows that app nothing.
    #[error("the token was given to an OAuth client that is not allowed here")]
    Client,
    /// `sub` is not a user id.
    #[error("the token's subject is not a user id")]
    Subject,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp` lies further in the future than signing in can put it.
    #[error("the token is valid for longer than any real one")]
    TooLongLived,
}

impl TokenError {
    /// The one distinction a caller may learn: signing in again helps.
    pub fn is_expired(self) -> bool {
        self == Self::Expired
    }
}

/// What a token says about the caller, once everything about it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who it is.
    pub user: UserId,
    /// The project's `app_metadata.role` says `admin`; only the project's own service key can write that.
    #[serde(default)]
    pub admin: bool,
    /// They proved two factors (`aal` is `aal2`).
    #[serde(default)]
    pub mfa: bool,
    /// For display only.
    pub email: Option<String>,
    /// When the proof of it ends, in seconds since 1970.
    pub expires_at: u64,
}

/// A token whose text is in order and whose signature is still to be checked.
#[derive(Debug)]
pub struct ParsedToken<'a> {
    /// What was signed: header and payload as they were sent.
    pub signing_input: &'a str,
    /// The signature, raw (for ES256 that is `r ‖ s`, as WebCrypto takes it).
    pub signature: Vec<u8>,
    /// What it claims to be signed with; already on the allow-list.
    pub algorithm: Algorithm,
    /// Which key it claims.
    pub key_id: Option<String>,
    claims: Claims,
}

/// A token whose signature held. Only [`ParsedToken::signature_checked`] makes one.
#[derive(Debug)]
pub struct SignedToken(Claims);

/// What of a header matters (RFC 7515 §4.1, RFC 7516 §4.1); whatever else is there is ignored, as those ask.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
    jwk: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    role: String,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    iat: Option<u64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    is_anonymous: Option<bool>,
    #[serde(default)]
    app_metadata: AppMetadata,
    /// The OAuth client that asked for it on the person's behalf; none when they signed in themselves.
    #[serde(default)]
    client_id: Option<String>,
    /// Authenticator assurance level: `aal2` with a second factor.
    #[serde(default)]
    aal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct AppMetadata {
    #[serde(default)]
    role: Option<Json>,
}

/// `aud` is one name or a list of names (RFC 7519 §4.1.3). Read by hand, because an untagged enum costs the
/// Worker a second JSON reader.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Json")]
struct Audience(Vec<String>);

impl TryFrom<Json> for Audience {
    type Error = TokenError;

    fn try_from(value: Json) -> Result<Self, TokenError> {
        let name = |value| match value {
            Json::String(name) => Ok(name),
            _ => Err(TokenError::Malformed),
        };
        match value {
            Json::Array(names) => names.into_iter().map(name).collect::<Result<_, _>>().map(Self),
            one => name(one).map(|name| Self(vec![name])),
        }
    }
}

/// Takes a token apart without believing any of it.
///
/// # Errors
/// [`TokenError::TooLong`], [`TokenError::Malformed`], [`TokenError::Algorithm`], [`TokenError::Header`].
pub fn parse(token: &str) -> Result<ParsedToken<'_>, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signing_input.split_once('.').ok_or(TokenError::Malformed)?;
    // Exactly three parts: five would be an encrypted token. A dot is no base64url, but that is not what this rests on.
    if claims.contains('.') {
        return Err(TokenError::Malformed);
    }
    let header: Header = decoded(header)?;
    let algorithm = match header.alg.as_str() {
        "ES256" => Algorithm::Es256,
        "RS256" => Algorithm::Rs256,
        "HS256" => Algorithm::Hs256,
        _ => return Err(TokenError::Algorithm),
    };
    // A key the token brings along proves nothing, and an extension we do not know may change what the
    // signature covers (RFC 7515 §4.1.11, RFC 7797).
    let demands = header.crit.is_some() || header.zip.is_some() || header.enc.is_some();
    let brings_a_key =
        header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some();
    // A JWT inside a JWT, or an ID token that says so, is not an access token (RFC 8725 §3.11).
    let is_a_jwt = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT")) && header.cty.is_none();
    if demands || brings_a_key || !is_a_jwt {
        return Err(TokenError::Header);
    }
    let claims = decoded(claims)?;
    let signature = base64::decode_url(signature).ok_or(TokenError::Malformed)?;
    Ok(ParsedToken {
        signing_input,
        signature,
        algorithm,
        key_id: header.kid,
        claims,
    })
}

/// One of the two parts that are JSON.
fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = base64::decode_url(part).ok_or(TokenError::Malformed)?;
    json::from_bytes(&bytes).map_err(|_| TokenError::Malformed)
}

impl ParsedToken<'_> {
    /// Goes on only if the signature held; `held` is the answer of whoever checked it.
    ///
    /// # Errors
    /// [`TokenError::Signature`].
    pub fn signature_checked(self, held: bool) -> Result<SignedToken, TokenError> {
        if held {
            Ok(SignedToken(self.claims))
        } else {
            Err(TokenError::Signature)
        }
    }
}

/// What a token of this project's people says, beside who it is.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// `iss`, to the letter.
    pub issuer: &'a str,
    /// The OAuth clients a token may have been given to.
    pub oauth_clients: &'a [String],
}

impl SignedToken {
    /// Judges the claims; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn into_identity(self, expected: Expected<'_>, now: u64) -> Result<Identity, TokenError> {
        let claims = self.0;
        if claims.iss != expected.issuer {
            return Err(TokenError::Issuer);
        }
        if !claims.aud.0.iter().any(|name| name == AUTHENTICATED) {
            return Err(TokenError::Audience);
        }
        if claims.role != AUTHENTICATED {
            return Err(TokenError::Role);
        }
        if claims.is_anonymous == Some(true) {
            return Err(TokenError::Anonymous);
        }
        // Supabase gives other people's apps tokens with the person's own role and audience.
        let allowed = |client: &String| expected.oauth_clients.contains(client);
        if !claims.client_id.as_ref().is_none_or(allowed) {
            return Err(TokenError::Client);
        }
        let user = claims.sub.parse().map_err(|_| TokenError::Subject)?;
        if claims.exp.saturating_add(CLOCK_LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        if claims.exp > now.saturating_add(MAX_LIFETIME_SECONDS + CLOCK_LEEWAY_SECONDS) {
            return Err(TokenError::TooLongLived);
        }
        let begins = claims.nbf.into_iter().chain(claims.iat).max().unwrap_or(0);
        if begins > now.saturating_add(CLOCK_LEEWAY_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        let admin = claims.app_metadata.role == Some(Json::String("admin".to_owned()));
        Ok(Identity {
            user,
            admin,
            mfa: claims.aal.as_deref() == Some(AAL2),
            email: claims.email,
            expires_at: claims.exp,
        })
    }
}

#[cfg(test)]
mod tests;
