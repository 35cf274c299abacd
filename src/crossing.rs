//! A browser's session on a bot's own host, and its way there from the platform's. `core::crossing` says what
//! holds; this carries it out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moltworker_core::crossing::{
    CODE_LIFETIME_MS, HOST_COOKIE, HOST_SESSION_SECONDS, HostSession, Opaque, Pending, SECRET_BYTES,
    VERIFIER_COOKIE, VERIFIER_LIFETIME_SECONDS, find_cookie, set_cookie,
};
use moltworker_core::host::HostName;
use moltworker_core::id::UserId;
use moltworker_core::problem::Refusal;
use moltworker_core::route::safe_next;
use moltworker_core::settings::Settings;
use moltworker_core::token::Identity;
use worker::url::form_urlencoded;
use worker::{Env, Headers, Request, Response, Url};

use crate::database::{self, moment};
use crate::reply::{self, Nonce};
use crate::sites::{self, BotHost, Served};
use crate::{clock, log, pages, webcrypto};

/// Who has a session on this host. An admin is nobody special here.
pub(crate) async fn visitor(headers: &Headers, host: &BotHost, settings: &Settings) -> Option<Identity> {
    let sealed = cookie(headers, HOST_COOKIE)?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let key = webcrypto::import_sealing_key(settings.session_key.reveal())
        .await
        .ok()?;
    let plain = webcrypto::open(&key, HOST_COOKIE, &sealed).await.ok()??;
    let session: HostSession = serde_json::from_slice(&plain).ok()?;
    let user = session.current(&host.name, clock::now_seconds())?;
    Some(Identity {
        user,
        admin: false,
        email: None,
        expires_at: session.expires_at,
    })
}

fn cookie(headers: &Headers, name: &str) -> Option<String> {
    let header = headers.get("cookie").ok().flatten()?;
    find_cookie(&header, name).map(str::to_owned)
}

/// On the bot's host: sends a browser without a session to the platform's, with a challenge.
pub(crate) async fn lead_away(
    request: &Request,
    host: &BotHost,
    settings: &Settings,
) -> worker::Result<Response> {
    // One for all tabs: each gets a code of its own, and whichever is back first must not spoil the others.
    let held = cookie(request.headers(), VERIFIER_COOKIE).and_then(|text| Opaque::parse(&text));
    let (verifier, is_new) = match held {
        Some(verifier) => (verifier, false),
        None => (Opaque::of(&webcrypto::random_bytes(SECRET_BYTES)?), true),
    };
    let challenge = digest(&verifier).await?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("host", host.name.as_str())
        .append_pair("challenge", challenge.as_str())
        .append_pair("next", &path_and_query(&request.url()?))
        .finish();
    let platform = settings.public.as_str();
    let response = reply::see_other(&format!("{platform}/auth/hand-over?{query}"))?;
    if is_new {
        let cookie = set_cookie(VERIFIER_COOKIE, verifier.as_str(), VERIFIER_LIFETIME_SECONDS);
        response.headers().append("set-cookie", &cookie)?;
    }
    Ok(response)
}

/// On the platform's host: makes a code for a host that is the caller's, and sends the browser there with it.
pub(crate) async fn give_code(
    request: &Request,
    env: &Env,
    settings: &Settings,
    user: UserId,
) -> worker::Result<Response> {
    let url = request.url()?;
    let asked = |wanted: &str| {
        let mut pairs = url.query_pairs();
        pairs
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let challenge = asked("challenge").and_then(|text| Opaque::parse(&text));
    let name = asked("host").and_then(|text| text.parse::<HostName>().ok());
    let (Some(challenge), Some(name)) = (challenge, name) else {
        return refuse(Refusal::HandOverRefused);
    };
    let at = match settings.public.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_string(),
    };
    let host = match sites::served(env, settings, &at).await {
        Ok(Served::Bot(host)) if host.owner == user => host,
        // A host that is nobody's looks like one that is somebody else's.
        Ok(_) => return refuse(Refusal::NotYourBot),
        Err(refusal) => return refuse(refusal),
    };
    let next = asked("next");
    let code = Opaque::of(&webcrypto::random_bytes(SECRET_BYTES)?);
    keep(env, &code, &host, &challenge, safe_next(next.as_deref())).await?;
    onward(&format!("{}/auth/hand-over?code={}", host.origin, code.as_str()))
}

/// Sends the browser to another host by a page of its own. A redirect would not do: it may be the end of the
/// sign-in form's journey, and browsers hold forms to the hosts in `form-action`.
pub(crate) fn onward(url: &str) -> worker::Result<Response> {
    let nonce = Nonce::new()?;
    reply::page(200, &nonce, pages::onward(&nonce, url))
}

async fn keep(
    env: &Env,
    code: &Opaque,
    host: &BotHost,
    challenge: &Opaque,
    next: &str,
) -> worker::Result<()> {
    let database = database::open(env)?;
    let now = clock::now_ms();
    let insert = database
        .prepare(
            "INSERT INTO crossings (code_hash, host, user_id, challenge, next, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&[
            digest(code).await?.as_str().into(),
            host.name.as_str().into(),
            host.owner.to_string().into(),
            challenge.as_str().into(),
            next.into(),
            moment(now.saturating_add(CODE_LIFETIME_MS)),
        ])?;
    // Codes nobody came back with go when the next one is made.
    let clean = database
        .prepare("DELETE FROM crossings WHERE expires_at <= ?1")
        .bind(&[moment(now)])?;
    database.batch(vec![clean, insert]).await?;
    Ok(())
}

/// On the bot's host: takes a code for a session.
pub(crate) async fn take_code(
    request: &Request,
    env: &Env,
    host: &BotHost,
    settings: &Settings,
) -> worker::Result<Response> {
    let url = request.url()?;
    let code = url.query_pairs().find(|(name, _)| name == "code");
    let code = code.and_then(|(_, value)| Opaque::parse(&value));
    let verifier = cookie(request.headers(), VERIFIER_COOKIE).and_then(|text| Opaque::parse(&text));
    // Without a verifier the code is left alone: who holds one from elsewhere cannot even use it up.
    let (Some(code), Some(verifier)) = (code, verifier) else {
        return refuse(Refusal::HandOverRefused);
    };
    // Deleted by being read: of two who come with the same code, the database answers one.
    let pending = database::open(env)?
        .prepare(
            "DELETE FROM crossings WHERE code_hash = ?1 RETURNING host, user_id, challenge, next, expires_at",
        )
        .bind(&[digest(&code).await?.as_str().into()])?
        .first::<Pending>(None)
        .await?;
    let Some(pending) = pending else {
        log::line("code-refused", &[("reason", &"there is no such code (any more)")]);
        return refuse(Refusal::HandOverRefused);
    };
    let challenge = digest(&verifier).await?;
    if let Err(reason) = pending.redeem(&host.name, host.owner, &challenge, clock::now_ms()) {
        log::line("code-refused", &[("reason", &reason), ("host", &host.name)]);
        return refuse(Refusal::HandOverRefused);
    }
    let session = HostSession {
        user: pending.user_id,
        host: host.name.clone(),
        expires_at: clock::now_seconds().saturating_add(HOST_SESSION_SECONDS),
    };
    let key = webcrypto::import_sealing_key(settings.session_key.reveal()).await?;
    let sealed = webcrypto::seal(&key, HOST_COOKIE, &serde_json::to_vec(&session)?).await?;
    let response = reply::see_other(safe_next(Some(&pending.next)))?;
    let cookie = set_cookie(HOST_COOKIE, &URL_SAFE_NO_PAD.encode(sealed), HOST_SESSION_SECONDS);
    response.headers().append("set-cookie", &cookie)?;
    Ok(response)
}

/// On the bot's host: the page that offers to sign out.
pub(crate) fn sign_out_page(signed_in: bool, settings: &Settings) -> worker::Result<Response> {
    let nonce = Nonce::new()?;
    let everywhere = format!("{}/login", settings.public.as_str());
    reply::page(200, &nonce, pages::sign_out(&nonce, signed_in, &everywhere))
}

/// On the bot's host: ends the session there.
pub(crate) fn sign_out() -> worker::Result<Response> {
    let response = reply::see_other("/auth/sign-out")?;
    response
        .headers()
        .append("set-cookie", &set_cookie(HOST_COOKIE, "", 0))?;
    Ok(response)
}

fn refuse(refusal: Refusal) -> worker::Result<Response> {
    reply::refusal_page(refusal)
}

async fn digest(secret: &Opaque) -> worker::Result<Opaque> {
    let hash = webcrypto::sha256(secret.as_str().as_bytes()).await?;
    Ok(Opaque::of(&hash))
}

/// What was asked for, as `next` takes it.
pub(crate) fn path_and_query(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
