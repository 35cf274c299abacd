//! What several paths of the local identity provider answer, and how they read what they are sent.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Project;
use super::error::AuthError;
use crate::dev::keys::Alg;
use crate::dev::sessions::Session;
use crate::dev::token::{AUTHENTICATED, AccessClaims, now};

/// Moment at which the local people are said to have registered.
const REGISTERED_AT: i64 = 1_735_689_600;

/// What every grant answers: an access token of this session, and what gets the next one.
pub(super) fn session_answer(
    project: &Project,
    session: &Session,
    refresh_token: &str,
) -> Result<Response, AuthError> {
    let control = project.test_control.as_ref();
    let lifetime = control.and_then(|control| control.token_lifetime());
    let lifetime = lifetime.unwrap_or(project.token_lifetime);
    let claims = AccessClaims::of(session, &project.issuer, now(), lifetime);
    let access_token = match control {
        Some(control) => project.keys().sign(Alg::Es256, &control.apply(&claims)),
        None => project.keys().sign(Alg::Es256, &claims),
    };
    let answer = json!({
        "access_token": access_token.map_err(|error| unexpected(&error))?,
        "token_type": "bearer",
        "expires_in": lifetime,
        "expires_at": claims.exp,
        "refresh_token": refresh_token,
        "user": user_document(project, session),
    });
    Ok(Json(answer).into_response())
}

/// What should not happen here.
pub(super) fn unexpected(error: &anyhow::Error) -> AuthError {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    AuthError::new(status, "unexpected_failure", format!("{error:#}"))
}

/// A person as the API describes them.
pub(super) fn user_document(project: &Project, session: &Session) -> Value {
    let person = session.person;
    let registered_at = timestamp(REGISTERED_AT);
    let signed_in_at = timestamp(session.signed_in_at);
    let mut user = json!({
        "id": person.id(),
        "aud": AUTHENTICATED,
        "role": AUTHENTICATED,
        "email": person.email(),
        "email_confirmed_at": registered_at,
        "phone": "",
        "confirmed_at": registered_at,
        "last_sign_in_at": signed_in_at,
        "app_metadata": person.app_metadata(),
        "user_metadata": person.user_metadata(),
        "identities": [{
            "identity_id": person.id(),
            "id": person.id(),
            "user_id": person.id(),
            "identity_data": person.user_metadata(),
            "provider": "email",
            "last_sign_in_at": signed_in_at,
            "created_at": registered_at,
            "updated_at": signed_in_at,
            "email": person.email(),
        }],
        "created_at": registered_at,
        "updated_at": signed_in_at,
        "is_anonymous": false,
    });
    if let (Some(list), Some(fields)) = (project.factors().describe(person), user.as_object_mut()) {
        fields.insert("factors".into(), list);
    }
    user
}

/// A time of day as the API writes it.
pub(super) fn timestamp(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AuthError> {
    serde_json::from_slice(body).map_err(|error| {
        AuthError::bad_request(
            "bad_json",
            format!("Could not parse request body as JSON: {error}"),
        )
    })
}
