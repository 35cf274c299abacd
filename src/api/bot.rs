//! A bot's state, and orders to it.

use moltworker_core::api::sandbox::{Intent, Order};
use moltworker_core::bot::lifecycle::Authority;
use worker::Response;

use crate::api::context::Context;
use crate::http::error::Result;
use crate::http::reply;
use crate::platform::sandbox_client;

/// Never wakes the bot.
pub(super) async fn status(ctx: &Context<'_>) -> Result<Response> {
    Ok(sandbox_client::ask(ctx.env, ctx.subject()?, Intent::Status).await?)
}

/// Gives an order; a button of a page leads back to the bot.
pub(super) async fn order(ctx: &Context<'_>, by: Authority, order: Order) -> Result<Response> {
    ctx.audit.note(order.as_str());
    ctx.audit.begin().await;
    let answer = sandbox_client::ask(ctx.env, ctx.subject()?, Intent::Order(by, order)).await?;
    if ctx.by_button() {
        return Ok(reply::see_other("/")?);
    }
    Ok(answer)
}
