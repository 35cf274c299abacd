//! Answers the supervisor gives in its own name.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use moltworker_core::problem::Refusal;
use serde::Serialize;

use crate::listener::Body;

/// A refusal as `application/problem+json`.
pub(crate) fn refuse(refusal: Refusal) -> Response<Body> {
    let (status, ..) = refusal.facts();
    let mut response = encoded(&refusal.problem(None), "application/problem+json");
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = refusal.retry_after() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(challenge) = refusal.challenge() {
        let challenge = HeaderValue::from_static(challenge);
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response<Body> {
    encoded(value, "application/json")
}

/// A text.
pub(crate) fn text(text: String) -> Response<Body> {
    response(text.into(), "text/plain; charset=utf-8")
}

fn encoded(value: &impl Serialize, media_type: &'static str) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(json) => response(json.into(), media_type),
        Err(_) => {
            let mut failed = response(Bytes::new(), "text/plain");
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        }
    }
}

fn response(body: Bytes, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Right(Full::new(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
