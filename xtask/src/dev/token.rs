//! Access tokens in the shape of a Supabase project's, and the command that prints one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::issuer;
use super::keys::{Alg, Keys};
use super::people::{PEOPLE, Person};
use super::sessions::Session;

/// How long an access token of a real project lives unless its owner changed that.
pub(crate) const LIFETIME_SECONDS: i64 = 3600;
/// The anon key of a real project is valid for ten years.
const ANON_LIFETIME_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// `aud` and `role` of a person who signed in.
pub(crate) const AUTHENTICATED: &str = "authenticated";

/// The claims of an access token, in the order in which the real one writes them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AccessClaims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) aud: String,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    email: String,
    phone: String,
    app_metadata: Value,
    user_metadata: Value,
    pub(crate) role: String,
    aal: &'static str,
    amr: Vec<AuthenticationMethod>,
    session_id: String,
    is_anonymous: bool,
}

/// How and when a person proved who they are.
#[derive(Debug, Clone, Serialize)]
struct AuthenticationMethod {
    method: &'static str,
    timestamp: i64,
}

impl AccessClaims {
    /// What a project at `issuer` says of a session, for `lifetime` seconds from `now`.
    pub(crate) fn of(session: &Session, issuer: &str, now: i64, lifetime: i64) -> Self {
        let person = session.person;
        let second = session.second_factor_at.map(|at| ("totp", at));
        // The newest first.
        let methods = second
            .into_iter()
            .chain([(session.method, session.signed_in_at)])
            .map(|(method, timestamp)| AuthenticationMethod { method, timestamp });
        Self {
            iss: issuer.to_owned(),
            sub: person.id().to_owned(),
            aud: AUTHENTICATED.to_owned(),
            exp: now.saturating_add(lifetime),
            iat: now,
            email: person.email(),
            phone: String::new(),
            app_metadata: person.app_metadata(),
            user_metadata: person.user_metadata(),
            role: AUTHENTICATED.to_owned(),
            aal: if session.second_factor_at.is_some() {
                "aal2"
            } else {
                "aal1"
            },
            amr: methods.collect(),
            session_id: session.id.to_string(),
            is_anonymous: false,
        }
    }
}

/// The project's public API key: a token by the legacy secret that says `anon` and names nobody.
pub(crate) fn anon_key(keys: &Keys) -> Result<String> {
    #[derive(Serialize)]
    struct AnonClaims {
        iss: &'static str,
        r#ref: &'static str,
        role: &'static str,
        iat: i64,
        exp: i64,
    }
    // A fixed moment, so that the key is the same each time it is asked for.
    let iat = 1_735_689_600;
    let claims = AnonClaims {
        iss: "supabase",
        r#ref: "local",
        role: "anon",
        iat,
        exp: iat + ANON_LIFETIME_SECONDS,
    };
    keys.sign(Alg::Hs256, &claims)
}

/// The project's public API key of the newer kind: a name and no token.
pub(crate) fn publishable_key(keys: &Keys) -> String {
    let digest = Sha256::digest(keys.hs256_secret());
    format!("sb_publishable_{}", URL_SAFE_NO_PAD.encode(digest))
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "xtask never runs on wasm; this is the one place that reads the clock"
)]
pub(crate) fn now() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// Options of `cargo xtask token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Whose token: dev-1 ... dev-5, dev-admin, or `anon` for the project's public key
    name: String,
    /// Seconds until it expires; negative for one that has expired
    #[arg(long, default_value_t = LIFETIME_SECONDS, allow_hyphen_values = true)]
    expires_in: i64,
    /// What signs it
    #[arg(long, value_enum, ignore_case = true, default_value_t = Alg::Es256)]
    alg: Alg,
    /// `iss`, if not the local identity provider's
    #[arg(long)]
    issuer: Option<String>,
    /// The claim `aud`.
    #[arg(long, default_value = AUTHENTICATED)]
    audience: String,
    /// The claim `role`.
    #[arg(long, default_value = AUTHENTICATED)]
    role: String,
    /// Factors the person proved; without it two for dev-admin, one for everybody else
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    factors: Option<u8>,
    /// `sub`, if not the person's id
    #[arg(long)]
    subject: Option<String>,
    /// Where the keys are kept, if not in .dev/identity of this repository
    #[arg(long)]
    keys: Option<PathBuf>,
}

/// Prints the token that was asked for. Needs no running server: the keys are on disk.
pub(crate) fn print(root: &Path, args: &TokenArgs) -> Result<ExitCode> {
    let dir = args.keys.clone().unwrap_or_else(|| issuer::default_dir(root));
    println!("{}", mint(&dir, args, now())?);
    Ok(ExitCode::SUCCESS)
}

fn mint(dir: &Path, args: &TokenArgs, now: i64) -> Result<String> {
    let keys = Keys::load_or_create(dir)?;
    if args.name == "anon" {
        return anon_key(&keys);
    }
    let person = Person::named(&args.name).with_context(|| {
        let names = PEOPLE.map(|person| person.name).join(", ");
        format!("there is no {:?}; there are {names} and anon", args.name)
    })?;
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => issuer::last(dir)?,
    };
    let both = args.factors.map_or(person.is_admin(), |factors| factors == 2);
    let session = Session {
        id: Uuid::new_v4(),
        person,
        method: "password",
        signed_in_at: now,
        second_factor_at: both.then_some(now),
    };
    let mut claims = AccessClaims::of(&session, &issuer, now, args.expires_in);
    // A token that has expired was issued before it did.
    claims.iat = now.min(claims.exp.saturating_sub(LIFETIME_SECONDS));
    claims.aud.clone_from(&args.audience);
    claims.role.clone_from(&args.role);
    if let Some(subject) = &args.subject {
        claims.sub.clone_from(subject);
    }
    keys.sign(args.alg, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn claims(dir: &Path, line: &[&str]) -> Value {
        let line = Line::parse_from(["token"].iter().chain(line));
        let token = mint(dir, &line.args, 1_800_000_000).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn a_token_has_the_shape_of_a_supabase_access_token() {
        let dir = tempfile::tempdir().unwrap();
        let claims = claims(dir.path(), &["dev-1", "--issuer", "https://p.example/auth/v1"]);
        assert_eq!(claims["iss"], "https://p.example/auth/v1");
        assert_eq!(claims["sub"], "de000000-0000-4000-8000-000000000001");
        assert_eq!(claims["aud"], "authenticated");
        assert_eq!(claims["role"], "authenticated");
        assert_eq!(claims["email"], "dev-1@moltworker.test");
        assert_eq!(claims["phone"], "");
        assert_eq!(claims["iat"], 1_800_000_000);
        assert_eq!(claims["exp"], 1_800_003_600);
        assert_eq!(claims["aal"], "aal1");
        assert_eq!(claims["amr"][0]["method"], "password");
        assert_eq!(claims["is_anonymous"], false);
        assert!(claims["session_id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert_eq!(claims["app_metadata"]["provider"], "email");
        assert_eq!(claims["user_metadata"]["email_verified"], true);
    }

    #[test]
    fn each_option_changes_its_claim() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(claims(dir, &["dev-1", "--audience", "other"])["aud"], "other");
        assert_eq!(claims(dir, &["dev-1", "--role", "anon"])["role"], "anon");
        assert_eq!(
            claims(dir, &["dev-1", "--subject", "undefined"])["sub"],
            "undefined"
        );
        let admin = claims(dir, &["dev-admin"]);
        assert_eq!(admin["app_metadata"]["role"], "admin");
        assert_eq!(
            (&admin["aal"], &admin["amr"][0]["method"]),
            (&"aal2".into(), &"totp".into())
        );
        assert_eq!(claims(dir, &["dev-admin", "--factors", "1"])["aal"], "aal1");
        assert_eq!(claims(dir, &["dev-1", "--factors", "2"])["aal"], "aal2");
        let expired = claims(dir, &["dev-1", "--expires-in", "-60", "--alg", "hs256"]);
        assert_eq!(expired["exp"], 1_799_999_940);
        assert!(expired["iat"].as_i64() < expired["exp"].as_i64());
    }

    #[test]
    fn the_anon_key_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let claims = claims(dir.path(), &["anon"]);
        assert_eq!(claims["role"], "anon");
        assert!(claims.get("sub").is_none() && claims.get("aud").is_none());
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_names() {
        let dir = tempfile::tempdir().unwrap();
        let line = Line::parse_from(["token", "alice"]);
        let error = format!("{:#}", mint(dir.path(), &line.args, 0).unwrap_err());
        assert!(error.contains("dev-1") && error.contains("anon"), "{error}");
    }
}
