//! JSON of requests and answers, read the one way there is (`core::json`): each further way would be all of its readers
//! once more in the module, and the runtime's own would let unknown fields pass.

use futures::TryStreamExt as _;
use moltworker_core::json::Json;
use serde::de::DeserializeOwned;
use worker::{Error, Response, Result};

/// What a text says.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    of_value(&parse(text.as_bytes())?)
}

/// What a value says that is part of another one.
pub(crate) fn of_value<T: DeserializeOwned>(value: &Json) -> Result<T> {
    moltworker_core::json::of_value(value).map_err(|error| unreadable(&error))
}

// Whatever does not depend on the type that is read is there once.
fn parse(bytes: &[u8]) -> Result<Json> {
    moltworker_core::json::parse(bytes).map_err(|error| unreadable(&error))
}

#[cold]
#[inline(never)]
fn unreadable(error: &moltworker_core::json::Error) -> Error {
    Error::RustError(error.to_string())
}

/// What an answer of somebody else's says. Not more than `max` bytes of it are read, whatever it says of its length.
///
/// # Errors
/// It is longer, breaks off, or is not of that form.
pub(crate) async fn within<T: DeserializeOwned>(answer: &mut Response, max: usize) -> Result<T> {
    let bytes = bytes_within(answer, max).await?;
    of_value(&parse(&bytes)?)
}

async fn bytes_within(answer: &mut Response, max: usize) -> Result<Vec<u8>> {
    let mut stream = answer.stream()?;
    let mut bytes = Vec::new();
    while let Some(mut piece) = stream.try_next().await? {
        if piece.len() > max.saturating_sub(bytes.len()) {
            return Err(Error::RustError(format!("the answer has more than {max} bytes")));
        }
        bytes.append(&mut piece);
    }
    Ok(bytes)
}

/// What an answer of our own says.
pub(crate) async fn of<T: DeserializeOwned>(answer: &mut Response) -> Result<T> {
    read(&answer.text().await?)
}
