//! Who asks: a bearer token, or the browser's sealed session cookie. Nothing else counts.

use std::cell::RefCell;

use moltworker_core::api::access::Credential;
use moltworker_core::http::cookies::{self, SESSION_COOKIE};
use moltworker_core::http::header_policy::{self, RequestContext, same_origin};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::personal_token::{self, NODE_HEADER, Recorded};
use moltworker_core::identity::session::{COOKIE_SECONDS, Renewal, Session, SessionId, Standing};
use moltworker_core::identity::token::seen::SeenTokens;
use moltworker_core::identity::token::{self, Algorithm, Identity, MAX_TOKEN_BYTES, TokenError};
use moltworker_core::settings::Settings;
use worker::Env;

use crate::http::headers::ReadHeaders;
use crate::http::incoming::Incoming;
use crate::identity::{jwks, personal_tokens, sealed};
use crate::platform::sandbox_client;
use crate::platform::{clock, log, webcrypto};

/// A caller whose identity was proven, and by what.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A program (or a page) that sent `Authorization: Bearer`.
    Bearer(Identity),
    /// A device or a program with a personal access token.
    Personal(Identity, Recorded),
    /// A browser with this session.
    Browser(Identity, SessionId),
}

impl Caller {
    pub(crate) fn identity(&self) -> &Identity {
        match self {
            Self::Bearer(identity) | Self::Personal(identity, _) | Self::Browser(identity, _) => identity,
        }
    }

    /// By what they proved it.
    pub(crate) fn credential(&self) -> Credential {
        match self {
            Self::Bearer(_) => Credential::Bearer,
            Self::Personal(_, token) => Credential::Personal(token.scope),
            Self::Browser(..) => Credential::Session,
        }
    }
}

/// Who asks, and what their browser must get to keep with the answer.
pub(crate) struct Identified {
    pub(crate) caller: Caller,
    /// The `Set-Cookie` of a session that was renewed just now.
    pub(crate) renewed: Option<String>,
}

impl From<Caller> for Identified {
    fn from(caller: Caller) -> Self {
        Self {
            caller,
            renewed: None,
        }
    }
}

/// Identifies the caller of a request. A browser's session that has run out is renewed on the way. Its cookie is
/// sealed for the host it was given on: `purpose` names that.
///
/// # Errors
/// The refusal to answer with. An `Authorization` header that does not hold is never made up for by a
/// cookie: a program that sends one means it.
pub(crate) async fn identify(
    env: &Env,
    headers: &dyn ReadHeaders,
    settings: &Settings,
    purpose: &str,
) -> Result<Identified, Refusal> {
    let authorization = header(headers, "authorization");
    if let Some(token) = personal_token(headers, authorization.as_deref()) {
        let (identity, recorded) = personal_tokens::find(env, &token).await?;
        return Ok(Caller::Personal(identity, recorded).into());
    }
    if let Some(authorization) = authorization {
        let token = bearer_token(&authorization).ok_or(Refusal::TokenRefused)?;
        return Ok(Caller::Bearer(access_token(token, settings).await?).into());
    }
    let session = session(headers, settings, purpose)
        .await
        .ok_or(Refusal::SignInRequired)?;
    let standing = session.identity.standing(clock::now_seconds());
    if standing == Standing::Good {
        return Ok(browser(session).into());
    }
    match renew(env, &session).await {
        // Renewed a moment ago, and not again so soon.
        Renewal::Renewed(identity) if identity == session.identity => Ok(browser(session).into()),
        Renewal::Renewed(identity) => {
            let session = Session { identity, ..session };
            let renewed = session_cookie(&session, settings, purpose)
                .await
                .inspect_err(|error| log::fault("session-not-sealed", &[("reason", error)]))
                .ok();
            Ok(Identified {
                caller: browser(session),
                renewed,
            })
        }
        Renewal::Ended => Err(Refusal::SignInRequired),
        Renewal::Unavailable if standing == Standing::Ending => Ok(browser(session).into()),
        Renewal::Unavailable => Err(Refusal::IdentityProviderUnavailable),
    }
}

fn browser(session: Session) -> Caller {
    Caller::Browser(session.identity, session.id)
}

/// The browser's session as its cookie says, however old. Proof only together with
/// [`Identity::standing`].
pub(crate) async fn session(
    headers: &dyn ReadHeaders,
    settings: &Settings,
    purpose: &str,
) -> Option<Session> {
    let cookies = header(headers, "cookie")?;
    sealed::open(settings, purpose, cookies::find(&cookies, SESSION_COOKIE)?).await
}

/// The `Set-Cookie` that carries a session on the host that `purpose` names.
pub(crate) async fn session_cookie(
    session: &Session,
    settings: &Settings,
    purpose: &str,
) -> worker::Result<String> {
    let value = sealed::seal(settings, purpose, session).await?;
    Ok(cookies::set(SESSION_COOKIE, &value, COOKIE_SECONDS))
}

/// Asks the person's Sandbox whether there still is this session, and to prove it anew if need be.
pub(crate) async fn renew(env: &Env, session: &Session) -> Renewal {
    let user = session.identity.user;
    match sandbox_client::renew_session(env, user, session.id.clone()).await {
        Ok(Renewal::Renewed(identity)) if identity.user != user => Renewal::Ended,
        Ok(renewal) => renewal,
        Err(error) => {
            log::line("renewal-failed", &[("user", &user), ("reason", &error)]);
            Renewal::Unavailable
        }
    }
}

/// Whether a request to a bot that is served at `served` is its owner's own doing. Other people's pages can have a
/// browser send one, and it sends our cookie along. Who sends a token means it; but what such a WebSocket is for,
/// the gateway goes by the origin as well.
pub(crate) fn is_owners(request: &Incoming, caller: &Caller, served: &str) -> bool {
    let headers = &request.headers;
    let (upgrade, origin) = (headers.get("upgrade").is_some(), headers.get("origin"));
    if caller.credential() != Credential::Session {
        return !upgrade || same_origin(origin, served);
    }
    let asked = RequestContext {
        method: &request.method,
        upgrade,
        origin,
        site: headers.get("sec-fetch-site"),
        mode: headers.get("sec-fetch-mode"),
    };
    header_policy::is_owners(&asked, served)
}

pub(crate) fn header(headers: &dyn ReadHeaders, name: &str) -> Option<String> {
    headers.value_of(name)
}

/// The personal access token of a request, where programs can put one. A URL is no such place: those are logged.
fn personal_token(headers: &dyn ReadHeaders, authorization: Option<&str>) -> Option<String> {
    match authorization {
        Some(value) => personal_token::in_authorization(value),
        None => header(headers, NODE_HEADER).filter(|text| personal_token::is_one(text)),
    }
}

/// The token of an `Authorization` header.
pub(crate) fn bearer_token(authorization: &str) -> Option<&str> {
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
        Err(IdentifyError::Token(reason)) => {
            log::line("token-refused", &[("reason", &reason)]);
            Err(if reason.is_expired() {
                Refusal::TokenExpired
            } else {
                Refusal::TokenRefused
            })
        }
        Err(IdentifyError::Provider(reason)) => {
            log::line("identity-provider-unavailable", &[("reason", &reason)]);
            Err(Refusal::IdentityProviderUnavailable)
        }
    }
}

enum IdentifyError {
    Token(TokenError),
    Provider(worker::Error),
}

impl From<TokenError> for IdentifyError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<worker::Error> for IdentifyError {
    fn from(error: worker::Error) -> Self {
        Self::Provider(error)
    }
}

thread_local! {
    static SEEN: RefCell<SeenTokens> = const { RefCell::new(SeenTokens::new()) };
}

async fn verify(token: &str, settings: &Settings) -> Result<Identity, IdentifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong.into());
    }
    let known = SEEN.with_borrow(|seen| {
        let trusted = |set| jwks::still_trusted(settings, set);
        seen.find(token, clock::now_seconds(), trusted).cloned()
    });
    if let Some(identity) = known {
        return Ok(identity);
    }
    let parsed = token::parse(token)?;
    let (key, set) = match parsed.algorithm {
        Algorithm::Hs256 => {
            let secret = settings.jwt_secret.as_ref().ok_or(TokenError::UnknownKey)?;
            (jwks::legacy(secret.reveal()).await?, None)
        }
        Algorithm::Es256 | Algorithm::Rs256 => {
            let key_id = parsed.key_id.as_deref().ok_or(TokenError::UnknownKey)?;
            jwks::find(settings, key_id, parsed.algorithm)
                .await?
                .ok_or(TokenError::UnknownKey)?
        }
    };
    let data = parsed.signing_input.as_bytes();
    let held = webcrypto::signature_holds(&key, parsed.algorithm, &parsed.signature, data).await?;
    let signed = parsed.signature_checked(held)?;
    let identity = signed.into_identity(settings.tokens.expected(), clock::now_seconds())?;
    SEEN.with_borrow_mut(|seen| seen.remember(token, set, identity.clone()));
    Ok(identity)
}
