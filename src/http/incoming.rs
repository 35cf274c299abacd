//! A request as it arrives. What is asked of it on every way is read once, and its headers in one go: each question to
//! an object of the runtime costs more than the answer.

use js_sys::Array;
use moltworker_core::http::header_list::{HeaderList, SEPARATOR};
use wasm_bindgen::prelude::*;
use worker::{Headers, Request, Result, web_sys};

use crate::http::address::Address;
use crate::http::reply;

#[wasm_bindgen]
extern "C" {
    type Lines;

    #[wasm_bindgen(method)]
    fn join(this: &Lines, separator: &JsValue) -> String;
}

thread_local! {
    static BETWEEN_LINES: JsValue = JsValue::from_str(SEPARATOR);
}

/// All headers of a message of the runtime's.
pub(crate) fn read_headers(headers: &web_sys::Headers) -> HeaderList {
    let lines: Lines = Array::from(headers).unchecked_into();
    HeaderList::read(BETWEEN_LINES.with(|separator| lines.join(separator)))
}

/// Where a header's value can be looked up, by its name in lower case.
pub(crate) trait ReadHeaders {
    fn value_of(&self, name: &str) -> Option<String>;
}

impl ReadHeaders for Headers {
    fn value_of(&self, name: &str) -> Option<String> {
        self.get(name).ok().flatten()
    }
}

impl ReadHeaders for HeaderList {
    fn value_of(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

/// A request on its way in.
pub(crate) struct Incoming {
    pub(crate) raw: web_sys::Request,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) address: Address,
    pub(crate) headers: HeaderList,
}

impl Incoming {
    /// # Errors
    /// As [`Address::of`].
    pub(crate) fn read(raw: web_sys::Request) -> Result<Self> {
        let url = raw.url();
        Ok(Self {
            method: raw.method(),
            address: Address::read(&url)?,
            headers: read_headers(&raw.headers()),
            url,
            raw,
        })
    }

    /// The request as handlers take it; its body is still the one stream that arrived.
    pub(crate) fn request(&self) -> Request {
        same_request(&self.raw).into()
    }

    /// [`reply::wants_page`] of it.
    pub(crate) fn is_for_person(&self) -> bool {
        reply::wants_page(&self.method, &self.headers)
    }
}

/// The same request object, not a copy: `clone` of the runtime's would tee its body into memory.
pub(crate) fn same_request(request: &web_sys::Request) -> web_sys::Request {
    let object: &JsValue = request.as_ref();
    object.clone().unchecked_into()
}
