//! Calls about a bot's snapshots, from whoever may make them: read, written into the history, handed to the Sandbox.

use moltworker_core::api::sandbox::Intent;
use moltworker_core::api::snapshots::{SnapshotAsk, SnapshotCall};
use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use worker::{Env, Request, Response};

use crate::http::address::Address;
use crate::http::{body, reply};
use crate::platform::history::{self, HistoryEntry};
use crate::platform::sandbox_client;

type Refused = (Refusal, Option<String>);

/// Carries one call out.
pub(crate) async fn call(
    request: &mut Request,
    env: &Env,
    bot: UserId,
    actor: Actor,
    call: SnapshotCall,
) -> worker::Result<Response> {
    let ask = match read(request, call).await {
        Ok(ask) => ask,
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
            detail: Some(ask.history_detail(call)),
        };
        history::record(env, &entry).await;
    }
    sandbox_client::ask_with(env, bot, Intent::Snapshots(call), &ask).await
}

/// A change has its particulars in a JSON body, which may be left out; a question has them in its query.
async fn read(request: &mut Request, call: SnapshotCall) -> Result<SnapshotAsk, Refused> {
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
    if call.names_snapshot() && ask.snapshot.is_none() {
        return Err(bad("name a snapshot by its id of 64 hexadecimal digits"));
    }
    Ok(ask)
}

fn has_body(request: &Request) -> bool {
    let length = request.headers().get("content-length").ok().flatten();
    length.is_some_and(|length| length != "0")
}
