//! The one way JSON is read: each further way would be all of its readers once more in the module, and the runtime's
//! own would let unknown fields pass.

use serde::de::DeserializeOwned;
use worker::{Response, Result};

/// What a text says.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    // From bytes: reading from a `str` is code of its own.
    Ok(serde_json::from_slice(text.as_bytes())?)
}

/// What an answer says.
pub(crate) async fn of<T: DeserializeOwned>(answer: &mut Response) -> Result<T> {
    read(&answer.text().await?)
}
