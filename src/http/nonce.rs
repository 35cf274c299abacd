//! What allows the scripts and styles of one page.

use crate::platform::webcrypto;
use moltworker_core::base64;

/// Allows the scripts and styles of one page: they carry it, nothing injected can.
pub(crate) struct Nonce(String);

impl Nonce {
    pub(crate) fn new() -> worker::Result<Self> {
        // 16 bytes: CSP asks for at least 128 bits.
        Ok(Self(base64::encode_url(webcrypto::random_bytes(16)?)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self("test".into())
    }
}
