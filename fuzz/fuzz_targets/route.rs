//! Any method on any path of any kind of host: nothing panics, nothing of the platform reaches a bot, and no
//! sign-in leads off this host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moltworker_core::api::route::{AdminCall, DomainCall, Place, RESERVED, Route, route, safe_next};
use moltworker_core::api::snapshots::SnapshotCall;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];

/// Whether a route may be got. Every route has to say so: none that is added later is got unasked.
fn may_be_got(route: Route) -> bool {
    match route {
        Route::LogIn | Route::SignOut | Route::BotOrder(_) | Route::AdminOrder(..) => false,
        Route::Domains(call) => match call {
            DomainCall::List => true,
            DomainCall::Add | DomainCall::Check | DomainCall::Remove => false,
        },
        Route::Admin(call) => match call {
            AdminCall::Users
            | AdminCall::User(_)
            | AdminCall::Invitations
            | AdminCall::AllowList
            | AdminCall::Domains(_) => true,
            AdminCall::SetStatus(..)
            | AdminCall::Invite
            | AdminCall::Uninvite
            | AdminCall::Allow
            | AdminCall::Disallow
            | AdminCall::VerifyDomain(_)
            | AdminCall::RemoveDomain(_) => false,
        },
        Route::Snapshots(call) | Route::AdminSnapshots(_, call) => match call {
            SnapshotCall::List | SnapshotCall::Browse | SnapshotCall::Download => true,
            SnapshotCall::Take | SnapshotCall::Restore | SnapshotCall::Pin | SnapshotCall::Unpin => false,
        },
        Route::Health
        | Route::LoginPage
        | Route::SignInWith(_)
        | Route::SignInCallback
        | Route::SignOutPage
        | Route::SessionHandoff
        | Route::BotStatus
        | Route::BotEvents
        | Route::BotLogs
        | Route::AdminLogs(_)
        | Route::AdminEvents(_)
        | Route::AdminBotStatus(_)
        | Route::Bot
        | Route::NotFound
        | Route::WrongMethod { .. }
        | Route::UnknownHost => true,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let method = METHODS[usize::from(first) % METHODS.len()];
    // As the URL parser leaves a path: it always begins with a slash.
    let path = format!("/{text}");
    assert!(matches!(
        route(method, Place::Elsewhere, &path),
        Route::UnknownHost | Route::Health | Route::WrongMethod { .. }
    ));
    for place in [Place::Platform, Place::BotHost] {
        let to = route(method, place, &path);
        let name = text.split('/').next().unwrap_or_default();
        if RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved))
        {
            assert_ne!(to, Route::Bot, "{place:?} {path:?}");
        }
        // What changes something is no link's, picture's or prefetch's to ask for.
        if matches!(method, "GET" | "HEAD") {
            assert!(may_be_got(to), "{place:?} {path:?}");
        }
    }
    for wanted in [text, &path] {
        let next = safe_next(Some(wanted));
        assert!(
            next.starts_with('/') && !next.starts_with("//") && !next.contains('\\'),
            "{wanted:?}"
        );
        assert_ne!(
            route(
                "GET",
                Place::Platform,
                next.split(['?', '#']).next().unwrap_or("/")
            ),
            Route::NotFound
        );
    }
});
