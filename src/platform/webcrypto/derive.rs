//! Keys from keys, and MACs made with them.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use super::{Key, SUBTLE, SubtleCrypto, import, object};
use crate::platform::tasks;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(method, catch, js_name = deriveBits)]
    fn derive_bits(
        this: &SubtleCrypto,
        algorithm: &JsValue,
        key: &JsValue,
        bits: u32,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn sign(
        this: &SubtleCrypto,
        algorithm: &JsValue,
        key: &JsValue,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// HKDF-SHA256 of `key` with an empty salt: 32 bytes for the purpose that `info` names.
pub(crate) async fn derive(key: &[u8; 32], info: &str) -> worker::Result<Vec<u8>> {
    let name = JsValue::from_str("HKDF");
    let material = Uint8Array::from(key.as_slice()).into();
    let material = import(
        "raw",
        &material,
        &object([("name", name.clone())])?,
        &["deriveBits"],
    )
    .await?;
    let algorithm = object([
        ("name", name),
        ("hash", JsValue::from_str("SHA-256")),
        ("salt", Uint8Array::new_with_length(0).into()),
        ("info", Uint8Array::from(info.as_bytes()).into()),
    ])?;
    let bits = SUBTLE.with(|subtle| subtle.derive_bits(&algorithm, &material.0, 256))?;
    Ok(Uint8Array::new(&tasks::settled(&bits).await?).to_vec())
}

/// A key that makes MACs with [`mac`] and checks them with [`super::signature_holds`].
pub(crate) async fn import_mac_key(bytes: &[u8]) -> worker::Result<Key> {
    import(
        "raw",
        &Uint8Array::from(bytes).into(),
        &hmac()?,
        &["sign", "verify"],
    )
    .await
}

/// The HMAC-SHA256 of `data`.
pub(crate) async fn mac(key: &Key, data: &[u8]) -> worker::Result<Vec<u8>> {
    let (algorithm, data) = (hmac()?, Uint8Array::from(data));
    let answer = SUBTLE.with(|subtle| subtle.sign(&algorithm, &key.0, &data))?;
    Ok(Uint8Array::new(&tasks::settled(&answer).await?).to_vec())
}

fn hmac() -> worker::Result<JsValue> {
    super::verification(moltworker_core::identity::token::Algorithm::Hs256)
}
