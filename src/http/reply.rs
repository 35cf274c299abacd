//! Answers of the platform itself, as opposed to the bot's: problems, pages, redirects, each with the
//! security headers no page of ours goes without.

use maud::Markup;
use moltworker_core::api::sandbox::Order;
use moltworker_core::http::problem::Refusal;
use moltworker_core::metrics::exposition::CONTENT_TYPE;
use moltworker_core::wire::run::REQUEST_ID_HEADER;
use worker::{Headers, Request, Response, ResponseBuilder, web_sys};

use crate::http::address::method_of;
use crate::http::headers::{self, ReadHeaders};
use crate::http::nonce::Nonce;
use crate::http::pages;

/// Headers of every answer of the platform. `same-origin`, because under `no-referrer` browsers send
/// `Origin: null` with our own sign-in form, and it would be taken for a stranger's. HSTS is for two years, as
/// browsers' preload lists ask, and for this host alone: what else lives below a person's domain is theirs.
const ALWAYS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("strict-transport-security", "max-age=63072000"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];
/// For everything that is not a page: nothing in it may run or load, were it ever shown as one.
const NOTHING_RUNS: &str = "default-src 'none'; frame-ancestors 'none'";

/// A page of ours, or the way to one: all that a browser is answered on its way in and out.
pub(crate) struct Page(Response);

impl Page {
    /// A page. `status` is what programs see.
    pub(crate) fn new(status: u16, nonce: &Nonce, markup: Markup) -> worker::Result<Self> {
        page(status, nonce, markup).map(Self)
    }

    /// A page with a picture that it brings along.
    pub(crate) fn with_drawing(status: u16, nonce: &Nonce, markup: Markup) -> worker::Result<Self> {
        let policy = format!("{}; img-src data:", policy(nonce));
        html(status, &policy, markup).map(Self)
    }

    /// "See other": the browser goes on with GET. `location` is a path on this host, or an address the platform chose.
    pub(crate) fn elsewhere(location: &str) -> worker::Result<Self> {
        let response = build(303, NOTHING_RUNS)?.empty();
        response.headers().set("location", location)?;
        Ok(Self(response))
    }

    /// A refusal.
    pub(crate) fn refusal(refusal: Refusal) -> worker::Result<Self> {
        refusal_page(refusal).map(Self)
    }

    /// The same with one more cookie.
    pub(crate) fn with_cookie(self, cookie: &str) -> worker::Result<Self> {
        self.0.headers().append("set-cookie", cookie)?;
        Ok(self)
    }
}

impl From<Page> for Response {
    fn from(page: Page) -> Self {
        page.0
    }
}

/// A page. `status` is what programs see.
pub(crate) fn page(status: u16, nonce: &Nonce, markup: Markup) -> worker::Result<Response> {
    html(status, &policy(nonce), markup)
}

fn html(status: u16, policy: &str, markup: Markup) -> worker::Result<Response> {
    build(status, policy)?.from_html(markup.into_string())
}

fn policy(nonce: &Nonce) -> String {
    let nonce = nonce.as_str();
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// A JSON document.
pub(crate) fn document(json: String) -> worker::Result<Response> {
    let response = build(200, NOTHING_RUNS)?.ok(json)?;
    response.headers().set("content-type", "application/json")?;
    Ok(response)
}

/// A refusal as `application/problem+json`.
pub(crate) fn problem(refusal: Refusal, detail: Option<String>) -> worker::Result<Response> {
    let problem = refusal.problem(detail);
    let mut response = build(problem.status, NOTHING_RUNS)?.from_json(&problem)?;
    let headers = response.headers_mut();
    headers.set("content-type", "application/problem+json")?;
    add_refusal_headers(headers, refusal)?;
    Ok(response)
}

/// A refusal as a page.
pub(crate) fn refusal_page(refusal: Refusal) -> worker::Result<Response> {
    refusal_page_with(refusal, None, None)
}

/// A refusal as a page that says more, and leads to the owner's own page.
pub(crate) fn refusal_page_with(
    refusal: Refusal,
    detail: Option<&str>,
    own_page: Option<&str>,
) -> worker::Result<Response> {
    let (status, _, title) = refusal.facts();
    let nonce = Nonce::new()?;
    let way_out = (refusal == Refusal::BotStopped).then_some((Order::Start, "Start it again"));
    let markup = pages::refusal(&nonce, title, detail, way_out, own_page);
    let response = page(status, &nonce, markup)?;
    add_refusal_headers(response.headers(), refusal)?;
    Ok(response)
}

/// `Retry-After` and `WWW-Authenticate`, where the refusal has them.
pub(crate) fn add_refusal_headers(headers: &Headers, refusal: Refusal) -> worker::Result<()> {
    if let Some(seconds) = refusal.retry_after() {
        headers.set("retry-after", &seconds.to_string())?;
    }
    if let Some(challenge) = refusal.challenge() {
        headers.set("www-authenticate", challenge)?;
    }
    Ok(())
}

/// 405 with the methods that exist.
pub(crate) fn wrong_method(request: &Request, allow: &str) -> worker::Result<Response> {
    let response = refuse(request, Refusal::WrongMethod, None)?;
    response.headers().set("allow", allow)?;
    Ok(response)
}

/// A refusal as a page for a person, as JSON for a program.
pub(crate) fn refuse(
    request: &Request,
    refusal: Refusal,
    detail: Option<String>,
) -> worker::Result<Response> {
    if is_for_person(request) {
        return refusal_page(refusal);
    }
    problem(refusal, detail)
}

/// [`wants_page`] of a request.
pub(crate) fn is_for_person(request: &Request) -> bool {
    wants_page(&method_of(request), request.headers())
}

/// The same answer with one more `Set-Cookie`; body and WebSocket stay what they are.
pub(crate) fn with_cookie(response: Response, cookie: &str) -> worker::Result<Response> {
    // A copy: the headers of an answer that came from elsewhere cannot be changed.
    let headers = Headers::new();
    for (name, value) in response.headers() {
        headers.append(&name, &value)?;
    }
    headers.append("set-cookie", cookie)?;
    Ok(response.with_headers(headers))
}

/// An answer of the platform's own with the id of its request. A bot's has got it in the ingress.
pub(crate) fn numbered(response: Response, request_id: &str) -> worker::Result<web_sys::Response> {
    let response: web_sys::Response = response.into();
    if response.headers().set(REQUEST_ID_HEADER, request_id).is_ok() {
        return Ok(response);
    }
    // The headers of an answer that came from a Sandbox cannot be changed.
    let copy = headers::copy(&response)?;
    copy.headers().set(REQUEST_ID_HEADER, request_id)?;
    Ok(copy)
}

/// A line of text.
pub(crate) fn text(status: u16, text: &str) -> worker::Result<Response> {
    build(status, NOTHING_RUNS)?.ok(text)
}

/// A page of metrics.
pub(crate) fn metrics(text: String) -> worker::Result<Response> {
    let response = build(200, NOTHING_RUNS)?.ok(text)?;
    response.headers().set("content-type", CONTENT_TYPE)?;
    Ok(response)
}

/// The beginning of an answer to a machine, whose body is neither a page nor a document of ours.
pub(crate) fn bare(status: u16) -> worker::Result<ResponseBuilder> {
    build(status, NOTHING_RUNS)
}

/// A file that was deployed with the Worker; a page of those with what it may do.
pub(crate) fn deployed(file: Response, keep: &str, policy: Option<&str>) -> worker::Result<Response> {
    // The platform's own headers of it cannot be changed.
    let response = Response::from(headers::copy(&file.into())?);
    let headers = response.headers();
    for (name, value) in ALWAYS {
        headers.set(name, value)?;
    }
    headers.set("cache-control", keep)?;
    headers.set("cross-origin-resource-policy", "same-origin")?;
    headers.set("content-security-policy", policy.unwrap_or(NOTHING_RUNS))?;
    Ok(response)
}

/// The beginning of an answer that a browser saves, whatever it is.
pub(crate) fn attachment(status: u16, disposition: &str) -> worker::Result<ResponseBuilder> {
    bare(status)?
        .with_header("content-type", "application/octet-stream")?
        .with_header("content-disposition", disposition)
}

fn build(status: u16, policy: &str) -> worker::Result<ResponseBuilder> {
    let mut builder = ResponseBuilder::new().with_status(status);
    for (name, value) in ALWAYS {
        builder = builder.with_header(name, value)?;
    }
    builder.with_header("content-security-policy", policy)
}

/// Whether a person looks at the answer: a browser that navigates. Programs get JSON.
pub(crate) fn wants_page(method: &str, headers: &dyn ReadHeaders) -> bool {
    if !matches!(method, "GET" | "HEAD") {
        return false;
    }
    match headers.value_of("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        // Browsers before 2023 send no fetch metadata; their navigations ask for HTML by name.
        None => headers
            .value_of("accept")
            .is_some_and(|accept| accept.contains("text/html")),
    }
}
