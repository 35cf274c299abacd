//! Runs what the Worker is asked for. `wasm_bindgen_futures` takes a microtask for every step of a future and makes two
//! functions of JavaScript for every promise it waits for, each registered for finalization; together that was a tenth of
//! what a request cost. Here a step is taken right when its promise settles, and the functions are used again.
//!
//! Only what happens on every request's way waits here; what waits through `JsFuture` may be anywhere in between.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures::future::LocalBoxFuture;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// Functions kept to be used again, in pairs. More than wait at one moment, in most isolates.
const KEPT: usize = 64;

#[wasm_bindgen]
extern "C" {
    /// The runtime's hold on what a request set going.
    pub type Invocation;

    #[wasm_bindgen(method, js_name = waitUntil)]
    fn wait_until(this: &Invocation, promise: &Promise);

    type Settling;

    // As `Promise.then`, without a type for what it returns.
    #[wasm_bindgen(method)]
    fn then(this: &Settling, fulfilled: &JsValue, rejected: &JsValue);
}

/// Waits until all of these are over. Each is polled whenever one may go on: they are few, and the library's way to poll only
/// that one is 2 kB of code.
pub(crate) async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut under_way: Vec<_> = futures.map(Box::pin).collect();
    future::poll_fn(|context| {
        under_way.retain_mut(|future| future.as_mut().poll(context).is_pending());
        match under_way.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

#[derive(Default)]
struct Tasks {
    /// By the number a waker knows; none where a future is being polled, or has ended.
    futures: RefCell<Vec<Option<LocalBoxFuture<'static, ()>>>>,
    free: RefCell<Vec<usize>>,
    ready: RefCell<VecDeque<usize>>,
    running: Cell<bool>,
    scheduled: Cell<bool>,
}

thread_local! {
    static TASKS: Tasks = Tasks::default();
    static UNUSED: RefCell<Vec<Rc<PromiseState>>> = const { RefCell::new(Vec::new()) };
}

struct WakeTask(usize);

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        TASKS.with(|tasks| {
            tasks.ready.borrow_mut().push_back(self.0);
            // Whoever wakes from elsewhere may be in the middle of something: not before that has come to its end.
            if !tasks.running.get() && !tasks.scheduled.replace(true) {
                spawn_local(async { TASKS.with(Tasks::run_scheduled) });
            }
        });
    }
}

impl Tasks {
    fn add(&self, future: LocalBoxFuture<'static, ()>) {
        let mut futures = self.futures.borrow_mut();
        let free = self.free.borrow_mut().pop();
        let number = match free.and_then(|number| Some((number, futures.get_mut(number)?))) {
            Some((number, place)) => {
                *place = Some(future);
                number
            }
            None => {
                futures.push(Some(future));
                futures.len() - 1
            }
        };
        self.ready.borrow_mut().push_back(number);
    }

    fn take(&self, number: usize) -> Option<LocalBoxFuture<'static, ()>> {
        self.futures.borrow_mut().get_mut(number)?.take()
    }

    fn run_scheduled(&self) {
        self.scheduled.set(false);
        self.run();
    }

    /// Polls what is ready until nothing is. To be called where nothing of the Worker is on the stack.
    fn run(&self) {
        if self.running.replace(true) {
            return;
        }
        loop {
            let next = self.ready.borrow_mut().pop_front();
            let Some(number) = next else { break };
            let Some(mut future) = self.take(number) else {
                continue;
            };
            let waker = Waker::from(Arc::new(WakeTask(number)));
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(()) => {
                    drop(future);
                    self.free.borrow_mut().push(number);
                }
                Poll::Pending => {
                    if let Some(place) = self.futures.borrow_mut().get_mut(number) {
                        *place = Some(future);
                    }
                }
            }
        }
        self.running.set(false);
    }
}

/// Begins with a future at once; the promise settles as it ends. For what JavaScript calls.
pub(crate) fn promise(future: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let mut future = Some(future);
    let promise = Promise::new(&mut |resolve, reject| {
        let Some(future) = future.take() else { return };
        let task = async move {
            let (settle, value) = match future.await {
                Ok(value) => (resolve, value),
                Err(error) => (reject, error),
            };
            // It throws nothing: it is the runtime's own function.
            let _undefined = settle.call1(&JsValue::UNDEFINED, &value);
        };
        TASKS.with(|tasks| tasks.add(Box::pin(task)));
    });
    TASKS.with(Tasks::run);
    promise
}

/// Goes on with a future without its request waiting for it: the runtime lets it come to its end.
pub(crate) fn beside(invocation: &Invocation, future: impl Future<Output = ()> + 'static) {
    invocation.wait_until(&promise(async move {
        future.await;
        Ok(JsValue::UNDEFINED)
    }));
}

/// Waits for a promise.
///
/// # Errors
/// What it was rejected with.
pub(crate) fn settled(promise: &Promise) -> impl Future<Output = Result<JsValue, JsValue>> {
    let unused = UNUSED.with_borrow_mut(Vec::pop);
    let state = match unused {
        Some(state) => state,
        None => PromiseState::new(),
    };
    if let Some((fulfilled, rejected)) = &*state.functions.borrow() {
        let promise: &Settling = promise.unchecked_ref();
        promise.then(fulfilled.as_ref(), rejected.as_ref());
    }
    Settled(Some(state))
}

type Function = Closure<dyn FnMut(JsValue)>;

/// What becomes of one promise, and the functions that are told.
#[derive(Default)]
struct PromiseState {
    value: RefCell<Option<Result<JsValue, JsValue>>>,
    waker: RefCell<Option<Waker>>,
    /// Nobody waits any more.
    abandoned: Cell<bool>,
    functions: RefCell<Option<(Function, Function)>>,
}

impl PromiseState {
    /// It holds itself by its functions, as long as a promise may call them.
    fn new() -> Rc<Self> {
        let state = Rc::new(Self::default());
        let (one, other) = (Rc::clone(&state), Rc::clone(&state));
        let fulfilled = Closure::new(move |value| one.settle(Ok(value)));
        let rejected = Closure::new(move |error| other.settle(Err(error)));
        state.functions.replace(Some((fulfilled, rejected)));
        state
    }

    fn settle(self: &Rc<Self>, value: Result<JsValue, JsValue>) {
        if self.abandoned.replace(false) {
            return Self::reuse(Rc::clone(self));
        }
        self.value.replace(Some(value));
        let waker = self.waker.take();
        TASKS.with(|tasks| {
            // A promise calls from an empty stack, so what waits for it can go on right here.
            if let Some(waker) = waker {
                let before = tasks.running.replace(true);
                waker.wake();
                tasks.running.set(before);
            }
            tasks.run();
        });
    }

    fn reuse(state: Rc<Self>) {
        UNUSED.with_borrow_mut(|unused| {
            if unused.len() < KEPT {
                unused.push(state);
            } else {
                state.functions.take();
            }
        });
    }
}

struct Settled(Option<Rc<PromiseState>>);

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let value = self.0.as_ref().and_then(|state| state.value.take());
        if let Some(value) = value {
            if let Some(state) = self.0.take() {
                PromiseState::reuse(state);
            }
            return Poll::Ready(value);
        }
        if let Some(state) = &self.0 {
            state.waker.replace(Some(context.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let Some(state) = self.0.take() else { return };
        state.waker.take();
        if state.value.take().is_some() {
            PromiseState::reuse(state);
        } else {
            state.abandoned.set(true);
        }
    }
}
