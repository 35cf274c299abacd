//! Requests of the platform's own. `worker::RequestInit` would bring a serializer for options that none of them has.

use worker::{Headers, Method, Request, Result, web_sys};

/// A request with these headers and this body.
///
/// # Errors
/// The runtime does not take the address.
pub(crate) fn request(method: &Method, url: &str, headers: &Headers, body: Option<&str>) -> Result<Request> {
    let init = web_sys::RequestInit::new();
    init.set_method(method.as_ref());
    init.set_headers(&headers.0);
    if let Some(body) = body {
        init.set_body(&body.into());
    }
    Ok(web_sys::Request::new_with_str_and_init(url, &init)?.into())
}
