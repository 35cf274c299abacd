//! Such a process from inside: it gives up what it has, does its piece of work, says one line and ends.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::sqlite::{Target, serve};
use super::{BEGUN, DatabaseAnswer, NotCopied, Request, bounded};
use crate::confinement::{self, NotConfined};

/// Does one piece of work.
pub(crate) fn main() -> ExitCode {
    let order = std::env::args().nth(2).unwrap_or_default();
    let answer = match serde_json::from_str::<Request>(&order) {
        Ok(request) => match confine(&request) {
            Ok(target) => serve(&request, Path::new(""), target, &|| {
                let mut output = io::stdout().lock();
                output.write_all(&[BEGUN]).and_then(|()| output.flush()).is_ok()
            }),
            Err(reason) => DatabaseAnswer::Not(reason),
        },
        Err(error) => DatabaseAnswer::Not(NotCopied::Failed(error.to_string())),
    };
    let said = serde_json::to_vec(&answer).map_err(io::Error::from);
    match said.and_then(|said| io::stdout().lock().write_all(&said)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

impl From<NotConfined> for NotCopied {
    fn from(error: NotConfined) -> Self {
        Self::Failed(bounded(&error.to_string()))
    }
}

/// Gives up for good whatever the work does not need. The file that is written to is opened on the way: it does not lie in
/// what is left. What this machine lacks for it, the process that reads the config says of both.
fn confine(request: &Request) -> Result<Option<Target>, NotCopied> {
    let limits = confinement::Limits {
        cpu: request.limits.cpu,
        file_bytes: request.limits.file_bytes,
    };
    let (target, _) = confinement::confine(request.owner, &limits, || Target::open(&request.work))?;
    Ok(target)
}
