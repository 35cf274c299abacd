//! A request's way through the Worker: settings → route → who asks → whose bot → hand over.

use std::cell::Cell;

use moltworker_core::api::route::{DomainCall, Place, Route, route};
use moltworker_core::api::sandbox::{Document, Order};
use moltworker_core::api::snapshots::SnapshotCall;
use moltworker_core::backup::repository::request::split;
use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::http::header_policy::same_origin;
use moltworker_core::http::host::own_host;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::session::{self, Renewal, SESSION_COOKIE, Session};
use moltworker_core::identity::session_handoff::purpose;
use moltworker_core::identity::token::Identity;
use moltworker_core::settings::{SettingProblem, Settings};
use moltworker_core::user_id::UserId;
use worker::url::form_urlencoded;
use worker::{Env, Headers, Request, Response};

use crate::api::{admin, domains, output, snapshots};
use crate::http::address::Address;
use crate::http::reply::{self, Nonce};
use crate::http::sites::{self, BotHost, Served};
use crate::http::{body, pages, rate_limiter};
use crate::identity::caller::{self, Caller};
use crate::identity::sign_in::{self, Exit};
use crate::identity::{session_handoff, users};
use crate::platform::history::{self, HistoryEntry};
use crate::platform::sandbox_client;
use crate::platform::{configuration, log};
use crate::proxy::Origins;
use crate::{proxy, repository};

/// Answers one request. An error on the way is logged and told as "internal", without its words.
pub(crate) async fn answer(request: Request, env: &Env) -> worker::Result<Response> {
    let (method, path, is_page) = (request.method(), request.path(), wants_page(&request));
    match dispatch(request, env).await {
        Ok(response) => Ok(response),
        Err(error) => {
            log::line(
                "internal-error",
                &[("method", &method), ("path", &path), ("reason", &error)],
            );
            if is_page {
                return reply::refusal_page(Refusal::Internal);
            }
            reply::problem(Refusal::Internal, None)
        }
    }
}

async fn dispatch(request: Request, env: &Env) -> worker::Result<Response> {
    let Address { host, path, .. } = Address::of(&request)?;
    let method = request.method().to_string();
    // Answers on any host, also while the operator is still setting up domains.
    if let Route::Health = route(&method, Place::Elsewhere, &path) {
        return reply::text(200, "ok\n");
    }
    let settings = match configuration::read(env) {
        Ok(settings) => settings,
        Err(problems) => return not_configured(&request, &problems),
    };
    // Machines with a token that says whose repository it opens. They may know the Worker by a name that no
    // person uses (REPOSITORY_URL), they upload packs, and they ask as often as a snapshot takes.
    if let Some((user, _)) = split(&path) {
        return repository::answer(request, env, &settings, user).await;
    }
    let served = match sites::served(env, &settings, &host).await {
        Ok(served) => served,
        Err(refusal) => return refuse(&request, refusal),
    };
    let route = route(&method, served.place(), &path);
    if let Err(refusal) = rate_limiter::count_address(env, request.headers(), route.signs_in()).await {
        return refuse(&request, refusal);
    }
    if route != Route::Bot
        && let Err(refusal) = body::check_size(request.headers())
    {
        return refuse(&request, refusal);
    }
    let way = Way {
        env,
        settings: &settings,
        renewed: Cell::default(),
    };
    let response = match &served {
        Served::Bot(host) => way.on_bot_host(request, host, route).await,
        _ => way.on_platform(request, route).await,
    }?;
    match way.renewed.take() {
        Some(cookie) => reply::with_cookie(response, &cookie),
        None => Ok(response),
    }
}

/// What every step of a request's way needs.
struct Way<'a> {
    env: &'a Env,
    settings: &'a Settings,
    /// The cookie of a session that was renewed on the way. Whatever the answer is, a WebSocket's too, the
    /// browser has to get it: with the old one each of its requests would ask for a renewal.
    renewed: Cell<Option<String>>,
}

impl Way<'_> {
    async fn on_platform(&self, mut request: Request, route: Route) -> worker::Result<Response> {
        let Self { env, settings, .. } = self;
        match route {
            Route::Health => reply::text(200, "ok\n"),
            Route::LoginPage => {
                let caller = self.identify(&request, SESSION_COOKIE).await.ok();
                sign_in::show(&request, settings, caller.as_ref())
            }
            Route::LogIn => sign_in::submit(env, request, settings).await,
            Route::SignInWith(provider) => sign_in::start(&request, settings, provider).await,
            Route::SignInCallback => sign_in::callback(env, &request, settings).await,
            Route::SignOut => {
                let exit = Exit {
                    origin: settings.public.as_str(),
                    purpose: SESSION_COOKIE,
                    then: "/login",
                };
                sign_in::sign_out(env, &request, settings, &exit).await
            }
            Route::SessionHandoff => self.issue_code(&request).await,
            Route::BotStatus => match self.caller(&request).await {
                Ok(caller) => told(sandbox_client::status(env, caller.identity().user).await),
                Err(refusal) => refuse(&request, refusal),
            },
            Route::BotOrder(order) => match self.caller(&request).await {
                Ok(caller) => {
                    let by_button = matches!(caller, Caller::Browser(_));
                    let user = caller.identity().user;
                    self.order(&request, user, order, by_button, settings.public.as_str())
                        .await
                }
                Err(refusal) => refuse(&request, refusal),
            },
            Route::Domains(DomainCall::List) => match self.caller(&request).await {
                Ok(caller) => {
                    let user = caller.identity().user;
                    domains::call(&mut request, env, settings, user, DomainCall::List).await
                }
                Err(refusal) => refuse(&request, refusal),
            },
            Route::Domains(call) => match self.bearer(&request).await {
                Ok(identity) => domains::call(&mut request, env, settings, identity.user, call).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::BotEvents => match self.caller(&request).await {
                Ok(caller) => crate::api::history::list(&request, env, Some(caller.identity().user)).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::Snapshots(call) => match self.for_snapshots(&request, call).await {
                Ok(user) => snapshots::call(&mut request, env, user, Actor::Owner, call).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::AdminSnapshots(bot, call) => match self.admin(&request).await {
                Ok(admin) => snapshots::call(&mut request, env, bot, Actor::Admin(admin), call).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::BotLogs => match self.caller(&request).await {
                Ok(caller) => output::tell(&request, env, caller.identity().user, Actor::Owner).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::AdminLogs(bot) => match self.admin(&request).await {
                Ok(admin) => output::tell(&request, env, bot, Actor::Admin(admin)).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::AdminEvents(bot) => match self.admin(&request).await {
                Ok(_) => crate::api::history::list(&request, env, bot).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::AdminBotStatus(user) => match self.admin(&request).await {
                Ok(_) => told(sandbox_client::status(env, user).await),
                Err(refusal) => refuse(&request, refusal),
            },
            Route::AdminOrder(user, order) => match self.admin(&request).await {
                Ok(admin) => {
                    self.remember_order(user, Actor::Admin(admin), order).await;
                    told(sandbox_client::order(env, user, Authority::Admin, order).await)
                }
                Err(refusal) => refuse(&request, refusal),
            },
            Route::Admin(call) => match self.admin(&request).await {
                Ok(admin) => admin::call(&mut request, env, settings, admin, call).await,
                Err(refusal) => refuse(&request, refusal),
            },
            Route::Bot => self.bot_on_platform(&request).await,
            Route::NotFound | Route::SignOutPage => refuse(&request, Refusal::NotFound),
            Route::UnknownHost => refuse(&request, Refusal::UnknownHost),
            Route::WrongMethod { allow } => reply::wrong_method(allow),
        }
    }

    /// A bot's own host has its owner's traffic and the way in and out; nothing else of the platform.
    async fn on_bot_host(&self, request: Request, host: &BotHost, route: Route) -> worker::Result<Response> {
        let Self { env, settings, .. } = self;
        match route {
            Route::Health => reply::text(200, "ok\n"),
            Route::SessionHandoff => session_handoff::redeem_code(&request, env, host, settings).await,
            Route::SignOutPage => {
                let purpose = purpose(&host.name);
                let session = caller::session(request.headers(), settings, &purpose).await;
                session_handoff::sign_out_page(session.is_some())
            }
            Route::SignOut => {
                let exit = Exit {
                    origin: &host.origin,
                    purpose: &purpose(&host.name),
                    then: "/auth/sign-out",
                };
                sign_in::sign_out(env, &request, settings, &exit).await
            }
            Route::BotStatus => match self.owner(&request, host).await {
                Ok(owner) => told(sandbox_client::status(env, owner).await),
                Err(refusal) => refuse(&request, refusal),
            },
            Route::BotOrder(order) => match self.owner(&request, host).await {
                Ok(owner) => {
                    let by_button = !request.headers().has("authorization")?;
                    self.order(&request, owner, order, by_button, &host.origin).await
                }
                Err(refusal) => refuse(&request, refusal),
            },
            Route::Bot => match self.owner(&request, host).await {
                Ok(owner) => self.bot(&request, owner, &host.origin).await,
                Err(Refusal::SignInRequired) if wants_page(&request) => {
                    session_handoff::redirect_to_platform(&request, host, settings).await
                }
                Err(refusal) => refuse(&request, refusal),
            },
            Route::WrongMethod { allow } => reply::wrong_method(allow),
            _ => refuse(&request, Refusal::NotFound),
        }
    }

    /// Whoever is served as this bot's owner here: by an access token, or by a session of this very host. The
    /// platform's own cookie counts for nothing here.
    async fn owner(&self, request: &Request, host: &BotHost) -> Result<UserId, Refusal> {
        let caller = self.identify(request, &purpose(&host.name)).await?;
        let identity = caller.identity();
        if identity.user != host.owner {
            return Err(Refusal::NotYourBot);
        }
        self.let_in(request.headers(), identity).await?;
        Ok(host.owner)
    }

    async fn bot_on_platform(&self, request: &Request) -> worker::Result<Response> {
        let caller = match self.caller(request).await {
            Ok(caller) => caller,
            Err(Refusal::SignInRequired) if wants_page(request) => return to_login(request),
            Err(refusal) => return refuse(request, refusal),
        };
        let user = caller.identity().user;
        if let (Some(domain), Caller::Browser(_)) = (&self.settings.access.bot_domain, &caller) {
            // With an origin for each bot, no bot's page runs where people sign in.
            if !wants_page(request) {
                return refuse(request, Refusal::OwnAddress);
            }
            let origin = self.settings.public.of(&own_host(user, domain));
            return session_handoff::onward(&format!("{origin}{}", Address::of(request)?.path_and_query()));
        }
        // On the platform's host a bot's page shares the origin with the sign-in page. A service worker of
        // its making would sit between the person and that page, and see the next password. Browsers mark
        // the request for its script with this header, and pages cannot set it.
        if request.headers().has("service-worker")? {
            return refuse(request, Refusal::ServiceWorker);
        }
        self.bot(request, user, self.settings.public.as_str()).await
    }

    /// Hands the owner's request to their bot.
    async fn bot(&self, request: &Request, owner: UserId, served: &str) -> worker::Result<Response> {
        if !caller::is_owners(request, served)? {
            return refuse(request, Refusal::WrongOrigin);
        }
        let origins = Origins {
            served,
            gateway: self.settings.public.as_str(),
        };
        proxy::serve(self.env, owner, request, &origins).await
    }

    /// An owner's order. A bearer token gives any; a session's cookie only those that our own pages have a
    /// button for, and only from the origin that was served.
    async fn order(
        &self,
        request: &Request,
        owner: UserId,
        order: Order,
        by_button: bool,
        served: &str,
    ) -> worker::Result<Response> {
        if by_button && !order.has_a_button() {
            return refuse(request, Refusal::BearerRequired);
        }
        let origin = request.headers().get("origin")?;
        if by_button && (origin.is_none() || !same_origin(origin.as_deref(), served)) {
            return refuse(request, Refusal::WrongOrigin);
        }
        self.remember_order(owner, Actor::Owner, order).await;
        let status = sandbox_client::order(self.env, owner, Authority::Owner, order).await;
        if by_button {
            status?;
            reply::see_other("/")
        } else {
            told(status)
        }
    }

    /// Before the order is given: an order that goes wrong was given all the same.
    async fn remember_order(&self, bot: UserId, actor: Actor, order: Order) {
        let entry = HistoryEntry {
            bot,
            run: None,
            kind: HistoryKind::Ordered,
            actor,
            detail: Some(order.as_str().to_owned()),
        };
        history::record(self.env, &entry).await;
    }

    async fn issue_code(&self, request: &Request) -> worker::Result<Response> {
        match self.caller(request).await {
            Ok(Caller::Browser(_)) => {}
            // A program needs no session, and a code would be one.
            Ok(Caller::Bearer(_)) => return refuse(request, Refusal::HandOverRefused),
            Err(Refusal::SignInRequired) if wants_page(request) => return to_login(request),
            Err(refusal) => return refuse(request, refusal),
        }
        match self.live_session(request.headers()).await {
            Some(session) => session_handoff::issue_code(request, self.env, self.settings, &session).await,
            // It was ended on another host: here as well.
            None => reply::with_cookie(to_login(request)?, &session::clear(SESSION_COOKIE)),
        }
    }

    /// The browser's session, if the person's Sandbox still has it. The cookie's own proof may hold for an hour
    /// after the session was ended elsewhere, and must not begin it again there.
    async fn live_session(&self, headers: &Headers) -> Option<Session> {
        let session = caller::session(headers, self.settings, SESSION_COOKIE).await?;
        match caller::renew(self.env, &session).await {
            Renewal::Renewed(identity) => Some(Session { identity, ..session }),
            // Whoever was let in so far is not kept out by the provider's outage.
            Renewal::Unavailable => Some(session),
            Renewal::Ended => None,
        }
    }

    /// A session is enough to look at one's own snapshots; what changes something takes a bearer token.
    async fn for_snapshots(&self, request: &Request, call: SnapshotCall) -> Result<UserId, Refusal> {
        if call.changes() {
            return self.bearer(request).await.map(|identity| identity.user);
        }
        self.caller(request).await.map(|caller| caller.identity().user)
    }

    /// Admin routes take only a bearer token: a bot's page may run on this host and would bring a cookie.
    async fn admin(&self, request: &Request) -> Result<UserId, Refusal> {
        let identity = self.bearer(request).await?;
        if users::is_admin(&identity, &self.settings.access) {
            Ok(identity.user)
        } else {
            Err(Refusal::NotAnAdmin)
        }
    }

    async fn bearer(&self, request: &Request) -> Result<Identity, Refusal> {
        self.caller(request).await?.into_bearer()
    }

    /// Who asks, if they are let in.
    async fn caller(&self, request: &Request) -> Result<Caller, Refusal> {
        let caller = self.identify(request, SESSION_COOKIE).await?;
        self.let_in(request.headers(), caller.identity()).await?;
        Ok(caller)
    }

    async fn identify(&self, request: &Request, purpose: &str) -> Result<Caller, Refusal> {
        let identified = caller::caller(self.env, request.headers(), self.settings, purpose).await?;
        self.renewed.set(identified.renewed);
        Ok(identified.caller)
    }

    async fn let_in(&self, headers: &Headers, identity: &Identity) -> Result<(), Refusal> {
        rate_limiter::count_user(self.env, headers, identity.user).await?;
        users::admit(self.env, identity, self.settings).await
    }
}

fn wants_page(request: &Request) -> bool {
    reply::wants_page(request.method().as_ref(), request.headers())
}

/// What a Sandbox says of its bot, as the answer.
fn told(status: sandbox_client::Result<Document>) -> worker::Result<Response> {
    match status {
        Ok(status) => reply::document(200, status),
        Err(error) => error.into_response(),
    }
}

fn to_login(request: &Request) -> worker::Result<Response> {
    let wanted = Address::of(request)?.path_and_query();
    let next = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", &wanted)
        .finish();
    reply::see_other(&format!("/login?{next}"))
}

/// A refusal as a page for a person, as JSON for a program.
fn refuse(request: &Request, refusal: Refusal) -> worker::Result<Response> {
    if !wants_page(request) {
        return reply::problem(refusal, None);
    }
    reply::refusal_page(refusal)
}

fn not_configured(request: &Request, problems: &[SettingProblem]) -> worker::Result<Response> {
    if !wants_page(request) {
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
