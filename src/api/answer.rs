//! What handlers answer with, held against the endpoint's row: no other document than the one it names goes out.

use moltworker_core::api::contract::Output;
use moltworker_core::api::operation::{Document, OutputDocument};
use moltworker_core::api::sandbox::{FileFacts, RawDocument};
use moltworker_core::http::problem::Refusal;
use serde::Serialize;
use worker::Response;

use crate::http::error::Result;
use crate::http::reply::{self, Page};

/// A handler's answer.
pub(super) enum Answer {
    /// A document, and its text.
    Document(Document, String),
    /// The text of a scrape.
    Metrics(String),
    /// A page, or the way to one.
    Page(Page),
    /// What a Sandbox answers, as it comes.
    Stream(Response),
    /// What there is to say about a file without its bytes.
    File(FileFacts),
    /// A file has so many bytes, and not those that were asked for.
    Unsatisfiable(u64),
}

impl From<Page> for Answer {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

impl Answer {
    /// A document.
    pub(super) fn of<T: OutputDocument + Serialize>(document: &T) -> Result<Self> {
        let text = serde_json::to_string(document).map_err(worker::Error::from)?;
        Ok(Self::Document(T::DOCUMENT, text))
    }

    /// A document as a Sandbox wrote it.
    pub(super) fn raw<T: OutputDocument>(document: RawDocument) -> Self {
        Self::Document(T::DOCUMENT, document.into_text())
    }

    /// As it goes out.
    ///
    /// # Errors
    /// It is not what the endpoint's row says: the table and the handler do not fit together.
    pub(super) fn into_response(self, output: Output) -> Result<Response> {
        let response = match (output, self) {
            (Output::Json(named) | Output::JsonOrBack(named), Self::Document(document, text))
                if document == named =>
            {
                reply::document(text)?
            }
            (Output::Accepted(named) | Output::AcceptedOrOn(named), Self::Document(document, text))
                if document == named =>
            {
                reply::document(text)?.with_status(202)
            }
            (Output::Text, Self::Metrics(text)) => reply::metrics(text)?,
            (Output::Page | Output::JsonOrBack(_) | Output::AcceptedOrOn(_), Self::Page(page)) => page.into(),
            // Documents of this name are written by the container, and pages of a bot's state by its Sandbox.
            (
                Output::Text
                | Output::Bytes
                | Output::File
                | Output::Page
                | Output::Json(Document::SnapshotEntries),
                Self::Stream(response),
            ) => response,
            (Output::File, Self::File(facts)) => file(facts)?,
            (Output::File, Self::Unsatisfiable(size)) => {
                let answer = reply::problem(Refusal::BadRange, Some(format!("it has {size} bytes")))?;
                let range = format!("bytes */{size}");
                answer.headers().set("content-range", &range)?;
                answer
            }
            _ => return Err(worker::Error::from("the endpoint does not answer with that").into()),
        };
        Ok(response)
    }
}

fn file(facts: FileFacts) -> worker::Result<Response> {
    let answer = reply::attachment(200, &facts.disposition)?.with_header("accept-ranges", "bytes")?;
    let answer = answer.with_header("content-length", &facts.size.to_string())?;
    Ok(match facts.tag {
        Some(tag) => answer.with_header("etag", &tag)?.empty(),
        None => answer.empty(),
    })
}
