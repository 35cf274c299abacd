//! The Worker's environment, looked at once per isolate. Its object stays the same as long as nothing in it changes; when
//! another one comes along, everything is looked up anew.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Reflect;
use moltworker_core::settings::Settings;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Env, Error, Result};

/// What was found in an environment.
struct Known {
    env: JsValue,
    settings: Option<Rc<Settings>>,
    bindings: Vec<(&'static str, JsValue)>,
}

thread_local! {
    static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
}

fn with_known<T>(env: &Env, look: impl FnOnce(&mut Known) -> T) -> T {
    let env: &JsValue = env.as_ref();
    KNOWN.with_borrow_mut(|known| {
        let other = known.as_ref().is_none_or(|known| known.env != *env);
        if other {
            *known = None;
        }
        look(known.get_or_insert_with(|| Known {
            env: env.clone(),
            settings: None,
            bindings: Vec::new(),
        }))
    })
}

/// The settings that were remembered for this environment.
pub(crate) fn settings(env: &Env) -> Option<Rc<Settings>> {
    with_known(env, |known| known.settings.clone())
}

/// Remembers what this environment says.
pub(crate) fn remember(env: &Env, settings: &Rc<Settings>) {
    with_known(env, |known| known.settings = Some(Rc::clone(settings)));
}

/// A binding as an object of our own description.
///
/// # Errors
/// It is not bound.
pub(crate) fn get<T: JsCast>(env: &Env, name: &'static str) -> Result<T> {
    with_known(env, |known| {
        let found = known.bindings.iter().find(|(of, _)| *of == name);
        if let Some((_, binding)) = found {
            return Ok(binding.clone().unchecked_into());
        }
        let binding = Reflect::get(&known.env, &name.into())?;
        if binding.is_undefined() {
            return Err(Error::RustError(format!("{name} is not bound")));
        }
        known.bindings.push((name, binding.clone()));
        Ok(binding.unchecked_into())
    })
}
