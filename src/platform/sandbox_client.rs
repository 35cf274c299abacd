//! Calls to a Sandbox: the only way anything reaches one.

use moltworker_core::api::sandbox::{INTENT_HEADER, Intent};
use moltworker_core::identity::session::Ask;
use moltworker_core::settings::SANDBOX_BINDING;
use moltworker_core::user_id::UserId;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::{Env, Headers, Method, Request, RequestInit, Response, Stub, web_sys};

use crate::platform::{bindings, tasks};

#[wasm_bindgen]
extern "C" {
    /// The namespace in our own words: what goes through `worker`'s stubs is copied on its way in and out.
    type Sandboxes;

    #[wasm_bindgen(method, catch, js_name = getByName)]
    fn get_by_name(this: &Sandboxes, name: &str) -> Result<PlainStub, JsValue>;

    type PlainStub;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &PlainStub, url: &str, init: &web_sys::RequestInit) -> Result<js_sys::Promise, JsValue>;
}

/// The Sandbox of a user: the only way anything reaches one.
pub(crate) fn sandbox_of(env: &Env, user: UserId) -> worker::Result<Stub> {
    env.durable_object(SANDBOX_BINDING)?
        .id_from_name(&user.sandbox_name())?
        .get_stub()
}

/// Sends the owner's own request; its headers say so.
pub(crate) async fn serve(
    env: &Env,
    user: UserId,
    url: &str,
    init: &web_sys::RequestInit,
) -> worker::Result<web_sys::Response> {
    let sandboxes: Sandboxes = bindings::get(env, SANDBOX_BINDING)?;
    let promise = sandboxes.get_by_name(&user.sandbox_name())?.fetch(url, init)?;
    Ok(tasks::settled(&promise).await?.unchecked_into())
}

/// Asks a Sandbox for something that is not the caller's request.
pub(crate) async fn ask(env: &Env, user: UserId, intent: Intent) -> worker::Result<Response> {
    let mut request = Request::new("http://sandbox/", Method::Post)?;
    request.headers_mut()?.set(INTENT_HEADER, &intent.to_header())?;
    sandbox_of(env, user)?.fetch_with_request(request).await
}

/// Asks a Sandbox for something that is not the caller's request, with what goes with it.
pub(crate) async fn ask_with(
    env: &Env,
    user: UserId,
    intent: Intent,
    document: &impl Serialize,
) -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set(INTENT_HEADER, &intent.to_header())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(serde_json::to_string(document)?.into()));
    let request = Request::new_with_init("http://sandbox/", &init)?;
    sandbox_of(env, user)?.fetch_with_request(request).await
}

/// Asks a person's Sandbox about one of their browser sessions.
pub(crate) async fn about_session(env: &Env, user: UserId, ask: &Ask) -> worker::Result<Response> {
    let response = ask_with(env, user, Intent::Session, ask).await?;
    match response.status_code() {
        200 => Ok(response),
        other => Err(worker::Error::RustError(format!("the Sandbox answered {other}"))),
    }
}
