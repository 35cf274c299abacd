//! Answers the supervisor gives in its own name.

use std::io;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::run::REFUSAL_HEADER;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::http::body::Body;

/// A refusal as `application/problem+json`.
pub(crate) fn refuse(refusal: Refusal) -> Response<Body> {
    explain(refusal, None)
}

/// A refusal, and what more there is to say about it.
pub(crate) fn explain(refusal: Refusal, detail: Option<String>) -> Response<Body> {
    let (status, code, _) = refusal.facts();
    let mut response = encoded(&refusal.problem(detail), "application/problem+json");
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(REFUSAL_HEADER, HeaderValue::from_static(code));
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

/// A value as JSON, of something that has only begun.
pub(crate) fn accepted(value: &impl Serialize) -> Response<Body> {
    let mut response = json(value);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// Plain text, with 200.
pub(crate) fn text(text: String) -> Response<Body> {
    response(Body::own(text), "text/plain; charset=utf-8")
}

/// A text that goes on.
pub(crate) fn following(text: mpsc::Receiver<Bytes>) -> Response<Body> {
    response(Body::following(text), "text/plain; charset=utf-8")
}

/// Bytes as they come.
pub(crate) fn bytes(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Response<Body> {
    response(Body::read(pieces), "application/octet-stream")
}

/// Metrics in the form Prometheus reads.
pub(crate) fn metrics(text: String) -> Response<Body> {
    response(Body::own(text), "text/plain; version=0.0.4; charset=utf-8")
}

fn encoded(value: &impl Serialize, media_type: &'static str) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(json) => response(Body::own(json), media_type),
        Err(_) => {
            let mut failed = response(Body::own(Bytes::new()), "text/plain");
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        }
    }
}

fn response(body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
