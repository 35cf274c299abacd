//! Who asks at this site, and whether they are let in: the two steps before an endpoint asks whether they may.

use moltworker_core::http::cookies::SESSION_COOKIE;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::session_handoff::purpose;
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use worker::Env;

use crate::http::call::Called;
use crate::http::headers::ReadHeaders;
use crate::http::rate_limiter;
use crate::http::sites::Served;
use crate::identity::caller::{self, Caller, Identified};
use crate::identity::users;

pub(crate) use moltworker_core::identity::users::Freshness;

/// For what a session's cookie on this site is sealed: the platform's own counts for nothing on a bot's host.
pub(crate) fn cookie_purpose(served: &Served) -> String {
    match served {
        Served::Bot(host) => purpose(&host.name),
        Served::Platform | Served::Nowhere => SESSION_COOKIE.to_owned(),
    }
}

/// Who asks.
///
/// # Errors
/// As [`caller::identify`].
pub(crate) async fn identify(
    env: &Env,
    headers: &dyn ReadHeaders,
    settings: &Settings,
    served: &Served,
) -> Result<Identified, Refusal> {
    caller::identify(env, headers, settings, &cookie_purpose(served)).await
}

/// Whose bot this site is, if it is another one's than the caller's: on a bot's own host only its owner is anybody.
pub(crate) fn other_owner(served: &Served, caller: &Caller) -> Option<UserId> {
    match served {
        Served::Bot(host) => Some(host.owner).filter(|owner| *owner != caller.identity().user),
        Served::Platform | Served::Nowhere => None,
    }
}

/// Counts the request for the person, or for the token they gave a program, and lets them in.
///
/// # Errors
/// [`Refusal::NotYourBot`], as [`users::admit`], [`Refusal::TooMany`], and [`Refusal::SecondFactorRequired`] where everyone
/// needs one.
pub(crate) async fn admit(
    env: &Env,
    called: Called<'_>,
    settings: &Settings,
    served: &Served,
    caller: &Caller,
    freshness: Freshness,
) -> Result<(), Refusal> {
    if other_owner(served, caller).is_some() {
        return Err(Refusal::NotYourBot);
    }
    let identity = caller.identity();
    if settings.tokens.require_mfa.is_lacking(identity) {
        return Err(Refusal::SecondFactorRequired);
    }
    match caller {
        // Each on its own: a program that runs wild does not use up what its owner may ask.
        Caller::Personal(_, token) => rate_limiter::count_token(env, called.headers, &token.token_id).await?,
        _ => rate_limiter::count_user(env, called.headers, identity.user).await?,
    }
    users::admit(env, called, identity, settings, freshness).await
}
