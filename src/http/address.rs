//! The address of a request. Most are plain (`core::http::plain_url`); what is not is taken apart by the runtime's own
//! `URL`. `worker::Url` would be the same standard once more, for every scheme and script, and a twentieth of the module.

use std::borrow::Cow;

use moltworker_core::http::plain_url;
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
        Self::read(&request.inner().url())
    }

    /// # Errors
    /// As [`Address::of`].
    pub(crate) fn read(url: &str) -> Result<Self> {
        if let Some(plain) = plain_url::split(url) {
            return Ok(Self {
                host: plain.host.to_owned(),
                path: plain.path.to_owned(),
                search: plain.search.to_owned(),
            });
        }
        let url = URL::new(url)?;
        Ok(Self {
            host: url.host(),
            path: url.pathname(),
            search: url.search(),
        })
    }

    /// The same address with `http:` as its scheme. `url` is what it was read from.
    ///
    /// # Errors
    /// As [`Address::of`].
    pub(crate) fn on_http(&self, url: &str) -> Result<String> {
        if plain_url::split(url).is_some() {
            return Ok(format!("http://{}{}{}", self.host, self.path, self.search));
        }
        let url = URL::new(url)?;
        url.set_protocol("http:");
        Ok(url.href())
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.search.strip_prefix('?')
    }

    /// What was asked for, as `next` takes it.
    pub(crate) fn path_and_query(&self) -> String {
        format!("{}{}", self.path, self.search)
    }

    /// Has the query's pairs read, decoded.
    pub(crate) fn with_pairs<T>(
        &self,
        read: impl for<'q> FnOnce(&mut dyn Iterator<Item = (&'q str, &'q str)>) -> T,
    ) -> T {
        let pairs: Vec<_> = self.pairs().collect();
        read(&mut pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_plain_a_parser_reads_the_same() {
        let hosts = [
            "h",
            "a.example",
            "a-1.b2.example:8787",
            "h:80",
            "h:443",
            "1.2.3.4",
            "a.1",
            "0x7.a",
            "xn--a.b",
            "H.a",
        ];
        let parts = [
            "/",
            ".",
            "..",
            "%2e",
            "%2E",
            "a",
            "?",
            "#",
            "%",
            "%zz",
            "//",
            "'",
            "!$&()*+,;=:@~",
            " ",
            "\\",
            "|",
            "^",
            "[",
        ];
        let mut plain = 0;
        for host in hosts {
            for scheme in ["http", "https"] {
                for i in 0..parts.len().pow(3) {
                    let part = |n: u32| parts[i / parts.len().pow(n) % parts.len()];
                    let url = format!("{scheme}://{host}/{}{}{}", part(0), part(1), part(2));
                    let Some(found) = plain_url::split(&url) else {
                        continue;
                    };
                    plain += 1;
                    let parsed = worker::Url::parse(&url).unwrap();
                    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
                    let host = format!("{}{port}", parsed.host_str().unwrap());
                    let search = parsed
                        .query()
                        .map(|query| format!("?{query}"))
                        .unwrap_or_default();
                    assert_eq!((found.host, found.path), (host.as_str(), parsed.path()), "{url}");
                    // `URL.search` of an empty query is empty; what is sent on keeps the question mark.
                    assert_eq!(found.search, search, "{url}");
                    assert_eq!(parsed.as_str(), url);
                }
            }
        }
        assert!(plain > 1_000, "{plain}");
    }
}
