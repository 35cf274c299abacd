//! Second factors: authenticator apps that are enrolled, asked for a code and taken away, with the words of the real one.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Project;
use super::answer::{parse, session_answer, timestamp};
use super::authenticate::authenticate;
use super::error::AuthError;
use crate::dev::people::Person;
use crate::dev::sessions::Session;
use crate::dev::token::now;
use crate::dev::totp;

/// Factors a person may have, finished or not.
const MAX_ENROLLED: usize = 10;
/// Seconds for which a challenge waits for its code.
const CHALLENGE_LIFETIME: i64 = 300;

/// One authenticator app of one person.
#[derive(Debug)]
struct Factor {
    id: Uuid,
    person: &'static Person,
    name: String,
    secret: [u8; totp::SECRET_BYTES],
    verified: bool,
    created_at: i64,
}

#[derive(Debug)]
struct Challenge {
    factor: Uuid,
    made_at: i64,
}

/// All factors of this run.
#[derive(Debug, Default)]
pub(super) struct Factors {
    factors: Vec<Factor>,
    challenges: HashMap<Uuid, Challenge>,
}

impl Factors {
    fn of(&self, person: &Person) -> impl Iterator<Item = &Factor> {
        let id = person.id();
        self.factors.iter().filter(move |factor| factor.person.id() == id)
    }

    /// `factors` of a person's document; the real one leaves it out when there are none.
    pub(super) fn describe(&self, person: &Person) -> Option<Value> {
        let list: Vec<Value> = self.of(person).map(Factor::describe).collect();
        (!list.is_empty()).then(|| list.into())
    }

    fn find(&self, person: &Person, id: &str) -> Result<&Factor, AuthError> {
        let id: Uuid = id.parse().map_err(|_| not_found("validation_failed"))?;
        let found = self.of(person).find(|factor| factor.id == id);
        found.ok_or_else(|| not_found("mfa_factor_not_found"))
    }
}

impl Factor {
    fn describe(&self) -> Value {
        let status = if self.verified { "verified" } else { "unverified" };
        json!({
            "id": self.id.to_string(),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.created_at),
            "status": status,
            "friendly_name": self.name,
            "factor_type": "totp",
        })
    }
}

fn not_found(code: &'static str) -> AuthError {
    AuthError::new(StatusCode::NOT_FOUND, code, "Factor not found")
}

fn unprocessable(code: &'static str, message: impl Into<String>) -> AuthError {
    AuthError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Enrol {
    factor_type: String,
    friendly_name: String,
    issuer: String,
}

pub(super) async fn enrol(
    State(project): State<Arc<Project>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, AuthError> {
    let session = authenticate(&project, &headers)?;
    let wanted: Enrol = parse(&body)?;
    if wanted.factor_type != "totp" {
        let message = "factor_type needs to be totp, phone, or webauthn";
        return Err(AuthError::bad_request("validation_failed", message));
    }
    let mut factors = project.factors();
    check_new(&factors, &session, &wanted.friendly_name)?;
    let mut secret = [0; totp::SECRET_BYTES];
    OsRng.fill_bytes(&mut secret);
    let factor = Factor {
        id: Uuid::new_v4(),
        person: session.person,
        name: wanted.friendly_name,
        secret,
        verified: false,
        created_at: now(),
    };
    let text = totp::base32(&secret);
    let uri = totp::uri(&wanted.issuer, &session.person.email(), &text);
    let answer = json!({
        "id": factor.id.to_string(),
        "type": "totp",
        "friendly_name": factor.name,
        "totp": { "qr_code": totp::drawing(&uri), "secret": text, "uri": uri },
    });
    factors.factors.push(factor);
    Ok(Json(answer).into_response())
}

fn check_new(factors: &Factors, session: &Session, name: &str) -> Result<(), AuthError> {
    let own: Vec<&Factor> = factors.of(session.person).collect();
    if own.iter().any(|factor| factor.name == name) {
        let message = format!("A factor with the friendly name {name:?} for this user already exists");
        return Err(unprocessable("mfa_factor_name_conflict", message));
    }
    if own.len() >= MAX_ENROLLED {
        let message = "Maximum number of verified factors reached, unenroll to continue";
        return Err(unprocessable("too_many_enrolled_mfa_factors", message));
    }
    if own.iter().any(|factor| factor.verified) && session.second_factor_at.is_none() {
        let message = "AAL2 required to enroll a new factor";
        return Err(AuthError::forbidden("insufficient_aal", message));
    }
    Ok(())
}

pub(super) async fn unenrol(
    State(project): State<Arc<Project>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, AuthError> {
    let session = authenticate(&project, &headers)?;
    let mut factors = project.factors();
    let factor = factors.find(session.person, &id)?;
    if factor.verified && session.second_factor_at.is_none() {
        let message = "AAL2 required to unenroll verified factor";
        return Err(unprocessable("insufficient_aal", message));
    }
    let id = factor.id;
    factors.factors.retain(|factor| factor.id != id);
    Ok(Json(json!({ "id": id.to_string() })).into_response())
}

pub(super) async fn challenge(
    State(project): State<Arc<Project>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, AuthError> {
    let session = authenticate(&project, &headers)?;
    let mut factors = project.factors();
    let factor = factors.find(session.person, &id)?.id;
    let (challenge, made_at) = (Uuid::new_v4(), now());
    factors
        .challenges
        .insert(challenge, Challenge { factor, made_at });
    let expires_at = made_at.saturating_add(CHALLENGE_LIFETIME);
    Ok(
        Json(json!({ "id": challenge.to_string(), "type": "totp", "expires_at": expires_at }))
            .into_response(),
    )
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Verify {
    challenge_id: String,
    code: String,
}

/// A right code: the session has proven both factors from now on, and the person's other ones that have not are over.
pub(super) async fn verify(
    State(project): State<Arc<Project>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, AuthError> {
    let session = authenticate(&project, &headers)?;
    let typed: Verify = parse(&body)?;
    if typed.code.is_empty() {
        return Err(AuthError::bad_request(
            "validation_failed",
            "Code needs to be non-empty",
        ));
    }
    let now = now();
    {
        let mut factors = project.factors();
        let factor = factors.find(session.person, &id)?;
        let (factor, right) = (factor.id, totp::accepts(&factor.secret, &typed.code, now));
        let challenge = typed.challenge_id.parse().unwrap_or_default();
        let made_at = factors
            .challenges
            .get(&challenge)
            .filter(|made| made.factor == factor);
        let Some(made_at) = made_at.map(|made| made.made_at) else {
            let message = "MFA factor with the provided challenge ID not found";
            return Err(unprocessable("mfa_factor_not_found", message));
        };
        if now >= made_at.saturating_add(CHALLENGE_LIFETIME) {
            let message = format!("MFA challenge {challenge} has expired, verify against another challenge");
            return Err(unprocessable("mfa_challenge_expired", message));
        }
        if !right {
            return Err(unprocessable(
                "mfa_verification_failed",
                "Invalid TOTP code entered",
            ));
        }
        // A challenge is answered once.
        factors.challenges.remove(&challenge);
        for own in factors.factors.iter_mut().filter(|own| own.id == factor) {
            own.verified = true;
        }
        let person = session.person.id();
        factors
            .factors
            .retain(|own| own.verified || own.person.id() != person);
    }
    let proven = project.sessions().prove_second_factor(&session.id, now);
    let (session, refresh_token) = proven.ok_or_else(|| {
        let message = "Session from session_id claim in JWT does not exist";
        AuthError::forbidden("session_not_found", message)
    })?;
    session_answer(&project, &session, &refresh_token)
}
