//! `/login` and `/auth/sign-out`: the browser's way in and out, spoken to Supabase Auth's REST API.

use std::time::Duration;

use moltworker_core::hygiene::same_origin;
use moltworker_core::problem::Refusal;
use moltworker_core::route::safe_next;
use moltworker_core::session::{self, Session};
use moltworker_core::settings::Settings;
use serde::{Deserialize, Serialize};
use worker::url::form_urlencoded;
use worker::{Fetch, Headers, Method, Request, RequestInit, Response};

use crate::pages::login::{self, LoginPage};
use crate::reply::{self, Nonce};
use crate::{clock, identify, keys, log};

/// Bytes a sign-in form may have: an address (254), a password (Supabase takes 72), a path, percent-encoded.
const MAX_FORM_BYTES: u64 = 16 * 1024;
/// How long the identity provider may take to judge a password (it hashes on purpose slowly).
const PASSWORD_DEADLINE: Duration = Duration::from_secs(15);

/// `GET /login`.
pub(crate) async fn show(request: &Request, settings: &Settings) -> worker::Result<Response> {
    let url = request.url()?;
    let next = url
        .query_pairs()
        .find(|(name, _)| name == "next")
        .map(|(_, value)| value.into_owned());
    let caller = identify::caller(request.headers(), settings).await.ok();
    let identity = caller.as_ref().map(identify::Caller::identity);
    let name = identity.map(|identity| {
        identity
            .email
            .clone()
            .unwrap_or_else(|| identity.user.to_string())
    });
    form(
        200,
        &LoginPage {
            next: safe_next(next.as_deref()),
            email: "",
            message: None,
            signed_in_as: name.as_deref(),
        },
    )
}

fn form(status: u16, page: &LoginPage<'_>) -> worker::Result<Response> {
    let nonce = Nonce::new()?;
    reply::page(status, &nonce, login::page(&nonce, page))
}

/// `POST /login`: the password grant, then a session cookie. The password is passed on and forgotten.
pub(crate) async fn submit(mut request: Request, settings: &Settings) -> worker::Result<Response> {
    if !from_our_page(request.headers(), settings) {
        return reply::problem(Refusal::WrongOrigin, None);
    }
    let Some(form_fields) = read_form(&mut request).await else {
        return reply::problem(Refusal::BadForm, None);
    };
    let next = safe_next(Some(&form_fields.next)).to_owned();
    let again = |status, message| {
        form(
            status,
            &LoginPage {
                next: &next,
                email: &form_fields.email,
                message: Some(message),
                signed_in_as: None,
            },
        )
    };
    match password_grant(&form_fields, settings).await {
        Ok(Granted::Token(token)) => match identify::access_token(&token, settings).await {
            Ok(identity) => {
                let max_age = identity.expires_at.saturating_sub(clock::now_seconds());
                let sealed = identify::seal_session(&Session { identity }, settings).await?;
                let response = reply::see_other(&next)?;
                response
                    .headers()
                    .append("set-cookie", &session::begin(&sealed, max_age))?;
                Ok(response)
            }
            // The provider granted a token this Worker does not accept: settings that do not fit together.
            Err(Refusal::IdentityProviderUnavailable) => {
                again(503, "Sign-in cannot be checked right now. Try again.")
            }
            Err(_) => again(403, "This account cannot use a bot here. Ask your administrator."),
        },
        Ok(Granted::Refused) => again(401, "E-mail or password is wrong."),
        Ok(Granted::TooMany) => again(429, "Too many tries. Wait a minute and try again."),
        Err(error) => {
            log::line("password-grant-failed", &[("reason", &error)]);
            again(503, "Sign-in is not available right now. Try again in a moment.")
        }
    }
}

/// `POST /auth/sign-out`.
pub(crate) fn sign_out(request: &Request, settings: &Settings) -> worker::Result<Response> {
    if !from_our_page(request.headers(), settings) {
        return reply::problem(Refusal::WrongOrigin, None);
    }
    let response = reply::see_other("/login")?;
    response.headers().append("set-cookie", &session::end())?;
    Ok(response)
}

fn from_our_page(headers: &Headers, settings: &Settings) -> bool {
    let origin = headers.get("origin").ok().flatten();
    same_origin(origin.as_deref(), settings.public.as_str())
}

#[derive(Debug, Default, Serialize)]
struct LoginForm {
    email: String,
    password: String,
    #[serde(skip)]
    next: String,
}

async fn read_form(request: &mut Request) -> Option<LoginForm> {
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let length: u64 = header("content-length")?.parse().ok()?;
    let kind = header("content-type")?;
    if length > MAX_FORM_BYTES || !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let body = request.text().await.ok()?;
    let mut form = LoginForm::default();
    for (name, value) in form_urlencoded::parse(body.as_bytes()) {
        match name.as_ref() {
            "email" => form.email = value.into_owned(),
            "password" => form.password = value.into_owned(),
            "next" => form.next = value.into_owned(),
            _ => {}
        }
    }
    (!form.email.is_empty() && !form.password.is_empty()).then_some(form)
}

enum Granted {
    Token(String),
    Refused,
    TooMany,
}

async fn password_grant(form: &LoginForm, settings: &Settings) -> worker::Result<Granted> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
    }

    let headers = Headers::new();
    headers.set("content-type", "application/json")?;
    headers.set("apikey", &settings.anon_key)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(serde_json::to_string(form)?.into()));
    let url = format!("{}/token?grant_type=password", settings.issuer());
    let request = Request::new_with_init(&url, &init)?;
    let mut response = keys::within(PASSWORD_DEADLINE, Fetch::Request(request).send()).await?;
    match response.status_code() {
        200 => Ok(Granted::Token(response.json::<Answer>().await?.access_token)),
        // 400 is what Supabase Auth says to a wrong password, 422 to one it finds malformed.
        400 | 401 | 403 | 422 => Ok(Granted::Refused),
        429 => Ok(Granted::TooMany),
        other => Err(worker::Error::RustError(format!(
            "the password grant answered {other}"
        ))),
    }
}
