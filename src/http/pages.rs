//! The platform's own pages. They work without JavaScript, load nothing from anywhere and never contain
//! a word that was not escaped (maud escapes by default).

use std::cmp::Ordering;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use moltworker_core::api::sandbox::Order;
use moltworker_core::http::paths;
use moltworker_core::settings::SettingProblem;

use crate::http::nonce::Nonce;

pub(crate) mod choice;
pub(crate) mod login;
mod question;
pub(crate) mod second_factor;
pub(crate) mod waking;

const STYLE: &str = include_str!("pages/style.css");
/// What the scripts of pages that follow a bot begin with.
const SHARED_SCRIPT: &str = include_str!("pages/follow.js");

fn layout(title: &str, nonce: &Nonce, head: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Moltworker" }
                style nonce=(nonce.as_str()) { (PreEscaped(STYLE)) }
                (head)
            }
            body { main { (main) } }
        }
    }
}

/// Shown instead of everything else while settings are missing.
pub(crate) fn not_configured(nonce: &Nonce, problems: &[SettingProblem]) -> Markup {
    let main = html! {
        h1 { "Moltworker is not configured yet" }
        p { "Nothing else works until the operator has set:" }
        dl {
            @for problem in problems {
                dt { code { (problem.setting.name) } " " (problem.reason) }
                dd { (problem.setting.meaning) ". To set it: " (problem.setting.how) "." }
            }
        }
    };
    layout("Not configured", nonce, &html! {}, &main)
}

/// What the admin UI cannot be shown without.
#[derive(Clone, Copy)]
pub(crate) enum AdminUiLacks {
    /// Hosts of the bots' own.
    BotDomain,
    /// The files it consists of.
    Files,
}

/// In place of the admin UI.
pub(crate) fn no_admin_ui(nonce: &Nonce, lacks: AdminUiLacks) -> Markup {
    let main = html! {
        h1 { "The admin UI is not available here" }
        @match lacks {
            AdminUiLacks::BotDomain => {
                p { "Bots share this host with the admin UI, and a bot's page could read along while an admin signs in." }
                p { "Give bots a domain of their own: set " code { "BOT_DOMAIN" } " in " code { "wrangler.toml" } " and deploy. Until then the API does all this page would do." }
            }
            AdminUiLacks::Files => {
                p { "Its files were not deployed with the Worker: keep " code { "[assets]" } " in " code { "wrangler.toml" } " as the repository has it, and deploy with " code { "cargo xtask deploy" } "." }
            }
        }
    };
    layout("Admin", nonce, &html! {}, &main)
}

/// In place of the owner's own page, which was not deployed with the Worker.
pub(crate) fn no_own_page(nonce: &Nonce) -> Markup {
    let main = html! {
        h1 { "This page is not available here" }
        p { "Its files were not deployed with the Worker. Tell your administrator: " code { "[assets]" } " in " code { "wrangler.toml" } " has to stay as the repository has it." }
        p { a href="/" { "Go to my bot" } }
    };
    layout("My bot", nonce, &html! {}, &main)
}

/// Takes the browser to another host of ours.
pub(crate) fn onward(nonce: &Nonce, url: &str) -> Markup {
    let head = html! { meta http-equiv="refresh" content=(format!("0; url={url}")); };
    let main = html! {
        h1 { "Going to your bot" }
        p { a.button href=(url) { "Go on" } }
    };
    layout("Going to your bot", nonce, &head, &main)
}

/// On a bot's own host: the way out.
pub(crate) fn sign_out(nonce: &Nonce, signed_in: bool) -> Markup {
    let main = html! {
        @if signed_in {
            h1 { "Sign out?" }
            form method="post" action=(paths::SIGN_OUT) { button type="submit" { "Sign out" } }
            p { a href="/" { "Back to my bot" } }
        } @else {
            h1 { "You are signed out" }
            p { a href="/" { "Sign in again" } }
        }
    };
    layout("Sign out", nonce, &html! {}, &main)
}

/// The way to the owner's own page, which is on the platform's host.
fn to_own_page(own_page: &str) -> Markup {
    html! { p { a href=(own_page) { "State, snapshots and settings of my bot" } } }
}

/// A refusal, for a person. `detail` says more about it, `way_out` is what they can do about it on the spot, `own_page` where
/// they see more of their bot.
pub(crate) fn refusal(
    nonce: &Nonce,
    title: &str,
    detail: Option<&str>,
    way_out: Option<(Order, &str)>,
    own_page: Option<&str>,
) -> Markup {
    let main = html! {
        h1 { (title) }
        @if let Some(detail) = detail { p { (detail) } }
        @if let Some((order, words)) = way_out { (order_form(order, words)) }
        @else { p { a href="/" { "Go to my bot" } } }
        @if let Some(own_page) = own_page { (to_own_page(own_page)) }
    };
    layout("Moltworker", nonce, &html! {}, &main)
}

/// How a step stands in a list of them, when `at` is reached.
fn standing(index: usize, at: usize) -> &'static str {
    match index.cmp(&at) {
        Ordering::Less => "done",
        Ordering::Equal => "now",
        Ordering::Greater => "later",
    }
}

/// A button that gives the caller's own bot an order.
fn order_form(order: Order, words: &str) -> Markup {
    html! {
        form method="post" action=(paths::order(order.as_str())) { button type="submit" { (words) } }
    }
}
