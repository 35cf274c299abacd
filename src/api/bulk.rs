//! Orders to many bots, for admins.

use moltworker_core::api::bulk::{
    BulkCall, BulkOrder, BulkOrderBots, BulkOrderPage, BulkReceipt, BulkRequest, BulkSelection,
};
use moltworker_core::api::page;
use moltworker_core::http::problem::Refusal;
use worker::Request;

use crate::api::answer::Answer;
use crate::api::context::{Context, missing};
use crate::api::input;
use crate::bulk::{self, Selected};
use crate::http::address::Address;
use crate::http::body;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::platform::{clock, log, queue};

/// Answers one of these calls.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: BulkCall) -> Result<Answer> {
    match call {
        BulkCall::Give => Answer::of(&give(ctx, body::json(ctx.endpoint, request).await?).await?),
        BulkCall::List => {
            let found = bulk::list(ctx.env, input::before(request)?).await;
            let (orders, next) = page::cut(found.map_err(directory_unavailable)?, |last| last.id);
            Answer::of(&BulkOrderPage { orders, next })
        }
        BulkCall::Get => Answer::of(&get(ctx, request).await?),
        BulkCall::Stop => Answer::of(&stop(ctx).await?),
    }
}

fn bad(detail: impl Into<String>) -> Error {
    Error::detailed(Refusal::BadRequest, detail)
}

async fn give(ctx: &Context<'_>, wanted: BulkRequest) -> Result<BulkReceipt> {
    let (verb, is_dry) = (wanted.verb, wanted.dry_run.unwrap_or_default());
    let selection = wanted.selection().map_err(|error| bad(error.to_string()))?;
    let Selected { bots, first } = bulk::select(ctx.env, &selection)
        .await
        .map_err(directory_unavailable)?;
    let unknown = selection.unknown(bots);
    let dry = if is_dry { ", only to see how many" } else { "" };
    ctx.audit
        .note(format!("{}: {} ({bots}){dry}", verb.as_str(), selection.words()));
    if is_dry {
        return Ok(BulkReceipt {
            id: None,
            bots,
            first,
            unknown,
        });
    }
    BulkSelection::check_size(bots).map_err(|error| bad(error.to_string()))?;
    ctx.audit.begin().await;
    let made = bulk::create(ctx.env, verb, &selection, ctx.admin()?, clock::now_ms()).await;
    let order = made.map_err(directory_unavailable)?;
    // What is not on the queue now is put there by the next tick.
    if queue::is_bound(ctx.env)
        && let Err(error) = bulk::enqueue(ctx.env).await
    {
        log::fault("order-not-queued", &[("order", &order.id), ("reason", &error)]);
    }
    Ok(BulkReceipt {
        id: Some(order.id),
        bots: order.bots,
        first,
        unknown,
    })
}

/// The order that the path names.
async fn order(ctx: &Context<'_>) -> Result<BulkOrder> {
    let id = ctx.parameters.order.ok_or_else(|| missing("order"))?;
    let order = bulk::one(ctx.env, id).await.map_err(directory_unavailable)?;
    order.ok_or_else(|| Refusal::NoSuchEntry.into())
}

async fn get(ctx: &Context<'_>, request: &Request) -> Result<BulkOrderBots> {
    let outcome = Address::of(request)?.query_value("outcome");
    let after = input::after(request)?;
    let order = order(ctx).await?;
    let found = bulk::bots(ctx.env, order.id, outcome.as_deref(), &after).await;
    let (bots, next) = page::cut(found.map_err(directory_unavailable)?, |last| last.user_id);
    Ok(BulkOrderBots { order, bots, next })
}

async fn stop(ctx: &Context<'_>) -> Result<BulkOrder> {
    let BulkOrder { id, .. } = order(ctx).await?;
    ctx.audit.note(format!("order {id}"));
    ctx.audit.begin().await;
    let stopped = async {
        bulk::stop(ctx.env, id, ctx.admin()?, clock::now_ms())
            .await
            .map_err(directory_unavailable)?;
        bulk::finish(ctx.env).await.map_err(directory_unavailable)
    };
    stopped.await?;
    order(ctx).await
}
