//! Why a request is not answered as it was meant. Whose fault it is and whether trying again helps, the refusal says
//! (`core::http::problem`); what the runtime said is logged and not told.

use moltworker_core::http::problem::Refusal;

use crate::platform::log;
use crate::platform::sandbox_client::SandboxError;

/// What a handler fails with.
#[derive(Debug)]
pub(crate) enum Error {
    /// The caller is told this refusal, and the detail if there is more to say.
    Refused(Refusal, Option<String>),
    /// The runtime failed. The caller is told that something went wrong on our side.
    Runtime(worker::Error),
}

/// What handlers return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal with more to say.
    pub(crate) fn detailed(refusal: Refusal, detail: impl Into<String>) -> Self {
        Self::Refused(refusal, Some(detail.into()))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, None)
    }
}

impl From<worker::Error> for Error {
    fn from(error: worker::Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Refused(refusal, detail) => Self::Refused(refusal, detail),
            SandboxError::Broken(error) => Self::Runtime(error),
        }
    }
}

/// A failure of the database: the records of users and bots cannot be read right now.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn directory_unavailable(error: worker::Error) -> Error {
    log::fault("directory-unavailable", &[("reason", &error)]);
    Refusal::DirectoryUnavailable.into()
}
