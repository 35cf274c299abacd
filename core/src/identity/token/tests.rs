//! Every way a token can be wrong.

use super::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://project.supabase.co/auth/v1";
/// An app of somebody else's that the operator allows.
const CLIENT: &str = "9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d";
const NOW: u64 = 1_800_000_000;

fn token(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64::encode_url(value.to_string());
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
        .into_identity(
            Expected {
                issuer: ISSUER,
                oauth_clients: &[CLIENT.to_owned()],
            },
            NOW,
        )
}

#[test]
fn a_valid_token_is_accepted() {
    let identity = judge(&header(), &claims()).unwrap();
    assert_eq!(identity.user.to_string(), "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20");
    assert_eq!(identity.email.as_deref(), Some("a@example.com"));
    assert_eq!(identity.expires_at, NOW + 3600);
    for aud in [json!("authenticated"), json!(["x", "authenticated"])] {
        assert!(judge(&header(), &with(claims(), "aud", aud)).is_ok());
    }
}

#[test]
fn the_algorithms_of_supabase_are_accepted_and_told_apart() {
    for (name, algorithm) in [
        ("ES256", Algorithm::Es256),
        ("RS256", Algorithm::Rs256),
        ("HS256", Algorithm::Hs256),
    ] {
        let token = token(&with(header(), "alg", json!(name)), &claims());
        let parsed = parse(&token).unwrap();
        assert_eq!(parsed.algorithm, algorithm, "{name}");
        assert_eq!(parsed.key_id.as_deref(), Some("k1"));
        assert_eq!(format!("{}.c2ln", parsed.signing_input), token);
        assert_eq!(parsed.signature, b"sig");
    }
}

#[test]
fn a_token_may_have_sixteen_kilobytes() {
    // A signature's length in base64 is no multiple of four and one: one of these fits.
    let padded = |name: &str, length: usize| {
        let token = token(&header(), &with(claims(), "email", json!(name)));
        let signature = length + "c2ln".len() - token.len();
        (signature % 4 != 1).then(|| format!("{}{}", token.trim_end_matches("c2ln"), "A".repeat(signature)))
    };
    let of = |length| padded("a@example.com", length).or_else(|| padded("abc@example.com", length));
    let longest = of(16_384).unwrap();
    assert_eq!(longest.len(), 16_384);
    assert!(parse(&longest).is_ok());
    assert_eq!(parse(&of(16_385).unwrap()).unwrap_err(), TokenError::TooLong);
}

#[test]
fn a_caller_learns_of_expiry_and_nothing_else() {
    use TokenError::*;
    assert!(Expired.is_expired());
    for other in [
        TooLong,
        Malformed,
        Algorithm,
        Header,
        UnknownKey,
        Signature,
        Issuer,
        Audience,
        Role,
        Anonymous,
        Client,
        Subject,
        NotYetValid,
        TooLongLived,
    ] {
        assert!(!other.is_expired(), "{other:?}");
    }
}

#[test]
fn a_token_given_to_another_app_counts_only_if_that_app_is_allowed() {
    let judge = |client| judge(&header(), &with(claims(), "client_id", client));
    assert!(judge(json!(CLIENT)).is_ok());
    assert!(judge(Value::Null).is_ok());
    for other in [
        "",
        "*",
        &CLIENT.to_uppercase(),
        "00000000-5e4f-4a2b-9c0d-9e8f7a6b5c4d",
    ] {
        assert_eq!(judge(json!(other)).unwrap_err(), TokenError::Client, "{other}");
    }
    for malformed in [json!([CLIENT]), json!(7), json!({})] {
        assert_eq!(judge(malformed).unwrap_err(), TokenError::Malformed);
    }
}

#[test]
fn only_the_second_assurance_level_says_two_factors() {
    let mfa = |aal| judge(&header(), &with(claims(), "aal", aal)).unwrap().mfa;
    assert!(mfa(json!("aal2")));
    for other in [json!("aal1"), json!("AAL2"), json!(""), Value::Null] {
        assert!(!mfa(other.clone()), "{other}");
    }
    assert!(!judge(&header(), &claims()).unwrap().mfa);
    assert_eq!(
        judge(&header(), &with(claims(), "aal", json!(2))).unwrap_err(),
        TokenError::Malformed
    );
}

#[test]
fn only_app_metadata_makes_an_admin() {
    let admin = |name, value| judge(&header(), &with(claims(), name, value)).unwrap().admin;
    assert!(admin("app_metadata", json!({ "role": "admin" })));
    for (name, value) in [
        ("app_metadata", json!({})),
        ("app_metadata", json!({ "role": "Admin" })),
        ("app_metadata", json!({ "role": ["admin"] })),
        ("app_metadata", json!({ "roles": ["admin"] })),
        // A person writes their own user metadata.
        ("user_metadata", json!({ "role": "admin" })),
    ] {
        assert!(!admin(name, value.clone()), "{name} = {value}");
    }
}

#[test]
fn an_invalid_signature_is_refused() {
    let token = token(&header(), &claims());
    assert_eq!(
        parse(&token).unwrap().signature_checked(false).unwrap_err(),
        TokenError::Signature
    );
}

#[test]
fn every_claim_is_checked() {
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
        ("sub", json!(null), Malformed),
        ("sub", json!(["6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20"]), Malformed),
        ("sub", json!("{6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20}"), Subject),
        (
            "sub",
            json!("urn:uuid:6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20"),
            Subject,
        ),
        ("sub", json!("6f1c2a9e8d2b4a639f5e0b7f6f3c1d20"), Subject),
        ("sub", json!("6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20\u{0}"), Subject),
        ("sub", json!("6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20/.."), Subject),
        // Full-width and Cyrillic look-alikes.
        ("sub", json!("６f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20"), Subject),
        ("sub", json!("6f1с2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20"), Subject),
        ("aud", json!("anon"), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!(null), Malformed),
        ("aud", json!(["anon", "Authenticated"]), Audience),
        ("aud", json!([["authenticated"]]), Malformed),
        ("aud", json!({ "authenticated": true }), Malformed),
        ("aud", json!("authenticated\u{0}"), Audience),
        ("role", json!("anon"), Role),
        ("role", json!("service_role"), Role),
        ("role", json!(["authenticated"]), Malformed),
        ("role", json!("Authenticated"), Role),
        ("role", json!(" authenticated"), Role),
        ("is_anonymous", json!(true), Anonymous),
        ("is_anonymous", json!("false"), Malformed),
        ("exp", json!(NOW - CLOCK_LEEWAY_SECONDS), Expired),
        ("exp", json!(0), Expired),
        ("exp", json!(-1), Malformed),
        ("exp", json!(u64::MAX), TooLongLived),
        (
            "exp",
            json!(NOW + MAX_LIFETIME_SECONDS + CLOCK_LEEWAY_SECONDS + 1),
            TooLongLived,
        ),
        ("exp", json!(1.5), Malformed),
        ("exp", json!(1.0e300), Malformed),
        ("exp", json!([NOW + 60]), Malformed),
        ("exp", json!(true), Malformed),
        ("nbf", json!("0"), Malformed),
        ("nbf", json!(0.5), Malformed),
        ("iat", json!("now"), Malformed),
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
    let week = 7 * 86_400;
    for (exp, counts) in [(NOW + week + 30, true), (NOW + week + 31, false)] {
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
        ("typ", json!("at+jwt"), Header),
        ("typ", json!("JWE"), Header),
        ("cty", json!("JWT"), Header),
        ("enc", json!("A256GCM"), Header),
        ("x5c", json!(["MIIB"]), Header),
        ("alg", json!("NONE"), Algorithm),
        ("alg", json!("nOnE"), Algorithm),
        ("alg", json!(""), Algorithm),
        ("alg", json!(" none"), Algorithm),
        ("alg", json!("PS256"), Algorithm),
        ("alg", json!("RS512"), Algorithm),
        ("alg", json!("ES384"), Algorithm),
        ("alg", json!(["ES256"]), Malformed),
        ("kid", json!(7), Malformed),
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
fn text_that_is_not_a_token_is_malformed() {
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
        base64::encode_url(header().to_string()),
        base64::encode_url(claims().to_string().replacen('{', r#"{"sub":"x","#, 1)),
    );
    assert_eq!(parse(&duplicate).unwrap_err(), TokenError::Malformed);
    let header_twice = format!(
        "{}.{}.c2ln",
        base64::encode_url(header().to_string().replacen('{', r#"{"alg":"ES256","#, 1)),
        base64::encode_url(claims().to_string()),
    );
    assert_eq!(parse(&header_twice).unwrap_err(), TokenError::Malformed);
    assert_eq!(
        parse(&"a".repeat(MAX_TOKEN_BYTES + 1)).unwrap_err(),
        TokenError::TooLong
    );
}
