//! Points for Analytics Engine, where the long history is kept beside D1. Nothing reads them here, and nothing depends on them:
//! without the binding nothing is written, and what fails is said once in the log and forgotten.

use js_sys::{Array, Object, Reflect};
use moltworker_core::settings::SERIES_BINDING;
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::platform::{bindings, clock, log};

/// What stands for a number that is not known: a dataset has no null, and none of ours is negative.
const UNKNOWN: f64 = -1.0;

#[wasm_bindgen]
extern "C" {
    type Dataset;

    #[wasm_bindgen(method, catch, js_name = writeDataPoint)]
    fn write_data_point(this: &Dataset, point: &Object) -> Result<(), JsValue>;
}

/// Writes one point: what it is about, its texts and its numbers in a fixed order (docs/operations.md).
pub(crate) fn write(env: &Env, about: &str, texts: &[&str], numbers: &[Option<u64>]) {
    let Ok(dataset) = bindings::get::<Dataset>(env, SERIES_BINDING) else {
        return;
    };
    let doubles: Array = numbers
        .iter()
        .map(|number| JsValue::from(number.map_or(UNKNOWN, clock::to_js)))
        .collect();
    let blobs: Array = texts.iter().map(|text| JsValue::from_str(text)).collect();
    let point = Object::new();
    let members = [
        ("indexes", Array::of1(&about.into())),
        ("blobs", blobs),
        ("doubles", doubles),
    ];
    for (name, list) in members {
        // An object of our own takes any member.
        let _set = Reflect::set(&point, &name.into(), &list);
    }
    if let Err(error) = dataset.write_data_point(&point) {
        log::line("series-point-refused", &[("reason", &format!("{error:?}"))]);
    }
}
