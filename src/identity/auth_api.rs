//! Supabase Auth's REST API, as far as signing in needs it.

use std::time::Duration;

use moltworker_core::identity::mfa::{self, FactorId};
use moltworker_core::identity::session::Tokens;
use moltworker_core::identity::sign_in::Provider;
use moltworker_core::json::{Json, object};
use moltworker_core::settings::Settings;
use serde::Serialize;
use worker::url::form_urlencoded;
use worker::{Fetch, Headers, Method, Response};

use crate::platform::{clock, json, outgoing};

/// How long the provider may take: it hashes passwords slowly on purpose, and hands mails to a mail server.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);

/// For whom we ask. Supabase Auth limits tries by address, and without this everybody's would be ours. It believes the
/// header where the project has IP address forwarding switched on, on supabase.com only beside a secret API key, which
/// this Worker does not have.
const CALLERS_ADDRESS: &str = "sb-forwarded-for";

/// What is exchanged for tokens.
pub(crate) enum Grant<'a> {
    Password {
        email: &'a str,
        password: &'a str,
    },
    Refresh {
        token: &'a str,
    },
    /// A code that came back to the callback, with the verifier only the asking browser has.
    Callback {
        code: &'a str,
        verifier: &'a str,
    },
    /// The code that stands in the mail beside the link.
    Mailed {
        email: &'a str,
        code: &'a str,
    },
}

/// The provider's answer to a grant.
pub(crate) enum Granted {
    /// Also the person's authenticator app, if they have enrolled one.
    Tokens(Tokens, Option<FactorId>),
    /// It is wrong, spent or revoked: trying the same again does not help.
    Refused,
    /// Asked too often.
    TooMany,
}

/// Exchanges a grant for tokens; `from` is the address of the person who asks, if one does.
///
/// # Errors
/// The provider did not answer, or not with a yes or a no.
pub(crate) async fn exchange(
    settings: &Settings,
    from: Option<&str>,
    grant: Grant<'_>,
) -> worker::Result<Granted> {
    let (path, body) = match grant {
        Grant::Password { email, password } => (
            "/token?grant_type=password",
            object(&[("email", email), ("password", password)]),
        ),
        Grant::Refresh { token } => (
            "/token?grant_type=refresh_token",
            object(&[("refresh_token", token)]),
        ),
        Grant::Callback { code, verifier } => (
            "/token?grant_type=pkce",
            object(&[("auth_code", code), ("code_verifier", verifier)]),
        ),
        Grant::Mailed { email, code } => (
            "/verify",
            object(&[("type", "email"), ("email", email), ("token", code)]),
        ),
    };
    let mut response = post(settings, from, path, Some(&body), None).await?;
    match response.status_code() {
        200 => {
            let body = clock::within(DEADLINE, response.text()).await?;
            let answer: Json = json::read(&body)?;
            let app = answer.member("user").map(mfa::factors);
            let tokens = json::of_value(&answer)?;
            Ok(Granted::Tokens(tokens, app.and_then(|factors| factors.app)))
        }
        // 401 is not among them: that is a wrong `apikey`, and the person can do nothing about it.
        400 | 403 | 404 | 422 => Ok(Granted::Refused),
        429 => Ok(Granted::TooMany),
        other => Err(unexpected(path, other)),
    }
}

#[derive(Serialize)]
struct Mail<'a> {
    email: &'a str,
    /// Whoever types a stranger's address here must not open an account for it.
    create_user: bool,
    code_challenge: &'a str,
    code_challenge_method: &'a str,
}

/// Has a link and a code mailed. Says nothing about whether the address has an account, nor, by way of the
/// limit on mails, whether one was asked for a moment ago.
///
/// # Errors
/// The provider did not answer, or cannot send mails.
pub(crate) async fn mail_link(
    settings: &Settings,
    from: Option<&str>,
    email: &str,
    challenge: &str,
    callback: &str,
) -> worker::Result<()> {
    let path = format!("/otp?{}", query(&[("redirect_to", callback)]));
    let body = serde_json::to_string(&Mail {
        email,
        create_user: false,
        code_challenge: challenge,
        code_challenge_method: "s256",
    })?;
    let response = post(settings, from, &path, Some(&body), None).await?;
    match response.status_code() {
        200 | 400 | 422 | 429 => Ok(()),
        other => Err(unexpected("/otp", other)),
    }
}

/// Where a browser goes to sign in with `provider`.
pub(crate) fn authorize_url(
    settings: &Settings,
    provider: Provider,
    challenge: &str,
    callback: &str,
) -> String {
    let query = query(&[
        ("provider", provider.as_str()),
        ("redirect_to", callback),
        ("code_challenge", challenge),
        ("code_challenge_method", "s256"),
    ]);
    format!("{}/authorize?{query}", settings.auth_url())
}

/// Ends the one session `access_token` belongs to: its refresh token is worth nothing afterwards.
///
/// # Errors
/// The provider did not answer, or refused.
pub(crate) async fn revoke(settings: &Settings, access_token: &str) -> worker::Result<()> {
    let path = "/logout?scope=local";
    let response = post(settings, None, path, None, Some(access_token)).await?;
    match response.status_code() {
        // 403 and 404: the session has ended already.
        200..=299 | 403 | 404 => Ok(()),
        other => Err(unexpected(path, other)),
    }
}

async fn post(
    settings: &Settings,
    from: Option<&str>,
    path: &str,
    body: Option<&str>,
    bearer: Option<&str>,
) -> worker::Result<Response> {
    call_for(settings, from, &Method::Post, path, body, bearer).await
}

/// One call of the API for nobody's address: the person is known by their token.
///
/// # Errors
/// The provider did not answer.
pub(super) async fn call(
    settings: &Settings,
    method: &Method,
    path: &str,
    body: Option<&str>,
    bearer: Option<&str>,
) -> worker::Result<Response> {
    call_for(settings, None, method, path, body, bearer).await
}

/// One call of the API. The project's key goes into a header of its own: those of the newer kind are no JWT, and in
/// `Authorization` the provider takes nothing but a person's token.
async fn call_for(
    settings: &Settings,
    from: Option<&str>,
    method: &Method,
    path: &str,
    body: Option<&str>,
    bearer: Option<&str>,
) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("apikey", &settings.anon_key)?;
    if let Some(address) = from {
        headers.set(CALLERS_ADDRESS, address)?;
    }
    if let Some(token) = bearer {
        headers.set("authorization", &format!("Bearer {token}"))?;
    }
    let url = format!("{}{path}", settings.auth_url());
    let request = outgoing::request(method, &url, &headers, body)?;
    clock::within(DEADLINE, Fetch::Request(request).send()).await
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

pub(super) fn unexpected(path: &str, status: u16) -> worker::Error {
    let path = path.split('?').next().unwrap_or_default();
    worker::Error::RustError(format!("{path} answered {status}"))
}
