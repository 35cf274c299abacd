//! Signing in by a detour: a provider's page, played by one of our own, and mails, which are printed.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use moltworker_core::identity::sign_in::Provider;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Project;
use super::answer::{parse, session_answer};
use super::error::AuthError;
use crate::dev::flows::NotExchanged;
use crate::dev::people::{PEOPLE, Person};
use crate::dev::token::now;

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct AuthorizeQuery {
    provider: String,
    redirect_to: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// Off to the provider's page.
pub(super) async fn authorize(
    State(project): State<Arc<Project>>,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, AuthError> {
    let Some(provider) = Provider::parse(&query.provider) else {
        let message = "Unsupported provider: provider is not enabled";
        return Err(AuthError::bad_request("validation_failed", message));
    };
    let challenge = challenge(&query.code_challenge, &query.code_challenge_method)?;
    let Some(challenge) = challenge else {
        let message = "this local stand-in speaks PKCE only; send a code_challenge";
        return Err(AuthError::bad_request("validation_failed", message));
    };
    let redirect_to = way_back(&project, &query.redirect_to)?;
    let id = project.flows().leave(challenge, redirect_to.into());
    Ok(Redirect::to(&format!("/provider/{}/{id}", provider.as_str())).into_response())
}

/// The page that plays the provider: who do you want to be?
pub(super) async fn consent(
    Path((provider, id)): Path<(String, String)>,
) -> Result<Html<String>, StatusCode> {
    let provider = Provider::parse(&provider).ok_or(StatusCode::NOT_FOUND)?;
    let id: Uuid = id.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    let label = provider.label();
    let people: String = PEOPLE
        .iter()
        .map(|person| {
            let name = person.name;
            format!(
                "<p><button name=person value={name}>Continue as {name}</button> {}</p>",
                person.email()
            )
        })
        .collect();
    Ok(Html(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{label} (played locally)</title>\
         <h1>{label}, played by this machine</h1><form action=/auth/v1/callback><input type=hidden name=state value={id}>\
         {people}<p><button name=error value=access_denied>Cancel</button></p></form></html>"
    )))
}

#[derive(Deserialize)]
pub(super) struct CallbackQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    person: String,
}

/// Back from the provider's page.
pub(super) async fn callback(
    State(project): State<Arc<Project>>,
    Query(query): Query<CallbackQuery>,
) -> Result<Response, AuthError> {
    let mut flows = project.flows();
    let waiting = query.state.parse().ok().and_then(|id| flows.come_back(&id));
    let waiting = waiting
        .ok_or_else(|| AuthError::bad_request("bad_oauth_state", "OAuth callback with invalid state"))?;
    let mut back = way_back(&project, &waiting.redirect_to)?;
    match Person::named(&query.person) {
        Some(person) => {
            let code = flows.issue(waiting.challenge, person, "oauth", now());
            back.query_pairs_mut().append_pair("code", &code);
        }
        None => fail(&mut back, "provider_error", "The user denied access"),
    }
    Ok(found(&back))
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct OtpRequest {
    email: String,
    create_user: Option<bool>,
    code_challenge: String,
    code_challenge_method: String,
}

#[derive(Deserialize)]
pub(super) struct RedirectQuery {
    #[serde(default)]
    redirect_to: String,
}

/// Mails a link and a code, that is: prints them.
pub(super) async fn otp(
    State(project): State<Arc<Project>>,
    Query(query): Query<RedirectQuery>,
    body: Bytes,
) -> Result<Response, AuthError> {
    let request: OtpRequest = parse(&body)?;
    let challenge = challenge(&request.code_challenge, &request.code_challenge_method)?;
    let Some(person) = Person::with_email(&request.email) else {
        let message = if request.create_user == Some(false) {
            "Signups not allowed for otp"
        } else {
            "Signups not allowed for this instance"
        };
        return Err(AuthError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "otp_disabled",
            message,
        ));
    };
    let redirect_to = if query.redirect_to.is_empty() {
        String::new()
    } else {
        way_back(&project, &query.redirect_to)?.into()
    };
    let mut flows = project.flows();
    let mail = flows.mail(person, challenge, redirect_to, now());
    eprintln!(
        "mail to {}: the code is {}, the link {}",
        person.email(),
        mail.code,
        link(&project, &mail.token, &mail.redirect_to)
    );
    Ok(Json(json!({})).into_response())
}

/// The mails, for tests.
pub(super) async fn mails(State(project): State<Arc<Project>>) -> Json<Value> {
    let flows = project.flows();
    let mails = flows.mails().iter().map(|mail| {
        json!({
            "to": mail.person.email(),
            "code": mail.code,
            "link": link(&project, &mail.token, &mail.redirect_to),
        })
    });
    Json(mails.collect())
}

fn link(project: &Project, token: &str, redirect_to: &str) -> String {
    Url::parse_with_params(
        &format!("{}/verify", project.issuer),
        [
            ("token", token),
            ("type", "magiclink"),
            ("redirect_to", redirect_to),
        ],
    )
    .map_or_else(|_| String::new(), Into::into)
}

#[derive(Deserialize)]
pub(super) struct LinkQuery {
    #[serde(default)]
    token: String,
    #[serde(default)]
    redirect_to: String,
}

/// A mailed link was opened.
pub(super) async fn verify_link(
    State(project): State<Arc<Project>>,
    Query(query): Query<LinkQuery>,
) -> Result<Response, AuthError> {
    let mut back = way_back(&project, &query.redirect_to)?;
    let mut flows = project.flows();
    match flows.open_link(&query.token, now()) {
        Some((person, Some(challenge))) => {
            let code = flows.issue(challenge, person, "otp", now());
            back.query_pairs_mut().append_pair("code", &code);
        }
        Some((_, None)) => {
            let message = "this local stand-in has no implicit flow; ask for the mail with a code_challenge";
            return Err(AuthError::bad_request("validation_failed", message));
        }
        None => fail(&mut back, "otp_expired", "Email link is invalid or has expired"),
    }
    Ok(found(&back))
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Typed {
    r#type: String,
    email: String,
    token: String,
}

/// The code beside a mailed link was typed.
pub(super) async fn verify_code(
    State(project): State<Arc<Project>>,
    body: Bytes,
) -> Result<Response, AuthError> {
    let typed: Typed = parse(&body)?;
    if !matches!(typed.r#type.as_str(), "email" | "magiclink") {
        return Err(AuthError::bad_request(
            "validation_failed",
            "Unsupported verification type",
        ));
    }
    let person = Person::with_email(&typed.email)
        .and_then(|person| project.flows().type_code(person, &typed.token, now()))
        .ok_or_else(|| AuthError::forbidden("otp_expired", "Token has expired or is invalid"))?;
    let (session, refresh_token) = project.sessions().start(person, "otp", now());
    session_answer(&project, &session, &refresh_token)
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct CodeGrant {
    auth_code: String,
    code_verifier: String,
}

/// Exchanges a code with its verifier: `grant_type=pkce`.
pub(super) fn exchange(
    project: &Project,
    body: &[u8],
) -> Result<(crate::dev::sessions::Session, String), AuthError> {
    let grant: CodeGrant = parse(body)?;
    if grant.auth_code.is_empty() || grant.code_verifier.is_empty() {
        let message = "invalid request: both auth code and code verifier should be non-empty";
        return Err(AuthError::bad_request("validation_failed", message));
    }
    let exchanged = project
        .flows()
        .exchange(&grant.auth_code, &grant.code_verifier, now());
    let (person, method) = exchanged.map_err(|why| match why {
        NotExchanged::Unknown => {
            let message = "invalid flow state, no valid flow state found";
            AuthError::new(StatusCode::NOT_FOUND, "flow_state_not_found", message)
        }
        NotExchanged::WrongVerifier => {
            let message = "code challenge does not match previously saved code verifier";
            AuthError::bad_request("bad_code_verifier", message)
        }
    })?;
    Ok(project.sessions().start(person, method, now()))
}

/// The challenge, if there is one. Both parts or neither, and only the safe method: the real one takes `plain`
/// as well, and nothing of ours sends it.
fn challenge(challenge: &str, method: &str) -> Result<Option<String>, AuthError> {
    match (challenge, method.to_ascii_lowercase().as_str()) {
        ("", "") => Ok(None),
        (challenge, "s256") if challenge.len() == 43 => Ok(Some(challenge.to_owned())),
        _ => Err(AuthError::bad_request(
            "validation_failed",
            "PKCE flow requires code_challenge_method and code_challenge",
        )),
    }
}

/// Where people may be led: this machine, and one host more. The real one has a list in its settings.
fn way_back(project: &Project, url: &str) -> Result<Url, AuthError> {
    let refused = || AuthError::bad_request("validation_failed", "redirect_to is not on this machine");
    let url = Url::parse(url).map_err(|_| refused())?;
    match url.host_str() {
        Some(host) if host == "localhost" || host == "127.0.0.1" || host.ends_with(".localhost") => Ok(url),
        Some(host) if Some(host) == project.redirect_host.as_deref() => Ok(url),
        _ => Err(refused()),
    }
}

/// As the real one says it: whatever was in the query is gone, our own state included.
fn fail(back: &mut Url, code: &str, description: &str) {
    back.set_query(None);
    back.query_pairs_mut()
        .append_pair("error", "access_denied")
        .append_pair("error_code", code)
        .append_pair("error_description", description);
}

fn found(to: &Url) -> Response {
    (StatusCode::FOUND, [("location", to.as_str())]).into_response()
}
