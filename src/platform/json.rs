//! JSON of requests and answers, read the one way there is (`core::json`): each further way would be all of its readers
//! once more in the module, and the runtime's own would let unknown fields pass.

use serde::de::DeserializeOwned;
use worker::{Error, Response, Result};

/// What a text says.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    moltworker_core::json::read(text).map_err(|error| Error::RustError(error.to_string()))
}

/// What an answer says.
pub(crate) async fn of<T: DeserializeOwned>(answer: &mut Response) -> Result<T> {
    read(&answer.text().await?)
}
