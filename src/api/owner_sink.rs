//! An owner's own sink of alerts.

use moltworker_core::alerts::owner::MAX_TESTS_AN_HOUR;
use moltworker_core::alerts::sink::OwnerSinkRequest;
use moltworker_core::api::alerts::SinkTest;
use moltworker_core::api::owner_sink::{OwnerSink, OwnerSinkCall};
use moltworker_core::http::problem::Refusal;
use worker::Request;

use crate::alerts::owner::{self, Test};
use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::body;
use crate::http::error::{Error, Result, directory_unavailable};

/// Answers one of these calls.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: OwnerSinkCall) -> Result<Answer> {
    match call {
        OwnerSinkCall::Show => Answer::of(&show(ctx).await?),
        OwnerSinkCall::Set => Answer::of(&set(ctx, body::json(ctx.endpoint, request).await?).await?),
        OwnerSinkCall::Remove => Answer::of(&remove(ctx).await?),
        OwnerSinkCall::Test => Answer::of(&test(ctx).await?),
    }
}

async fn show(ctx: &Context<'_>) -> Result<OwnerSink> {
    let sink = owner::show(ctx.env, ctx.subject()?).await;
    Ok(OwnerSink {
        sink: sink.map_err(directory_unavailable)?,
    })
}

async fn set(ctx: &Context<'_>, wanted: OwnerSinkRequest) -> Result<OwnerSink> {
    let bad = |detail: String| Error::detailed(Refusal::BadRequest, detail);
    let (access, host) = wanted.check().map_err(|error| bad(error.to_string()))?;
    // Not the address: it opens some sinks.
    ctx.audit.note(format!("{} {host}", access.kind.as_str()));
    ctx.audit.begin().await;
    let set = owner::set(ctx.env, ctx.settings, ctx.subject()?, &host, &access).await;
    set.map_err(directory_unavailable)?;
    show(ctx).await
}

async fn remove(ctx: &Context<'_>) -> Result<OwnerSink> {
    ctx.audit.begin().await;
    let removed = owner::remove(ctx.env, ctx.subject()?).await;
    if !removed.map_err(directory_unavailable)? {
        return Err(Refusal::NoSuchEntry.into());
    }
    show(ctx).await
}

async fn test(ctx: &Context<'_>) -> Result<SinkTest> {
    ctx.audit.begin().await;
    let tested = owner::test(ctx.env, ctx.settings, ctx.subject()?).await;
    match tested.map_err(directory_unavailable)? {
        Test::Tried(tried) => Ok(SinkTest {
            delivered: tried.error().is_none(),
            error: tried.error().map(str::to_owned),
        }),
        Test::Absent => Err(Refusal::NoSuchEntry.into()),
        Test::TooOften => {
            let detail = format!("a sink is tried at most {MAX_TESTS_AN_HOUR} times an hour");
            Err(Error::detailed(Refusal::TooMany, detail))
        }
    }
}
