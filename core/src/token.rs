//! Supabase access tokens: what has to hold before one counts.
//!
//! Three steps, each a type, so that none can be left out: [`ParsedToken`] (well-formed, algorithm
//! allowed) → [`SignedToken`] (its signature held, checked by the caller with WebCrypto) → [`Identity`]
//! (every claim holds). Headers and JSON are parsed by `jsonwebtoken`; the claims are judged here
//! because that crate reads the clock itself and takes an array of issuers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// Bytes a token may have. Supabase's are about 1 KB; user and app metadata may add some. Cloudflare takes
/// 128 KB of headers in all, and nothing that long is worth the CPU of parsing it for a stranger.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Seconds by which the identity provider's clock and ours may differ.
pub const CLOCK_LEEWAY_SECONDS: u64 = 30;

/// The `aud` and the `role` of a signed-in person's token. The project's public anon key has the role
/// `anon`, its service key `service_role`; neither is a person.
const AUTHENTICATED: &str = "authenticated";

/// Bits an RSA key must have at least (NIST SP 800-131A; Supabase makes 2,048).
const MIN_RSA_BITS: usize = 2_048;

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
    /// The header demands something we do not implement (`crit`), or carries its own key.
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
    /// `sub` is not a user id.
    #[error("the token's subject is not a user id")]
    Subject,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
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

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
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
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
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
    // Exactly three parts: five would be an encrypted token, and `rsplit` alone would take any number.
    if signing_input.split('.').count() != 2 {
        return Err(TokenError::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::Json(json) if json.to_string().contains("variant") => {
            TokenError::Algorithm
        }
        _ => TokenError::Malformed,
    })?;
    let algorithm = match header.alg {
        jsonwebtoken::Algorithm::ES256 => Algorithm::Es256,
        jsonwebtoken::Algorithm::RS256 => Algorithm::Rs256,
        jsonwebtoken::Algorithm::HS256 => Algorithm::Hs256,
        _ => return Err(TokenError::Algorithm),
    };
    // A key the token brings along proves nothing, and an extension we do not know may change what the
    // signature covers (RFC 7515 §4.1.11, RFC 7797).
    let demands = header.crit.is_some() || header.zip.is_some() || header.enc.is_some();
    let brings_a_key =
        header.jwk.is_some() || header.jku.is_some() || header.x5u.is_some() || header.x5c.is_some();
    if demands || brings_a_key {
        return Err(TokenError::Header);
    }
    let claims = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| TokenError::Malformed)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed)?;
    Ok(ParsedToken {
        signing_input,
        signature,
        algorithm,
        key_id: header.kid,
        claims,
    })
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

impl SignedToken {
    /// Judges the claims: `issuer` is `<SUPABASE_URL>/auth/v1`, `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn into_identity(self, issuer: &str, now: u64) -> Result<Identity, TokenError> {
        let claims = self.0;
        if claims.iss != issuer {
            return Err(TokenError::Issuer);
        }
        if !claims.aud.contains(AUTHENTICATED) {
            return Err(TokenError::Audience);
        }
        if claims.role != AUTHENTICATED {
            return Err(TokenError::Role);
        }
        if claims.is_anonymous == Some(true) {
            return Err(TokenError::Anonymous);
        }
        let user = claims.sub.parse().map_err(|_| TokenError::Subject)?;
        if claims.exp.saturating_add(CLOCK_LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        let begins = claims.nbf.into_iter().chain(claims.iat).max().unwrap_or(0);
        if begins > now.saturating_add(CLOCK_LEEWAY_SECONDS) {
            return Err(TokenError::NotYetValid);
        }
        Ok(Identity {
            user,
            email: claims.email,
            expires_at: claims.exp,
        })
    }
}

/// One public key of the identity provider, bound to the one algorithm it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in token headers.
    pub key_id: String,
    /// The only algorithm it verifies.
    pub algorithm: Algorithm,
    /// The key as a minimal JWK (RFC 7517) for WebCrypto: no `use`, `key_ops` or `alg` that could clash.
    pub jwk: serde_json::Value,
}

/// Reads a JWKS document. Keys we could not use (other types, encryption keys, no `kid`, weak RSA, two
/// keys of one name) are left out: a set with a strange member must not lock everybody out.
///
/// # Errors
/// The document is not a JWKS at all.
pub fn public_keys(document: &str) -> Result<Vec<PublicKey>, serde_json::Error> {
    let set: JwkSet = serde_json::from_str(document)?;
    let keys: Vec<PublicKey> = set.keys.iter().filter_map(public_key).collect();
    let named_once = |key: &PublicKey| keys.iter().filter(|other| other.key_id == key.key_id).count() == 1;
    Ok(keys.iter().filter(|key| named_once(key)).cloned().collect())
}

fn public_key(jwk: &Jwk) -> Option<PublicKey> {
    let key_id = jwk.common.key_id.clone()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let (algorithm, declared, minimal) = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => (
            Algorithm::Es256,
            KeyAlgorithm::ES256,
            serde_json::json!({ "kty": "EC", "crv": "P-256", "x": key.x, "y": key.y }),
        ),
        AlgorithmParameters::RSA(key) if rsa_bits(&key.n) >= MIN_RSA_BITS => (
            Algorithm::Rs256,
            KeyAlgorithm::RS256,
            serde_json::json!({ "kty": "RSA", "n": key.n, "e": key.e }),
        ),
        _ => return None,
    };
    match jwk.common.key_algorithm {
        Some(other) if other != declared => None,
        _ => Some(PublicKey {
            key_id,
            algorithm,
            jwk: minimal,
        }),
    }
}

fn rsa_bits(modulus: &str) -> usize {
    URL_SAFE_NO_PAD
        .decode(modulus)
        .map_or(0, |bytes| bytes.iter().skip_while(|byte| **byte == 0).count() * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ISSUER: &str = "https://project.supabase.co/auth/v1";
    const NOW: u64 = 1_800_000_000;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" })
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "sub": "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20", "aud": "authenticated",
            "role": "authenticated", "exp": NOW + 3600, "iat": NOW, "email": "a@example.com",
            "is_anonymous": false, "app_metadata": { "provider": "email" }
        })
    }

    fn with(mut base: Value, name: &str, value: Value) -> Value {
        base[name] = value;
        base
    }

    fn judge(header: &Value, claims: &Value) -> Result<Identity, TokenError> {
        parse(&token(header, claims))?
            .signature_checked(true)?
            .into_identity(ISSUER, NOW)
    }

    #[test]
    fn a_real_token_counts() {
        let identity = judge(&header(), &claims()).unwrap();
        assert_eq!(identity.user.to_string(), "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20");
        assert_eq!(identity.email.as_deref(), Some("a@example.com"));
        assert_eq!(identity.expires_at, NOW + 3600);
        for aud in [json!("authenticated"), json!(["x", "authenticated"])] {
            assert!(judge(&header(), &with(claims(), "aud", aud)).is_ok());
        }
    }

    #[test]
    fn a_signature_that_does_not_hold_ends_it() {
        let token = token(&header(), &claims());
        assert_eq!(
            parse(&token).unwrap().signature_checked(false).unwrap_err(),
            TokenError::Signature
        );
    }

    #[test]
    fn every_claim_has_to_hold() {
        use TokenError::*;
        let cases = [
            ("iss", json!("https://other.supabase.co/auth/v1"), Issuer),
            ("iss", json!("https://project.supabase.co/auth/v1/"), Issuer),
            ("iss", json!([ISSUER]), Malformed),
            ("iss", json!(null), Malformed),
            ("sub", json!("undefined"), Subject),
            ("sub", json!("6F1C2A9E-8D2B-4A63-9F5E-0B7F6F3C1D20"), Subject),
            ("sub", json!("00000000-0000-0000-0000-000000000000"), Subject),
            ("sub", json!(7), Malformed),
            ("aud", json!("anon"), Audience),
            ("aud", json!([]), Audience),
            ("aud", json!(null), Malformed),
            ("role", json!("anon"), Role),
            ("role", json!("service_role"), Role),
            ("role", json!(["authenticated"]), Malformed),
            ("is_anonymous", json!(true), Anonymous),
            ("is_anonymous", json!("false"), Malformed),
            ("exp", json!(NOW - CLOCK_LEEWAY_SECONDS), Expired),
            ("exp", json!(0), Expired),
            ("exp", json!(-1), Malformed),
            ("exp", json!("1900000000"), Malformed),
            ("exp", json!(null), Malformed),
            ("nbf", json!(NOW + CLOCK_LEEWAY_SECONDS + 1), NotYetValid),
            ("iat", json!(NOW + CLOCK_LEEWAY_SECONDS + 1), NotYetValid),
            ("nbf", json!(-5), Malformed),
        ];
        for (name, value, expected) in cases {
            let outcome = judge(&header(), &with(claims(), name, value.clone()));
            assert_eq!(outcome.unwrap_err(), expected, "{name} = {value}");
        }
        for name in ["iss", "sub", "aud", "role", "exp"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(
                judge(&header(), &claims).unwrap_err(),
                Malformed,
                "{name} missing"
            );
        }
    }

    #[test]
    fn the_leeway_is_thirty_seconds_and_no_more() {
        for (exp, counts) in [(NOW - 29, true), (NOW - 30, false)] {
            assert_eq!(
                judge(&header(), &with(claims(), "exp", json!(exp))).is_ok(),
                counts
            );
        }
        for (nbf, counts) in [(NOW + 30, true), (NOW + 31, false)] {
            assert_eq!(
                judge(&header(), &with(claims(), "nbf", json!(nbf))).is_ok(),
                counts
            );
        }
    }

    #[test]
    fn every_header_trick_is_refused() {
        use TokenError::*;
        let cases = [
            ("alg", json!("none"), Algorithm),
            ("alg", json!("None"), Algorithm),
            ("alg", json!("HS512"), Algorithm),
            ("alg", json!("EdDSA"), Algorithm),
            ("alg", json!("es256"), Algorithm),
            ("alg", json!(null), Malformed),
            ("crit", json!(["b64"]), Header),
            ("zip", json!("DEF"), Header),
            ("jku", json!("https://evil.example/jwks"), Header),
            ("x5u", json!("https://evil.example/cert"), Header),
            ("jwk", json!({ "kty": "oct", "k": "AAAA" }), Header),
        ];
        for (name, value, expected) in cases {
            let outcome = judge(&with(header(), name, value.clone()), &claims());
            assert_eq!(outcome.unwrap_err(), expected, "{name} = {value}");
        }
    }

    #[test]
    fn text_that_is_no_token_is_malformed() {
        let good = token(&header(), &claims());
        let cut = good.rsplit_once('.').unwrap().0.to_owned();
        for text in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "eyJ.eyJ.",
            &cut,
            &format!("{good}.x"),
            &format!("x.{good}"),
            "é.é.é",
        ] {
            assert_eq!(parse(text).unwrap_err(), TokenError::Malformed, "{text:?}");
        }
        let duplicate = format!(
            "{}.{}.c2ln",
            URL_SAFE_NO_PAD.encode(header().to_string()),
            URL_SAFE_NO_PAD.encode(claims().to_string().replacen('{', r#"{"sub":"x","#, 1)),
        );
        assert_eq!(parse(&duplicate).unwrap_err(), TokenError::Malformed);
        assert_eq!(
            parse(&"a".repeat(MAX_TOKEN_BYTES + 1)).unwrap_err(),
            TokenError::TooLong
        );
    }

    #[test]
    fn a_key_is_for_one_algorithm_only() {
        let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        let document = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "ec", "use": "sig", "alg": "ES256", "key_ops": ["verify"] },
            { "kty": "RSA", "n": modulus(256), "e": "AQAB", "kid": "rsa" },
            { "kty": "RSA", "n": modulus(128), "e": "AQAB", "kid": "weak" },
            { "kty": "RSA", "n": modulus(256), "e": "AQAB", "kid": "clash", "alg": "RS512" },
            { "kty": "EC", "crv": "P-384", "x": "AQ", "y": "Ag", "kid": "p384" },
            { "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag" },
            { "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "enc", "use": "enc" },
            { "kty": "oct", "k": "c2VjcmV0", "kid": "symmetric" },
            { "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "twice" },
            { "kty": "EC", "crv": "P-256", "x": "Aw", "y": "Ag", "kid": "twice" },
        ]});
        let keys = public_keys(&document.to_string()).unwrap();
        let names: Vec<_> = keys
            .iter()
            .map(|key| (key.key_id.as_str(), key.algorithm))
            .collect();
        assert_eq!(names, [("ec", Algorithm::Es256), ("rsa", Algorithm::Rs256)]);
        assert_eq!(
            keys[0].jwk,
            json!({ "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag" })
        );
        assert!(public_keys("[]").is_err());
        assert!(public_keys("<html>").is_err());
    }
}
