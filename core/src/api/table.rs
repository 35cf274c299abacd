//! The one table of endpoints. Router, access check, history, limits, the OpenAPI document, the tables of the docs and
//! the tests follow from it.
//!
//! A new endpoint is a row here (in `owner` or `admin`), a value of [`Operation`], its documents beside, and its handler
//! in the Worker.

use super::contract::{Hosts, Input, Method, Output};
use super::endpoint::Endpoint;
use super::history::SIGN_IN;
use super::operation::{Document, Operation};
use crate::http::paths;
use crate::http::problem::Refusal;
use rows::{CHALLENGE, CODE, ERROR, ERROR_CODE, HANDOFF_CODE, HOST, NEXT, STATE};

mod admin;
mod alerts;
mod bulk;
mod costs;
mod inside;
mod owner;
mod rows;

/// Every endpoint.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    PUBLIC
        .iter()
        .chain(owner::OWNER)
        .chain(admin::ADMIN)
        .chain(alerts::ALERTS)
        .chain(bulk::BULK)
        .chain(costs::COSTS)
        .chain(inside::INSIDE)
        .chain(UPSTREAM)
}

/// For anybody: health, and a browser's way in and out.
static PUBLIC: &[Endpoint] = &[
    // For anybody.
    Endpoint::public(Operation::Health, "health", "/healthz", "Is the platform there?")
        .on(Hosts::Every)
        .answers(Output::Text),
    Endpoint::public(
        Operation::ReadApiDocument,
        "read-api-document",
        "/api/openapi.json",
        "This document",
    )
    .answers(Output::Json(Document::OpenApi)),
    // The admin UI. Its files are public; what it shows comes from an admin's endpoints.
    Endpoint::public(
        Operation::ReadSignInSettings,
        "read-sign-in-settings",
        "/api/sign-in",
        "What a page needs to sign an admin in at the identity provider by itself",
    )
    .answers(Output::Json(Document::SignInSettings)),
    Endpoint::resume(
        Operation::ResumeAdminSession,
        "resume-admin-session",
        "/api/sign-in/session",
        "A token for the session that the admin UI keeps over a reload, for its cookie and a script of this host alone",
    )
    .answers(Output::Json(Document::AdminSessionState))
    .or(&[Refusal::WrongOrigin, Refusal::IdentityProviderUnavailable]),
    Endpoint::session(
        Operation::EndAdminSession,
        "end-admin-session",
        "/api/sign-in/session",
        "End the session that the admin UI keeps over a reload",
        Method::Delete,
    )
    .answers(Output::Json(Document::AdminSessionState))
    .or(&[Refusal::WrongOrigin, Refusal::SessionNotEnded]),
    Endpoint::public(
        Operation::EnterAdminUi,
        "enter-admin-ui",
        paths::ADMIN,
        "The way to the admin UI",
    ),
    Endpoint::public(
        Operation::ServeAdminUi,
        "serve-admin-ui",
        "/admin/{*}",
        "The admin UI: its page, whatever the address below, and its files",
    )
    .or(&[Refusal::NotFound]),
    // A browser's way in and out.
    Endpoint::public(
        Operation::ShowLogin,
        "show-login",
        paths::LOGIN,
        "The sign-in page",
    )
    .takes(Input::Query(&[NEXT])),
    Endpoint::sign_in(
        Operation::SubmitLogin,
        SIGN_IN,
        paths::LOGIN,
        "Sign in, or have a link mailed",
        Method::Post,
    )
    .takes(Input::Form)
    .or(&[Refusal::WrongOrigin]),
    Endpoint::public(
        Operation::ShowSecondFactor,
        "show-second-factor",
        paths::SECOND_FACTOR,
        "The page that asks for a second factor",
    )
    .takes(Input::Query(&[NEXT])),
    Endpoint::sign_in(
        Operation::SubmitSecondFactor,
        "prove-second-factor",
        paths::SECOND_FACTOR,
        "Prove the second factor by a code, or begin to enrol one",
        Method::Post,
    )
    .takes(Input::Form)
    .or(&[Refusal::WrongOrigin]),
    Endpoint::sign_in(
        Operation::SignInWith,
        "begin-sign-in",
        paths::SIGN_IN_WITH,
        "Go to a provider to sign in there",
        Method::GetOnly,
    )
    .takes(Input::Query(&[NEXT]))
    .or(&[Refusal::NotFound]),
    // By GET alone: HEAD would spend the code that came along.
    Endpoint::sign_in(
        Operation::SignInCallback,
        "finish-sign-in",
        paths::SIGN_IN_CALLBACK,
        "Come back from a provider, or from a mailed link",
        Method::GetOnly,
    )
    .takes(Input::Query(&[CODE, STATE, ERROR, ERROR_CODE]))
    .or(&[Refusal::SignInNotStarted]),
    Endpoint::session(
        Operation::SignOut,
        "sign-out",
        paths::SIGN_OUT,
        "Sign out",
        Method::Post,
    )
    .on(Hosts::Both)
    .takes(Input::Form)
    .or(&[Refusal::WrongOrigin, Refusal::SessionNotEnded]),
    Endpoint::public(
        Operation::ShowSignOut,
        "show-sign-out",
        paths::SIGN_OUT,
        "The page that offers to sign out",
    )
    .on(Hosts::Bots),
    Endpoint::leave(
        Operation::IssueHandoffCode,
        "issue-handoff-code",
        paths::SESSION_HANDOFF,
        "Take the session to a bot's own host",
    )
    .takes(Input::Query(&[HOST, CHALLENGE, NEXT]))
    .or(&[Refusal::HandoffRefused, Refusal::NotYourBot]),
    Endpoint::session(
        Operation::RedeemHandoffCode,
        "redeem-handoff-code",
        paths::SESSION_HANDOFF,
        "Arrive with the session from the platform's host",
        Method::GetOnly,
    )
    .on(Hosts::Bots)
    .takes(Input::Query(&[HANDOFF_CODE]))
    .or(&[Refusal::HandoffRefused]),
];

/// What is not the platform's own to answer.
static UPSTREAM: &[Endpoint] = &[
    Endpoint::repository(
        Operation::ServeRepository,
        "serve-repository",
        "/_repo/{user}/{*}",
        "A bot's repository of snapshots, by the restic REST protocol",
    )
    .or(&[
        Refusal::NotFound,
        Refusal::RunOver,
        Refusal::BadObjectName,
        Refusal::NoSuchObject,
        Refusal::DeletionRefused,
        Refusal::ObjectExists,
        Refusal::WrongHash,
        Refusal::LengthRequired,
        Refusal::ObjectTooLarge,
        Refusal::BadRange,
        Refusal::StorageUnavailable,
    ]),
    SERVE_BOT,
];

/// Everything else belongs to the caller's bot.
pub(super) const SERVE_BOT: Endpoint = Endpoint::bot(
    Operation::ServeBot,
    "serve-bot",
    "/{*}",
    "The owner's traffic to their bot; wakes it",
)
.or(&[
    Refusal::OwnAddress,
    Refusal::WrongOrigin,
    Refusal::ServiceWorker,
    Refusal::BotStopped,
    Refusal::BotSuspended,
    Refusal::SpendLimitReached,
    Refusal::NoCapacity,
    Refusal::BotWaking,
    Refusal::BotStopping,
    Refusal::BotFailed,
    Refusal::BotCrashLooped,
    Refusal::BotInterrupted,
    Refusal::BadAnswer,
    Refusal::BotSilent,
]);

#[cfg(test)]
mod tests;
