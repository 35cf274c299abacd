//! Counts requests with the platform's rate-limit bindings.

use js_sys::{JsString, Promise};
use moltworker_core::api::contract::RateClass;
use moltworker_core::http::problem::Refusal;
use moltworker_core::http::rate_limits::{
    ADDRESS_LIMIT, SIGN_IN_LIMIT, USER_LIMIT, account_key, address_key,
};
use moltworker_core::json;
use moltworker_core::user_id::UserId;
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::http::headers::ReadHeaders;
use crate::platform::{bindings, log, tasks};

#[wasm_bindgen]
extern "C" {
    /// A rate limit. `worker`'s own takes a serializer to a record of one text, and a reader of one flag.
    type Limiter;

    #[wasm_bindgen(method, catch)]
    fn limit(this: &Limiter, options: &JsValue) -> Result<Promise, JsValue>;

    type LimitResult;

    #[wasm_bindgen(method, getter)]
    fn success(this: &LimitResult) -> bool;
}

/// Counts one request of this address, and again if it is a try to sign in.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(crate) async fn count_address(
    env: &Env,
    headers: &dyn ReadHeaders,
    rate: Option<RateClass>,
) -> Result<(), Refusal> {
    let Some(key) = key(headers) else { return Ok(()) };
    if rate == Some(RateClass::SignIn) {
        count(env, SIGN_IN_LIMIT, key.clone()).await?;
    }
    count(env, ADDRESS_LIMIT, key).await
}

/// Counts one try to sign in to this account, from wherever.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(crate) async fn count_account(env: &Env, headers: &dyn ReadHeaders, email: &str) -> Result<(), Refusal> {
    match key(headers) {
        Some(_) => {
            // The runtime's: Rust's brings Unicode's tables along, a hundredth of the Worker.
            let email = String::from(JsString::from(email).to_lower_case());
            count(env, SIGN_IN_LIMIT, account_key(&email)).await
        }
        None => Ok(()),
    }
}

/// Counts one request of this user.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(crate) async fn count_user(env: &Env, headers: &dyn ReadHeaders, user: UserId) -> Result<(), Refusal> {
    match key(headers) {
        Some(_) => count(env, USER_LIMIT, user.to_string()).await,
        None => Ok(()),
    }
}

/// Counts one request that brings this personal access token, by as many as a user may make.
///
/// # Errors
/// [`Refusal::TooMany`].
pub(crate) async fn count_token(env: &Env, headers: &dyn ReadHeaders, id: &str) -> Result<(), Refusal> {
    match key(headers) {
        Some(_) => count(env, USER_LIMIT, format!("token {id}")).await,
        None => Ok(()),
    }
}

/// Cloudflare writes this header itself and takes a client's own away.
fn key(headers: &dyn ReadHeaders) -> Option<String> {
    address_key(&headers.value_of("cf-connecting-ip")?)
}

async fn count(env: &Env, limit: &'static str, key: String) -> Result<(), Refusal> {
    let counted = async {
        let limiter: Limiter = bindings::get(env, limit)?;
        let options = js_sys::JSON::parse(&json::object(&[("key", &key)]))?;
        let outcome: LimitResult = tasks::settled(&limiter.limit(&options)?).await?.unchecked_into();
        Ok::<bool, worker::Error>(outcome.success())
    };
    match counted.await {
        Ok(true) => Ok(()),
        Ok(false) => {
            log::line("rate-limited", &[("limit", &limit)]);
            Err(Refusal::TooMany)
        }
        // Counting is for fairness; nobody is locked out because it does not work.
        Err(error) => {
            log::fault("rate-limit-unavailable", &[("limit", &limit), ("reason", &error)]);
            Ok(())
        }
    }
}
