//! The owner's traffic: wake the bot, wait for it, hand the request to its ingress port.

use std::rc::Rc;
use std::time::Duration;

use futures::future::{self, Either};
use moltworker_core::bot::lifecycle::{Desired, LifecycleEvent, LifecycleState};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::run::{INGRESS_PORT, REFUSAL_HEADER, Run};
use wasm_bindgen::JsValue;
use worker::{Delay, Request, Response, Result, web_sys};

use super::Inner;
use crate::http::address::method_of;
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
            if let Some(refusal) = self.refused_entry().await? {
                return self.refuse(&request, refusal, None);
            }
            self.handle_event(LifecycleEvent::Wanted).await?;
            let life = self.life();
            let refusal = match life.state {
                // Unhealthy: the ingress holds the request while the supervisor brings the gateway back.
                LifecycleState::Running | LifecycleState::Unhealthy { .. } => {
                    tries += 1;
                    match self.forward(&request, life.run).await {
                        Some(response) => return self.translate_refusal(&request, life.run, response).await,
                        None if tries < TRIES && can_be_sent_again(&request) => continue,
                        None => return self.refuse(&request, Refusal::BotInterrupted, None),
                    }
                }
                LifecycleState::BackingOff { reason, .. } => {
                    return self.refuse(&request, Refusal::BotFailed, Some(reason));
                }
                LifecycleState::CrashLooped { reason, .. } => {
                    return self.refuse(&request, Refusal::BotCrashLooped, Some(reason));
                }
                LifecycleState::Starting { .. } | LifecycleState::Restoring { .. } => Refusal::BotWaking,
                LifecycleState::Stopping { .. } => Refusal::BotStopping,
                // It ended between two lines of this loop: the next round starts it.
                LifecycleState::Asleep => Refusal::BotWaking,
            };
            if reply::is_for_person(&request) {
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
            if let LifecycleState::CrashLooped { reason, .. } = self.life().state {
                return self.refuse(request, refusal, Some(reason));
            }
        }
        if reply::is_for_person(request) {
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
        if reply::is_for_person(request) {
            return match refusal {
                Refusal::BotFailed
                | Refusal::BotCrashLooped
                | Refusal::NoCapacity
                | Refusal::BotWaking
                | Refusal::BotStopping => self.waking_page(refusal),
                other => reply::refusal_page(other),
            };
        }
        reply::problem(refusal, detail)
    }

    /// Whether the bot may not run at all, or there is no place for it right now.
    async fn refused_entry(self: &Rc<Self>) -> Result<Option<Refusal>> {
        self.load().await?;
        let life = self.life();
        match life.desired {
            Desired::Stopped => Ok(Some(Refusal::BotStopped)),
            Desired::Suspended => Ok(Some(Refusal::BotSuspended)),
            Desired::Available if life.would_start(clock::now_ms()) => {
                Ok((!self.has_slot().await).then_some(Refusal::NoCapacity))
            }
            Desired::Available => Ok(None),
        }
    }
}

/// A request without a body and without an effect can reach a second container as if it were the first.
fn can_be_sent_again(request: &Request) -> bool {
    matches!(method_of(request).as_str(), "GET" | "HEAD")
}

/// The same request object, not a copy: its body is still the one stream that arrived.
fn same_request(request: &Request) -> Request {
    let object: &JsValue = request.inner().as_ref();
    web_sys::Request::from(object.clone()).into()
}
