//! Who calls: the session of a bearer token.

use axum::http::{HeaderMap, StatusCode, header};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use uuid::Uuid;

use super::Project;
use super::error::AuthError;
use crate::dev::people::Person;
use crate::dev::sessions::Session;
use crate::dev::token::AUTHENTICATED;

#[derive(Deserialize)]
struct Presented {
    sub: String,
    #[serde(default)]
    session_id: String,
}

/// The session of the bearer token, checked in the order and refused with the words of the real one.
pub(super) fn authenticate(project: &Project, headers: &HeaderMap) -> Result<Session, AuthError> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .ok_or_else(|| {
            let message = "This endpoint requires a valid Bearer token";
            AuthError::new(StatusCode::UNAUTHORIZED, "no_authorization", message)
        })?;
    let claims = verify(project, token).map_err(|reason| {
        AuthError::forbidden(
            "bad_jwt",
            format!("invalid JWT: unable to parse or verify signature, {reason}"),
        )
    })?;
    if claims.sub.parse::<Uuid>().is_err() {
        return Err(AuthError::bad_request(
            "bad_jwt",
            "invalid claim: sub claim must be a UUID",
        ));
    }
    if Person::with_id(&claims.sub).is_none() {
        return Err(AuthError::forbidden(
            "user_not_found",
            "User from sub claim in JWT does not exist",
        ));
    }
    let session = claims
        .session_id
        .parse()
        .ok()
        .and_then(|id| project.sessions().get(&id).cloned());
    session.ok_or_else(|| {
        AuthError::forbidden(
            "session_not_found",
            "Session from session_id claim in JWT does not exist",
        )
    })
}

fn verify(project: &Project, token: &str) -> Result<Presented, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let key = match (&header.kid, header.alg) {
        (Some(kid), Algorithm::ES256 | Algorithm::RS256) => {
            let published: JwkSet =
                serde_json::from_value(project.keys().jwks()).map_err(|error| error.to_string())?;
            let jwk = published.find(kid).ok_or("unrecognized JWT kid")?;
            DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?
        }
        (_, Algorithm::HS256) => DecodingKey::from_secret(project.jwt_secret.as_bytes()),
        _ => return Err("signing method is invalid".to_owned()),
    };
    let mut rules = Validation::new(header.alg);
    rules.leeway = 0;
    rules.set_audience(&[AUTHENTICATED]);
    let decoded =
        jsonwebtoken::decode::<Presented>(token, &key, &rules).map_err(|error| error.to_string())?;
    Ok(decoded.claims)
}
