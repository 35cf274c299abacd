//! Reads what the operator configured from the Worker's environment.

use std::rc::Rc;

use moltworker_core::settings::{BINDINGS, Setting, SettingProblem, Settings};
use wasm_bindgen::JsValue;
use worker::Env;

use crate::platform::bindings;

/// All settings, if all bindings are there. Read once per isolate, unless something is wrong with them.
///
/// # Errors
/// Everything that is missing or malformed.
pub(crate) fn read(env: &Env) -> Result<Rc<Settings>, Vec<SettingProblem>> {
    if let Some(settings) = bindings::settings(env) {
        return Ok(settings);
    }
    let settings = Rc::new(judge(env)?);
    bindings::remember(env, &settings);
    Ok(settings)
}

fn judge(env: &Env) -> Result<Settings, Vec<SettingProblem>> {
    let missing_bindings: Vec<SettingProblem> = BINDINGS
        .iter()
        .filter(|binding| binding.required && bindings::get::<JsValue>(env, binding.name).is_err())
        .map(|binding| SettingProblem {
            setting: Setting {
                name: binding.name,
                meaning: binding.meaning,
                how: "bind it in wrangler.toml as the repository's own does",
            },
            reason: "is not bound",
        })
        .collect();

    // A secret is a variable to the runtime; `var` reads both.
    match Settings::read(|name| env.var(name).ok().map(|value| value.to_string())) {
        Ok(settings) if missing_bindings.is_empty() => Ok(settings),
        Ok(_) => Err(missing_bindings),
        Err(mut problems) => {
            problems.extend(missing_bindings);
            Err(problems)
        }
    }
}
