//! Supabase Auth's REST API about second factors, asked with the access token of the person's session.

use moltworker_core::identity::mfa::{self, Enrolment, FACTOR_NAME, FactorId, Factors};
use moltworker_core::identity::session::Tokens;
use moltworker_core::json::{Json, object};
use moltworker_core::settings::Settings;
use serde::Deserialize;
use worker::{Method, Response};

use crate::identity::auth_api::{DEADLINE, call, unexpected};
use crate::platform::{clock, json};

/// What became of a call that a session is needed for.
pub(crate) enum Asked<T> {
    Answered(T),
    /// The provider does not know the session (any more), or has locked the person out.
    Ended,
    /// Asked too often.
    TooMany,
}

/// What the person has enrolled.
///
/// # Errors
/// The provider did not answer, or with something else.
pub(crate) async fn factors(settings: &Settings, token: &str) -> worker::Result<Asked<Factors>> {
    const PATH: &str = "/user";
    let mut response = call(settings, &Method::Get, PATH, None, Some(token)).await?;
    match response.status_code() {
        200 => {
            let user: Json = json::read(&text(&mut response).await?)?;
            Ok(Asked::Answered(mfa::factors(&user)))
        }
        other => refused(PATH, other),
    }
}

/// Begins to enrol an authenticator app.
///
/// # Errors
/// As [`factors`]; among others when the project has TOTP switched off.
pub(crate) async fn enrol(settings: &Settings, token: &str) -> worker::Result<Asked<Enrolment>> {
    const PATH: &str = "/factors";
    let body = object(&[
        ("factor_type", "totp"),
        ("friendly_name", FACTOR_NAME),
        // What the app shows beside the account.
        ("issuer", settings.public.name()),
    ]);
    let mut response = call(settings, &Method::Post, PATH, Some(&body), Some(token)).await?;
    match response.status_code() {
        200 => {
            let answer = text(&mut response).await?;
            let enrolment = mfa::enrolment(&answer).ok_or_else(|| unexpected(PATH, 200))?;
            Ok(Asked::Answered(enrolment))
        }
        other => refused(PATH, other),
    }
}

/// Takes back an enrolment that was begun and never ended: the next one would have the same name.
///
/// # Errors
/// As [`factors`].
pub(crate) async fn unenrol(settings: &Settings, token: &str, factor: FactorId) -> worker::Result<()> {
    let path = format!("/factors/{factor}");
    let response = call(settings, &Method::Delete, &path, None, Some(token)).await?;
    match response.status_code() {
        200..=299 | 404 => Ok(()),
        other => Err(unexpected("/factors/…", other)),
    }
}

/// Proves a factor by a code: the tokens of the session from then on, or none if the code is wrong.
///
/// The challenge is made right before: the provider takes its answer from no other address than the question came from,
/// and a Worker's requests have many.
///
/// # Errors
/// As [`factors`].
pub(crate) async fn verify(
    settings: &Settings,
    token: &str,
    factor: FactorId,
    code: &str,
) -> worker::Result<Asked<Option<Tokens>>> {
    #[derive(Deserialize)]
    struct Challenge {
        id: String,
    }
    #[derive(Deserialize)]
    struct Refused {
        error_code: String,
    }

    let path = format!("/factors/{factor}/challenge");
    let mut response = call(settings, &Method::Post, &path, Some("{}"), Some(token)).await?;
    let challenge: Challenge = match response.status_code() {
        200 => json::read(&text(&mut response).await?)?,
        other => return refused("/factors/…/challenge", other),
    };
    let path = format!("/factors/{factor}/verify");
    let body = object(&[("challenge_id", &challenge.id), ("code", code)]);
    let mut response = call(settings, &Method::Post, &path, Some(&body), Some(token)).await?;
    let status = response.status_code();
    match status {
        200 => Ok(Asked::Answered(Some(json::read(&text(&mut response).await?)?))),
        422 => {
            let why: Refused = json::read(&text(&mut response).await?)?;
            match why.error_code.as_str() {
                "mfa_verification_failed" => Ok(Asked::Answered(None)),
                _ => Err(unexpected("/factors/…/verify", status)),
            }
        }
        other => refused("/factors/…/verify", other),
    }
}

async fn text(response: &mut Response) -> worker::Result<String> {
    clock::within(DEADLINE, response.text()).await
}

fn refused<T>(path: &str, status: u16) -> worker::Result<Asked<T>> {
    match status {
        // 404: the factor was taken away meanwhile.
        401 | 403 | 404 => Ok(Asked::Ended),
        429 => Ok(Asked::TooMany),
        other => Err(unexpected(path, other)),
    }
}
