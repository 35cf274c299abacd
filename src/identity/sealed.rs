//! What only this Worker can have written: cookies, and secrets at rest. AES-GCM with a key of the operator's.

use moltworker_core::base64;
use std::cell::RefCell;

use moltworker_core::settings::Settings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::platform::webcrypto::{self, Key};

thread_local! {
    static KEY: RefCell<Option<([u8; 32], Key)>> = const { RefCell::new(None) };
}

/// Seals `value` for one purpose, as text that fits a cookie. What was sealed for one purpose opens for no
/// other.
pub(crate) async fn seal(
    settings: &Settings,
    purpose: &str,
    value: &impl Serialize,
) -> worker::Result<String> {
    seal_bytes(settings, purpose, &serde_json::to_vec(value)?).await
}

async fn seal_bytes(settings: &Settings, purpose: &str, plain: &[u8]) -> worker::Result<String> {
    let sealed = webcrypto::seal(&key(settings).await?, purpose, plain).await?;
    Ok(base64::encode_url(sealed))
}

/// The inverse of [`seal`]; `None` for anything it did not make.
pub(crate) async fn open<T: DeserializeOwned>(settings: &Settings, purpose: &str, text: &str) -> Option<T> {
    let plain = open_bytes(settings, purpose, text).await?;
    moltworker_core::json::from_bytes(&plain).ok()
}

async fn open_bytes(settings: &Settings, purpose: &str, text: &str) -> Option<Vec<u8>> {
    let sealed = base64::decode_url(text)?;
    let key = key(settings).await.ok()?;
    webcrypto::open(&key, purpose, &sealed).await.ok()?
}

async fn key(settings: &Settings) -> worker::Result<Key> {
    let bytes = settings.session_key.reveal();
    let imported = KEY.with_borrow(|key| {
        let known = key.as_ref().filter(|(of, _)| of == bytes);
        known.map(|(_, key)| key.clone())
    });
    if let Some(key) = imported {
        return Ok(key);
    }
    let key = webcrypto::import_sealing_key(bytes).await?;
    KEY.set(Some((*bytes, key.clone())));
    Ok(key)
}
