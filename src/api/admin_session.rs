//! The session that a reload of the admin UI keeps. A cookie of its own, sealed and for this host alone, names it; the refresh
//! token lies in the admin's Sandbox; and one endpoint gives an access token for the cookie, to a script of this host alone.
//! No other endpoint reads the cookie: what an admin may do follows from a bearer token, as everywhere.

use moltworker_core::api::sign_in::{AdminSessionRequest, AdminSessionState, AdminToken};
use moltworker_core::http::admin_ui::Sender;
use moltworker_core::http::cookies::{self, ADMIN_SESSION_COOKIE};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::session::{
    ADMIN_SESSION_SECONDS, AdminSession, Proven, SessionCommand, SessionId, Tokens,
};
use moltworker_core::identity::token::Identity;
use worker::Request;

use crate::api::context::{Context, missing};
use crate::http::error::Result;
use crate::identity::caller::{self, header};
use crate::identity::sealed;
use crate::platform::{clock, log, sandbox_client, webcrypto};

/// What the cookie is sealed for.
const PURPOSE: &str = "admin-session";
const SIGNED_OUT: AdminSessionState = AdminSessionState { session: None };

/// Keeps the session of an admin who is in: from now on their Sandbox spends the refresh token.
pub(super) async fn begin(
    ctx: &Context<'_>,
    request: &Request,
    wanted: AdminSessionRequest,
) -> Result<AdminSessionState> {
    let identity = ctx.caller()?.identity().clone();
    let authorization = header(request.headers(), "authorization").unwrap_or_default();
    let access_token = caller::bearer_token(&authorization)
        .ok_or_else(|| missing("token"))?
        .to_owned();
    ctx.audit.note("the admin UI");
    ctx.audit.begin().await;
    // Where bots have no hosts of their own, their pages would run beside the cookie.
    if ctx.settings.access.bot_domain.is_none() {
        return Err(Refusal::NotFound.into());
    }
    let mut random = [0; 16];
    random.copy_from_slice(&webcrypto::random_bytes(16)?);
    let session = AdminSession::begin(
        identity.user,
        SessionId::from_random(random),
        clock::now_seconds(),
    );
    let command = SessionCommand::Begin {
        id: session.id.clone(),
        identity: identity.clone(),
        tokens: Tokens {
            access_token: access_token.clone(),
            refresh_token: wanted.refresh_token,
        },
    };
    sandbox_client::session(ctx.env, identity.user, command).await?;
    let sealed = sealed::seal(ctx.settings, PURPOSE, &session).await?;
    ctx.renewed
        .set(Some(cookies::set_admin_session(&sealed, ADMIN_SESSION_SECONDS)));
    Ok(signed_in(identity, access_token))
}

/// An access token for the cookie.
pub(super) async fn resume(ctx: &Context<'_>, request: &Request) -> Result<AdminSessionState> {
    let Some(session) = session(ctx, request).await? else {
        return Ok(SIGNED_OUT);
    };
    if session.is_over(clock::now_seconds()) {
        finish(ctx, session).await?;
        return Ok(SIGNED_OUT);
    }
    match sandbox_client::prove_session(ctx.env, session.user, session.id).await? {
        Proven::By {
            identity,
            access_token,
        } if identity.user == session.user => Ok(signed_in(identity, access_token)),
        Proven::By { .. } | Proven::Ended => {
            ctx.renewed.set(Some(forgotten()));
            Ok(SIGNED_OUT)
        }
        Proven::Unavailable => Err(Refusal::IdentityProviderUnavailable.into()),
    }
}

/// Ends it, here and at the identity provider.
pub(super) async fn end(ctx: &Context<'_>, request: &Request) -> Result<AdminSessionState> {
    if let Some(session) = session(ctx, request).await? {
        ctx.signed_in(session.user);
        ctx.audit.note("the admin UI");
        finish(ctx, session).await?;
    }
    Ok(SIGNED_OUT)
}

async fn finish(ctx: &Context<'_>, session: AdminSession) -> Result<()> {
    ctx.renewed.set(Some(forgotten()));
    let ended = sandbox_client::session(ctx.env, session.user, SessionCommand::End(session.id)).await;
    if let Err(error) = ended {
        log::line(
            "session-not-ended",
            &[("user", &session.user), ("reason", &error)],
        );
        return Err(Refusal::SessionNotEnded.into());
    }
    Ok(())
}

/// The session of the cookie, if a script of this host asks with it.
async fn session(ctx: &Context<'_>, request: &Request) -> Result<Option<AdminSession>> {
    let said = |name| header(request.headers(), name);
    let (origin, site, mode, dest) = (
        said("origin"),
        said("sec-fetch-site"),
        said("sec-fetch-mode"),
        said("sec-fetch-dest"),
    );
    let sender = Sender {
        origin: origin.as_deref(),
        site: site.as_deref(),
        mode: mode.as_deref(),
        dest: dest.as_deref(),
    };
    if !sender.is_own_page(ctx.origin()) {
        return Err(Refusal::WrongOrigin.into());
    }
    if ctx.settings.access.bot_domain.is_none() {
        return Ok(None);
    }
    let Some(cookies) = said("cookie") else {
        return Ok(None);
    };
    let Some(value) = cookies::find(&cookies, ADMIN_SESSION_COOKIE) else {
        return Ok(None);
    };
    Ok(sealed::open(ctx.settings, PURPOSE, value).await)
}

fn forgotten() -> String {
    cookies::set_admin_session("", 0)
}

fn signed_in(identity: Identity, access_token: String) -> AdminSessionState {
    AdminSessionState {
        session: Some(AdminToken {
            access_token,
            expires_at: identity.expires_at.saturating_mul(1_000),
            user_id: identity.user,
            email: identity.email,
        }),
    }
}
