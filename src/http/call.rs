//! What the history keeps of a call.

use moltworker_core::api::audit::short_agent;
use moltworker_core::hex;

use crate::http::headers::ReadHeaders;
use crate::platform::history::Call;
use crate::platform::webcrypto;

/// Random bytes in the id of a request that Cloudflare gave none.
const REQUEST_ID_BYTES: u32 = 8;

/// In this header Cloudflare numbers each request; what a client sends there, it overwrites.
pub(crate) const RAY_HEADER: &str = "cf-ray";

/// The id of a request: Cloudflare's, or one of our own where no Cloudflare is.
///
/// # Errors
/// The runtime's, for want of randomness.
pub(crate) fn request_id(headers: &dyn ReadHeaders) -> worker::Result<String> {
    match headers.value_of(RAY_HEADER) {
        Some(ray) => Ok(ray),
        None => Ok(hex::encode(&webcrypto::random_bytes(REQUEST_ID_BYTES)?)),
    }
}

/// A call of an endpoint, for whoever may have an event to write about it. Its facts are read only then.
#[derive(Clone, Copy)]
pub(crate) struct Called<'a> {
    /// The name of the endpoint.
    pub(crate) action: &'static str,
    pub(crate) headers: &'a dyn ReadHeaders,
}

impl Called<'_> {
    /// # Errors
    /// The runtime's, for want of randomness.
    pub(crate) fn facts(self) -> worker::Result<Call> {
        let Self { action, headers } = self;
        Ok(Call {
            action,
            request_id: request_id(headers)?,
            address: self.address(),
            agent: headers.value_of("user-agent").map(|agent| short_agent(&agent)),
        })
    }

    /// From where.
    pub(crate) fn address(self) -> Option<String> {
        self.headers.value_of("cf-connecting-ip")
    }
}
