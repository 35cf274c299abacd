//! What allows the scripts and styles of one page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::platform::webcrypto;

/// Allows the scripts and styles of one page: they carry it, nothing injected can.
pub(crate) struct Nonce(String);

impl Nonce {
    pub(crate) fn new() -> worker::Result<Self> {
        // 16 bytes: CSP asks for at least 128 bits.
        Ok(Self(URL_SAFE_NO_PAD.encode(webcrypto::random_bytes(16)?)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self("test".into())
    }
}
