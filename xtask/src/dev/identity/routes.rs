//! What the local identity provider answers, path by path.

use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{parse, session_answer, unexpected, user_document};
use super::authenticate::authenticate;
use super::detour;
use super::error::{AuthError, word_errors};
use super::factors;
use super::test_control;
use super::{API_KEY_HEADER, JWKS_PATH, Project};
use crate::dev::people::Person;
use crate::dev::sessions::{Refused, Session, SignOut};
use crate::dev::token::now;

pub(super) fn router(project: Arc<Project>) -> Router {
    let behind_the_key = Router::new()
        .route("/token", post(token))
        .route("/otp", post(detour::otp))
        .route("/user", get(user))
        .route("/logout", post(logout))
        .route("/factors", post(factors::enrol))
        .route("/factors/{id}", delete(factors::unenrol))
        .route("/factors/{id}/challenge", post(factors::challenge))
        .route("/factors/{id}/verify", post(factors::verify))
        .route("/settings", get(settings))
        .route("/health", get(health))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&project),
            require_api_key,
        ));
    // Where browsers come by themselves, without a key, as in front of a real project.
    let routes = Router::new()
        .route(JWKS_PATH, get(jwks))
        .route("/authorize", get(detour::authorize))
        .route("/callback", get(detour::callback))
        .route("/verify", get(detour::verify_link).post(detour::verify_code))
        .merge(behind_the_key);
    let [routes, for_tests] = match &project.test_control {
        Some(control) => test_control::add(routes, control),
        None => [routes, Router::new()],
    };
    Router::new()
        .nest("/auth/v1", routes.layer(middleware::from_fn(let_pages_read)))
        .merge(for_tests)
        // What a real project has elsewhere: the provider's page, the mail box, the dashboard's key rotation.
        .route("/provider/{provider}/{id}", get(detour::consent))
        .route("/mails", get(detour::mails))
        .route("/rotate-keys", post(rotate_keys))
        .layer(middleware::from_fn(word_errors))
        .with_state(project)
}

/// Pages of any origin may call, as at a real project: who asks is known by a token, and never by a cookie.
async fn let_pages_read(request: Request, next: Next) -> Response {
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "apikey, authorization, content-type, x-client-info, x-supabase-api-version",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Every call carries the project's public key, in a header or in the query, as in front of a real project.
async fn require_api_key(State(project): State<Arc<Project>>, request: Request, next: Next) -> Response {
    let in_header = request
        .headers()
        .get(API_KEY_HEADER)
        .and_then(|key| key.to_str().ok());
    let in_query = request.uri().query().and_then(|query| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(API_KEY_HEADER)?.strip_prefix('='))
    });
    match in_header.or(in_query) {
        Some(key) if key == project.anon_key || key == project.publishable_key => next.run(request).await,
        Some(_) => AuthError::Gateway {
            message: "Invalid API key",
            hint: "Double check your Supabase `anon` or `service_role` API key.",
        }
        .into_response(),
        None => AuthError::Gateway {
            message: "No API key found in request",
            hint: "No `apikey` request header or url param was found.",
        }
        .into_response(),
    }
}

async fn jwks(State(project): State<Arc<Project>>) -> Response {
    let lifetime = [(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=600"),
    )];
    (lifetime, Json(project.keys().jwks())).into_response()
}

/// A new key signs from now on; the one before stays published.
async fn rotate_keys(State(project): State<Arc<Project>>) -> Result<Json<Value>, AuthError> {
    let mut keys = project.keys.write().unwrap_or_else(PoisonError::into_inner);
    keys.rotate().map_err(|error| unexpected(&error))?;
    Ok(Json(keys.jwks()))
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default)]
    grant_type: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct PasswordGrant {
    email: String,
    phone: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct RefreshGrant {
    refresh_token: String,
}

async fn token(
    State(project): State<Arc<Project>>,
    Query(query): Query<TokenQuery>,
    body: Bytes,
) -> Result<Response, AuthError> {
    let (session, refresh_token) = match query.grant_type.as_str() {
        "password" => sign_in(&project, &parse::<PasswordGrant>(&body)?)?,
        "refresh_token" => refresh(&project, &parse::<RefreshGrant>(&body)?)?,
        "pkce" => detour::exchange(&project, &body)?,
        _ => {
            return Err(AuthError::bad_request(
                "invalid_credentials",
                "unsupported_grant_type",
            ));
        }
    };
    session_answer(&project, &session, &refresh_token)
}

fn sign_in(project: &Project, grant: &PasswordGrant) -> Result<(Session, String), AuthError> {
    if !grant.email.is_empty() && !grant.phone.is_empty() {
        let message = "Only an email address or phone number should be provided on login.";
        return Err(AuthError::bad_request("validation_failed", message));
    }
    if !grant.phone.is_empty() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(AuthError::new(
            status,
            "phone_provider_disabled",
            "Phone logins are disabled",
        ));
    }
    if grant.email.is_empty() {
        return Err(AuthError::bad_request(
            "validation_failed",
            "missing email or phone",
        ));
    }
    // An unknown address and a wrong password must look the same.
    let person = Person::with_email(&grant.email).filter(|person| person.password() == grant.password);
    let person =
        person.ok_or_else(|| AuthError::bad_request("invalid_credentials", "Invalid login credentials"))?;
    Ok(project.sessions().start(person, "password", now()))
}

fn refresh(project: &Project, grant: &RefreshGrant) -> Result<(Session, String), AuthError> {
    if grant.refresh_token.is_empty() {
        return Err(AuthError::OAuth {
            error: "invalid_request",
            description: "refresh_token required",
        });
    }
    project
        .sessions()
        .refresh(&grant.refresh_token, now())
        .map_err(|refused| match refused {
            Refused::Unknown => AuthError::bad_request(
                "refresh_token_not_found",
                "Invalid Refresh Token: Refresh Token Not Found",
            ),
            Refused::AlreadyUsed => AuthError::bad_request(
                "refresh_token_already_used",
                "Invalid Refresh Token: Already Used",
            ),
        })
}

async fn user(State(project): State<Arc<Project>>, headers: HeaderMap) -> Result<Response, AuthError> {
    let session = authenticate(&project, &headers)?;
    Ok(Json(user_document(&project, &session)).into_response())
}

#[derive(Deserialize)]
struct LogoutQuery {
    #[serde(default)]
    scope: String,
}

async fn logout(
    State(project): State<Arc<Project>>,
    Query(query): Query<LogoutQuery>,
    headers: HeaderMap,
) -> Result<Response, AuthError> {
    let session = authenticate(&project, &headers)?;
    let scope = match query.scope.as_str() {
        "" | "global" => SignOut::Global,
        "local" => SignOut::Local,
        "others" => SignOut::Others,
        other => {
            let message = format!("Unsupported logout scope {other:?}");
            return Err(AuthError::bad_request("validation_failed", message));
        }
    };
    project.sessions().sign_out(&session, scope);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn settings() -> Json<Value> {
    let mut external = serde_json::Map::new();
    for provider in [
        "anonymous_users",
        "apple",
        "azure",
        "bitbucket",
        "discord",
        "facebook",
        "snapchat",
        "figma",
        "fly",
        "github",
        "gitlab",
        "google",
        "keycloak",
        "kakao",
        "linkedin",
        "linkedin_oidc",
        "notion",
        "spotify",
        "slack",
        "slack_oidc",
        "workos",
        "twitch",
        "twitter",
        "email",
        "phone",
        "zoom",
    ] {
        external.insert(provider.to_owned(), Value::Bool(provider == "email"));
    }
    Json(json!({
        "external": external,
        "disable_signup": true,
        "mailer_autoconfirm": true,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
        "saml_private_key_next_configured": false,
        "passkeys_enabled": false,
    }))
}

async fn health() -> Json<Value> {
    Json(json!({
        "version": concat!("moltworker-local-", env!("CARGO_PKG_VERSION")),
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    }))
}
