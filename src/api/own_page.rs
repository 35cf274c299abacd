//! The owner's own page: alike for everybody, and what it shows it asks of an owner's endpoints, with the session.

use moltworker_core::api::own_session::OwnSession;
use moltworker_core::http::own_page::OWN_PAGE_POLICY;
use moltworker_core::http::paths::OWN_PAGE_FILE;
use moltworker_core::http::problem::Refusal;
use worker::Request;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::error::Result;
use crate::http::nonce::Nonce;
use crate::http::pages;
use crate::http::reply::{self, Page};
use crate::identity::csrf;
use crate::platform::{assets, log};

/// The page for a person. A program that means an endpoint and has mistaken its address is told so.
pub(super) async fn show(ctx: &Context<'_>, request: &Request) -> Result<Answer> {
    if !reply::is_for_person(request) {
        return Err(Refusal::NotFound.into());
    }
    match assets::read(ctx.env, OWN_PAGE_FILE).await? {
        Some(page) => Ok(Answer::Stream(reply::deployed(
            page,
            "no-store",
            Some(OWN_PAGE_POLICY),
        )?)),
        None => {
            log::fault("own-page-missing", &[("path", &OWN_PAGE_FILE)]);
            let nonce = Nonce::new()?;
            Ok(Page::new(503, &nonce, pages::no_own_page(&nonce))?.into())
        }
    }
}

pub(super) async fn session(ctx: &Context<'_>) -> Result<OwnSession> {
    let caller = ctx.caller()?;
    let token = csrf::token(ctx.settings, ctx.served, caller).await?;
    let identity = caller.identity();
    Ok(OwnSession {
        user: identity.user,
        email: identity.email.clone(),
        csrf_token: token.map(|token| token.reveal().clone()),
    })
}
