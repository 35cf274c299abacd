//! Calls about a bot's snapshots, from whoever may make them: read, written into the history, handed to the Sandbox.

use moltworker_core::api::snapshots::{SnapshotAsk, SnapshotCall, SnapshotCommand};
use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use worker::{Env, Request, Response};

use crate::http::address::Address;
use crate::http::{body, reply};
use crate::platform::history::{self, HistoryEntry};
use crate::platform::sandbox_client::{self, SnapshotOutcome};

type Refused = (Refusal, Option<String>);

/// Carries one call out.
pub(crate) async fn call(
    request: &mut Request,
    env: &Env,
    bot: UserId,
    actor: Actor,
    call: SnapshotCall,
) -> worker::Result<Response> {
    let command = match read(request, call).await {
        Ok(command) => command,
        Err((refusal, detail)) => return reply::problem(refusal, detail),
    };
    // An owner's look at their own is their own; an admin's is somebody's business.
    let kind = match (call.changes(), actor) {
        (true, _) => Some(HistoryKind::Ordered),
        (false, Actor::Admin(_)) if call != SnapshotCall::List => Some(HistoryKind::Inspected),
        (false, _) => None,
    };
    if let Some(kind) = kind {
        let entry = HistoryEntry {
            bot,
            run: None,
            kind,
            actor,
            detail: Some(command.history_detail()),
        };
        history::record(env, &entry).await;
    }
    match sandbox_client::snapshots(env, bot, command).await {
        Ok(SnapshotOutcome::List(list)) => reply::document(200, list),
        Ok(SnapshotOutcome::Accepted(status)) => reply::document(202, status),
        Ok(SnapshotOutcome::Content(stream)) => Ok(stream),
        Err(error) => error.into_response(),
    }
}

/// A change has its particulars in a JSON body, which may be left out; a question has them in its query.
async fn read(request: &mut Request, call: SnapshotCall) -> Result<SnapshotCommand, Refused> {
    let bad = |detail: &str| (Refusal::BadRequest, Some(detail.to_owned()));
    let mut ask = SnapshotAsk::default();
    if call.changes() {
        if has_body(request) {
            ask = body::json(request).await.map_err(|refusal| {
                let takes = r#"send JSON with any of "snapshot" (64 hexadecimal digits) and "accept""#;
                (refusal, Some(takes.to_owned()))
            })?;
        }
    } else {
        let address = Address::of(request).map_err(|_| bad("the address cannot be read"))?;
        for (name, value) in address.pairs() {
            match name.as_ref() {
                "snapshot" => ask.snapshot = Some(value.parse().map_err(bad)?),
                "path" => ask.path = value.into_owned(),
                _ => return Err(bad("the query takes `snapshot` and `path`")),
            }
        }
    }
    let unnamed = "name a snapshot by its id of 64 hexadecimal digits";
    SnapshotCommand::new(call, ask).ok_or_else(|| bad(unnamed))
}

fn has_body(request: &Request) -> bool {
    let length = request.headers().get("content-length").ok().flatten();
    length.is_some_and(|length| length != "0")
}
