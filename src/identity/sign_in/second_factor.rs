//! `/login/second-factor`: a sign-in whose first factor held waits here for a code, or for an authenticator app to be
//! enrolled. It waits in a cookie of its own, which opens nothing else: a session begins once the code was right.
//!
//! Only who has just signed in gets here. A session alone does not do: a bot's page may run on this host, and could
//! enrol an app of its own with the cookie.

use moltworker_core::api::route::safe_next;
use moltworker_core::bot::history::HistoryKind;
use moltworker_core::http::cookies::{self, SESSION_COOKIE};
use moltworker_core::http::paths;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::mfa::{
    FactorId, PENDING_COOKIE, PENDING_SECONDS, PendingSignIn, SecondFactor, SecondFactorCommand,
};
use moltworker_core::identity::session::Session;
use moltworker_core::settings::Settings;
use worker::{Env, Headers, Request};

use super::{SignedIn, form, from_our_page, query};
use crate::http::error::Result;
use crate::http::nonce::Nonce;
use crate::http::pages::login::{LoginPage, Message};
use crate::http::pages::second_factor::{self, Ask, SecondFactorPage};
use crate::http::reply::Page;
use crate::identity::caller::{self, header};
use crate::identity::sealed;
use crate::platform::{clock, sandbox_client};

/// Has a sign-in wait for its second factor.
pub(super) async fn wait(
    settings: &Settings,
    session: Session,
    factor: Option<FactorId>,
    next: &str,
) -> worker::Result<Page> {
    let pending = PendingSignIn {
        session,
        factor,
        is_new: false,
        next: next.to_owned(),
        ends_at: clock::now_seconds().saturating_add(PENDING_SECONDS),
    };
    keep(Page::elsewhere(paths::SECOND_FACTOR)?, settings, &pending).await
}

async fn keep(page: Page, settings: &Settings, pending: &PendingSignIn) -> worker::Result<Page> {
    let sealed = sealed::seal(settings, PENDING_COOKIE, pending).await?;
    page.with_cookie(&cookies::set(PENDING_COOKIE, &sealed, PENDING_SECONDS))
}

async fn pending(headers: &Headers, settings: &Settings) -> Option<PendingSignIn> {
    let cookies = header(headers, "cookie")?;
    let sealed = cookies::find(&cookies, PENDING_COOKIE)?;
    let pending: PendingSignIn = sealed::open(settings, PENDING_COOKIE, sealed).await?;
    (clock::now_seconds() < pending.ends_at).then_some(pending)
}

/// `GET /login/second-factor`.
pub(crate) async fn show(request: &Request, settings: &Settings) -> worker::Result<Page> {
    match pending(request.headers(), settings).await {
        Some(pending) => answer(200, &asking(&pending)),
        None => {
            let next = query(request, "next")?;
            sign_in_first(settings, 200, safe_next(next.as_deref()), Message::SecondFactor)
        }
    }
}

/// The form to sign in with, after which an app is enrolled if there is none.
fn sign_in_first(settings: &Settings, status: u16, next: &str, message: Message) -> worker::Result<Page> {
    let page = LoginPage {
        wants_second_factor: true,
        ..LoginPage::new(settings, next)
    };
    super::answer(status, &page.with(message))
}

fn asking(pending: &PendingSignIn) -> SecondFactorPage<'_> {
    let ask = match pending.factor {
        Some(_) => Ask::Code,
        None => Ask::Enrol,
    };
    SecondFactorPage::new(ask, &pending.next)
}

fn answer(status: u16, page: &SecondFactorPage<'_>) -> worker::Result<Page> {
    let nonce = Nonce::new()?;
    Page::with_drawing(status, &nonce, second_factor::page(&nonce, page))
}

/// `POST /login/second-factor`.
pub(crate) async fn submit(env: &Env, request: &mut Request, settings: &Settings) -> Result<SignedIn> {
    // A script of a page on this host may not ask, only a person's own click; see above.
    let mode = header(request.headers(), "sec-fetch-mode");
    let by_click = mode.is_none_or(|mode| mode == "navigate");
    if !by_click || !from_our_page(request.headers(), settings) {
        return Err(Refusal::WrongOrigin.into());
    }
    let pending = pending(request.headers(), settings).await;
    let Some(typed) = form::read_code(request).await else {
        return Err(Refusal::BadForm.into());
    };
    let Some(pending) = pending else {
        let page = sign_in_first(settings, Message::NotStarted.status(), "/", Message::NotStarted)?;
        return Ok(page.into());
    };
    let session = &pending.session;
    let command = match (typed, pending.factor) {
        (Some(code), Some(factor)) => SecondFactorCommand::Prove {
            id: session.id.clone(),
            factor,
            code,
        },
        _ => SecondFactorCommand::Find(session.id.clone()),
    };
    let outcome = match sandbox_client::second_factor(env, session.identity.user, command).await {
        Ok(outcome) => outcome,
        Err(error) => {
            super::unavailable("second-factor-failed", &error.into());
            SecondFactor::Unavailable
        }
    };
    let user = Some(session.identity.user);
    let page = match outcome {
        SecondFactor::Proven(identity) => {
            let id = session.id.clone();
            let cookie = caller::session_cookie(&Session { identity, id }, settings, SESSION_COOKIE).await?;
            let onward = Page::elsewhere(safe_next(Some(&pending.next)))?.with_cookie(&cookie)?;
            let onward = onward.with_cookie(&cookies::clear(PENDING_COOKIE))?;
            return Ok(SignedIn {
                detail: pending
                    .is_new
                    .then_some("with an authenticator app that was enrolled on the way"),
                ..SignedIn::of(onward, user)
            });
        }
        SecondFactor::Known(factor) => {
            let page = answer(200, &SecondFactorPage::new(Ask::Code, &pending.next))?;
            let pending = PendingSignIn {
                factor: Some(factor),
                is_new: false,
                ..pending.clone()
            };
            keep(page, settings, &pending).await?
        }
        SecondFactor::Enrolment(enrolment) => {
            let page = SecondFactorPage::new(Ask::NewApp(&enrolment), &pending.next);
            let page = answer(200, &page)?;
            let pending = PendingSignIn {
                factor: Some(enrolment.factor),
                is_new: true,
                ..pending.clone()
            };
            // The first factor was enough for it.
            return Ok(SignedIn {
                kind: Some(HistoryKind::Changed),
                detail: Some("enrols an authenticator app"),
                ..SignedIn::of(keep(page, settings, &pending).await?, user)
            });
        }
        // The person sees in their history that somebody had their password.
        SecondFactor::WrongCode => return ask_again(&pending, Message::WrongCode),
        SecondFactor::OtherKind => return ask_again(&pending, Message::OtherFactor),
        SecondFactor::TooMany => return ask_again(&pending, Message::TooManyCodes),
        SecondFactor::Unavailable => return ask_again(&pending, Message::Unavailable),
        SecondFactor::Ended => {
            let message = Message::NotStarted;
            let page = sign_in_first(settings, message.status(), &pending.next, message)?;
            page.with_cookie(&cookies::clear(PENDING_COOKIE))?
        }
    };
    Ok(page.into())
}

/// The page once more, with what was wrong, and whose sign-in went no further.
fn ask_again(pending: &PendingSignIn, message: Message) -> Result<SignedIn> {
    let page = answer(message.status(), &asking(pending).with(message))?;
    Ok(SignedIn::of(page, Some(pending.session.identity.user)))
}
