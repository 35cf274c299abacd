//! The history of bots and accounts, as owners and admins read it.

use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::api::history::{Event, EventPage};
use moltworker_core::api::operation::Operation;
use moltworker_core::api::page::{self, PAGE_ROWS};
use moltworker_core::api::table::endpoints;
use moltworker_core::bot::history::Actor;
use moltworker_core::user_id::UserId;
use worker::wasm_bindgen::JsValue;

use crate::api::context::Context;
use crate::http::error::{Result, directory_unavailable};
use crate::platform::database::{self, Rows, d1_timestamp};

/// What an owner is not told of other people's calls: an admin's address is the admin's own, also of one whom nobody knew
/// yet. From where somebody failed to sign in as them they are told. [`own_calls`] is bound behind the user.
const FOR_OWNERS: &str = "id, at, user_id, run, kind, actor, detail, action, status, code, \
    CASE WHEN known THEN address END AS address, CASE WHEN known THEN agent END AS agent, \
    CASE WHEN known THEN request_id END AS request_id \
    FROM (SELECT *, actor = ?4 OR (actor = ?5 AND action = ?6) AS known FROM events)";
const FOR_ADMINS: &str =
    "id, at, user_id, run, kind, actor, detail, action, status, code, address, agent, request_id FROM events";

/// The newest events, of one user or of all, before the one of the id `before`.
pub(super) async fn list(ctx: &Context<'_>, user: Option<UserId>, before: Option<u32>) -> Result<EventPage> {
    let found = read(ctx, user, before).await.map_err(directory_unavailable)?;
    let (events, next) = page::cut(found, |last| last.id);
    Ok(EventPage { events, next })
}

async fn read(ctx: &Context<'_>, user: Option<UserId>, before: Option<u32>) -> worker::Result<Vec<Event>> {
    let mut bindings = vec![
        before.map_or_else(|| d1_timestamp(u64::from(u32::MAX)), JsValue::from),
        PAGE_ROWS.into(),
    ];
    let whose = match user {
        Some(user) => {
            bindings.push(user.to_string().into());
            "AND user_id = ?3"
        }
        None => "",
    };
    // Whoever has a user in the path is an admin.
    let by_admin = user.is_none() || ctx.parameters.user.is_some();
    let columns = if by_admin { FOR_ADMINS } else { FOR_OWNERS };
    if !by_admin {
        bindings.extend(own_calls());
    }
    database::open(ctx.env)?
        .prepare(format!(
            "SELECT {columns} WHERE id < ?1 {whose} ORDER BY id DESC LIMIT ?2"
        ))
        .bind(&bindings)?
        .rows()
        .await
}

/// The actor of an owner's calls; the actor and the action of a sign-in that failed.
fn own_calls() -> [JsValue; 3] {
    let sign_in = endpoints().find(|endpoint| endpoint.operation() == Operation::SubmitLogin);
    [
        Actor::Owner.to_text().into(),
        Actor::Anonymous.to_text().into(),
        sign_in.map_or("", Endpoint::name).into(),
    ]
}
