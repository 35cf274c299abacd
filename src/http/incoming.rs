//! A request as it arrives. What is asked of it on every way is read once, and its headers in one go: each question to
//! an object of the runtime costs more than the answer.

use moltworker_core::http::header_list::HeaderList;
use wasm_bindgen::prelude::*;
use worker::{Request, Result, web_sys};

use crate::http::address::Address;
use crate::http::call::{RAY_HEADER, request_id};
use crate::http::headers::read_headers;
use crate::http::reply;

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
    /// As [`Address::of`], and as [`request_id`].
    pub(crate) fn read(raw: web_sys::Request) -> Result<Self> {
        let url = raw.url();
        let mut headers = read_headers(&raw.headers());
        if headers.get(RAY_HEADER).is_none() {
            let own = request_id(&headers)?;
            headers.add(RAY_HEADER, &own);
        }
        Ok(Self {
            method: raw.method(),
            address: Address::read(&url)?,
            headers,
            url,
            raw,
        })
    }

    /// By which its answer, its log lines and its entries in the history are found.
    pub(crate) fn request_id(&self) -> &str {
        self.headers.get(RAY_HEADER).unwrap_or_default()
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
