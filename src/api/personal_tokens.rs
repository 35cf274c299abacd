//! A person's own access tokens for devices and programs.

use moltworker_core::api::personal_tokens::{
    NewPersonalToken, PersonalToken, PersonalTokenList, PersonalTokenRequest,
};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::personal_token::{MAX_TOKENS, expiry, name};

use crate::api::context::Context;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::identity::personal_tokens;
use crate::platform::clock;

/// All of them.
pub(super) async fn list(ctx: &Context<'_>) -> Result<PersonalTokenList> {
    let tokens = personal_tokens::list(ctx.env, ctx.subject()?);
    Ok(PersonalTokenList {
        tokens: tokens.await.map_err(directory_unavailable)?,
    })
}

/// Makes one, and tells it this once.
pub(super) async fn create(ctx: &Context<'_>, wanted: PersonalTokenRequest) -> Result<NewPersonalToken> {
    let bad = |detail: String| Error::detailed(Refusal::BadRequest, detail);
    let now = clock::now_ms();
    let entry = PersonalToken {
        id: personal_tokens::new_id()?,
        name: name(&wanted.name).map_err(bad)?,
        scope: wanted.scope,
        created_at: now,
        expires_at: expiry(wanted.expires_in_days, now).map_err(bad)?,
        used_at: None,
    };
    note(ctx, &entry).await;
    let mfa = ctx.caller()?.identity().mfa;
    let made = personal_tokens::create(ctx.env, ctx.subject()?, mfa, entry).await;
    made.map_err(directory_unavailable)?.ok_or_else(|| {
        let detail = format!("one may have {MAX_TOKENS} at a time");
        Error::detailed(Refusal::TooManyPersonalTokens, detail)
    })
}

/// Revokes one: from then on it opens nothing.
pub(super) async fn revoke(ctx: &Context<'_>, id: &str) -> Result<PersonalTokenList> {
    // Of what they have never had as well.
    ctx.audit.note(id);
    let listed = list(ctx).await?.tokens;
    let entry = listed.iter().find(|entry| entry.id == id);
    note(ctx, entry.ok_or(Refusal::NoSuchEntry)?).await;
    let revoked = personal_tokens::revoke(ctx.env, ctx.subject()?, id).await;
    revoked
        .map_err(directory_unavailable)?
        .ok_or(Refusal::NoSuchEntry)?;
    list(ctx).await
}

/// Writes down which token is about to be made or revoked.
async fn note(ctx: &Context<'_>, entry: &PersonalToken) {
    let PersonalToken { id, name, scope, .. } = entry;
    ctx.audit.note(format!("{id} {} {name}", scope.as_str()));
    ctx.audit.begin().await;
}
