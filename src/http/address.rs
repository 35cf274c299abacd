//! The address of a request, taken apart by the runtime's own `URL`. `worker::Url` would be the same standard once more,
//! for every scheme and script, and a twentieth of the module.

use std::borrow::Cow;

use wasm_bindgen::prelude::*;
use worker::url::form_urlencoded;
use worker::{Request, Result};

#[wasm_bindgen]
extern "C" {
    type URL;

    #[wasm_bindgen(constructor, catch)]
    fn new(text: &str) -> std::result::Result<URL, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn href(this: &URL) -> String;

    #[wasm_bindgen(method, getter)]
    fn host(this: &URL) -> String;

    #[wasm_bindgen(method, getter)]
    fn pathname(this: &URL) -> String;

    #[wasm_bindgen(method, getter)]
    fn search(this: &URL) -> String;

    #[wasm_bindgen(method, setter)]
    fn set_protocol(this: &URL, protocol: &str);
}

/// What of an address is asked about here.
pub(crate) struct Address {
    /// With the port, if it is not the scheme's own.
    pub(crate) host: String,
    pub(crate) path: String,
    /// What is behind the `?`, with it; empty when there is nothing.
    search: String,
}

impl Address {
    /// # Errors
    /// The runtime cannot read what it wrote.
    pub(crate) fn of(request: &Request) -> Result<Self> {
        let url = URL::new(&request.inner().url())?;
        Ok(Self {
            host: url.host(),
            path: url.pathname(),
            search: url.search(),
        })
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.search.strip_prefix('?')
    }

    /// What was asked for, as `next` takes it.
    pub(crate) fn path_and_query(&self) -> String {
        format!("{}{}", self.path, self.search)
    }

    /// The query's pairs, decoded.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
    }

    /// The first value of this name in the query.
    pub(crate) fn query_value(&self, wanted: &str) -> Option<String> {
        self.pairs()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    }
}

/// A request's method as it arrived. `Request::method` takes every method it does not know for `GET`.
pub(crate) fn method_of(request: &Request) -> String {
    request.inner().method()
}

/// A request's address with `http:` as its scheme.
///
/// # Errors
/// As [`Address::of`].
pub(crate) fn on_http(request: &Request) -> Result<String> {
    let url = URL::new(&request.inner().url())?;
    url.set_protocol("http:");
    Ok(url.href())
}
