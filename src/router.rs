//! A request's way through the Worker: settings → site → endpoint → rate → who asks → history → size → handler.
//!
//! Everything here follows from the table of endpoints (`core::api::table`); nothing is decided per path.

use std::cell::Cell;

use moltworker_core::api::access::{self, permit};
use moltworker_core::api::audit::Outcome;
use moltworker_core::api::contract::Access;
use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::api::operation::Operation;
use moltworker_core::api::route::{HostKind, PathParameters, Route, route};
use moltworker_core::bot::history::Actor;
use moltworker_core::http::header_policy::same_origin;
use moltworker_core::http::problem::Refusal;
use moltworker_core::metrics::classes::{RequestClass, RequestOutcome};
use moltworker_core::settings::{SettingProblem, Settings};
use worker::{Env, Request, Response, web_sys};

use crate::api::audit::AuditTrail;
use crate::api::context::Context;
use crate::http::address::method_of;
use crate::http::call::Called;
use crate::http::error::{Error, Result};
use crate::http::incoming::{Incoming, same_request};
use crate::http::nonce::Nonce;
use crate::http::reply;
use crate::http::sites::{self, Served};
use crate::http::{body, pages, rate_limiter};
use crate::identity::admission::{self, Freshness};
use crate::identity::caller::Caller;
use crate::identity::{csrf, session_handoff, sign_in, users};
use crate::platform::tasks::{self, Invocation};
use crate::platform::{configuration, log, metrics, watch};
use crate::{alerts, api, proxy, repository};

/// Answers one request. An error on the way is logged and told as "internal", without its words.
pub(crate) async fn answer(
    request: web_sys::Request,
    env: &Env,
    invocation: &Invocation,
) -> worker::Result<web_sys::Response> {
    let tally = Tally::new();
    let answered = match Incoming::read(same_request(&request)) {
        Ok(incoming) => {
            let subject = log::Subject::request(incoming.request_id());
            let work = async {
                let outcome = dispatch(&incoming, env, invocation, &tally).await;
                outcome.or_else(|error| answer_error(&incoming, error, &tally))
            };
            log::about(Some(subject), work).await
        }
        Err(error) => refuse(&request.into(), "", error.into()).map(Into::into),
    };
    if tally.count() {
        let env = env.clone();
        tasks::beside(invocation, async move { metrics::write_counted(&env).await });
    }
    answered
}

/// What a request was for and how it was answered, for the metrics. Until somebody says so it has failed.
struct Tally {
    class: Cell<RequestClass>,
    outcome: Cell<RequestOutcome>,
}

impl Tally {
    fn new() -> Self {
        Self {
            class: Cell::new(RequestClass::Nothing),
            outcome: Cell::new(RequestOutcome::Failed),
        }
    }

    /// The platform itself answers with this status.
    fn answers(&self, status: u16) {
        self.outcome
            .set(RequestOutcome::of_status(self.class.get(), status));
    }

    fn fails(&self, error: &Error) {
        self.outcome.set(match error {
            Error::Refused(refusal, _) => RequestOutcome::of_refusal(*refusal),
            Error::Runtime(_) => RequestOutcome::Failed,
        });
    }

    /// Counts it; whether what was counted is to be written down now.
    fn count(&self) -> bool {
        metrics::count_request(self.class.get(), self.outcome.get())
    }
}

/// An error as the answer to a request.
fn answer_error(incoming: &Incoming, error: Error, tally: &Tally) -> worker::Result<web_sys::Response> {
    tally.fails(&error);
    let response = refuse(&incoming.request(), incoming.request_id(), error)?;
    reply::numbered(response, incoming.request_id())
}

/// An error, as the caller is told it.
fn refuse(request: &Request, id: &str, error: Error) -> worker::Result<Response> {
    match error {
        Error::Refused(refusal, detail) => reply::refuse(request, refusal, detail),
        Error::Runtime(error) => {
            let (method, path) = (method_of(request), request.path());
            log::fault(
                "internal-error",
                &[
                    ("request", &id),
                    ("method", &method),
                    ("path", &path),
                    ("reason", &error),
                ],
            );
            reply::refuse(request, Refusal::Internal, None)
        }
    }
}

async fn dispatch(
    incoming: &Incoming,
    env: &Env,
    invocation: &Invocation,
    tally: &Tally,
) -> Result<web_sys::Response> {
    let (method, path) = (&incoming.method, &incoming.address.path);
    // Endpoints on every host, also on one that no person uses and while the operator is still setting up domains.
    let everywhere = match route(method, HostKind::Elsewhere, path) {
        Route::To(endpoint, parameters) => Some((endpoint, endpoint.operation(), parameters)),
        _ => None,
    };
    if let Some((endpoint, ..)) = everywhere {
        tally.class.set(RequestClass::of(endpoint));
    }
    if let Some((_, Operation::Health, _)) = everywhere {
        tally.answers(200);
        return Ok(reply::numbered(reply::text(200, "ok\n")?, incoming.request_id())?);
    }
    let settings = match configuration::read(env) {
        Ok(settings) => settings,
        Err(problems) => {
            tally.fails(&Refusal::NotConfigured.into());
            return Ok(reply::numbered(
                not_configured(incoming, &problems)?,
                incoming.request_id(),
            )?);
        }
    };
    if let Some((endpoint, Operation::ServeRepository, PathParameters { user: Some(user), .. })) = everywhere
    {
        rate_limiter::count_address(env, &incoming.headers, Some(endpoint.rate())).await?;
        let answered = repository::answer(&mut incoming.request(), env, &settings, user).await?;
        repository::usage::write_soon(env, invocation);
        if let Some(call) = answered.operator {
            let audit = AuditTrail::new(env, endpoint, &incoming.headers, Some(user))?;
            audit.used_by_operator(&call, &answered.response).await;
        }
        let response = answered.response?;
        tally.answers(response.status_code());
        return Ok(reply::numbered(response, incoming.request_id())?);
    }
    let served = sites::served(env, &settings, &incoming.address.host).await?;
    let found = route(method, served.host_kind(), path);
    let rate = match &found {
        Route::To(endpoint, _) => Some(endpoint.rate()),
        _ => None,
    };
    rate_limiter::count_address(env, &incoming.headers, rate).await?;
    match found {
        Route::To(endpoint, parameters) => {
            tally.class.set(RequestClass::of(endpoint));
            let call = Call {
                env,
                invocation,
                settings: &settings,
                served: &served,
                endpoint,
                parameters,
                renewed: Cell::default(),
                tally,
            };
            let response = match call.answer(incoming).await {
                Ok(response) => response,
                Err(error) => answer_error(incoming, error, tally)?,
            };
            match call.renewed.take() {
                Some(cookie) => Ok(reply::with_cookie(response.into(), &cookie)?.into()),
                None => Ok(response),
            }
        }
        Route::NotFound => Err(Refusal::NotFound.into()),
        Route::UnknownHost => Err(Refusal::UnknownHost.into()),
        Route::WrongMethod { allow } => {
            let response = reply::wrong_method(&incoming.request(), &allow)?;
            tally.answers(response.status_code());
            Ok(reply::numbered(response, incoming.request_id())?)
        }
    }
}

/// A request on its way to the endpoint it means.
struct Call<'a> {
    env: &'a Env,
    invocation: &'a Invocation,
    settings: &'a Settings,
    served: &'a Served,
    endpoint: &'static Endpoint,
    parameters: PathParameters,
    /// The cookie of a session that was renewed on the way. Whatever the answer is, a WebSocket's too, the
    /// browser has to get it: with the old one each of its requests would ask for a renewal.
    renewed: Cell<Option<String>>,
    tally: &'a Tally,
}

impl Call<'_> {
    async fn answer(&self, incoming: &Incoming) -> Result<web_sys::Response> {
        let access = self.endpoint.access();
        if access == Access::Traffic {
            // It has no history of its own.
            return match self.permitted(incoming, Freshness::Hour, None).await {
                Ok(caller) => {
                    let served =
                        proxy::serve(self.env, self.settings, self.served, &caller, incoming).await?;
                    self.tally.outcome.set(served.outcome);
                    Ok(served.response)
                }
                Err(refusal) => self.turn_away(incoming, refusal).await,
            };
        }
        // Beside a call of the platform's own, never on a bot's way.
        if watch::is_due() {
            let env = self.env.clone();
            tasks::beside(self.invocation, async move { alerts::look_for_cron(&env).await });
        }
        let audit = AuditTrail::new(self.env, self.endpoint, &incoming.headers, self.parameters.user)?;
        let caller = match access {
            Access::Public => None,
            Access::Monitor if self.is_monitor(incoming) => None,
            _ => match self.permitted(incoming, Freshness::Minute, Some(&audit)).await {
                Ok(caller) => Some(caller),
                Err(refusal) => {
                    if !self.has_to_sign_in(incoming, refusal) {
                        audit.refused(refusal).await;
                    }
                    return self.turn_away(incoming, refusal).await;
                }
            },
        };
        let ctx = Context {
            env: self.env,
            settings: self.settings,
            served: self.served,
            endpoint: self.endpoint,
            parameters: self.parameters,
            called: self.called(incoming),
            caller,
            renewed: &self.renewed,
            audit,
        };
        // Only now, so that what is too large for an admin's endpoint is an event there like any other refusal.
        let checked = self
            .endpoint
            .max_body()
            .map_or(Ok(()), |max| body::check_size(incoming, max));
        let answer = match checked {
            Ok(()) => api::handle(&ctx, &mut incoming.request()).await,
            Err(refusal) => Err(refusal),
        };
        let ended = outcome(&answer);
        self.tally.answers(ended.status);
        ctx.audit.end(ended, self.invocation).await;
        Ok(reply::numbered(answer?, incoming.request_id())?)
    }

    /// Whether this is the operator's monitor. Without such a token nobody is.
    fn is_monitor(&self, incoming: &Incoming) -> bool {
        let sent = incoming
            .headers
            .get("authorization")
            .and_then(|sent| sent.strip_prefix("Bearer "));
        let token = self.settings.monitor_token.as_ref();
        sent.zip(token).is_some_and(|(sent, token)| token.is(sent))
    }

    /// Whether this is a person who only has to sign in, at an address that leads there.
    fn has_to_sign_in(&self, incoming: &Incoming, refusal: Refusal) -> bool {
        let would_do = matches!(refusal, Refusal::SignInRequired | Refusal::SecondFactorRequired);
        self.endpoint.leads_to_sign_in() && would_do && incoming.is_for_person()
    }

    /// A refusal, or, for a person who only has to sign in, the way to where they can.
    async fn turn_away(&self, incoming: &Incoming, refusal: Refusal) -> Result<web_sys::Response> {
        if !self.has_to_sign_in(incoming, refusal) {
            return Err(refusal.into());
        }
        self.tally.fails(&refusal.into());
        let request = incoming.request();
        let page = match self.served {
            Served::Bot(host) => session_handoff::redirect_to_platform(&request, host, self.settings).await?,
            Served::Platform | Served::Nowhere => sign_in::redirect_to_login(&request, refusal)?,
        };
        Ok(reply::numbered(Response::from(page), incoming.request_id())?)
    }

    /// Who calls, if they may.
    async fn permitted(
        &self,
        incoming: &Incoming,
        freshness: Freshness,
        audit: Option<&AuditTrail<'_>>,
    ) -> std::result::Result<Caller, Refusal> {
        let caller = self.identified(incoming).await?;
        let is_admin = users::is_admin(caller.identity(), &self.settings.access);
        let user = caller.identity().user;
        if let Some(audit) = audit {
            let (actor, of) = match (
                self.endpoint.access(),
                admission::other_owner(self.served, &caller),
            ) {
                (Access::Admin | Access::Monitor, _) if is_admin => (Actor::Admin(user), None),
                (Access::Admin | Access::Monitor, _) => (Actor::User(user), None),
                (_, Some(owner)) => (Actor::User(user), Some(owner)),
                (_, None) => (Actor::Owner, Some(user)),
            };
            audit.caller_is(actor, of);
        }
        self.admit(incoming, &caller, freshness).await?;
        let origin = incoming.headers.get("origin");
        let served = self.served.origin(self.settings);
        let facts = access::CallerFacts {
            credential: caller.credential(),
            is_admin,
            lacks_second_factor: self
                .settings
                .tokens
                .require_mfa
                .is_lacking_for_admin(caller.identity()),
            from_own_page: origin.is_some() && same_origin(origin, served),
            page: csrf::proof(self.settings, self.served, &caller, incoming).await,
        };
        permit(self.endpoint.access(), facts)?;
        Ok(caller)
    }

    async fn identified(&self, incoming: &Incoming) -> std::result::Result<Caller, Refusal> {
        let identified = admission::identify(self.env, &incoming.headers, self.settings, self.served).await?;
        self.renewed.set(identified.renewed);
        Ok(identified.caller)
    }

    fn called<'i>(&self, incoming: &'i Incoming) -> Called<'i> {
        Called {
            action: self.endpoint.name(),
            headers: &incoming.headers,
        }
    }

    async fn admit(
        &self,
        incoming: &Incoming,
        caller: &Caller,
        freshness: Freshness,
    ) -> std::result::Result<(), Refusal> {
        let called = self.called(incoming);
        admission::admit(self.env, called, self.settings, self.served, caller, freshness).await
    }
}

fn outcome(answer: &Result<Response>) -> Outcome {
    match answer {
        Ok(response) => Outcome::answered(response.status_code()),
        Err(Error::Refused(refusal, _)) => Outcome::refused(*refusal),
        Err(Error::Runtime(_)) => Outcome::refused(Refusal::Internal),
    }
}

fn not_configured(incoming: &Incoming, problems: &[SettingProblem]) -> worker::Result<Response> {
    if !incoming.is_for_person() {
        let list: Vec<String> = problems
            .iter()
            .map(|problem| {
                let setting = problem.setting;
                format!(
                    "{} {}: {} ({})",
                    setting.name, problem.reason, setting.meaning, setting.how
                )
            })
            .collect();
        return reply::problem(Refusal::NotConfigured, Some(list.join("; ")));
    }
    let nonce = Nonce::new()?;
    let response = reply::page(503, &nonce, pages::not_configured(&nonce, problems))?;
    reply::add_refusal_headers(response.headers(), Refusal::NotConfigured)?;
    Ok(response)
}
