//! Settings about the identity provider's access tokens: who issues them, for whom, and how much they have to prove.

use crate::base64;
use serde::Deserialize;

use super::{Origin, Setting, SettingProblem};
use crate::identity::mfa::RequireMfa;
use crate::identity::token::Expected;
use crate::json;

/// For projects whose tokens name another address than the one they are reached by.
pub const SUPABASE_ISSUER: Setting = Setting {
    name: "SUPABASE_ISSUER",
    meaning: "what `iss` says in the project's access tokens, where it is not SUPABASE_URL/auth/v1: behind a custom domain they still say https://<ref>.supabase.co/auth/v1",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// Apps of other people that may act for a person.
pub const ALLOWED_OAUTH_CLIENTS: Setting = Setting {
    name: "ALLOWED_OAUTH_CLIENTS",
    meaning: "ids of OAuth clients of the Supabase project whose tokens are accepted, separated by commas; each acts as the person who allowed it, in everything",
    how: "set it under [vars] in wrangler.toml, or leave it out for none",
};
/// Who has to prove a second factor.
pub const REQUIRE_MFA: Setting = Setting {
    name: "REQUIRE_MFA",
    meaning: "who has to sign in with a second factor: admins (for what only an admin may do), everyone or nobody (admins when left out)",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};

/// Characters an OAuth client's id may have; Supabase's are UUIDs of 36.
const MAX_CLIENT_ID_CHARACTERS: usize = 128;
/// How API keys of the newer kind begin, by which Supabase lets a caller do anything.
const SECRET_KEY_PREFIX: &str = "sb_secret_";

/// What the tokens of this project's people have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPolicy {
    /// What `iss` says.
    pub issuer: String,
    /// The OAuth clients whose tokens count; a token that a person got by signing in names none.
    pub oauth_clients: Vec<String>,
    /// Who has to prove a second factor.
    pub require_mfa: RequireMfa,
}

impl TokenPolicy {
    /// What a token has to say beside who it is.
    pub fn expected(&self) -> Expected<'_> {
        Expected {
            issuer: &self.issuer,
            oauth_clients: &self.oauth_clients,
        }
    }
}

/// Reads these settings; what is malformed is added to `problems`. `auth_url` is where the provider's API is.
pub(super) fn read(
    given: &impl Fn(Setting) -> Option<String>,
    auth_url: Option<String>,
    problems: &mut Vec<SettingProblem>,
) -> TokenPolicy {
    let mut complain = |setting, reason| problems.push(SettingProblem { setting, reason });
    let issuer = match given(SUPABASE_ISSUER) {
        None => auth_url.unwrap_or_default(),
        Some(text) => issuer(text.trim()).unwrap_or_else(|reason| {
            complain(SUPABASE_ISSUER, reason);
            String::new()
        }),
    };
    let listed = given(ALLOWED_OAUTH_CLIENTS).unwrap_or_default();
    let listed = listed.split(',').map(str::trim).filter(|id| !id.is_empty());
    let oauth_clients: Vec<String> = listed.map(str::to_owned).collect();
    if !oauth_clients.iter().all(|id| is_client_id(id)) {
        let reason = "has an entry that is no client id; Supabase shows them under Authentication → OAuth Apps, as UUIDs";
        complain(ALLOWED_OAUTH_CLIENTS, reason);
    }
    let require_mfa = match given(REQUIRE_MFA) {
        None => RequireMfa::Admins,
        Some(text) => RequireMfa::parse(text.trim()).unwrap_or_else(|| {
            complain(REQUIRE_MFA, "is not admins, everyone or nobody");
            RequireMfa::Everyone
        }),
    };
    TokenPolicy {
        issuer,
        oauth_clients,
        require_mfa,
    }
}

/// An address that is compared to the letter, so that it has to be the one form tokens write it in.
fn issuer(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "is not of the form https://abcd.supabase.co/auth/v1, without a slash at its end";
    let after_scheme = text.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let host = text.get(after_scheme..).unwrap_or_default();
    let (origin, path) = match host.split_once('/') {
        Some((name, path)) => (text.get(..after_scheme + name.len()).unwrap_or_default(), path),
        None => (text, ""),
    };
    Origin::parse(origin)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    if text.ends_with('/') || !path.bytes().all(plain) {
        return Err(FORM);
    }
    Ok(text.to_owned())
}

/// A star or a word such as "all" must not look like it allows everybody.
fn is_client_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (8..=MAX_CLIENT_ID_CHARACTERS).contains(&text.len()) && text.bytes().all(plain)
}

/// Refuses a key by which the provider lets a caller do anything where the public one belongs: it would go out with
/// every sign-in, and its holder can become anybody.
pub(super) fn public_key(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.starts_with(SECRET_KEY_PREFIX) || is_service_key(text) {
        return Err(
            "is a secret key of the project, and this Worker must not have it; put the publishable (or anon) key, and replace the secret one in Supabase",
        );
    }
    Ok(text.to_owned())
}

/// Whether this is a project's legacy key that says `service_role`.
fn is_service_key(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        role: String,
    }
    let payload = text.split('.').nth(1).unwrap_or_default();
    let claims = base64::decode_url(payload);
    let claims = claims.and_then(|bytes| json::from_bytes::<Claims>(&bytes).ok());
    claims.is_some_and(|claims| claims.role == "service_role")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTH_URL: &str = "https://abcd.supabase.co/auth/v1";
    const CLIENT: &str = "9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d";

    fn policy(values: &[(Setting, &str)]) -> Result<TokenPolicy, Vec<&'static str>> {
        let mut problems = Vec::new();
        let given = |setting: Setting| {
            let found = values.iter().find(|(name, _)| *name == setting);
            found.map(|(_, value)| (*value).to_owned())
        };
        let policy = read(&given, Some(AUTH_URL.to_owned()), &mut problems);
        let names: Vec<_> = problems.iter().map(|problem| problem.setting.name).collect();
        if names.is_empty() { Ok(policy) } else { Err(names) }
    }

    #[test]
    fn without_settings_no_app_is_let_in_and_admins_prove_two_factors() {
        let policy = policy(&[]).unwrap();
        assert_eq!(policy.issuer, AUTH_URL);
        assert!(policy.oauth_clients.is_empty());
        assert_eq!(policy.require_mfa, RequireMfa::Admins);
    }

    #[test]
    fn token_settings_are_parsed() {
        let policy = policy(&[
            (SUPABASE_ISSUER, " https://Auth.example.com/auth/v1 "),
            (ALLOWED_OAUTH_CLIENTS, &format!(" {CLIENT}, ,another-client")),
            (REQUIRE_MFA, "everyone"),
        ])
        .unwrap();
        assert_eq!(policy.issuer, "https://Auth.example.com/auth/v1", "to the letter");
        assert_eq!(policy.oauth_clients.len(), 2);
        assert!(policy.oauth_clients.contains(&CLIENT.to_owned()));
        assert_eq!(policy.require_mfa, RequireMfa::Everyone);
    }

    #[test]
    fn malformed_token_settings_are_named() {
        for (setting, value) in [
            (SUPABASE_ISSUER, "abcd.supabase.co/auth/v1"),
            (SUPABASE_ISSUER, "http://abcd.supabase.co/auth/v1"),
            (SUPABASE_ISSUER, "https://abcd.supabase.co/auth/v1/"),
            (SUPABASE_ISSUER, "https://abcd.supabase.co/auth/v1?x"),
            (SUPABASE_ISSUER, "https://a, https://b"),
            (ALLOWED_OAUTH_CLIENTS, "*"),
            (ALLOWED_OAUTH_CLIENTS, "all"),
            (ALLOWED_OAUTH_CLIENTS, "My other app"),
            (REQUIRE_MFA, "Admins"),
            (REQUIRE_MFA, "true"),
        ] {
            assert_eq!(
                policy(&[(setting, value)]).unwrap_err(),
                [setting.name],
                "{value}"
            );
        }
    }

    #[test]
    fn a_secret_key_is_refused_where_the_public_one_belongs() {
        let legacy = |role: &str| {
            let claims = format!(r#"{{"iss":"supabase","ref":"abcd","role":"{role}"}}"#);
            format!("eyJhbGciOiJIUzI1NiJ9.{}.c2ln", base64::encode_url(claims))
        };
        for key in ["sb_publishable_abc", "anon", &legacy("anon"), "a.b.c"] {
            assert_eq!(public_key(&format!(" {key} ")), Ok(key.to_owned()));
        }
        for key in ["sb_secret_abc", &legacy("service_role")] {
            assert!(public_key(key).is_err(), "{key}");
        }
    }
}
