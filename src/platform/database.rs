//! What every use of D1 needs.

use futures::future::LocalBoxFuture;
use moltworker_core::settings::DATABASE_BINDING;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use worker::{D1Database, D1PreparedStatement, Env, Error, Result};

use crate::platform::{clock, json, tasks};

/// The registry.
pub(crate) fn open(env: &Env) -> worker::Result<D1Database> {
    env.d1(DATABASE_BINDING)
}

/// A moment, in milliseconds since 1970, as D1 takes numbers.
pub(crate) fn d1_timestamp(ms: u64) -> JsValue {
    clock::to_js(ms).into()
}

/// A text, or NULL.
pub(crate) fn text_or_null(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from_str)
}

#[wasm_bindgen]
extern "C" {
    type Listed;

    #[wasm_bindgen(method, getter)]
    fn results(this: &Listed) -> JsValue;
}

/// Rows as types. As JSON they are read like everything else is; `worker`'s own way is a second reader of every type.
pub(crate) trait Rows {
    /// The first row, if there is one.
    async fn row<T: DeserializeOwned>(&self) -> Result<Option<T>>;

    /// All rows.
    async fn rows<T: DeserializeOwned>(&self) -> Result<Vec<T>>;
}

impl Rows for D1PreparedStatement {
    async fn row<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        json::read(&first(self).await?)
    }

    async fn rows<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        json::read(&all(self).await?)
    }
}

// Boxed, so that what waits for rows of a type holds no more than a pointer: it is there once for each type.
fn first(statement: &D1PreparedStatement) -> LocalBoxFuture<'_, Result<String>> {
    Box::pin(async move { to_text(&tasks::settled(&statement.inner().first(None)?).await?) })
}

fn all(statement: &D1PreparedStatement) -> LocalBoxFuture<'_, Result<String>> {
    Box::pin(async move {
        let listed: Listed = tasks::settled(&statement.inner().all()?).await?.unchecked_into();
        to_text(&listed.results())
    })
}

/// What the runtime gave as rows, in its own objects.
pub(crate) fn read_rows<T: DeserializeOwned>(rows: &JsValue) -> Result<T> {
    json::read(&to_text(rows)?)
}

fn to_text(rows: &JsValue) -> Result<String> {
    let text = js_sys::JSON::stringify(rows)?.as_string();
    text.ok_or_else(|| Error::RustError("the runtime gave no rows".into()))
}
