//! The owner's traffic: wake the bot, wait for it, hand the request to its ingress port.

use std::rc::Rc;
use std::time::Duration;

use futures::future::{self, Either};
use moltworker_core::bot::admission::{Admission, Entry, follows_the_bot};
use moltworker_core::bot::lifecycle::LifecycleEvent;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::run::{INGRESS_PORT, REFUSAL_HEADER, Run};
use wasm_bindgen::JsValue;
use worker::{Delay, Request, Response, Result, web_sys};

use super::Inner;
use crate::http::pages;
use crate::http::reply::{self, Nonce};
use crate::platform::{clock, log};

/// How long a request waits for a bot that wakes up. Cloudflare's edge gives up on an answer after 100 s
/// (error 524), and what it would say then says nothing.
const HOLD_MS: u64 = 90_000;
/// Containers a single request may see die before it is told. One may have died unnoticed while idle; a
/// second one in a row is not bad luck.
const TRIES: u32 = 2;

impl Inner {
    /// Serves one request of the owner.
    pub(super) async fn serve(self: &Rc<Self>, request: Request) -> Result<Response> {
        let give_up_at = clock::now_ms().saturating_add(HOLD_MS);
        let mut tries = 0;
        loop {
            self.load().await?;
            match self.life().entry(clock::now_ms()) {
                Entry::Open => {}
                Entry::NeedsSlot if self.has_slot().await => {}
                Entry::NeedsSlot => return self.refuse(&request, Refusal::NoCapacity, None),
                Entry::Refused(refusal) => return self.refuse(&request, refusal, None),
            }
            self.handle_event(LifecycleEvent::Wanted).await?;
            let refusal = match self.life().admission() {
                Admission::Forward(run) => {
                    tries += 1;
                    match self.forward(&request, run).await {
                        Some(response) => return self.translate_refusal(&request, run, response).await,
                        None if tries < TRIES && can_be_sent_again(&request) => continue,
                        None => return self.refuse(&request, Refusal::BotInterrupted, None),
                    }
                }
                Admission::Refused(refusal, reason) => return self.refuse(&request, refusal, Some(reason)),
                Admission::Wait(refusal) => refusal,
            };
            if reply::wants_page(request.method().as_ref(), request.headers()) {
                return self.waking_page(refusal);
            }
            if !self.change_before(give_up_at).await {
                return reply::problem(refusal, None);
            }
        }
    }

    /// Hands the request to the ingress and returns its answer, a WebSocket's 101 included, as it came.
    /// `None` when the container is gone or does not listen.
    async fn forward(self: &Rc<Self>, request: &Request, run: Run) -> Option<Response> {
        let outcome = async {
            let port = self.container()?.get_tcp_port(INGRESS_PORT)?;
            // A request that might be sent again is sent as a copy; copying a body would tee it into memory.
            let request = if can_be_sent_again(request) {
                request.clone()?
            } else {
                same_request(request)
            };
            port.fetch_request(request).await
        };
        let error = match outcome.await {
            Ok(response) => return Some(response),
            Err(error) => error,
        };
        log::line("forward-failed", &[("run", &run), ("reason", &error)]);
        let gone = self.container().is_ok_and(|container| !container.running());
        if gone
            && let Err(error) = self
                .handle_event(LifecycleEvent::Exited(run, error.to_string()))
                .await
        {
            log::line("exit-not-recorded", &[("run", &run), ("reason", &error)]);
        }
        None
    }

    /// The answer as it came, unless it is the ingress's own refusal: that is told like every other state of the
    /// bot, to a person as a page.
    async fn translate_refusal(
        self: &Rc<Self>,
        request: &Request,
        run: Run,
        response: Response,
    ) -> Result<Response> {
        let code = response.headers().get(REFUSAL_HEADER)?;
        let Some(refusal) = code.as_deref().and_then(Refusal::of_the_ingress) else {
            return Ok(response);
        };
        if refusal == Refusal::BotCrashLooped {
            let said = self.observe_supervisor(run).await;
            self.handle_event(LifecycleEvent::Reported(run, said)).await?;
            if let Admission::Refused(Refusal::BotCrashLooped, reason) = self.life().admission() {
                return self.refuse(request, refusal, Some(reason));
            }
        }
        if reply::wants_page(request.method().as_ref(), request.headers()) {
            return self.refuse(request, refusal, None);
        }
        Ok(response)
    }

    /// Waits for the next change of state; false when there was none in time.
    async fn change_before(&self, give_up_at: u64) -> bool {
        let left = give_up_at.saturating_sub(clock::now_ms());
        let change = self.next_change();
        matches!(
            future::select(change, Delay::from(Duration::from_millis(left))).await,
            Either::Left(_)
        )
    }

    fn waking_page(&self, refusal: Refusal) -> Result<Response> {
        let nonce = Nonce::new()?;
        let response = reply::page(503, &nonce, pages::waking::page(&nonce, &self.status(), refusal))?;
        reply::add_refusal_headers(response.headers(), refusal)?;
        Ok(response)
    }

    fn refuse(&self, request: &Request, refusal: Refusal, detail: Option<String>) -> Result<Response> {
        if reply::wants_page(request.method().as_ref(), request.headers()) {
            return match follows_the_bot(refusal) {
                true => self.waking_page(refusal),
                false => reply::refusal_page(refusal),
            };
        }
        reply::problem(refusal, detail)
    }
}

/// A request without a body and without an effect can reach a second container as if it were the first.
fn can_be_sent_again(request: &Request) -> bool {
    matches!(request.method(), worker::Method::Get | worker::Method::Head)
}

/// The same request object, not a copy: its body is still the one stream that arrived.
fn same_request(request: &Request) -> Request {
    let object: &JsValue = request.inner().as_ref();
    web_sys::Request::from(object.clone()).into()
}
