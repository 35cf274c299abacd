//! Rows that many endpoints share, and the names in their queries.

use crate::api::contract::ChangeMethod::{self, Post};
use crate::api::contract::{Hosts, Input, Output};
use crate::api::endpoint::Endpoint;
use crate::api::operation::{Document, Operation};
use crate::api::parameter::{Parameter, Takes};
use crate::api::sandbox::{MAX_LOG_LINES, MAX_LOG_TEXT, Order};
use crate::api::snapshots::SnapshotCall;
use crate::bot::lifecycle::Authority;
use crate::http::problem::Refusal;
use crate::identity::users::UserStatus;

pub(super) const INVITATIONS: &str = "/api/admin/invitations";
pub(super) const ALLOW_LIST: &str = "/api/admin/allow-list";

pub(super) const NEXT: Parameter = Parameter {
    name: "next",
    takes: Takes::Text,
    meaning: "where to go afterwards, a path on this host",
    required: false,
};
/// A name in the query of a page: what else may stand there is passed over.
const fn of_page(name: &'static str, meaning: &'static str) -> Parameter {
    Parameter {
        name,
        takes: Takes::Text,
        meaning,
        required: false,
    }
}

pub(super) const HOST: Parameter = of_page("host", "the bot's own host that is to be reached");
pub(super) const CHALLENGE: Parameter =
    of_page("challenge", "the digest of what that host keeps in the browser");
pub(super) const HANDOFF_CODE: Parameter = of_page("code", "the code that the platform's host gave");
pub(super) const CODE: Parameter = of_page("code", "what the provider grants tokens for");
pub(super) const STATE: Parameter = of_page("state", "which sign-in it belongs to");
pub(super) const ERROR: Parameter = of_page("error", "why the provider grants nothing");
pub(super) const ERROR_CODE: Parameter = of_page("error_code", "the same, more exactly");
pub(super) const BEFORE: Parameter = Parameter {
    name: "before",
    takes: Takes::Number(u32::MAX as u64),
    meaning: "the id of an event: those before it are listed",
    required: false,
};
pub(super) const AFTER: Parameter = Parameter {
    name: "after",
    takes: Takes::Text,
    meaning: "the `next` of the page before",
    required: false,
};
pub(super) const AFTER_SNAPSHOT: Parameter = Parameter {
    takes: Takes::SnapshotCursor,
    ..AFTER
};
pub(super) const LINES: Parameter = Parameter {
    name: "lines",
    takes: Takes::Number(MAX_LOG_LINES as u64),
    meaning: "how many of the last lines",
    required: false,
};
/// What is looked for in a log, at most: nobody types a longer text.
pub(super) const CONTAINS: Parameter = Parameter {
    name: "contains",
    takes: Takes::ShortText(MAX_LOG_TEXT),
    meaning: "only lines that have this text in them, in whatever case",
    required: false,
};
pub(super) const SNAPSHOT: Parameter = Parameter {
    name: "snapshot",
    takes: Takes::SnapshotId,
    meaning: "the id of a snapshot",
    required: true,
};
pub(super) const PATH: Parameter = Parameter {
    name: "path",
    takes: Takes::Text,
    meaning: "where in the home, as percent-encoded bytes, so that names need not be UTF-8; empty for the home itself",
    required: false,
};

/// Only a container that is awake can do it.
pub(super) const OF_AWAKE_BOTS: &[Refusal] = &[
    Refusal::BotAsleep,
    Refusal::BotWaking,
    Refusal::StorageUnavailable,
];
pub(super) const fn order(
    order: Order,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    let endpoint = Endpoint::own_change(Operation::OrderBot(order), name, path, summary, Post);
    ordering(endpoint, order, Authority::Owner).answers(Output::Json(Document::BotStatus))
}

/// An order that our pages have a button for, on a bot's own host too.
pub(super) const fn button(
    order: Order,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    let endpoint = Endpoint::own_button(Operation::OrderBot(order), name, path, summary);
    ordering(endpoint, order, Authority::Owner)
        .on(Hosts::Both)
        .answers(Output::JsonOrBack(Document::BotStatus))
}

/// What an order can be refused for. One that is refused for what it would lose takes the word that it may be lost.
const fn ordering(endpoint: Endpoint, order: Order, by: Authority) -> Endpoint {
    let endpoint = endpoint.or(order.problems(by));
    if order.spares_changes() {
        endpoint.takes(Input::OptionalJson(Document::OrderRequest))
    } else {
        endpoint
    }
}

pub(super) const fn order_of(
    order: Order,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    let endpoint = Endpoint::admin_change(Operation::OrderBotOf(order), name, path, summary, Post);
    ordering(endpoint, order, Authority::Admin).answers(Output::Json(Document::BotStatus))
}

pub(super) const fn status(
    status: UserStatus,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    Endpoint::admin_change(Operation::SetUserStatus(status), name, path, summary, Post)
        .answers(Output::Json(Document::User))
        .or(&[Refusal::NoSuchEntry, Refusal::BadRequest])
}

pub(super) const fn snapshots(
    call: SnapshotCall,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    snapshot_change(
        Endpoint::own_change(Operation::Snapshots(call), name, path, summary, Post),
        call,
    )
}

pub(super) const fn snapshots_of(
    call: SnapshotCall,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    snapshot_change(
        Endpoint::admin_change(Operation::SnapshotsOf(call), name, path, summary, Post),
        call,
    )
}

/// A decision about a bot's snapshots that our pages have a button for, on a bot's own host too.
pub(super) const fn snapshot_button(
    call: SnapshotCall,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Endpoint {
    Endpoint::own_button(Operation::Snapshots(call), name, path, summary)
        .on(Hosts::Both)
        .answers(Output::AcceptedOrOn(Document::BotStatus))
        .or(call.problems())
}

const fn snapshot_change(endpoint: Endpoint, call: SnapshotCall) -> Endpoint {
    let output = match call {
        SnapshotCall::Take | SnapshotCall::Restore | SnapshotCall::Keep => {
            Output::Accepted(Document::BotStatus)
        }
        _ => Output::Json(Document::SnapshotList),
    };
    let input = match call {
        SnapshotCall::Take => Input::OptionalJson(Document::TakeRequest),
        SnapshotCall::Restore => Input::OptionalJson(Document::RestoreRequest),
        SnapshotCall::Keep => Input::Nothing,
        _ => Input::Json(Document::SnapshotName),
    };
    endpoint.takes(input).answers(output).or(call.problems())
}

pub(super) const fn entry(
    operation: Operation,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
    method: ChangeMethod,
    (takes, answer): (Document, Document),
) -> Endpoint {
    Endpoint::admin_change(operation, name, path, summary, method)
        .takes(Input::Json(takes))
        .answers(Output::Json(answer))
}
