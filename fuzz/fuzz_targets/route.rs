//! Any method on any path of any kind of host: nothing panics, nothing of the platform reaches a bot, and no
//! sign-in leads off this host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moltworker_core::route::{Place, Route, route, safe_next};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];
const RESERVED: [&str; 8] = [
    "admin", "api", "auth", "login", "debug", "_repo", "healthz", "hooks",
];

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
        // An order changes something: no link, picture or prefetch may give one.
        if matches!(method, "GET" | "HEAD") {
            assert!(
                !matches!(
                    to,
                    Route::BotOrder(_) | Route::AdminOrder(..) | Route::SignOut | Route::LogIn
                ),
                "{place:?} {path:?}"
            );
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
