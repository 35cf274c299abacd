//! What a bot's gateway wrote last, for whoever may read it. An admin's look is written into the history.

use moltworker_core::api::sandbox::{Intent, MOST_LOG_LINES};
use moltworker_core::bot::history::{Actor, Kind};
use moltworker_core::http::problem::Refusal;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::control::DEFAULT_LOG_LINES;
use worker::{Env, Request, Response};

use crate::http::address::Address;
use crate::http::reply;
use crate::platform::history::{self, Entry};
use crate::platform::sandbox_client;

/// Tells the last lines; `?lines=` says how many.
pub(crate) async fn tell(
    request: &Request,
    env: &Env,
    bot: UserId,
    actor: Actor,
) -> worker::Result<Response> {
    let asked = Address::of(request)?.asked("lines");
    let lines = match asked.map(|lines| lines.parse::<u16>()).transpose() {
        Ok(lines) => lines.unwrap_or(u16::try_from(DEFAULT_LOG_LINES).unwrap_or(MOST_LOG_LINES)),
        Err(_) => {
            let detail = format!("`lines` is a number up to {MOST_LOG_LINES}");
            return reply::problem(Refusal::BadRequest, Some(detail));
        }
    };
    if let Actor::Admin(_) = actor {
        let entry = Entry {
            bot,
            run: None,
            kind: Kind::Inspected,
            actor,
            detail: Some("read the log".to_owned()),
        };
        history::record(env, &entry).await;
    }
    sandbox_client::ask(env, bot, Intent::Logs(lines.min(MOST_LOG_LINES))).await
}
