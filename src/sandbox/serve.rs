//! The owner's traffic: wake the bot, wait for it, hand the request to its ingress port.

use std::rc::Rc;
use std::time::Duration;

use futures::future::{self, Either};
use js_sys::Promise;
use moltworker_core::bot::admission::{Admission, Entry, follows_the_bot};
use moltworker_core::bot::lifecycle::LifecycleEvent;
use moltworker_core::http::container_answer::ContainerAnswer;
use moltworker_core::http::paths;
use moltworker_core::http::problem::Refusal;
use moltworker_core::http::site_data::CLEARED_FOR_MS;
use moltworker_core::wire::run::{
    INGRESS_PORT, INGRESS_SECRET_HEADER, IngressSecret, REFUSAL_HEADER, REQUEST_ID_HEADER, RESTORED_HEADER,
    Run,
};
use wasm_bindgen::prelude::*;
use worker::{Delay, Error, Headers, Response, Result, web_sys};

use super::Inner;
use super::store::Store;
use crate::http::headers;
use crate::http::nonce::Nonce;
use crate::http::pages;
use crate::http::reply;
use crate::platform::{clock, log, tasks};

/// How long a request waits for a bot that wakes up. Cloudflare's edge gives up on an answer after 100 s
/// (error 524), and what it would say then says nothing.
const HOLD_MS: u64 = 90_000;
/// How long it may take until the runtime says how a container ended that is gone.
const END_KNOWN_MS: u64 = 1_000;
/// Containers a single request may see die before it is told. One may have died unnoticed while idle; a
/// second one in a row is not bad luck.
const TRIES: u32 = 2;
/// Every refusal of the ingress is a server's error, but one: that it does not take us for the Sandbox.
const LOWEST_OF_REFUSALS: u16 = 500;
const UNAUTHORIZED: u16 = 401;

#[wasm_bindgen]
extern "C" {
    /// A container's port in our own words: `worker`'s takes requests and answers apart and makes others of them.
    type Port;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Port, request: &web_sys::Request) -> std::result::Result<Promise, JsValue>;

    type MayHaveSocket;

    #[wasm_bindgen(method, getter, js_name = webSocket)]
    fn web_socket(this: &MayHaveSocket) -> Option<JsValue>;
}

impl Inner {
    /// Serves one request of the owner.
    pub(super) async fn serve(self: &Rc<Self>, request: web_sys::Request) -> Result<web_sys::Response> {
        let give_up_at = clock::now_ms().saturating_add(HOLD_MS);
        let mut tries = 0;
        let mut reviewed = false;
        loop {
            self.load().await?;
            match self.life().entry(clock::now_ms()) {
                Entry::Open => {}
                Entry::NeedsSlot if self.has_slot().await => {}
                Entry::NeedsSlot => return self.refuse(&request, Refusal::NoCapacity, None),
                // The limit may be another one since it went to sleep.
                Entry::Refused(Refusal::SpendLimitReached) if !reviewed => {
                    reviewed = true;
                    self.review_limit().await;
                    continue;
                }
                Entry::Refused(refusal) => {
                    let spent = (refusal == Refusal::SpendLimitReached).then(|| self.spent_in_words());
                    return self.refuse(&request, refusal, spent.flatten());
                }
            }
            self.handle_event(LifecycleEvent::Wanted).await?;
            let refusal = match self.life().admission() {
                Admission::Forward(run) => {
                    tries += 1;
                    match self.forward(&request, run).await {
                        Some(response) => {
                            let response = self.translate_refusal(&request, run, response).await?;
                            return self.name_restore(response);
                        }
                        None if tries < TRIES && can_be_sent_again(&request) => continue,
                        None => return self.refuse(&request, Refusal::BotInterrupted, None),
                    }
                }
                Admission::Refused(refusal, reason) => return self.refuse(&request, refusal, Some(reason)),
                Admission::Wait(refusal) => refusal,
            };
            if wants_page(&request) {
                return Ok(self.waking_page(refusal)?.into());
            }
            if !self.change_before(give_up_at).await {
                return Ok(reply::problem(refusal, None)?.into());
            }
        }
    }

    /// Hands the request to the ingress and returns its answer, a WebSocket's 101 included, as it came.
    /// `None` when the container is gone or does not listen.
    async fn forward(self: &Rc<Self>, request: &web_sys::Request, run: Run) -> Option<web_sys::Response> {
        let outcome = async {
            self.usage.count_request();
            let port: Port = self.container()?.get_tcp_port(INGRESS_PORT)?.into_rpc();
            // One that might be sent again has no body, so that nothing of it is used up here.
            let response = match self.ingress_secret(run)? {
                Some(secret) => {
                    let proven = web_sys::Request::new_with_request(request)?;
                    proven.headers().set(INGRESS_SECRET_HEADER, secret.reveal())?;
                    port.fetch(&proven)?
                }
                None => port.fetch(request)?,
            };
            let response = tasks::settled(&response).await?;
            Result::Ok(response.unchecked_into::<web_sys::Response>())
        };
        let error: Error = match outcome.await {
            Ok(response) => return Some(response),
            Err(error) => error,
        };
        let id = request_id(request);
        log::line(
            "forward-failed",
            &[("run", &run), ("request", &id), ("reason", &error)],
        );
        let gone = self.container().is_ok_and(|container| !container.running());
        // Whoever waits for its end knows how it ended, a moment from now.
        let known =
            self.memory.borrow().watched == Some(run) && self.life().is_of(run) && self.life().is_awake();
        if gone && known {
            self.change_before(clock::now_ms().saturating_add(END_KNOWN_MS))
                .await;
        }
        if gone
            && let Err(error) = self
                .handle_event(LifecycleEvent::Exited(run, error.to_string()))
                .await
        {
            log::fault("exit-not-recorded", &[("run", &run), ("reason", &error)]);
        }
        None
    }

    /// What proves to the ingress of `run` that its Sandbox speaks.
    fn ingress_secret(&self, run: Run) -> Result<Option<IngressSecret>> {
        let known = self.memory.borrow().ingress_secret.clone();
        if let Some((_, secret)) = known.filter(|(of, _)| *of == run) {
            return Ok(secret);
        }
        let secret = Store::open(&self.state)?.ingress_secret(run)?;
        self.memory.borrow_mut().ingress_secret = Some((run, secret.clone()));
        Ok(secret)
    }

    /// The answer as it came, if it is one, and not the ingress's own refusal: that is told like every other state of
    /// the bot, to a person as a page.
    async fn translate_refusal(
        self: &Rc<Self>,
        request: &web_sys::Request,
        run: Run,
        response: web_sys::Response,
    ) -> Result<web_sys::Response> {
        let status = response.status();
        if !ContainerAnswer::is_message(status) {
            let socket: &MayHaveSocket = response.unchecked_ref();
            return match ContainerAnswer::of(status, socket.web_socket().is_some()) {
                Ok(_) => Ok(response),
                Err(why) => self.refuse(request, Refusal::BadAnswer, Some(why.to_string())),
            };
        }
        // Most answers are no refusals, and their status says so.
        if status < LOWEST_OF_REFUSALS && status != UNAUTHORIZED {
            return Ok(response);
        }
        let code = response.headers().get(REFUSAL_HEADER)?;
        let Some(refusal) = code.as_deref().and_then(Refusal::of_the_ingress) else {
            return Ok(response);
        };
        if refusal == Refusal::IngressSecretRequired {
            log::line(
                "ingress-refused",
                &[("run", &run), ("request", &request_id(request))],
            );
            return self.refuse(request, Refusal::Internal, None);
        }
        if refusal == Refusal::BotCrashLooped {
            let said = self.observe_supervisor(run).await;
            self.handle_event(LifecycleEvent::Reported(run, said)).await?;
            if let Admission::Refused(Refusal::BotCrashLooped, reason) = self.life().admission() {
                return self.refuse(request, refusal, Some(reason));
            }
        }
        if wants_page(request) {
            return self.refuse(request, refusal, None);
        }
        Ok(response)
    }

    /// Names the restore in an answer, for the Worker to have browsers forget what they keep of the bot's host.
    fn name_restore(&self, response: web_sys::Response) -> Result<web_sys::Response> {
        let restored_at = self.memory.borrow().restored_at;
        let is_recent = |at: &u64| clock::now_ms().saturating_sub(*at) < CLEARED_FOR_MS;
        let Some(restored_at) = restored_at.filter(is_recent) else {
            return Ok(response);
        };
        // A handshake has no page that could be cleared for.
        if !ContainerAnswer::is_message(response.status()) {
            return Ok(response);
        }
        let copy = headers::copy(&response)?;
        copy.headers().set(RESTORED_HEADER, &restored_at.to_string())?;
        Ok(copy)
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

    /// The address of the owner's own page, also from their bot's host.
    pub(super) fn own_page(&self) -> Result<String> {
        Ok(format!("{}{}", self.settings()?.public.as_str(), paths::OWN_PAGE))
    }

    fn waking_page(self: &Rc<Self>, refusal: Refusal) -> Result<Response> {
        let nonce = Nonce::new()?;
        let markup = pages::waking::page(&nonce, &self.status(), refusal, &self.own_page()?);
        let response = reply::page(503, &nonce, markup)?;
        reply::add_refusal_headers(response.headers(), refusal)?;
        Ok(response)
    }

    fn refuse(
        self: &Rc<Self>,
        request: &web_sys::Request,
        refusal: Refusal,
        detail: Option<String>,
    ) -> Result<web_sys::Response> {
        let response = if wants_page(request) {
            match follows_the_bot(refusal) {
                true => self.waking_page(refusal),
                false => reply::refusal_page_with(refusal, detail.as_deref(), Some(&self.own_page()?)),
            }
        } else {
            reply::problem(refusal, detail)
        };
        response.map(Into::into)
    }
}

/// A request without an effect can reach a second container as if it were the first. The Worker takes a body away from
/// these.
fn can_be_sent_again(request: &web_sys::Request) -> bool {
    matches!(request.method().as_str(), "GET" | "HEAD")
}

/// By which the Worker has sent it. Asked only for a line in the log.
fn request_id(request: &web_sys::Request) -> String {
    let found = request.headers().get(REQUEST_ID_HEADER).ok().flatten();
    found.unwrap_or_default()
}

fn wants_page(request: &web_sys::Request) -> bool {
    reply::wants_page(&request.method(), &Headers(request.headers()))
}
