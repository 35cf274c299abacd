//! Calls about a bot's snapshots: handed to its Sandbox.

use moltworker_core::api::sandbox::FileFacts;
use moltworker_core::api::snapshots::SnapshotCommand;
use moltworker_core::http::problem::Refusal;
use worker::Response;

use crate::api::context::Context;
use crate::http::error::Result;
use crate::http::reply;
use crate::platform::sandbox_client::{self, SandboxError, SnapshotOutcome};

/// Carries one call out.
pub(super) async fn call(ctx: &Context<'_>, command: SnapshotCommand) -> Result<Response> {
    ctx.audit.note(command.history_detail());
    ctx.audit.begin().await;
    let leads_on = command.leads_on().filter(|_| ctx.by_button());
    let outcome = sandbox_client::snapshots(ctx.env, ctx.subject()?, command).await;
    if let Some(page) = leads_on {
        return match outcome {
            // Pressed twice, or in another tab as well: the page shows what came of it.
            Ok(_) | Err(SandboxError::Refused(Refusal::NothingPassedOver, _)) => Ok(reply::see_other(page)?),
            Err(error) => Err(error.into()),
        };
    }
    Ok(match outcome? {
        SnapshotOutcome::List(list) => reply::document(list.into_text())?,
        SnapshotOutcome::Accepted(status) => reply::document(status.into_text())?.with_status(202),
        SnapshotOutcome::Content(stream) => stream,
        SnapshotOutcome::File(FileFacts {
            size,
            tag,
            disposition,
        }) => {
            let answer = reply::attachment(200, &disposition)?.with_header("accept-ranges", "bytes")?;
            let answer = answer.with_header("content-length", &size.to_string())?;
            match tag {
                Some(tag) => answer.with_header("etag", &tag)?.empty(),
                None => answer.empty(),
            }
        }
        SnapshotOutcome::Unsatisfiable(size) => {
            let answer = reply::problem(Refusal::BadRange, Some(format!("it has {size} bytes")))?;
            answer
                .headers()
                .set("content-range", &format!("bytes */{size}"))?;
            answer
        }
    })
}
