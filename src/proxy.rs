//! The way to a bot and back: the request goes to its owner's Sandbox, the answer to the caller; bodies and
//! frames pass as they are, only headers are looked at.

use std::borrow::Cow;

use moltworker_core::http::container_answer;
use moltworker_core::http::header_policy::{self, HeaderVerdict};
use moltworker_core::http::host::own_host;
use moltworker_core::http::problem::Refusal;
use moltworker_core::http::site_data;
use moltworker_core::metrics::classes::{RequestClass, RequestOutcome};
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::{CLIENT_IP_HEADER, REQUEST_ID_HEADER, RESTORED_HEADER};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use worker::{Env, Response, web_sys};

use crate::http::error::{Error, Result};
use crate::http::headers::{self, read_headers};
use crate::http::incoming::Incoming;
use crate::http::reply;
use crate::http::sites::Served;
use crate::identity::caller::{self, Caller};
use crate::identity::session_handoff;
use crate::platform::{log, sandbox_client};

#[wasm_bindgen]
extern "C" {
    type FromCloudflare;

    #[wasm_bindgen(method, getter)]
    fn cf(this: &FromCloudflare) -> Option<CfProperties>;

    type CfProperties;

    #[wasm_bindgen(method, getter, js_name = clientAcceptEncoding)]
    fn client_accept_encoding(this: &CfProperties) -> Option<String>;
}

/// An answer, and what it is in the metrics.
pub(crate) struct Proxied {
    pub(crate) response: web_sys::Response,
    pub(crate) outcome: RequestOutcome,
}

/// Proxies a caller's request to their bot, once the rules about where a bot is reached hold.
pub(crate) async fn serve(
    env: &Env,
    settings: &Settings,
    served: &Served,
    caller: &Caller,
    incoming: &Incoming,
) -> Result<Proxied> {
    let user = caller.identity().user;
    if let Served::Platform = served {
        let is_browser = matches!(caller, Caller::Browser(..));
        // With an origin for each bot, no bot's page runs where people sign in, by whatever a browser was let in.
        if let Some(domain) = &settings.access.bot_domain
            && (is_browser || incoming.headers.get("sec-fetch-mode") == Some("navigate"))
        {
            if !incoming.is_for_person() {
                return Err(Refusal::OwnAddress.into());
            }
            let origin = settings.public.of(&own_host(user, domain));
            let onward = format!("{origin}{}", incoming.address.path_and_query());
            let redirect = Response::from(session_handoff::onward(&onward)?);
            return Ok(Proxied {
                response: reply::numbered(redirect, incoming.request_id())?,
                outcome: RequestOutcome::Answered,
            });
        }
        // On the platform's host a bot's page shares the origin with the sign-in page. A service worker of
        // its making would sit between the person and that page, and see the next password. Browsers mark
        // the request for its script with this header, and pages cannot set it.
        if incoming.headers.get("service-worker").is_some() {
            return Err(Refusal::ServiceWorker.into());
        }
    }
    let origin = served.origin(settings);
    if !caller::is_owners(incoming, caller, origin) {
        return Err(Refusal::WrongOrigin.into());
    }
    // What browsers keep of the platform's own host is not the bot's.
    let keeping = match (served, caller) {
        (Served::Bot(_), Caller::Browser(..)) => Keeping::Clears,
        (Served::Platform, Caller::Browser(..)) => Keeping::Nothing,
        _ => Keeping::AsTheBotSays,
    };
    let response = forward(env, settings, user, incoming, origin).await?;
    // A WebSocket's answer is kept by nobody, and goes on as the object it came as.
    let keeping = match response.status() {
        101 => Keeping::AsTheBotSays,
        _ => keeping,
    };
    toward_caller(response, incoming, keeping)
}

/// What a caller keeps of a bot's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// What the bot says.
    AsTheBotSays,
    /// The same, and a browser that does not know of a restore clears what it has.
    Clears,
    /// Nothing: a page that a browser kept of the platform's host would run there also once bots have hosts of their own, where
    /// people sign in and the owner's page is.
    Nothing,
}

/// What `fetch` takes beside an address. Handed over as one text: member by member, each would be a call to JavaScript.
#[derive(Serialize)]
struct Init<'a> {
    method: &'a str,
    headers: Vec<(&'a str, Cow<'a, str>)>,
    /// A redirect is the caller's to follow.
    redirect: &'static str,
}

/// Hands the request to the owner's Sandbox, with other headers and with `http:` as its scheme: a container's port
/// takes nothing else. The body stays the stream it is; it never enters wasm.
async fn forward(
    env: &Env,
    settings: &Settings,
    user: UserId,
    incoming: &Incoming,
    served: &str,
) -> worker::Result<web_sys::Response> {
    let init = Init {
        method: &incoming.method,
        headers: headers_toward_bot(settings, incoming, served)?,
        redirect: "manual",
    };
    let init: web_sys::RequestInit = js_sys::JSON::parse(&serde_json::to_string(&init)?)?.unchecked_into();
    if may_have_body(incoming)
        && let Some(body) = incoming.raw.body()
    {
        init.set_body(&body);
    }
    let url = incoming.address.on_http(&incoming.url)?;
    sandbox_client::serve(env, user, &url, &init).await
}

/// `fetch` takes no body with these two. A request that has one all the same reaches the bot without it.
fn may_have_body(incoming: &Incoming) -> bool {
    !matches!(incoming.method.as_str(), "GET" | "HEAD")
}

fn headers_toward_bot<'a>(
    settings: &'a Settings,
    incoming: &'a Incoming,
    served: &str,
) -> worker::Result<Vec<(&'a str, Cow<'a, str>)>> {
    // The gateway allows one origin, and it is set when its container starts; domains come and go while it
    // runs, and a restart would cost a conversation. Which origin may speak on which host was decided before
    // this, so here "a page of this bot" is told to the gateway in the one form it knows. Any other origin
    // stays as it is, and the gateway refuses it as well.
    let toward_gateway = |name, value| match name {
        "origin" if header_policy::same_origin(Some(value), served) => settings.public.as_str(),
        _ => value,
    };
    let is_replaced = |name: &str| match name {
        "accept-encoding" => true,
        "content-length" | "transfer-encoding" => !may_have_body(incoming),
        _ => false,
    };
    let mut headers = Vec::with_capacity(32);
    for (name, value) in incoming.headers.iter().filter(|(name, _)| !is_replaced(name)) {
        match header_policy::toward_bot(name, value) {
            HeaderVerdict::Keep => headers.push((name, Cow::Borrowed(toward_gateway(name, value)))),
            HeaderVerdict::Replace(value) => headers.push((name, Cow::Owned(value))),
            HeaderVerdict::Drop => {}
        }
    }
    if let Some(address) = incoming.headers.get("cf-connecting-ip") {
        headers.push((CLIENT_IP_HEADER, Cow::Borrowed(address)));
    }
    headers.push(("accept-encoding", accepted_encodings(incoming)));
    headers.push((REQUEST_ID_HEADER, Cow::Borrowed(incoming.request_id())));
    let (name, value) = sandbox_client::mark_to_serve()?;
    headers.push((name, Cow::Owned(value)));
    Ok(headers)
}

/// The encodings the caller accepts. Cloudflare replaces the header by `br, gzip` on the way to a Worker and
/// keeps the caller's own in `cf.clientAcceptEncoding`; a caller that sent none gets nothing compressed.
fn accepted_encodings(incoming: &Incoming) -> Cow<'_, str> {
    let request: &FromCloudflare = incoming.raw.unchecked_ref();
    let own = request
        .cf()
        .and_then(|cf| cf.client_accept_encoding())
        .map(Cow::Owned);
    own.or_else(|| incoming.headers.get("accept-encoding").map(Cow::Borrowed))
        .filter(|value| !value.is_empty())
        .unwrap_or(Cow::Borrowed("identity"))
}

/// Takes out of the bot's answer what only the platform may say. Where there is nothing of it, the answer goes on as
/// the object it came as; otherwise as the runtime's own copy of it, which keeps the bytes of what is left.
fn toward_caller(response: web_sys::Response, incoming: &Incoming, keeping: Keeping) -> Result<Proxied> {
    let all = read_headers(&response.headers());
    container_answer::check_headers(&all)
        .map_err(|why| Error::detailed(Refusal::BadAnswer, why.to_string()))?;
    let of = |(name, value): (&str, &str)| header_policy::toward_caller(name, value);
    let changed: Vec<_> = all
        .iter()
        .filter(|header| of(*header) != HeaderVerdict::Keep)
        .map(|(name, _)| name)
        .collect();
    let request_id = incoming.request_id();
    // The ingress has said it, but for an answer of the Sandbox's own.
    let has_request_id = all.get(REQUEST_ID_HEADER) == Some(request_id);
    // Whatever the bot answers is no failure of the platform's; of a Sandbox's own answer the status is asked, which most
    // requests need not.
    let outcome = match has_request_id {
        true => RequestOutcome::Answered,
        false => RequestOutcome::of_status(RequestClass::Bot, response.status()),
    };
    if changed.is_empty() && has_request_id && keeping != Keeping::Nothing {
        return Ok(Proxied { response, outcome });
    }
    let cookies = incoming.headers.get("cookie");
    let restored_at = (keeping == Keeping::Clears)
        .then(|| site_data::restore_to_tell(all.get(RESTORED_HEADER), cookies))
        .flatten();
    let copied =
        without(&response, &changed, all.iter().map(|header| (header, of(header)))).and_then(|copy| {
            if !has_request_id {
                copy.headers().set(REQUEST_ID_HEADER, request_id)?;
            }
            if keeping == Keeping::Nothing {
                copy.headers().set("cache-control", "no-store")?;
            }
            if let Some(restored_at) = restored_at {
                copy.headers().set("clear-site-data", site_data::CLEARED)?;
                copy.headers()
                    .append("set-cookie", &site_data::told_cookie(restored_at))?;
            }
            Ok(copy)
        });
    let response = copied.map_err(|error| {
        let reason = worker::Error::from(error);
        log::line(
            "answer-not-copied",
            &[("request", &request_id), ("reason", &reason)],
        );
        Error::from(Refusal::BadAnswer)
    })?;
    Ok(Proxied { response, outcome })
}

/// A copy of an answer in which the headers of these names are as the verdicts say.
fn without<'a>(
    response: &web_sys::Response,
    changed: &[&str],
    verdicts: impl Iterator<Item = ((&'a str, &'a str), HeaderVerdict)>,
) -> std::result::Result<web_sys::Response, JsValue> {
    let copy = headers::copy(response)?;
    let headers = copy.headers();
    for name in changed {
        headers.delete(name)?;
    }
    for ((name, value), verdict) in verdicts.filter(|((name, _), _)| changed.contains(name)) {
        match verdict {
            HeaderVerdict::Keep => headers.append(name, value)?,
            HeaderVerdict::Replace(value) => headers.append(name, &value)?,
            HeaderVerdict::Drop => {}
        }
    }
    Ok(copy)
}
