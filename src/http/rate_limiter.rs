//! Counts requests with the platform's rate-limit bindings.

use moltworker_core::http::problem::Refusal;
use moltworker_core::http::rate_limits::{ADDRESS_LIMIT, SIGN_IN_LIMIT, USER_LIMIT, address_key};
use moltworker_core::user_id::UserId;
use worker::{Env, Headers};

use crate::platform::log;

/// Counts one request of this address, and again if it is a try to sign in.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(crate) async fn count_address(env: &Env, headers: &Headers, signs_in: bool) -> Result<(), Refusal> {
    let Some(key) = key(headers) else { return Ok(()) };
    if signs_in {
        count(env, SIGN_IN_LIMIT, key.clone()).await?;
    }
    count(env, ADDRESS_LIMIT, key).await
}

/// Counts one request of this user.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(crate) async fn count_user(env: &Env, headers: &Headers, user: UserId) -> Result<(), Refusal> {
    match key(headers) {
        Some(_) => count(env, USER_LIMIT, user.to_string()).await,
        None => Ok(()),
    }
}

/// Cloudflare writes this header itself and takes a client's own away.
fn key(headers: &Headers) -> Option<String> {
    address_key(&headers.get("cf-connecting-ip").ok().flatten()?)
}

async fn count(env: &Env, limit: &str, key: String) -> Result<(), Refusal> {
    let counted = async { env.rate_limiter(limit)?.limit(key).await };
    match counted.await {
        Ok(outcome) if outcome.success => Ok(()),
        Ok(_) => {
            log::line("rate-limited", &[("limit", &limit)]);
            Err(Refusal::TooMany)
        }
        // Counting is for fairness; nobody is locked out because it does not work.
        Err(error) => {
            log::line("rate-limit-unavailable", &[("limit", &limit), ("reason", &error)]);
            Ok(())
        }
    }
}
