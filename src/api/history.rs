//! The history of bots and accounts, as owners and admins read it.

use moltworker_core::api::contract::Access;
use moltworker_core::api::history::{Event, EventPage};
use moltworker_core::bot::history::PAGE;
use moltworker_core::user_id::UserId;
use worker::wasm_bindgen::JsValue;

use crate::api::context::Context;
use crate::http::error::{Result, directory_unavailable};
use crate::platform::database::{self, Rows, d1_timestamp};

const COLUMNS: &str =
    "id, at, user_id, run, kind, actor, detail, action, status, code, address, agent, request_id";

/// The newest events, of one user or of all, before the one of the id `before`.
pub(super) async fn list(ctx: &Context<'_>, user: Option<UserId>, before: Option<u32>) -> Result<EventPage> {
    let events = read(ctx, user, before).await.map_err(directory_unavailable)?;
    let is_full = u32::try_from(events.len()).is_ok_and(|found| found == PAGE);
    let next = events.last().filter(|_| is_full).map(|event| event.id);
    Ok(EventPage { events, next })
}

async fn read(ctx: &Context<'_>, user: Option<UserId>, before: Option<u32>) -> worker::Result<Vec<Event>> {
    let mut bindings = vec![
        before.map_or_else(|| d1_timestamp(u64::from(u32::MAX)), JsValue::from),
        PAGE.into(),
    ];
    let whose = match user {
        Some(user) => {
            bindings.push(user.to_string().into());
            "AND user_id = ?3"
        }
        None => "",
    };
    let events = database::open(ctx.env)?
        .prepare(format!(
            "SELECT {COLUMNS} FROM events WHERE id < ?1 {whose} ORDER BY id DESC LIMIT ?2"
        ))
        .bind(&bindings)?
        .rows::<Event>()
        .await?;
    Ok(match ctx.endpoint.access() {
        Access::Admin => events,
        _ => events.into_iter().map(Event::for_owner).collect(),
    })
}
