//! JSON of requests and answers, read the one way there is (`core::json`): each further way would be all of its readers
//! once more in the module, and the runtime's own would let unknown fields pass.

use moltworker_core::json::Json;
use serde::de::DeserializeOwned;
use worker::{Error, Response, Result};

/// What a text says.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    moltworker_core::json::read(text).map_err(|error| Error::RustError(error.to_string()))
}

/// What a value says that is part of another one.
pub(crate) fn of_value<T: DeserializeOwned>(value: &Json) -> Result<T> {
    moltworker_core::json::of_value(value).map_err(|error| Error::RustError(error.to_string()))
}

/// What an answer says.
pub(crate) async fn of<T: DeserializeOwned>(answer: &mut Response) -> Result<T> {
    read(&answer.text().await?)
}
