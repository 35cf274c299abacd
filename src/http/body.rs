//! Bodies of the platform's own routes: small JSON documents, refused before they are read when they are not.

use moltworker_core::api::contract::Input;
use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::api::operation::InputDocument;
use moltworker_core::http::problem::Refusal;
use moltworker_core::json;
use serde::de::DeserializeOwned;
use worker::{Request, web_sys};

use crate::http::error::Error;
use crate::http::incoming::Incoming;

/// Whether a request has a body. The runtime has a stream for each that has, of whatever length and by whatever version of HTTP;
/// it has one as well where the length is said to be zero.
pub(crate) fn is_present(request: &web_sys::Request) -> bool {
    let length = request.headers().get("content-length").ok().flatten();
    length.as_deref() != Some("0") && request.body().is_some()
}

/// Refuses a request that brings more than `max` bytes, or does not say how much.
///
/// # Errors
/// [`Refusal::TooLarge`], or [`Refusal::BadRequest`] for a body of unknown length.
pub(crate) fn check_size(incoming: &Incoming, max: u64) -> Result<(), Error> {
    let length = incoming.headers.get("content-length");
    match length.map(str::parse::<u64>) {
        Some(Ok(length)) if length <= max => Ok(()),
        Some(Ok(_)) => {
            let detail = format!("this address takes at most {max} bytes");
            Err(Error::detailed(Refusal::TooLarge, detail))
        }
        Some(Err(_)) => Err(Error::detailed(
            Refusal::BadRequest,
            "Content-Length is no number",
        )),
        // A stream without a length could go on for ever.
        None if is_present(&incoming.raw) => {
            let detail = "say with Content-Length how long the body is";
            Err(Error::detailed(Refusal::BadRequest, detail))
        }
        None => Ok(()),
    }
}

/// Reads the JSON document that the endpoint's row names.
///
/// # Errors
/// [`Refusal::BadRequest`] for anything else, with what is wrong. Another error where the row names another document: the table
/// and the handler do not fit together.
pub(crate) async fn json<T: InputDocument + DeserializeOwned>(
    endpoint: &Endpoint,
    request: &mut Request,
) -> Result<T, Error> {
    Ok(json_as_it_came(endpoint, request).await?.0)
}

/// The same with its text, for what passes on more than it reads.
///
/// # Errors
/// As [`json()`].
pub(crate) async fn json_as_it_came<T: InputDocument + DeserializeOwned>(
    endpoint: &Endpoint,
    request: &mut Request,
) -> Result<(T, String), Error> {
    if !matches!(endpoint.input(), Input::Json(named) | Input::OptionalJson(named) if T::is_of(named)) {
        return Err(worker::Error::from("the endpoint does not take that").into());
    }
    let text = document(request).await?;
    let read = json::exactly(text.as_bytes())
        .map_err(|error| bad(&format!("this is not what the address takes: {error}")))?;
    Ok((read, text))
}

fn bad(detail: &str) -> Error {
    Error::detailed(Refusal::BadRequest, detail)
}

/// The text of the document.
async fn document(request: &mut Request) -> Result<String, Error> {
    let kind = request
        .headers()
        .get("content-type")
        .ok()
        .flatten()
        .unwrap_or_default();
    let length = request.headers().get("content-length").ok().flatten();
    // A form of another site can send text, never JSON, without asking first.
    if length.is_none() || !is_json(&kind) {
        return Err(bad(
            "send a JSON document, with Content-Type: application/json and its length",
        ));
    }
    let bytes = request
        .bytes()
        .await
        .map_err(|_| bad("the body broke off before its end"))?;
    // Not as text: the runtime would replace what is not UTF-8, and the rest would be taken for what was meant.
    String::from_utf8(bytes).map_err(|_| bad("the body is not UTF-8"))
}

/// Whether a media type is JSON's, with whatever parameters.
fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
