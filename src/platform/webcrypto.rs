//! The platform's own cryptography. Signatures and seals go through WebCrypto: in workerd it verifies an
//! ES256 signature some fifty times faster than Rust compiled to wasm does (see ARCHITECTURE.md), and no key material enters wasm memory twice.

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use moltworker_core::identity::token::Algorithm;
use wasm_bindgen::prelude::*;

use crate::platform::tasks;

mod derive;
pub(crate) use derive::{derive, import_mac_key, mac};

#[wasm_bindgen]
extern "C" {
    type SubtleCrypto;

    #[wasm_bindgen(thread_local_v2, js_namespace = crypto, js_name = subtle)]
    static SUBTLE: SubtleCrypto;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(buffer: &Uint8Array) -> Result<Uint8Array, JsValue>;

    #[wasm_bindgen(method, catch, js_name = importKey)]
    fn import_key(
        this: &SubtleCrypto,
        format: &str,
        data: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn digest(this: &SubtleCrypto, algorithm: &str, data: &Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn verify(
        this: &SubtleCrypto,
        algorithm: &JsValue,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn encrypt(
        this: &SubtleCrypto,
        algorithm: &JsValue,
        key: &JsValue,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn decrypt(
        this: &SubtleCrypto,
        algorithm: &JsValue,
        key: &JsValue,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// A key as WebCrypto holds it: not extractable, for one purpose.
#[derive(Debug, Clone)]
pub(crate) struct Key(JsValue);

/// `length` bytes from the platform's random source.
pub(crate) fn random_bytes(length: u32) -> worker::Result<Vec<u8>> {
    Ok(get_random_values(&Uint8Array::new_with_length(length))?.to_vec())
}

/// The SHA-256 of `data`.
pub(crate) async fn sha256(data: &[u8]) -> worker::Result<[u8; 32]> {
    let answer = SUBTLE.with(|subtle| subtle.digest("SHA-256", &Uint8Array::from(data)))?;
    let mut hash = [0; 32];
    Uint8Array::new(&tasks::settled(&answer).await?).copy_to(&mut hash);
    Ok(hash)
}

/// A key that verifies signatures of one algorithm: a JWK for the public ones, the raw secret for HS256.
pub(crate) enum VerifyingKey<'a> {
    Public(&'a str),
    Secret(&'a [u8]),
}

pub(crate) async fn import_verifying_key(key: VerifyingKey<'_>, algorithm: Algorithm) -> worker::Result<Key> {
    let (format, data) = match key {
        VerifyingKey::Public(jwk) => ("jwk", js_sys::JSON::parse(jwk)?),
        VerifyingKey::Secret(secret) => ("raw", Uint8Array::from(secret).into()),
    };
    import(format, &data, &verification(algorithm)?, &["verify"]).await
}

/// Whether `signature` over `data` holds. A signature of the wrong length does not; it is no error.
pub(crate) async fn signature_holds(
    key: &Key,
    algorithm: Algorithm,
    signature: &[u8],
    data: &[u8],
) -> worker::Result<bool> {
    let (signature, data) = (Uint8Array::from(signature), Uint8Array::from(data));
    let algorithm = verification(algorithm)?;
    let answer = SUBTLE.with(|subtle| subtle.verify(&algorithm, &key.0, &signature, &data))?;
    Ok(tasks::settled(&answer).await?.is_truthy())
}

fn verification(algorithm: Algorithm) -> worker::Result<JsValue> {
    let members: &[(&str, &str)] = match algorithm {
        Algorithm::Es256 => &[("name", "ECDSA"), ("namedCurve", "P-256"), ("hash", "SHA-256")],
        Algorithm::Rs256 => &[("name", "RSASSA-PKCS1-v1_5"), ("hash", "SHA-256")],
        Algorithm::Hs256 => &[("name", "HMAC"), ("hash", "SHA-256")],
    };
    object(
        members
            .iter()
            .map(|(name, value)| (*name, JsValue::from_str(value))),
    )
}

/// A key for [`seal`] and [`open`].
pub(crate) async fn import_sealing_key(bytes: &[u8; 32]) -> worker::Result<Key> {
    let algorithm = object([("name", JsValue::from_str("AES-GCM"))])?;
    import(
        "raw",
        &Uint8Array::from(bytes.as_slice()).into(),
        &algorithm,
        &["encrypt", "decrypt"],
    )
    .await
}

/// Bytes of an AES-GCM nonce (NIST SP 800-38D §5.2.1.1). Random ones are safe for 2³² seals under one key.
const NONCE_BYTES: u32 = 12;

/// Encrypts and authenticates: nonce, then ciphertext with its tag. `context` is bound to it, so that a
/// text sealed for one purpose cannot be opened for another.
pub(crate) async fn seal(key: &Key, context: &str, plain: &[u8]) -> worker::Result<Vec<u8>> {
    let mut sealed = random_bytes(NONCE_BYTES)?;
    let (algorithm, plain) = (aes_gcm(&sealed, context)?, Uint8Array::from(plain));
    let answer = SUBTLE.with(|subtle| subtle.encrypt(&algorithm, &key.0, &plain))?;
    sealed.extend(Uint8Array::new(&tasks::settled(&answer).await?).to_vec());
    Ok(sealed)
}

/// The inverse of [`seal`]; `None` for anything it did not make.
pub(crate) async fn open(key: &Key, context: &str, sealed: &[u8]) -> worker::Result<Option<Vec<u8>>> {
    let Some((nonce, ciphertext)) = sealed.split_at_checked(NONCE_BYTES as usize) else {
        return Ok(None);
    };
    let (algorithm, ciphertext) = (aes_gcm(nonce, context)?, Uint8Array::from(ciphertext));
    let answer = SUBTLE.with(|subtle| subtle.decrypt(&algorithm, &key.0, &ciphertext))?;
    // The only error WebCrypto has for a wrong key, tag or context is this rejection.
    Ok(tasks::settled(&answer)
        .await
        .ok()
        .map(|plain| Uint8Array::new(&plain).to_vec()))
}

fn aes_gcm(nonce: &[u8], context: &str) -> worker::Result<JsValue> {
    object([
        ("name", JsValue::from_str("AES-GCM")),
        ("iv", Uint8Array::from(nonce).into()),
        ("additionalData", Uint8Array::from(context.as_bytes()).into()),
    ])
}

async fn import(format: &str, data: &JsValue, algorithm: &JsValue, usages: &[&str]) -> worker::Result<Key> {
    let usages: Array = usages.iter().map(|usage| JsValue::from_str(usage)).collect();
    let key = SUBTLE.with(|subtle| subtle.import_key(format, data, algorithm, false, &usages))?;
    Ok(Key(tasks::settled(&key).await?))
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, JsValue)>) -> worker::Result<JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &JsValue::from_str(name), &value)?;
    }
    Ok(object.into())
}
