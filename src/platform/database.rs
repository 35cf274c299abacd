//! What every use of D1 needs.

use moltworker_core::settings::DATABASE_BINDING;
use wasm_bindgen::JsValue;
use worker::{D1Database, Env};

/// The registry.
pub(crate) fn open(env: &Env) -> worker::Result<D1Database> {
    env.d1(DATABASE_BINDING)
}

/// A moment, in milliseconds since 1970, as D1 takes numbers.
#[expect(
    clippy::cast_precision_loss,
    reason = "D1 numbers are doubles; milliseconds since 1970 need 41 bits"
)]
pub(crate) fn d1_timestamp(ms: u64) -> JsValue {
    JsValue::from_f64(ms as f64)
}

/// A text, or NULL.
pub(crate) fn text_or_null(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from_str)
}
