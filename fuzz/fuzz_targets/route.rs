//! Any method on any path of any kind of host: nothing panics, nothing of the platform reaches a bot, and no
//! sign-in leads off this host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moltworker_core::api::contract::{Audit, Hosts};
use moltworker_core::api::operation::Operation;
use moltworker_core::api::route::{HostKind, RESERVED, Route, route, safe_next};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];

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
    if let Route::To(endpoint, _) = route(method, HostKind::Elsewhere, &path) {
        assert_eq!(endpoint.hosts(), Hosts::Every, "{path:?}");
    }
    for kind in [HostKind::Platform, HostKind::BotHost] {
        let found = route(method, kind, &path);
        let name = text.split('/').next().unwrap_or_default();
        let reserved = RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved));
        if let Route::To(endpoint, _) = found {
            assert!(
                !(reserved && endpoint.operation() == Operation::ServeBot),
                "{kind:?} {path:?}"
            );
            // No link, picture or prefetch may change anything.
            if matches!(method, "GET" | "HEAD") {
                assert_ne!(endpoint.audit(), Audit::Change, "{kind:?} {path:?}");
            }
        }
    }
    for wanted in [text, &path] {
        let next = safe_next(Some(wanted));
        assert!(
            next.starts_with('/') && !next.starts_with("//") && !next.contains('\\'),
            "{wanted:?}"
        );
        let alone = next.split(['?', '#']).next().unwrap_or("/");
        assert!(
            matches!(route("GET", HostKind::Platform, alone), Route::To(..)),
            "{wanted:?}"
        );
    }
});
