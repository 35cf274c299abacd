//! A browser's way in and out, and to a bot's own host: what `identity` does, with who it was for the history.

use moltworker_core::http::cookies::{self, SESSION_COOKIE};
use moltworker_core::http::paths;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::session::{Renewal, Session};
use worker::{Headers, Request};

use crate::api::context::{Context, missing};
use crate::http::error::Result;
use crate::http::reply::Page;
use crate::http::sites::{BotHost, Served};
use crate::identity::admission;
use crate::identity::caller;
use crate::identity::session_handoff;
use crate::identity::sign_in::{self, Exit, SignedIn, second_factor};

/// The sign-in page; it says who is signed in already.
pub(super) async fn show(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    let known = caller::identify(ctx.env, request.headers(), ctx.settings, SESSION_COOKIE)
        .await
        .ok();
    let caller = known.map(|identified| {
        ctx.renewed.set(identified.renewed);
        identified.caller
    });
    Ok(sign_in::show(request, ctx.settings, caller.as_ref())?)
}

pub(super) async fn submit(ctx: &Context<'_>, request: &mut Request) -> Result<Page> {
    Ok(noted(
        ctx,
        sign_in::submit(ctx.env, ctx.called, request, ctx.settings).await?,
    ))
}

pub(super) async fn prove(ctx: &Context<'_>, request: &mut Request) -> Result<Page> {
    Ok(noted(
        ctx,
        second_factor::submit(ctx.env, request, ctx.settings).await?,
    ))
}

pub(super) async fn start(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    let provider = ctx.parameters.provider.ok_or_else(|| missing("provider"))?;
    sign_in::start(request, ctx.settings, provider).await
}

pub(super) async fn callback(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    Ok(noted(
        ctx,
        sign_in::callback(ctx.env, ctx.called, request, ctx.settings).await?,
    ))
}

fn noted(ctx: &Context<'_>, answer: SignedIn) -> Page {
    if let Some(user) = answer.user {
        ctx.signed_in(user);
    }
    if let Some(tried) = answer.tried {
        ctx.audit.tried(tried);
    }
    if let Some(failure) = answer.failure {
        ctx.audit.failed(failure);
    }
    if let Some(kind) = answer.kind {
        ctx.audit.was(kind);
    }
    if let Some(detail) = answer.detail {
        ctx.audit.note(detail);
    }
    answer.page
}

/// Ends the session, on whichever host.
pub(super) async fn sign_out(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    let purpose = admission::cookie_purpose(ctx.served);
    let exit = Exit {
        origin: ctx.origin(),
        purpose: &purpose,
        then: match ctx.served {
            Served::Bot(_) => paths::SIGN_OUT,
            Served::Platform | Served::Nowhere => paths::LOGIN,
        },
    };
    Ok(noted(
        ctx,
        sign_in::sign_out(ctx.env, request, ctx.settings, &exit).await?,
    ))
}

/// On a bot's own host: the page that offers to sign out.
pub(super) async fn show_sign_out(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    let purpose = admission::cookie_purpose(ctx.served);
    let session = caller::session(request.headers(), ctx.settings, &purpose).await;
    Ok(session_handoff::sign_out_page(session.is_some())?)
}

/// On the platform's host: a code with which the browser's session goes on to a bot's own host.
pub(super) async fn issue_code(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    let Some(session) = live_session(ctx, request.headers()).await else {
        // It was ended on another host: here as well. Nobody has signed in by that.
        ctx.audit.failed(Refusal::SignInRequired);
        let to_login = sign_in::redirect_to_login(request, Refusal::SignInRequired)?;
        return Ok(to_login.with_cookie(&cookies::clear(SESSION_COOKIE))?);
    };
    session_handoff::issue_code(request, ctx.env, ctx.settings, &session).await
}

/// The browser's session, if the person's Sandbox still has it. The cookie's own proof may hold for an hour
/// after the session was ended elsewhere, and must not begin it again there.
async fn live_session(ctx: &Context<'_>, headers: &Headers) -> Option<Session> {
    let session = caller::session(headers, ctx.settings, SESSION_COOKIE).await?;
    match caller::renew(ctx.env, &session).await {
        Renewal::Renewed(identity) => Some(Session { identity, ..session }),
        // Whoever was let in so far is not kept out by the provider's outage.
        Renewal::Unavailable => Some(session),
        Renewal::Ended => None,
    }
}

/// On a bot's own host: takes the code for a session.
pub(super) async fn redeem_code(ctx: &Context<'_>, request: &Request) -> Result<Page> {
    let Served::Bot(host) = ctx.served else {
        return Err(missing("bot"));
    };
    let host: &BotHost = host;
    let answer = session_handoff::redeem_code(request, ctx.env, host, ctx.settings).await?;
    ctx.signed_in(host.owner);
    Ok(answer)
}
