//! Headers of the runtime's messages: all of them in one go, or one by its name.

use js_sys::Array;
use moltworker_core::http::header_list::{HeaderList, SEPARATOR};
use wasm_bindgen::prelude::*;
use worker::{Headers, web_sys};

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

/// The runtime's own copy of an answer, whose headers can be changed. The body stays the stream it is.
///
/// # Errors
/// The runtime's, for a status or headers that it does not take.
pub(crate) fn copy(response: &web_sys::Response) -> Result<web_sys::Response, JsValue> {
    // An answer is its own description: status, headers, WebSocket and all.
    let like: &web_sys::ResponseInit = response.unchecked_ref();
    web_sys::Response::new_with_opt_readable_stream_and_init(response.body().as_ref(), like)
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
