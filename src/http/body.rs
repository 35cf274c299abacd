//! Bodies of the platform's own routes: small JSON documents, refused before they are read when they are not.

use moltworker_core::http::problem::Refusal;
use serde::de::DeserializeOwned;
use worker::Request;

use crate::http::error::Error;
use crate::http::headers::ReadHeaders;
use crate::platform::json;

/// Refuses a request that brings more than `max` bytes, or does not say how much.
///
/// # Errors
/// [`Refusal::TooLarge`], or [`Refusal::BadRequest`] for a body of unknown length.
pub(crate) fn check_size(headers: &dyn ReadHeaders, max: u64) -> Result<(), Error> {
    match headers
        .value_of("content-length")
        .map(|length| length.parse::<u64>())
    {
        Some(Ok(length)) if length <= max => Ok(()),
        Some(Ok(_)) => {
            let detail = format!("this address takes at most {max} bytes");
            Err(Error::detailed(Refusal::TooLarge, detail))
        }
        Some(Err(_)) => Err(Refusal::BadRequest.into()),
        // A stream without a length could go on for ever.
        None if headers.value_of("transfer-encoding").is_some() => Err(Refusal::BadRequest.into()),
        None => Ok(()),
    }
}

/// Reads the JSON document a request brings.
///
/// # Errors
/// [`Refusal::BadRequest`] for anything else.
pub(crate) async fn json<T: DeserializeOwned>(request: &mut Request) -> Result<T, Refusal> {
    let kind = request
        .headers()
        .get("content-type")
        .ok()
        .flatten()
        .unwrap_or_default();
    let length = request.headers().get("content-length").ok().flatten();
    // A form of another site can send text, never JSON, without asking first.
    if length.is_none() || !kind.starts_with("application/json") {
        return Err(Refusal::BadRequest);
    }
    let text = request.text().await.map_err(|_| Refusal::BadRequest)?;
    json::read(&text).map_err(|_| Refusal::BadRequest)
}
