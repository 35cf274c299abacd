//! What admins have: everybody's bots, users, and who may become one.

use super::rows::{
    AFTER, AFTER_SNAPSHOT, ALLOW_LIST, BEFORE, CONTAINS, INVITATIONS, LINES, OF_AWAKE_BOTS, PATH, SNAPSHOT,
    entry, order_of, snapshots_of, status,
};
use crate::api::bot::FLEET_QUERY;
use crate::api::contract::ChangeMethod::{Delete, Post};
use crate::api::contract::{Input, Output};
use crate::api::endpoint::Endpoint;
use crate::api::health::HEALTH_QUERY;
use crate::api::operation::{Document, Operation};
use crate::api::sandbox::Order;
use crate::api::series::SERIES_QUERY;
use crate::api::snapshots::SnapshotCall;
use crate::http::problem::Refusal;
use crate::identity::users::UserStatus;

pub(super) static ADMIN: &[Endpoint] = &[
    Endpoint::monitored(
        Operation::ReadHealth,
        "admin-read-health",
        "/api/admin/health",
        "How the platform is, by its parts; 503 while one is unhealthy",
    )
    .takes(Input::Query(&HEALTH_QUERY))
    .answers(Output::Json(Document::HealthReport))
    .or(&[Refusal::PlatformUnhealthy]),
    Endpoint::monitored(
        Operation::ReadMetrics,
        "admin-read-metrics",
        "/api/admin/metrics",
        "The metrics of the platform and of the fleet, as Prometheus reads them",
    )
    .answers(Output::Text),
    // Somebody's bot, for an admin.
    Endpoint::admin_look(
        Operation::ListBots,
        "admin-list-bots",
        "/api/admin/bots",
        "The fleet: every bot that was ever wanted, a page at a time; wakes none",
    )
    .takes(Input::Query(&FLEET_QUERY))
    .answers(Output::Json(Document::BotPage)),
    Endpoint::admin_look(
        Operation::GetBotOf,
        "admin-get-bot",
        "/api/admin/bots/{user}",
        "The state of somebody's bot; never wakes it",
    )
    .answers(Output::Json(Document::BotStatus)),
    Endpoint::admin_look(
        Operation::ReadSeriesOf,
        "admin-read-series",
        "/api/admin/bots/{user}/series",
        "How somebody's bot was over time; never wakes it",
    )
    .takes(Input::Query(&SERIES_QUERY))
    .answers(Output::Json(Document::BotSeries)),
    Endpoint::monitored(
        Operation::ReadFleetSeries,
        "admin-read-fleet-series",
        "/api/admin/fleet/series",
        "How many bots were where over time",
    )
    .takes(Input::Query(&SERIES_QUERY))
    .answers(Output::Json(Document::FleetSeries)),
    order_of(
        Order::Sleep,
        "admin-sleep-bot",
        "/api/admin/bots/{user}/sleep",
        "Put a bot to sleep",
    ),
    order_of(
        Order::Stop,
        "admin-stop-bot",
        "/api/admin/bots/{user}/stop",
        "Stop a bot",
    ),
    order_of(
        Order::Start,
        "admin-start-bot",
        "/api/admin/bots/{user}/start",
        "Let a bot run again, also one that was suspended",
    ),
    order_of(
        Order::Pin,
        "admin-pin-bot",
        "/api/admin/bots/{user}/pin",
        "Never put a bot to sleep for being idle",
    ),
    order_of(
        Order::Unpin,
        "admin-unpin-bot",
        "/api/admin/bots/{user}/unpin",
        "Let a bot sleep when it is idle",
    ),
    order_of(
        Order::Restart,
        "admin-restart-bot",
        "/api/admin/bots/{user}/restart",
        "Start a bot afresh",
    ),
    order_of(
        Order::Suspend,
        "admin-suspend-bot",
        "/api/admin/bots/{user}/suspend",
        "Stop a bot, until an admin starts it again",
    ),
    Endpoint::admin_look(
        Operation::ListEventsOf,
        "admin-list-bot-events",
        "/api/admin/bots/{user}/events",
        "The history of one bot and account, newest first",
    )
    .takes(Input::Query(&[BEFORE]))
    .answers(Output::Json(Document::EventPage)),
    Endpoint::admin_look(
        Operation::ListAllEvents,
        "admin-list-events",
        "/api/admin/events",
        "The history of everything, newest first",
    )
    .takes(Input::Query(&[BEFORE]))
    .answers(Output::Json(Document::EventPage)),
    Endpoint::admin_look(
        Operation::ReadLogOf,
        "admin-read-log",
        "/api/admin/bots/{user}/logs",
        "What the gateway of somebody's bot wrote last",
    )
    .takes(Input::Query(&[LINES, CONTAINS]))
    .answers(Output::Text)
    .or(OF_AWAKE_BOTS),
    Endpoint::admin_look(
        Operation::SnapshotsOf(SnapshotCall::List),
        "admin-list-snapshots",
        "/api/admin/bots/{user}/snapshots",
        "Somebody's snapshots, newest first",
    )
    .takes(Input::Query(&[AFTER_SNAPSHOT]))
    .answers(Output::Json(Document::SnapshotList)),
    Endpoint::admin_look(
        Operation::SnapshotsOf(SnapshotCall::Browse),
        "admin-browse-snapshot",
        "/api/admin/bots/{user}/snapshots/files",
        "What is in a directory of somebody's snapshot",
    )
    .takes(Input::Query(&[SNAPSHOT, PATH]))
    .answers(Output::Json(Document::SnapshotEntries))
    .or(SnapshotCall::Browse.problems()),
    Endpoint::admin_look(
        Operation::SnapshotsOf(SnapshotCall::Download),
        "admin-download-file",
        "/api/admin/bots/{user}/snapshots/file",
        "A file of somebody's snapshot",
    )
    .takes(Input::Query(&[SNAPSHOT, PATH]))
    .answers(Output::File)
    .or(SnapshotCall::Download.problems()),
    Endpoint::admin_look(
        Operation::SnapshotsOf(SnapshotCall::Archive),
        "admin-download-directory",
        "/api/admin/bots/{user}/snapshots/archive",
        "A directory of somebody's snapshot with all that is below it, as a tar",
    )
    .without_head()
    .takes(Input::Query(&[SNAPSHOT, PATH]))
    .answers(Output::Bytes)
    .or(SnapshotCall::Archive.problems()),
    snapshots_of(
        SnapshotCall::Take,
        "admin-take-snapshot",
        "/api/admin/bots/{user}/snapshots",
        "Take a snapshot of somebody's bot now",
    ),
    snapshots_of(
        SnapshotCall::Restore,
        "admin-restore-snapshot",
        "/api/admin/bots/{user}/snapshots/restore",
        "Make somebody's home what it was in a snapshot",
    ),
    snapshots_of(
        SnapshotCall::Pin,
        "admin-pin-snapshot",
        "/api/admin/bots/{user}/snapshots/pin",
        "Keep somebody's snapshot for ever",
    ),
    snapshots_of(
        SnapshotCall::Unpin,
        "admin-unpin-snapshot",
        "/api/admin/bots/{user}/snapshots/unpin",
        "Leave somebody's snapshot to the retention policy again",
    ),
    snapshots_of(
        SnapshotCall::Keep,
        "admin-keep-home",
        "/api/admin/bots/{user}/snapshots/keep",
        "Keep what somebody's bot has: what a start passed over is no question any more",
    ),
    // The admin UI, which an admin has signed in to.
    Endpoint::admin_change(
        Operation::BeginAdminSession,
        "begin-admin-session",
        "/api/admin/session",
        "Have the admin UI keep the session over a reload, by a cookie; only with BOT_DOMAIN",
        Post,
    )
    .takes(Input::Json(Document::AdminSessionRequest))
    .answers(Output::Json(Document::AdminSessionState))
    .or(&[Refusal::NotFound]),
    // Users and who may become one.
    Endpoint::admin_look(
        Operation::ListUsers,
        "admin-list-users",
        "/api/admin/users",
        "All users, by id",
    )
    .takes(Input::Query(&[AFTER]))
    .answers(Output::Json(Document::UserPage)),
    Endpoint::admin_look(
        Operation::GetUser,
        "admin-get-user",
        "/api/admin/users/{user}",
        "One user",
    )
    .answers(Output::Json(Document::User))
    .or(&[Refusal::NoSuchEntry]),
    status(
        UserStatus::Active,
        "admin-activate-user",
        "/api/admin/users/{user}/activate",
        "Let a user in again, and end a suspension of their bot",
    ),
    status(
        UserStatus::Suspended,
        "admin-suspend-user",
        "/api/admin/users/{user}/suspend",
        "Keep a user out, and stop their bot",
    ),
    status(
        UserStatus::Deleted,
        "admin-delete-user",
        "/api/admin/users/{user}/delete",
        "Mark a user as deleted, and stop their bot",
    ),
    Endpoint::admin_look(
        Operation::ListDomainsOf,
        "admin-list-domains",
        "/api/admin/users/{user}/domains",
        "A user's domains",
    )
    .answers(Output::Json(Document::DomainList)),
    Endpoint::admin_change(
        Operation::VerifyDomainOf,
        "admin-verify-domain",
        "/api/admin/users/{user}/domains",
        "Vouch that a domain is a user's",
        Post,
    )
    .takes(Input::Json(Document::DomainName))
    .answers(Output::Json(Document::Domain))
    .or(&[Refusal::TooManyDomains, Refusal::DomainTaken]),
    Endpoint::admin_change(
        Operation::RemoveDomainOf,
        "admin-remove-domain",
        "/api/admin/users/{user}/domains",
        "Take a domain from a user",
        Delete,
    )
    .takes(Input::Json(Document::DomainName))
    .answers(Output::Json(Document::DomainList))
    .or(&[Refusal::NoSuchEntry]),
    Endpoint::admin_look(
        Operation::ListInvitations,
        "admin-list-invitations",
        "/api/admin/invitations",
        "All invitations",
    )
    .answers(Output::Json(Document::InvitationList)),
    entry(
        Operation::Invite,
        "admin-invite",
        INVITATIONS,
        "Invite one person",
        Post,
        (Document::Invitee, Document::InvitationList),
    ),
    entry(
        Operation::Uninvite,
        "admin-uninvite",
        INVITATIONS,
        "Take an invitation back",
        Delete,
        (Document::Invitee, Document::InvitationList),
    ),
    Endpoint::admin_look(
        Operation::ListAllowList,
        "admin-list-allow-list",
        ALLOW_LIST,
        "Who may become a user without an invitation",
    )
    .answers(Output::Json(Document::AllowList)),
    entry(
        Operation::Allow,
        "admin-allow",
        ALLOW_LIST,
        "Add to the allow-list",
        Post,
        (Document::AccessEntry, Document::AllowList),
    ),
    entry(
        Operation::Disallow,
        "admin-disallow",
        ALLOW_LIST,
        "Take from the allow-list",
        Delete,
        (Document::AccessEntry, Document::AllowList),
    ),
];
