//! What an owner has: their bot and its domains.

use super::rows::{
    AFTER_SNAPSHOT, BEFORE, CONTAINS, LINES, OF_AWAKE_BOTS, PATH, SNAPSHOT, button, order, snapshot_button,
    snapshots,
};
use crate::api::contract::ChangeMethod::{Delete, Post, Put};
use crate::api::contract::{Hosts, Input, Output};
use crate::api::endpoint::Endpoint;
use crate::api::operation::{Document, Operation};
use crate::api::owner_sink::OwnerSinkCall;
use crate::api::sandbox::Order;
use crate::api::series::SERIES_QUERY;
use crate::api::snapshots::SnapshotCall;
use crate::http::paths;
use crate::http::problem::Refusal;

const ALERT_SINK: &str = "/api/bot/alerts/sink";

pub(super) static OWNER: &[Endpoint] = &[
    // One's own page, and who one is there.
    Endpoint::own(
        Operation::ShowOwnPage,
        "show-own-page",
        paths::OWN_PAGE,
        "The owner's own page: their bot, its snapshots, who may reach it",
    )
    .or(&[Refusal::NotFound]),
    Endpoint::own(
        Operation::ShowPartOfOwnPage,
        "show-part-of-own-page",
        paths::BELOW_OWN_PAGE,
        "The same page; what it shows for this address, its script knows",
    )
    .or(&[Refusal::NotFound]),
    Endpoint::own(
        Operation::ReadOwnSession,
        "read-own-session",
        "/api/bot/session",
        "Who is signed in, and the CSRF token with which their own page changes something",
    )
    .answers(Output::Json(Document::OwnSession)),
    // One's own bot.
    Endpoint::own(
        Operation::GetBot,
        "get-bot",
        "/api/bot",
        "The state of one's bot; never wakes it",
    )
    .on(Hosts::Both)
    .answers(Output::Json(Document::BotStatus)),
    order(
        Order::Sleep,
        "sleep-bot",
        "/api/bot/sleep",
        "Put the bot to sleep; the next request wakes it",
    ),
    order(
        Order::Stop,
        "stop-bot",
        "/api/bot/stop",
        "Stop the bot, until it is started again",
    ),
    button(
        Order::Start,
        "start-bot",
        "/api/bot/start",
        "Let the bot run again",
    ),
    order(
        Order::Pin,
        "pin-bot",
        "/api/bot/pin",
        "Never put the bot to sleep for being idle",
    ),
    order(
        Order::Unpin,
        "unpin-bot",
        "/api/bot/unpin",
        "Let the bot sleep when it is idle",
    ),
    button(
        Order::Restart,
        "restart-bot",
        "/api/bot/restart",
        "Start the bot afresh",
    ),
    Endpoint::own(
        Operation::ReadSeries,
        "read-series",
        "/api/bot/series",
        "How one's bot was over time; never wakes it",
    )
    .takes(Input::Query(&SERIES_QUERY))
    .answers(Output::Json(Document::BotSeries)),
    Endpoint::own(
        Operation::ListEvents,
        "list-events",
        "/api/bot/events",
        "The history of one's bot and account, newest first",
    )
    .takes(Input::Query(&[BEFORE]))
    .answers(Output::Json(Document::EventPage)),
    Endpoint::own(
        Operation::ReadLog,
        "read-log",
        "/api/bot/logs",
        "What the bot's gateway wrote last",
    )
    .takes(Input::Query(&[LINES, CONTAINS]))
    .answers(Output::Text)
    .or(OF_AWAKE_BOTS),
    Endpoint::own(
        Operation::Snapshots(SnapshotCall::List),
        "list-snapshots",
        "/api/bot/snapshots",
        "The bot's snapshots, newest first",
    )
    .takes(Input::Query(&[AFTER_SNAPSHOT]))
    .answers(Output::Json(Document::SnapshotList)),
    Endpoint::own(
        Operation::Snapshots(SnapshotCall::Browse),
        "browse-snapshot",
        "/api/bot/snapshots/files",
        "What is in a directory of a snapshot",
    )
    .takes(Input::Query(&[SNAPSHOT, PATH]))
    .answers(Output::Json(Document::SnapshotEntries))
    .or(SnapshotCall::Browse.problems()),
    Endpoint::own(
        Operation::Snapshots(SnapshotCall::Download),
        "download-file",
        "/api/bot/snapshots/file",
        "A file of a snapshot",
    )
    .takes(Input::Query(&[SNAPSHOT, PATH]))
    .answers(Output::File)
    .or(SnapshotCall::Download.problems()),
    Endpoint::own(
        Operation::Snapshots(SnapshotCall::Archive),
        "download-directory",
        "/api/bot/snapshots/archive",
        "A directory of a snapshot with all that is below it, as a tar",
    )
    .without_head()
    .takes(Input::Query(&[SNAPSHOT, PATH]))
    .answers(Output::Bytes)
    .or(SnapshotCall::Archive.problems()),
    snapshots(
        SnapshotCall::Take,
        "take-snapshot",
        "/api/bot/snapshots",
        "Take a snapshot now",
    ),
    snapshots(
        SnapshotCall::Restore,
        "restore-snapshot",
        "/api/bot/snapshots/restore",
        "Make the home what it was in a snapshot",
    ),
    snapshots(
        SnapshotCall::Pin,
        "pin-snapshot",
        "/api/bot/snapshots/pin",
        "Keep a snapshot for ever",
    ),
    snapshots(
        SnapshotCall::Unpin,
        "unpin-snapshot",
        "/api/bot/snapshots/unpin",
        "Leave a snapshot to the retention policy again",
    ),
    snapshot_button(
        SnapshotCall::Keep,
        "keep-home",
        paths::KEEP,
        "Keep what there is: what a start passed over is no question any more",
    ),
    snapshot_button(
        SnapshotCall::PutBack,
        "put-back-home",
        paths::PUT_BACK,
        "Make the home what it was in the newest snapshot that a start passed over",
    ),
    Endpoint::own(
        Operation::Snapshots(SnapshotCall::Choose),
        "show-choice",
        paths::CHOICE,
        "The page on which one decides about what a start passed over, and sees what comes of it; never wakes the bot",
    )
    .on(Hosts::Both),
    // One's own domains.
    Endpoint::own(
        Operation::ListDomains,
        "list-domains",
        "/api/bot/domains",
        "One's domains",
    )
    .answers(Output::Json(Document::DomainList)),
    Endpoint::own_change(
        Operation::AddDomain,
        "add-domain",
        "/api/bot/domains",
        "Claim a domain",
        Post,
    )
    .takes(Input::Json(Document::DomainName))
    .answers(Output::Json(Document::Domain))
    .or(&[Refusal::TooManyDomains]),
    Endpoint::own_change(
        Operation::CheckDomain,
        "check-domain",
        "/api/bot/domains/check",
        "Look into DNS whether a claim is proven",
        Post,
    )
    .takes(Input::Json(Document::DomainName))
    .answers(Output::Json(Document::Domain))
    .or(&[
        Refusal::NoSuchEntry,
        Refusal::DomainTaken,
        Refusal::DnsUnavailable,
    ]),
    Endpoint::own_change(
        Operation::RemoveDomain,
        "remove-domain",
        "/api/bot/domains",
        "Give a domain up",
        Delete,
    )
    .takes(Input::Json(Document::DomainName))
    .answers(Output::Json(Document::DomainList))
    .or(&[Refusal::NoSuchEntry]),
    // Where one is told about one's own bot.
    Endpoint::own_secrets(
        Operation::OwnerSink(OwnerSinkCall::Show),
        "get-alert-sink",
        ALERT_SINK,
        "Where one is told about one's bot, without what opens it",
    )
    .answers(Output::Json(Document::OwnerSink)),
    Endpoint::own_secrets_change(
        Operation::OwnerSink(OwnerSinkCall::Set),
        "set-alert-sink",
        ALERT_SINK,
        "Be told there about one's bot, and nowhere else",
        Put,
    )
    .takes(Input::Json(Document::OwnerSinkRequest))
    .answers(Output::Json(Document::OwnerSink)),
    Endpoint::own_secrets_change(
        Operation::OwnerSink(OwnerSinkCall::Remove),
        "remove-alert-sink",
        ALERT_SINK,
        "Not be told any more",
        Delete,
    )
    .answers(Output::Json(Document::OwnerSink))
    .or(&[Refusal::NoSuchEntry]),
    Endpoint::own_secrets_change(
        Operation::OwnerSink(OwnerSinkCall::Test),
        "test-alert-sink",
        "/api/bot/alerts/sink/test",
        "Send a test there now, five times an hour at most",
        Post,
    )
    .answers(Output::Json(Document::SinkTest))
    .or(&[Refusal::NoSuchEntry]),
    // One's own access tokens for devices and programs.
    Endpoint::own_secrets(
        Operation::ListPersonalTokens,
        "list-personal-tokens",
        "/api/bot/tokens",
        "One's personal access tokens, without the tokens",
    )
    .answers(Output::Json(Document::PersonalTokenList)),
    Endpoint::own_secrets_change(
        Operation::CreatePersonalToken,
        "create-personal-token",
        "/api/bot/tokens",
        "Make a personal access token; it is told this once",
        Post,
    )
    .takes(Input::Json(Document::PersonalTokenRequest))
    .answers(Output::Json(Document::NewPersonalToken))
    .or(&[Refusal::TooManyPersonalTokens]),
    Endpoint::own_secrets_change(
        Operation::RevokePersonalToken,
        "revoke-personal-token",
        "/api/bot/tokens",
        "Revoke a personal access token, from now on",
        Delete,
    )
    .takes(Input::Json(Document::PersonalTokenName))
    .answers(Output::Json(Document::PersonalTokenList))
    .or(&[Refusal::NoSuchEntry]),
];
