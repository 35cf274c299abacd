//! Who asks: a bearer token, or the browser's sealed session cookie. Nothing else counts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moltworker_core::problem::Refusal;
use moltworker_core::session::{self, SESSION_COOKIE, Session};
use moltworker_core::settings::Settings;
use moltworker_core::token::{self, Algorithm, Identity, TokenError};
use worker::Headers;

use crate::webcrypto::{self, VerifyingKey};
use crate::{clock, keys, log};

/// A caller whose identity was proven, and by what.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A program (or a page) that sent `Authorization: Bearer`.
    Bearer(Identity),
    /// A browser with a session.
    Browser(Identity),
}

impl Caller {
    pub(crate) fn identity(&self) -> &Identity {
        match self {
            Self::Bearer(identity) | Self::Browser(identity) => identity,
        }
    }

    /// For routes that change something: a cookie is not enough.
    pub(crate) fn into_bearer(self) -> Result<Identity, Refusal> {
        match self {
            Self::Bearer(identity) => Ok(identity),
            Self::Browser(_) => Err(Refusal::BearerRequired),
        }
    }
}

/// Identifies the caller of a request.
///
/// # Errors
/// The refusal to answer with. An `Authorization` header that does not hold is never made up for by a
/// cookie: a program that sends one means it.
pub(crate) async fn caller(headers: &Headers, settings: &Settings) -> Result<Caller, Refusal> {
    if let Some(authorization) = header(headers, "authorization") {
        let token = bearer_token(&authorization).ok_or(Refusal::TokenRefused)?;
        return access_token(token, settings).await.map(Caller::Bearer);
    }
    let session = match header(headers, "cookie").as_deref().and_then(session::find) {
        Some(sealed) => open_session(sealed, settings).await,
        None => None,
    };
    let identity = session.and_then(|session| session.current(clock::now_seconds()));
    identity.map(Caller::Browser).ok_or(Refusal::SignInRequired)
}

fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Verifies a Supabase access token.
///
/// # Errors
/// [`Refusal::TokenExpired`], [`Refusal::TokenRefused`] or [`Refusal::IdentityProviderUnavailable`]; the
/// exact reason is logged, not told.
pub(crate) async fn access_token(token: &str, settings: &Settings) -> Result<Identity, Refusal> {
    match verify(token, settings).await {
        Ok(identity) => Ok(identity),
        Err(Failure::Token(reason)) => {
            log::line("token-refused", &[("reason", &reason)]);
            Err(if reason.is_expired() {
                Refusal::TokenExpired
            } else {
                Refusal::TokenRefused
            })
        }
        Err(Failure::Provider(reason)) => {
            log::line("identity-provider-unavailable", &[("reason", &reason)]);
            Err(Refusal::IdentityProviderUnavailable)
        }
    }
}

enum Failure {
    Token(TokenError),
    Provider(worker::Error),
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<worker::Error> for Failure {
    fn from(error: worker::Error) -> Self {
        Self::Provider(error)
    }
}

async fn verify(token: &str, settings: &Settings) -> Result<Identity, Failure> {
    let parsed = token::parse(token)?;
    let key = match parsed.algorithm {
        Algorithm::Hs256 => {
            let secret = settings.jwt_secret.as_ref().ok_or(TokenError::UnknownKey)?;
            let secret = VerifyingKey::Secret(secret.reveal().as_bytes());
            webcrypto::import_verifying_key(secret, Algorithm::Hs256).await?
        }
        Algorithm::Es256 | Algorithm::Rs256 => {
            let key_id = parsed.key_id.as_deref().ok_or(TokenError::UnknownKey)?;
            keys::find(settings, key_id, parsed.algorithm)
                .await?
                .ok_or(TokenError::UnknownKey)?
        }
    };
    let data = parsed.signing_input.as_bytes();
    let held = webcrypto::signature_holds(&key, parsed.algorithm, &parsed.signature, data).await?;
    let signed = parsed.signature_checked(held)?;
    Ok(signed.into_identity(&settings.issuer(), clock::now_seconds())?)
}

/// Seals a session into the value of its cookie.
pub(crate) async fn seal_session(session: &Session, settings: &Settings) -> worker::Result<String> {
    let key = webcrypto::import_sealing_key(settings.session_key.reveal()).await?;
    let sealed = webcrypto::seal(&key, SESSION_COOKIE, &serde_json::to_vec(session)?).await?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

async fn open_session(value: &str, settings: &Settings) -> Option<Session> {
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let key = webcrypto::import_sealing_key(settings.session_key.reveal())
        .await
        .ok()?;
    let plain = webcrypto::open(&key, SESSION_COOKIE, &sealed).await.ok()??;
    serde_json::from_slice(&plain).ok()
}
