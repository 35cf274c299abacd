//! The admin UI. It is a page and its files, alike for everybody; what it shows it asks of an admin's endpoints, with the token
//! of whoever signs in there.

use moltworker_core::http::admin_ui::{self, AdminUiPart, KEEP_FILE};
use moltworker_core::http::paths::{ADMIN_UI, ADMIN_UI_PAGE};
use moltworker_core::http::problem::Refusal;
use worker::Request;

use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::address::Address;
use crate::http::error::Result;
use crate::http::nonce::Nonce;
use crate::http::pages;
use crate::http::reply::{self, Page};
use crate::platform::{assets, log};

pub(super) fn enter() -> Result<Page> {
    Ok(Page::elsewhere(ADMIN_UI)?)
}

/// The page for a person, whatever stands behind `/admin/`; a file for whoever asks. A program that means an endpoint and has
/// mistaken its address is told so.
pub(super) async fn serve(ctx: &Context<'_>, request: &Request) -> Result<Answer> {
    let path = Address::of(request)?.path;
    match admin_ui::part(&path) {
        AdminUiPart::File(path) => match assets::read(ctx.env, path).await? {
            Some(file) => Ok(Answer::Stream(reply::deployed(file, KEEP_FILE, None)?)),
            None => Err(Refusal::NotFound.into()),
        },
        // Where bots have no hosts of their own, their pages run on this one. Such a page could open this one, or one that
        // looks like it, and read what an admin types. The files are also those of the owner's own page.
        AdminUiPart::Page if reply::is_for_person(request) && ctx.settings.access.bot_domain.is_none() => {
            unavailable(pages::AdminUiLacks::BotDomain)
        }
        AdminUiPart::Page if reply::is_for_person(request) => page(ctx).await,
        AdminUiPart::Page | AdminUiPart::Nothing => Err(Refusal::NotFound.into()),
    }
}

async fn page(ctx: &Context<'_>) -> Result<Answer> {
    let policy = admin_ui::policy(&ctx.settings.supabase_url);
    match assets::read(ctx.env, ADMIN_UI_PAGE).await? {
        Some(page) => Ok(Answer::Stream(reply::deployed(page, "no-store", Some(&policy))?)),
        None => {
            log::line("admin-ui-missing", &[("path", &ADMIN_UI_PAGE)]);
            unavailable(pages::AdminUiLacks::Files)
        }
    }
}

fn unavailable(lacks: pages::AdminUiLacks) -> Result<Answer> {
    let nonce = Nonce::new()?;
    Ok(Page::new(503, &nonce, pages::no_admin_ui(&nonce, lacks))?.into())
}
