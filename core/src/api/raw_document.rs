//! A document that goes through the Worker or a Sandbox as the text it is.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::json;

/// A JSON document that is passed on as it is: whoever only does that needs no reader for all that is in it. It travels
/// as the text it is, which costs a few escapes and no code.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawDocument(String);

impl RawDocument {
    /// Writes a document.
    ///
    /// # Errors
    /// The value is none that JSON has words for.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self)
    }

    /// A text that is one.
    pub fn of_text(text: String) -> Self {
        Self(text)
    }

    /// Reads what of it matters to the caller.
    ///
    /// # Errors
    /// It does not say that.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, json::Error> {
        json::read(&self.0)
    }

    /// What goes into an answer.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// It may be a token.
impl fmt::Debug for RawDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawDocument(hidden)")
    }
}
