//! Whatever a stranger sends as an access token: nothing panics, and nothing becomes an identity that does not say
//! what an identity must say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moltworker_core::http::cookies::{self, SESSION_COOKIE};
use moltworker_core::identity::token::{self, CLOCK_LEEWAY_SECONDS, MAX_LIFETIME_SECONDS, MAX_TOKEN_BYTES};
use moltworker_core::identity::{jwks, sign_in};

const ISSUER: &str = "https://project.supabase.co/auth/v1";
const NOW: u64 = 1_800_000_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // The fuzzer seldom finds base64 by itself, so the text stands for the token, or for what is in one.
    verify(text);
    let mut parts = text.splitn(2, '\n');
    if let (Some(header), Some(claims)) = (parts.next(), parts.next()) {
        verify(&format!("{}.{}.c2ln", base64url(header), base64url(claims)));
    }
    if let Ok(keys) = jwks::public_keys(text) {
        for key in &keys {
            assert_eq!(keys.iter().filter(|other| other.key_id == key.key_id).count(), 1);
        }
    }
    if let Some(value) = cookies::find(text, SESSION_COOKIE) {
        assert!(!value.contains(';') && text.contains(value));
    }
    assert!(cookies::find(text, sign_in::FLOW_COOKIE).is_none_or(|value| !value.contains(';')));
});

fn verify(token: &str) {
    let Ok(parsed) = token::parse(token) else { return };
    assert!(token.len() <= MAX_TOKEN_BYTES);
    assert_eq!(token.split('.').count(), 3);
    assert!(token.starts_with(parsed.signing_input));
    // As if the signature held: what is left then is the claims' to refuse.
    let Ok(signed) = parsed.signature_checked(true) else {
        unreachable!()
    };
    let expected = token::Expected {
        issuer: ISSUER,
        oauth_clients: &[],
    };
    if let Ok(identity) = signed.into_identity(expected, NOW) {
        assert!(identity.expires_at + CLOCK_LEEWAY_SECONDS > NOW);
        assert!(identity.expires_at <= NOW + MAX_LIFETIME_SECONDS + CLOCK_LEEWAY_SECONDS);
        assert_eq!(identity.user.to_string().len(), 36);
    }
}

/// Without padding, as in a JWT.
fn base64url(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| {
            (bits << 8) | u32::from(chunk.get(i).copied().unwrap_or(0))
        });
        for i in 0..=chunk.len() {
            encoded.push(char::from(DIGITS[(bits >> (18 - 6 * i)) as usize & 63]));
        }
    }
    encoded
}
