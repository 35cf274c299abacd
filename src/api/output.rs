//! What a bot's gateway wrote last, for whoever may read it. An admin's look is written into the history.

use moltworker_core::api::sandbox::MAX_LOG_LINES;
use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::control::DEFAULT_LOG_LINES;
use worker::{Env, Request, Response};

use crate::http::address::Address;
use crate::http::reply;
use crate::platform::history::{self, HistoryEntry};
use crate::platform::sandbox_client::{self, SandboxError};

/// Tells the last lines; `?lines=` says how many.
pub(crate) async fn tell(
    request: &Request,
    env: &Env,
    bot: UserId,
    actor: Actor,
) -> worker::Result<Response> {
    let query_value = Address::of(request)?.query_value("lines");
    let lines = match query_value.map(|lines| lines.parse::<u16>()).transpose() {
        Ok(lines) => lines.unwrap_or(u16::try_from(DEFAULT_LOG_LINES).unwrap_or(MAX_LOG_LINES)),
        Err(_) => {
            let detail = format!("`lines` is a number up to {MAX_LOG_LINES}");
            return reply::problem(Refusal::BadRequest, Some(detail));
        }
    };
    if let Actor::Admin(_) = actor {
        let entry = HistoryEntry {
            bot,
            run: None,
            kind: HistoryKind::Inspected,
            actor,
            detail: Some("read the log".to_owned()),
        };
        history::record(env, &entry).await;
    }
    sandbox_client::logs(env, bot, lines.min(MAX_LOG_LINES))
        .await
        .or_else(SandboxError::into_response)
}
