//! A bot's state, and orders to it.

use moltworker_core::api::sandbox::{Document, Order};
use moltworker_core::bot::lifecycle::Authority;
use worker::Response;

use crate::api::context::Context;
use crate::http::error::Result;
use crate::http::reply;
use crate::platform::sandbox_client;

/// Never wakes the bot.
pub(super) async fn status(ctx: &Context<'_>) -> Result<Document> {
    Ok(sandbox_client::status(ctx.env, ctx.subject()?).await?)
}

/// Gives an order; a button of a page leads back to the bot.
pub(super) async fn order(ctx: &Context<'_>, by: Authority, order: Order) -> Result<Response> {
    ctx.audit.note(order.as_str());
    ctx.audit.begin().await;
    let status = sandbox_client::order(ctx.env, ctx.subject()?, by, order).await?;
    Ok(if ctx.by_button() {
        reply::see_other("/")?
    } else {
        reply::json(&status)?
    })
}
