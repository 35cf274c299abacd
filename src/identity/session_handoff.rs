//! A browser's session on a bot's own host, and its way there from the platform's. `core::identity::session_handoff` says what
//! holds; this carries it out.

use moltworker_core::api::route::safe_next;
use moltworker_core::http::cookies;
use moltworker_core::http::host::HostName;
use moltworker_core::http::paths;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::session::Session;
use moltworker_core::identity::session_handoff::{
    CODE_LIFETIME_MS, HANDOFF_PURPOSE, Opaque, PendingHandoff, SECRET_BYTES, VERIFIER_COOKIE,
    VERIFIER_LIFETIME_SECONDS, purpose,
};
use moltworker_core::settings::Settings;
use worker::url::form_urlencoded;
use worker::{Env, Headers, Request};

use crate::http::address::Address;
use crate::http::error::Result;
use crate::http::nonce::Nonce;
use crate::http::pages;
use crate::http::reply::Page;
use crate::http::sites::{self, BotHost, Served};
use crate::identity::caller::{self, header};
use crate::identity::sealed;
use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::{clock, log, webcrypto};

fn cookie(headers: &Headers, name: &str) -> Option<String> {
    cookies::find(&header(headers, "cookie")?, name).map(str::to_owned)
}

/// On the bot's host: sends a browser without a session to the platform's, with a challenge.
pub(crate) async fn redirect_to_platform(
    request: &Request,
    host: &BotHost,
    settings: &Settings,
) -> worker::Result<Page> {
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
        .append_pair("next", &Address::of(request)?.path_and_query())
        .finish();
    let platform = settings.public.as_str();
    let away = Page::elsewhere(&format!("{platform}{}?{query}", paths::SESSION_HANDOFF))?;
    if !is_new {
        return Ok(away);
    }
    let cookie = cookies::set(VERIFIER_COOKIE, verifier.as_str(), VERIFIER_LIFETIME_SECONDS);
    away.with_cookie(&cookie)
}

/// On the platform's host: makes a code for a host that is the caller's, and sends the browser there with it.
pub(crate) async fn issue_code(
    request: &Request,
    env: &Env,
    settings: &Settings,
    session: &Session,
) -> Result<Page> {
    let address = Address::of(request)?;
    let query_value = |wanted| address.query_value(wanted);
    let challenge = query_value("challenge").and_then(|text| Opaque::parse(&text));
    let name = query_value("host").and_then(|text| text.parse::<HostName>().ok());
    let (Some(challenge), Some(name)) = (challenge, name) else {
        return Err(Refusal::HandoffRefused.into());
    };
    let at = match settings.public.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_string(),
    };
    let host = match sites::served(env, settings, &at).await {
        Ok(Served::Bot(host)) if host.owner == session.identity.user => host,
        // A host that is nobody's looks like one that is somebody else's.
        Ok(_) => return Err(Refusal::NotYourBot.into()),
        Err(refusal) => return Err(refusal.into()),
    };
    let next = query_value("next");
    let code = Opaque::of(&webcrypto::random_bytes(SECRET_BYTES)?);
    let pending = PendingHandoff {
        host: host.name.clone(),
        user_id: host.owner,
        challenge: challenge.as_str().to_owned(),
        next: safe_next(next.as_deref()).to_owned(),
        session: sealed::seal(settings, HANDOFF_PURPOSE, session).await?,
        expires_at: clock::now_ms().saturating_add(CODE_LIFETIME_MS),
    };
    keep(env, &code, &pending).await?;
    Ok(onward(&format!(
        "{}{}?code={}",
        host.origin,
        paths::SESSION_HANDOFF,
        code.as_str()
    ))?)
}

/// Sends the browser to another host by a page of its own. A redirect would not do: it may be the end of the
/// sign-in form's journey, and browsers hold forms to the hosts in `form-action`.
pub(crate) fn onward(url: &str) -> worker::Result<Page> {
    let nonce = Nonce::new()?;
    Page::new(200, &nonce, pages::onward(&nonce, url))
}

async fn keep(env: &Env, code: &Opaque, pending: &PendingHandoff) -> worker::Result<()> {
    let database = database::open(env)?;
    let insert = database
        .prepare(
            "INSERT INTO crossings (code_hash, host, user_id, challenge, next, session, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .bind(&[
            digest(code).await?.as_str().into(),
            pending.host.as_str().into(),
            pending.user_id.to_string().into(),
            pending.challenge.as_str().into(),
            pending.next.as_str().into(),
            pending.session.as_str().into(),
            d1_timestamp(pending.expires_at),
        ])?;
    // Codes nobody came back with go when the next one is made.
    let clean = database
        .prepare("DELETE FROM crossings WHERE expires_at <= ?1")
        .bind(&[d1_timestamp(clock::now_ms())])?;
    database.batch(vec![clean, insert]).await?;
    Ok(())
}

/// On the bot's host: takes a code for a session.
pub(crate) async fn redeem_code(
    request: &Request,
    env: &Env,
    host: &BotHost,
    settings: &Settings,
) -> Result<Page> {
    let code = Address::of(request)?.query_value("code");
    let code = code.and_then(|text| Opaque::parse(&text));
    let verifier = cookie(request.headers(), VERIFIER_COOKIE).and_then(|text| Opaque::parse(&text));
    // Without a verifier the code is left alone: who holds one from elsewhere cannot even use it up.
    let (Some(code), Some(verifier)) = (code, verifier) else {
        return Err(Refusal::HandoffRefused.into());
    };
    // Deleted by being read: of two who come with the same code, the database answers one.
    let pending = database::open(env)?
        .prepare(
            "DELETE FROM crossings WHERE code_hash = ?1 RETURNING host, user_id, challenge, next, session, expires_at",
        )
        .bind(&[digest(&code).await?.as_str().into()])?
        .row::<PendingHandoff>()
        .await?;
    let Some(pending) = pending else {
        log::line("code-refused", &[("reason", &"there is no such code (any more)")]);
        return Err(Refusal::HandoffRefused.into());
    };
    let challenge = digest(&verifier).await?;
    if let Err(reason) = pending.redeem(&host.name, host.owner, &challenge, clock::now_ms()) {
        log::line("code-refused", &[("reason", &reason), ("host", &host.name)]);
        return Err(Refusal::HandoffRefused.into());
    }
    let session: Option<Session> = sealed::open(settings, HANDOFF_PURPOSE, &pending.session).await;
    let Some(session) = session.filter(|session| session.identity.user == pending.user_id) else {
        return Err(Refusal::HandoffRefused.into());
    };
    let cookie = caller::session_cookie(&session, settings, &purpose(&host.name)).await?;
    let onward = Page::elsewhere(safe_next(Some(&pending.next)))?;
    Ok(onward.with_cookie(&cookie)?)
}

/// On the bot's host: the page that offers to sign out.
pub(crate) fn sign_out_page(signed_in: bool) -> worker::Result<Page> {
    let nonce = Nonce::new()?;
    Page::new(200, &nonce, pages::sign_out(&nonce, signed_in))
}

async fn digest(secret: &Opaque) -> worker::Result<Opaque> {
    let hash = webcrypto::sha256(secret.as_str().as_bytes()).await?;
    Ok(Opaque::of(&hash))
}
