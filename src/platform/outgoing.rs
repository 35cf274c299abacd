//! Requests of the platform's own. `worker::RequestInit` would bring a serializer for options that none of them has.

use worker::{Headers, Method, Request, Result, web_sys};

/// A request with these headers and this body.
///
/// # Errors
/// The runtime does not take the address.
pub(crate) fn request(method: &Method, url: &str, headers: &Headers, body: Option<&str>) -> Result<Request> {
    made(method, url, headers, body, web_sys::RequestRedirect::Follow)
}

/// The same, and a redirect is the answer: it is not followed.
///
/// # Errors
/// As [`request`].
pub(crate) fn request_once(
    method: &Method,
    url: &str,
    headers: &Headers,
    body: Option<&str>,
) -> Result<Request> {
    made(method, url, headers, body, web_sys::RequestRedirect::Manual)
}

fn made(
    method: &Method,
    url: &str,
    headers: &Headers,
    body: Option<&str>,
    redirect: web_sys::RequestRedirect,
) -> Result<Request> {
    let init = web_sys::RequestInit::new();
    init.set_redirect(redirect);
    init.set_method(method.as_ref());
    init.set_headers(&headers.0);
    if let Some(body) = body {
        init.set_body(&body.into());
    }
    Ok(web_sys::Request::new_with_str_and_init(url, &init)?.into())
}
