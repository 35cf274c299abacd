//! The identity provider's public keys: which of them count, and when to ask for them again.

use crate::base64;
use serde::Deserialize;

use crate::identity::token::Algorithm;
use crate::json::{self, Json};

/// Bits an RSA key must have at least (NIST SP 800-131A; Supabase makes 2,048).
const MIN_RSA_BITS: usize = 2_048;

/// Milliseconds for which fetched keys are used without asking. Supabase serves its JWKS with a ten-minute
/// cache, and announces a new key at least that long before signing with it.
pub const LIFETIME_MS: u64 = 10 * 60 * 1_000;
/// Milliseconds between two questions for a key nobody knows: a stranger can make up key ids, and each
/// must not cost a request to the provider.
pub const UNKNOWN_KEY_PAUSE_MS: u64 = 60 * 1_000;
/// Milliseconds between two questions while the provider does not answer: callers must not wait for a time-out
/// each, nor the provider come back to a stampede.
pub const FAILURE_PAUSE_MS: u64 = 2 * 1_000;

/// What is known about the keys at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownKeys {
    /// When they were fetched; `None` when the provider has not answered yet.
    pub fetched_at: Option<u64>,
    /// When the provider was last asked, with or without an answer.
    pub asked_at: u64,
}

/// What to do about a token's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Go on with what is at hand, be it the key or the knowledge that there is none.
    Use,
    /// Ask the provider now.
    Ask,
    /// There are none, and the provider did not answer a moment ago.
    Unavailable,
}

/// Whether to ask now. `key_known` says whether the keys at hand have the one a token names.
pub fn look_up(known: Option<KnownKeys>, key_known: bool, now: u64) -> Keys {
    let Some(known) = known else { return Keys::Ask };
    let since_asked = now.saturating_sub(known.asked_at);
    match known.fetched_at {
        None if since_asked < FAILURE_PAUSE_MS => Keys::Unavailable,
        None => Keys::Ask,
        Some(at) if !are_fresh(at, now) && since_asked >= FAILURE_PAUSE_MS => Keys::Ask,
        Some(_) if !key_known && since_asked >= UNKNOWN_KEY_PAUSE_MS => Keys::Ask,
        Some(_) => Keys::Use,
    }
}

/// Whether keys fetched at `fetched_at` are still used without asking.
pub fn are_fresh(fetched_at: u64, now: u64) -> bool {
    now.saturating_sub(fetched_at) < LIFETIME_MS
}

/// One public key of the identity provider, bound to the one algorithm it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in token headers.
    pub key_id: String,
    /// The only algorithm it verifies.
    pub algorithm: Algorithm,
    /// The key as the text of a minimal JWK (RFC 7517) for WebCrypto: no `use`, `key_ops` or `alg` that could clash.
    pub jwk: String,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Json>,
}

/// What of a key matters (RFC 7517 §4, RFC 7518 §6), of the two types that count.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    r#use: Option<String>,
    alg: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

/// Reads a JWKS document. Keys we could not use (other types, encryption keys, no `kid`, weak RSA, two
/// keys of one name, members of the wrong kind) are left out: a set with a strange member must not lock everybody out.
///
/// # Errors
/// The document is not a JWKS at all.
pub fn public_keys(document: &str) -> Result<Vec<PublicKey>, json::Error> {
    let set: JwkSet = json::read(document)?;
    let keys: Vec<PublicKey> = set.keys.iter().filter_map(public_key).collect();
    let named_once = |key: &PublicKey| keys.iter().filter(|other| other.key_id == key.key_id).count() == 1;
    Ok(keys.iter().filter(|key| named_once(key)).cloned().collect())
}

fn public_key(jwk: &Json) -> Option<PublicKey> {
    let jwk: Jwk = json::of_value(jwk).ok()?;
    if jwk.r#use.is_some_and(|what_for| what_for != "sig") {
        return None;
    }
    let is_present = |member: &str| !member.is_empty();
    let (algorithm, name, minimal) = match (jwk.kty.as_str(), jwk.crv.as_str()) {
        ("EC", "P-256") if is_present(&jwk.x) && is_present(&jwk.y) => (
            Algorithm::Es256,
            "ES256",
            json::object(&[("kty", "EC"), ("crv", "P-256"), ("x", &jwk.x), ("y", &jwk.y)]),
        ),
        ("RSA", _) if rsa_bits(&jwk.n) >= MIN_RSA_BITS && is_present(&jwk.e) => (
            Algorithm::Rs256,
            "RS256",
            json::object(&[("kty", "RSA"), ("n", &jwk.n), ("e", &jwk.e)]),
        ),
        _ => return None,
    };
    if jwk.alg.is_some_and(|declared| declared != name) {
        return None;
    }
    Some(PublicKey {
        key_id: jwk.kid,
        algorithm,
        jwk: minimal,
    })
}

/// Bits of an RSA modulus; none if it is not base64url.
fn rsa_bits(modulus: &str) -> usize {
    base64::decode_url(modulus).map_or(0, |bytes| bytes.iter().skip_while(|byte| **byte == 0).count() * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_requests_to_the_provider_are_limited() {
        let at = |fetched_at, asked_at| Some(KnownKeys { fetched_at, asked_at });
        let later = LIFETIME_MS + FAILURE_PAUSE_MS;
        let cases = [
            (None, true, 0, Keys::Ask, "nothing is known"),
            (at(Some(0), 0), true, LIFETIME_MS - 1, Keys::Use, "fresh"),
            (at(Some(0), 0), true, LIFETIME_MS, Keys::Ask, "old"),
            (
                at(Some(0), LIFETIME_MS),
                true,
                later - 1,
                Keys::Use,
                "old, asked in vain just now",
            ),
            (
                at(Some(0), LIFETIME_MS),
                true,
                later,
                Keys::Ask,
                "old, asked in vain a while ago",
            ),
            (
                at(Some(0), 0),
                false,
                UNKNOWN_KEY_PAUSE_MS - 1,
                Keys::Use,
                "a made-up key id",
            ),
            (
                at(Some(0), 0),
                false,
                UNKNOWN_KEY_PAUSE_MS,
                Keys::Ask,
                "perhaps a rotation",
            ),
            (at(Some(9), 9), true, 0, Keys::Use, "a clock that went back"),
            (
                at(None, 0),
                false,
                FAILURE_PAUSE_MS - 1,
                Keys::Unavailable,
                "it is down",
            ),
            (at(None, 0), false, FAILURE_PAUSE_MS, Keys::Ask, "it may be back"),
        ];
        for (known, key_known, now, expected, why) in cases {
            assert_eq!(look_up(known, key_known, now), expected, "{why}");
        }
    }

    #[test]
    fn a_key_accepts_one_algorithm_only() {
        let modulus = |bytes: usize| base64::encode_url(vec![0xff; bytes]);
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
        assert_eq!(keys[0].jwk, r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag"}"#);
        assert!(public_keys("[]").is_err());
        assert!(public_keys(r#"{"keys":{}}"#).is_err());
        assert!(public_keys("<html>").is_err());
    }
    #[test]
    fn a_bad_key_does_not_spoil_the_set() {
        let good = json!({ "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "good" });
        for bad in [
            json!(null),
            json!("key"),
            json!(7),
            json!([]),
            json!({}),
            json!({ "kid": "x" }),
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "x", "pub": "AQ" }),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "AQ", "kid": "x" }),
            json!({ "kty": 7, "kid": "x" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AQ", "kid": "x" }),
            json!({ "kty": "EC", "crv": "P-256", "x": 1, "y": "Ag", "kid": "x" }),
            json!({ "kty": "EC", "crv": ["P-256"], "x": "AQ", "y": "Ag", "kid": "x" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": 7 }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "x", "use": 1 }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "kid": "x", "alg": "none" }),
            json!({ "kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "x" }),
        ] {
            let document = json!({ "keys": [bad.clone(), good, bad] }).to_string();
            let names: Vec<_> = public_keys(&document)
                .unwrap()
                .into_iter()
                .map(|key| key.key_id)
                .collect();
            assert_eq!(names, ["good"], "{document}");
        }
    }
}
