//! The history of bots in D1: read by owners and admins.

use moltworker_core::bot::history::PAGE;
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use worker::{Env, Request, Response, Result};

use crate::http::address::Address;
use crate::http::reply;
use crate::platform::database::{self, d1_timestamp};
use crate::platform::log;

/// An entry as it is told.
#[derive(Serialize, Deserialize)]
struct HistoryRow {
    id: u64,
    at: u64,
    user_id: UserId,
    run: Option<u64>,
    kind: String,
    actor: String,
    detail: Option<String>,
}

/// Tells the newest entries, of one bot or of all, before the one named by `?before=`.
pub(crate) async fn list(request: &Request, env: &Env, bot: Option<UserId>) -> Result<Response> {
    let before = Address::of(request)?.query_value("before");
    let Ok(before) = before.map(|id| id.parse::<u32>()).transpose() else {
        let detail = "before must be the id of an entry".to_owned();
        return reply::problem(Refusal::BadForm, Some(detail));
    };
    match read(env, bot, before).await {
        Ok(entries) => reply::json(&serde_json::json!({ "events": entries })),
        Err(error) => {
            log::line("directory-unavailable", &[("reason", &error)]);
            reply::problem(Refusal::DirectoryUnavailable, None)
        }
    }
}

async fn read(env: &Env, bot: Option<UserId>, before: Option<u32>) -> Result<Vec<HistoryRow>> {
    let mut bindings = vec![
        before.map_or_else(|| d1_timestamp(u64::from(u32::MAX)), JsValue::from),
        PAGE.into(),
    ];
    let whose = match bot {
        Some(bot) => {
            bindings.push(bot.to_string().into());
            "AND user_id = ?3"
        }
        None => "",
    };
    database::open(env)?
        .prepare(format!(
            "SELECT id, at, user_id, run, kind, actor, detail FROM events WHERE id < ?1 {whose} ORDER BY id DESC LIMIT ?2"
        ))
        .bind(&bindings)?
        .all()
        .await?
        .results()
}
