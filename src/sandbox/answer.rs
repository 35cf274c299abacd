//! How a Sandbox answers commands: typed, or by a stream.

use std::rc::Rc;

use moltworker_core::api::bot::BotStatus;
use moltworker_core::api::sandbox::{COMMAND_HEADER, RawDocument, SandboxAnswer, SandboxCommand};
use moltworker_core::http::problem::Refusal;
use worker::{Response, ResponseBuilder, Result, web_sys};

use super::Inner;
use crate::platform::tasks;

/// What the Worker wants. `None` when it is no command of this version's.
pub(super) async fn command(request: &web_sys::Request) -> Result<Option<SandboxCommand>> {
    match request.headers().get(COMMAND_HEADER)? {
        // The body is the bot's.
        Some(text) => Ok(SandboxCommand::from_header(&text)),
        None => {
            let text = tasks::settled(&request.text()?).await?.as_string();
            Ok(text.and_then(|text| SandboxCommand::from_body(&text)))
        }
    }
}

/// What a command comes to.
pub(super) enum Reply {
    /// A document of the platform's own.
    Answer(SandboxAnswer),
    /// A stream that passes as it is; its status is 200, or 206 where it is part of a file.
    Stream(Response),
}

impl<T: Into<SandboxAnswer>> From<T> for Reply {
    fn from(answer: T) -> Self {
        Self::Answer(answer.into())
    }
}

impl Reply {
    /// As it travels. Where a stream is waited for, the status tells an answer from it.
    pub(super) fn into_response(self) -> Result<Response> {
        let answer = match self {
            Self::Stream(response) => return Ok(response),
            Self::Answer(answer) => answer,
        };
        let status = match &answer {
            SandboxAnswer::Refused(refusal, _) => refusal.facts().0,
            SandboxAnswer::Unsatisfiable(_) => Refusal::BadRange.facts().0,
            _ => 200,
        };
        ResponseBuilder::new().with_status(status).from_json(&answer)
    }
}

impl Inner {
    /// The state the bot is in, as an answer.
    pub(super) fn status_answer(self: &Rc<Self>) -> Result<SandboxAnswer> {
        let status: BotStatus = self.status();
        Ok(SandboxAnswer::Status(RawDocument::of(&status)?))
    }
}
