//! A request's way through the Worker: settings → route → who asks → whose bot → hand over.

use moltworker_core::hygiene::same_origin;
use moltworker_core::id::UserId;
use moltworker_core::life::Authority;
use moltworker_core::problem::Refusal;
use moltworker_core::route::{Route, route};
use moltworker_core::sandbox::{Intent, Order};
use moltworker_core::settings::{SettingProblem, Settings};
use moltworker_core::token::Identity;
use worker::url::form_urlencoded;
use worker::{Env, Request, Response};

use crate::identify::{self, Caller};
use crate::reply::{self, Nonce};
use crate::{configuration, hand_over, log, pages, sign_in};

/// Answers one request. An error on the way is logged and told as "internal", without its words.
pub(crate) async fn answer(request: Request, env: &Env) -> worker::Result<Response> {
    let (method, path) = (request.method(), request.path());
    match dispatch(request, env).await {
        Ok(response) => Ok(response),
        Err(error) => {
            log::line(
                "internal-error",
                &[("method", &method), ("path", &path), ("reason", &error)],
            );
            reply::problem(Refusal::Internal, None)
        }
    }
}

async fn dispatch(request: Request, env: &Env) -> worker::Result<Response> {
    let url = request.url()?;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let method = request.method().to_string();

    let settings = configuration::read(env);
    // Without settings there is no platform host; every path but the health check gets the same answer.
    let platform_host = settings
        .as_ref()
        .map_or(host.as_str(), |settings| settings.public.host());
    let route = route(&method, &host, url.path(), platform_host);
    if route == Route::Health {
        return reply::text(200, "ok\n");
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(problems) => return not_configured(&request, &problems),
    };

    match route {
        Route::Health => reply::text(200, "ok\n"),
        Route::LoginPage => sign_in::show(&request, &settings).await,
        Route::LogIn => sign_in::submit(request, &settings).await,
        Route::SignOut => sign_in::sign_out(&request, &settings),
        Route::BotStatus => bot_status(&request, env, &settings).await,
        Route::BotOrder(order) => bot_order(&request, env, &settings, order).await,
        Route::AdminBotStatus(user) => for_admin(&request, env, &settings, user, Intent::Status).await,
        Route::AdminOrder(user, order) => {
            let intent = Intent::Order(Authority::Admin, order);
            for_admin(&request, env, &settings, user, intent).await
        }
        Route::Bot => bot(&request, env, &settings).await,
        Route::NotFound => refuse(&request, Refusal::NotFound),
        Route::UnknownHost => refuse(&request, Refusal::UnknownHost),
        Route::WrongMethod { allow } => reply::wrong_method(allow),
    }
}

async fn bot(request: &Request, env: &Env, settings: &Settings) -> worker::Result<Response> {
    let caller = match identify::caller(request.headers(), settings).await {
        Ok(caller) => caller,
        Err(Refusal::SignInRequired) if wants_page(request) => return to_login(request),
        Err(refusal) => return refuse(request, refusal),
    };
    // Any page on the web can open a WebSocket here, and the browser sends our cookie along: only the
    // origin tells them apart.
    let upgrade = request.headers().get("upgrade")?.is_some();
    let origin = request.headers().get("origin")?;
    if upgrade && !same_origin(origin.as_deref(), settings.public.as_str()) {
        return refuse(request, Refusal::WrongOrigin);
    }
    // On the platform's host a bot's page shares the origin with the sign-in page. A service worker of its
    // making would sit between the person and that page, and see the next password. Browsers mark the
    // request for its script with this header, and pages cannot set it.
    if request.headers().get("service-worker")?.is_some() {
        return refuse(request, Refusal::ServiceWorker);
    }
    hand_over::serve(env, caller.identity().user, request).await
}

async fn bot_status(request: &Request, env: &Env, settings: &Settings) -> worker::Result<Response> {
    match identify::caller(request.headers(), settings).await {
        Ok(caller) => hand_over::ask(env, caller.identity().user, Intent::Status).await,
        Err(refusal) => refuse(request, refusal),
    }
}

async fn bot_order(
    request: &Request,
    env: &Env,
    settings: &Settings,
    order: Order,
) -> worker::Result<Response> {
    match bearer(request, settings).await {
        Ok(identity) => {
            let intent = Intent::Order(Authority::Owner, order);
            hand_over::ask(env, identity.user, intent).await
        }
        Err(refusal) => refuse(request, refusal),
    }
}

/// Admin routes take only a bearer token: a bot's page runs on this host and would bring a cookie along.
async fn for_admin(
    request: &Request,
    env: &Env,
    settings: &Settings,
    user: UserId,
    intent: Intent,
) -> worker::Result<Response> {
    match bearer(request, settings).await {
        Ok(identity) if identity.admin => {
            log::line(
                "admin",
                &[
                    ("admin", &identity.user),
                    ("bot", &user),
                    ("intent", &intent.to_header()),
                ],
            );
            hand_over::ask(env, user, intent).await
        }
        Ok(_) => refuse(request, Refusal::NotAnAdmin),
        Err(refusal) => refuse(request, refusal),
    }
}

async fn bearer(request: &Request, settings: &Settings) -> Result<Identity, Refusal> {
    identify::caller(request.headers(), settings)
        .await
        .and_then(Caller::into_bearer)
}

fn wants_page(request: &Request) -> bool {
    reply::wants_page(request.method().as_ref(), request.headers())
}

fn to_login(request: &Request) -> worker::Result<Response> {
    let url = request.url()?;
    let wanted = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
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
