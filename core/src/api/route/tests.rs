//! Where requests go, in tables and for any path.

use super::*;
use proptest::prelude::*;

/// The name of the endpoint, or how the request is refused.
fn goes(method: &str, kind: HostKind, path: &str) -> String {
    match route(method, kind, path) {
        Route::To(endpoint, _) => endpoint.name().to_owned(),
        Route::NotFound => "404".into(),
        Route::WrongMethod { allow } => format!("405 {allow}"),
        Route::UnknownHost => "unknown host".into(),
    }
}

fn get(path: &str) -> String {
    goes("GET", HostKind::Platform, path)
}

const USER: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

#[test]
fn the_platforms_host_has_every_endpoint() {
    for (method, path, expected) in [
        ("GET", "/healthz", "health"),
        ("HEAD", "/healthz", "health"),
        ("POST", "/healthz", "405 GET, HEAD"),
        ("GET", "/login", "show-login"),
        ("POST", "/login", "sign-in"),
        ("DELETE", "/login", "405 GET, HEAD, POST"),
        ("POST", "/auth/sign-out", "sign-out"),
        ("GET", "/auth/sign-out", "405 POST"),
        ("GET", "/auth/hand-over", "issue-handoff-code"),
        ("POST", "/auth/hand-over", "405 GET"),
        ("GET", "/auth/callback", "finish-sign-in"),
        ("HEAD", "/auth/callback", "405 GET"),
        ("GET", "/auth/sign-in/github", "begin-sign-in"),
        ("POST", "/auth/sign-in/github", "405 GET"),
        ("GET", "/auth/sign-in/GitHub", "404"),
        ("GET", "/auth/sign-in/", "404"),
        ("GET", "/api/openapi.json", "read-api-document"),
        ("GET", "/api/bot", "get-bot"),
        ("POST", "/api/bot", "405 GET, HEAD"),
        ("GET", "/api/bot/events", "list-events"),
        ("GET", "/api/bot/logs", "read-log"),
        ("POST", "/api/bot/logs", "405 GET, HEAD"),
        ("GET", "/api/bot/domains", "list-domains"),
        ("POST", "/api/bot/domains", "add-domain"),
        ("DELETE", "/api/bot/domains", "remove-domain"),
        ("POST", "/api/bot/domains/check", "check-domain"),
        ("GET", "/api/bot/domains/check", "405 POST"),
        ("GET", "/api/bot/snapshots", "list-snapshots"),
        ("POST", "/api/bot/snapshots", "take-snapshot"),
        ("DELETE", "/api/bot/snapshots", "405 GET, HEAD, POST"),
        ("POST", "/api/bot/snapshots/restore", "restore-snapshot"),
        ("GET", "/api/bot/snapshots/restore", "405 POST"),
        ("GET", "/api/bot/snapshots/file", "download-file"),
        ("HEAD", "/api/bot/snapshots/file", "download-file"),
        ("HEAD", "/api/bot/snapshots/archive", "405 GET"),
        ("GET", "/api/bot/snapshotsx", "404"),
        ("GET", "/api/bot/snapshots/", "404"),
        ("POST", "/api/bot/sleep", "sleep-bot"),
        ("GET", "/api/bot/sleep", "405 POST"),
        ("POST", "/api/bot/start", "start-bot"),
        ("POST", "/api/bot/suspend", "404"),
        ("POST", "/api/bot/nonsense", "404"),
        ("GET", "/api/admin/events", "admin-list-events"),
        ("POST", "/api/admin/events", "405 GET, HEAD"),
        ("GET", "/api/admin/users", "admin-list-users"),
        ("POST", "/api/admin/invitations", "admin-invite"),
        ("DELETE", "/api/admin/invitations", "admin-uninvite"),
        ("POST", "/api/admin/allow-list", "admin-allow"),
        ("DELETE", "/api/admin/allow-list", "admin-disallow"),
        ("PUT", "/api/admin/allow-list", "405 GET, HEAD, POST, DELETE"),
        ("GET", "/api/admin/users/undefined", "404"),
        ("GET", "/api/admin/users/", "404"),
        ("GET", "/api/admin/", "404"),
        ("GET", "/api/admin/other/x", "404"),
        ("POST", "/api/admin/bots/undefined/suspend", "404"),
        ("GET", "/_repo/undefined/config", "404"),
        ("GET", "/bot", "show-own-page"),
        ("GET", "/bot/snapshots", "show-part-of-own-page"),
        ("POST", "/bot", "405 GET, HEAD"),
        ("GET", "/Bot", "404"),
        ("GET", "/%62ot/x", "404"),
        ("GET", "//bot", "404"),
        ("GET", "/bots", "serve-bot"),
        ("GET", "/api/bot/session", "read-own-session"),
        ("GET", "/", "serve-bot"),
        ("POST", "/v1/chat/completions", "serve-bot"),
        ("GET", "/administration", "serve-bot"),
        ("GET", "/assets/login", "serve-bot"),
    ] {
        assert_eq!(
            goes(method, HostKind::Platform, path),
            expected,
            "{method} {path}"
        );
    }
}

#[test]
fn a_user_id_in_a_path_is_parsed() {
    for (method, path, expected) in [
        ("GET", "/api/admin/bots/{user}", "admin-get-bot"),
        ("POST", "/api/admin/bots/{user}", "405 GET, HEAD"),
        ("POST", "/api/admin/bots/{user}/suspend", "admin-suspend-bot"),
        ("GET", "/api/admin/bots/{user}/suspend", "405 POST"),
        ("GET", "/api/admin/bots/{user}/events", "admin-list-bot-events"),
        ("GET", "/api/admin/bots/{user}/logs", "admin-read-log"),
        ("GET", "/api/admin/bots/{user}/snapshots", "admin-list-snapshots"),
        (
            "POST",
            "/api/admin/bots/{user}/snapshots/pin",
            "admin-pin-snapshot",
        ),
        ("GET", "/api/admin/bots/{user}/snapshotsx", "404"),
        ("GET", "/api/admin/users/{user}", "admin-get-user"),
        ("POST", "/api/admin/users/{user}/suspend", "admin-suspend-user"),
        ("POST", "/api/admin/users/{user}/activate", "admin-activate-user"),
        ("GET", "/api/admin/users/{user}/delete", "405 POST"),
        ("POST", "/api/admin/users/{user}/suspended", "404"),
        ("GET", "/api/admin/users/{user}/domains", "admin-list-domains"),
        ("POST", "/api/admin/users/{user}/domains", "admin-verify-domain"),
        ("DELETE", "/api/admin/users/{user}/domains", "admin-remove-domain"),
        ("PUT", "/_repo/{user}/data/x", "serve-repository"),
        ("GET", "/_repo/{user}/", "serve-repository"),
        ("GET", "/_repo/{user}", "404"),
    ] {
        let path = path.replace("{user}", USER);
        assert_eq!(
            goes(method, HostKind::Platform, &path),
            expected,
            "{method} {path}"
        );
        if let Route::To(_, parameters) = route(method, HostKind::Platform, &path) {
            assert_eq!(parameters.user, Some(USER.parse().unwrap()), "{path}");
        }
    }
}

#[test]
fn a_reserved_prefix_never_reaches_the_bot() {
    for name in RESERVED {
        let (first, rest) = name.split_at(1);
        let code = first.as_bytes()[0];
        for path in [
            format!("/{name}/"),
            format!("/{name}/x/y"),
            format!("/{}/x", name.to_uppercase()),
            format!("//{name}/x"),
            format!("/{name};x/y"),
            format!("/{name}\\x"),
            format!("/%{code:02x}{rest}/x"),
            format!("/%{code:02X}{rest}/x"),
            format!("/{name}%2fx"),
            format!("/{name}%5Cx"),
            format!("/%2F{name}"),
            format!("/.%2f{name}/x"),
            format!("/x%2f..%2f{name}"),
            format!("/{name}/..%2fx"),
            format!("/x/y%2f..%2f..%2f{name}"),
        ] {
            // What lies below `/admin`, spelled so, is the admin UI's.
            let is_ui = name == "admin" && path.starts_with("/admin/");
            assert_eq!(get(&path), if is_ui { "serve-admin-ui" } else { "404" }, "{path}");
        }
    }
}

#[test]
fn only_known_hosts_are_served() {
    for path in ["/", "/login", "/api/bot"] {
        assert_eq!(goes("GET", HostKind::Elsewhere, path), "unknown host", "{path}");
    }
    assert_eq!(goes("GET", HostKind::Elsewhere, "/healthz"), "health");
    // Containers may know the Worker by another name than people do.
    let repository = format!("/_repo/{USER}/config");
    assert_eq!(goes("GET", HostKind::Elsewhere, &repository), "serve-repository");
}

#[test]
fn a_bots_own_host_has_only_the_endpoints_its_pages_need() {
    for (method, path, expected) in [
        ("GET", "/", "serve-bot"),
        ("POST", "/v1/chat/completions", "serve-bot"),
        ("GET", "/healthz", "health"),
        ("GET", "/auth/hand-over", "redeem-handoff-code"),
        ("POST", "/auth/hand-over", "405 GET"),
        ("GET", "/auth/sign-out", "show-sign-out"),
        ("POST", "/auth/sign-out", "sign-out"),
        ("GET", "/api/bot", "get-bot"),
        ("POST", "/api/bot/stop", "404"),
        ("POST", "/api/bot/start", "start-bot"),
        ("POST", "/api/bot/restart", "restart-bot"),
        ("GET", "/api/bot/restart", "405 POST"),
        ("GET", "/api/bot/domains", "404"),
        ("GET", "/api/admin/users", "404"),
        ("GET", "/admin", "404"),
        ("GET", "/admin/", "404"),
        ("GET", "/admin/assets/index.js", "404"),
        ("GET", "/login", "404"),
        ("POST", "/login", "404"),
        ("GET", "/bot", "serve-bot"),
        ("POST", "/bot/x", "serve-bot"),
        ("GET", "/%61uth/hand-over", "404"),
        ("GET", "//auth/sign-out", "404"),
        ("GET", "/auth/sign-out/", "404"),
    ] {
        assert_eq!(goes(method, HostKind::BotHost, path), expected, "{method} {path}");
    }
}

#[test]
fn sign_in_redirects_to_the_same_host_only() {
    for good in [
        "/",
        "/chat?session=main",
        "/a/b#c",
        "/auth/hand-over?host=claw.example.org",
        "/api/bot/snapshots/choice",
        "/bot",
        "/bot/snapshots?after=x",
    ] {
        assert_eq!(safe_next(Some(good)), good);
    }
    for bad in [
        "",
        "chat",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x",
        "/login",
        "/auth/sign-out",
        "/auth/hand-over",
        "/api/bot",
        "/api/bot/snapshots/choice/..",
        "/Auth/hand-over?host=claw.example.org",
        "/Bot",
        "/auth/hand-over/../sign-out",
        "/bot/../auth/sign-out",
        "/bot/%2e%2E/auth/sign-out",
        "/bot/.%2e",
        "/é",
    ] {
        assert_eq!(safe_next(Some(bad)), "/", "{bad:?}");
    }
    assert_eq!(safe_next(None), "/");
}

proptest! {
    #[test]
    fn any_request_is_routed_without_a_panic(method in ".{0,8}", path in ".{0,60}") {
        for kind in [HostKind::Platform, HostKind::BotHost, HostKind::Elsewhere] {
            route(&method, kind, &path);
        }
        prop_assert!(safe_next(Some(&path)).starts_with('/'));
    }

    #[test]
    fn reserved_prefixes_match_with_any_suffix(tail in "[^#?]{0,30}", index in 0usize..8) {
        let path = format!("/{}/{tail}", RESERVED[index]);
        prop_assert_ne!(get(&path), "serve-bot");
        prop_assert_ne!(goes("GET", HostKind::BotHost, &path), "serve-bot");
    }
}
