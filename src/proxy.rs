//! The way to a bot and back: the request goes to its owner's Sandbox, the answer to the caller; bodies and
//! frames pass as they are, only headers are looked at.

use js_sys::Reflect;
use moltworker_core::http::header_policy::{self, Verdict};
use moltworker_core::http::host::own_host;
use moltworker_core::http::problem::Refusal;
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::CLIENT_IP_HEADER;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Env, Headers, Request, Response, ResponseBody, web_sys};

use crate::http::address::{self, Address};
use crate::http::error::Result;
use crate::http::reply;
use crate::http::sites::Served;
use crate::identity::caller::{self, Caller};
use crate::identity::session_handoff;
use crate::platform::sandbox_client;

/// Proxies a caller's request to their bot, once the rules about where a bot is reached hold.
pub(crate) async fn serve(
    env: &Env,
    settings: &Settings,
    served: &Served,
    caller: &Caller,
    request: &Request,
) -> Result<Response> {
    let user = caller.identity().user;
    if let Served::Platform = served {
        if let (Some(domain), Caller::Browser(_)) = (&settings.access.bot_domain, caller) {
            // With an origin for each bot, no bot's page runs where people sign in.
            if !reply::is_for_person(request) {
                return Err(Refusal::OwnAddress.into());
            }
            let origin = settings.public.of(&own_host(user, domain));
            let onward = format!("{origin}{}", Address::of(request)?.path_and_query());
            return Ok(session_handoff::onward(&onward)?);
        }
        // On the platform's host a bot's page shares the origin with the sign-in page. A service worker of
        // its making would sit between the person and that page, and see the next password. Browsers mark
        // the request for its script with this header, and pages cannot set it.
        if request.headers().has("service-worker")? {
            return Err(Refusal::ServiceWorker.into());
        }
    }
    let origin = served.origin(settings);
    if !caller::is_owners(request, origin)? {
        return Err(Refusal::WrongOrigin.into());
    }
    Ok(forward(env, settings, user, request, origin).await?)
}

/// Hands the request to the owner's Sandbox.
async fn forward(
    env: &Env,
    settings: &Settings,
    user: UserId,
    request: &Request,
    served: &str,
) -> worker::Result<Response> {
    let headers = Headers::new();
    for (name, value) in request.headers() {
        match header_policy::toward_bot(&name, &value) {
            Verdict::Keep => headers.append(&name, &value)?,
            Verdict::Replace(value) => headers.append(&name, &value)?,
            Verdict::Drop => {}
        }
    }
    // The gateway allows one origin, and it is set when its container starts; domains come and go while it
    // runs, and a restart would cost a conversation. Which origin may speak on which host was decided before
    // this, so here "a page of this bot" is told to the gateway in the one form it knows. Any other origin
    // stays as it is, and the gateway refuses it as well.
    let origin = request.headers().get("origin")?;
    if origin.is_some() && header_policy::same_origin(origin.as_deref(), served) {
        headers.set("origin", settings.public.as_str())?;
    }
    if let Some(address) = request.headers().get("cf-connecting-ip")? {
        headers.set(CLIENT_IP_HEADER, &address)?;
    }
    headers.set("accept-encoding", &accepted_encodings(request))?;
    sandbox_client::mark_to_serve(&headers)?;

    let request = toward_container(request, &headers)?;
    toward_caller(sandbox_client::serve(env, user, request).await?)
}

/// The encodings the caller accepts. Cloudflare replaces the header by `br, gzip` on the way to a Worker and
/// keeps the caller's own in `cf.clientAcceptEncoding`; a caller that sent none gets nothing compressed.
fn accepted_encodings(request: &Request) -> String {
    let member = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok();
    let own = member(request.inner(), "cf")
        .and_then(|cf| member(&cf, "clientAcceptEncoding"))
        .and_then(|value| value.as_string());
    let header = || request.headers().get("accept-encoding").ok().flatten();
    own.or_else(header)
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| "identity".into())
}

/// The same request with other headers and `http:` as its scheme: a container's port takes nothing else.
/// The body stays the stream it is; it never enters wasm.
fn toward_container(request: &Request, headers: &Headers) -> worker::Result<Request> {
    let url = address::on_http(request)?;
    // `new Request(url, request)` takes method, body, signal and redirect mode from the request; a request
    // can stand in for the options because both have the same members.
    let like_this: &web_sys::RequestInit = request.inner().unchecked_ref();
    let copy = web_sys::Request::new_with_str_and_init(&url, like_this)?;
    let options = web_sys::RequestInit::new();
    options.set_headers(&headers.0);
    Ok(web_sys::Request::new_with_request_and_init(&copy, &options)?.into())
}

/// Takes out of the bot's answer what only the platform may say.
fn toward_caller(response: Response) -> worker::Result<Response> {
    let forged =
        |(name, value): &(String, String)| header_policy::toward_caller(name, value) != Verdict::Keep;
    let all: Vec<(String, String)> = response.headers().entries().collect();
    if !all.iter().any(forged) {
        return Ok(response);
    }
    let headers = Headers::new();
    for (name, value) in all.iter().filter(|header| !forged(header)) {
        headers.append(name, value)?;
    }
    let (parts, body) = response.into_parts();
    let parts = parts.with_headers(headers);
    Ok(match body {
        ResponseBody::Stream(stream) => parts.stream(stream),
        other => parts.body(other),
    })
}
