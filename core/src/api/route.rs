//! Where a request goes: a pure function of method, host and path.

use crate::api::sandbox::Order;
use crate::api::snapshots::SnapshotCall;
use crate::identity::sign_in::Provider;
use crate::user_id::UserId;

mod api;
pub use api::{AdminCall, DomainCall};

/// Path prefixes that belong to the platform on every host it serves. An unknown path under one of them is
/// 404 there and never reaches a bot, so a route added later cannot change what a bot has been getting.
pub const RESERVED: [&str; 8] = [
    "admin", "api", "auth", "login", "debug", "_repo", "healthz", "hooks",
];

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Is the Worker there? Answered without settings, identity or storage.
    Health,
    /// The sign-in page.
    LoginPage,
    /// The sign-in form, sent.
    LogIn,
    /// Off to an OAuth provider, by way of the identity provider.
    SignInWith(Provider),
    /// Back from the identity provider, with a code or an error.
    SignInCallback,
    /// End the browser's session.
    SignOut,
    /// On a bot's own host: the page that offers to sign out.
    SignOutPage,
    /// The browser's session crosses from the platform's host to a bot's own: on the former a code is made,
    /// on the latter it is taken.
    SessionHandoff,
    /// The caller's domains.
    Domains(DomainCall),
    /// Users, invitations and domains, for an admin.
    Admin(AdminCall),
    /// The caller's bot: its state. Never wakes it.
    BotStatus,
    /// The caller's bot: an order of its owner.
    BotOrder(Order),
    /// The caller's bot: its history.
    BotEvents,
    /// The snapshots of the caller's bot.
    Snapshots(SnapshotCall),
    /// The snapshots of somebody's bot, for an admin.
    AdminSnapshots(UserId, SnapshotCall),
    /// What the gateway of the caller's bot wrote last.
    BotLogs,
    /// The same of somebody's bot, for an admin.
    AdminLogs(UserId),
    /// The history of one bot, or of all, for an admin.
    AdminEvents(Option<UserId>),
    /// Somebody's bot: an order of an admin.
    AdminOrder(UserId, Order),
    /// Somebody's bot: its state, for an admin. Never wakes it.
    AdminBotStatus(UserId),
    /// Everything else belongs to the caller's bot.
    Bot,
    /// A reserved prefix, but no such route.
    NotFound,
    /// The route exists with other methods.
    WrongMethod {
        /// For the `Allow` header.
        allow: &'static str,
    },
    /// A host this Worker does not serve.
    UnknownHost,
}

impl Route {
    /// Whether the identity provider is asked to let somebody in: what is counted most strictly.
    pub fn signs_in(self) -> bool {
        matches!(self, Self::LogIn | Self::SignInWith(_) | Self::SignInCallback)
    }
}

/// The kind of host a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The platform's own: everything is here.
    Platform,
    /// A bot's own name. Of the platform only what the bot's pages need is here, and nothing of an admin's.
    BotHost,
    /// A host this Worker does not serve.
    Elsewhere,
}

/// Decides where a request goes. `path` is the URL's path as the URL parser leaves it (dot segments resolved,
/// percent-encoding kept).
pub fn route(method: &str, place: Place, path: &str) -> Route {
    // Health must answer on any name, also while the operator is still setting up domains.
    if path == "/healthz" {
        return for_methods(
            method,
            &[("GET", Route::Health), ("HEAD", Route::Health)],
            "GET, HEAD",
        );
    }
    match place {
        Place::Platform => on_platform(method, path),
        Place::BotHost => on_bot_host(method, path),
        Place::Elsewhere => Route::UnknownHost,
    }
}

fn on_bot_host(method: &str, path: &str) -> Route {
    match path {
        "/auth/hand-over" => for_methods(method, &[("GET", Route::SessionHandoff)], "GET"),
        "/auth/sign-out" => for_methods(
            method,
            &[
                ("GET", Route::SignOutPage),
                ("HEAD", Route::SignOutPage),
                ("POST", Route::SignOut),
            ],
            "GET, HEAD, POST",
        ),
        // The waking page asks it how far the start is.
        "/api/bot" => for_methods(
            method,
            &[("GET", Route::BotStatus), ("HEAD", Route::BotStatus)],
            "GET, HEAD",
        ),
        _ if is_reserved(path) => api::button(method, path).unwrap_or(Route::NotFound),
        _ => Route::Bot,
    }
}

fn on_platform(method: &str, path: &str) -> Route {
    match path {
        "/login" => for_methods(
            method,
            &[
                ("GET", Route::LoginPage),
                ("HEAD", Route::LoginPage),
                ("POST", Route::LogIn),
            ],
            "GET, HEAD, POST",
        ),
        // GET only: HEAD would spend the code that came along.
        "/auth/callback" => for_methods(method, &[("GET", Route::SignInCallback)], "GET"),
        "/auth/sign-out" => for_methods(method, &[("POST", Route::SignOut)], "POST"),
        "/auth/hand-over" => for_methods(method, &[("GET", Route::SessionHandoff)], "GET"),
        "/api/bot" => for_methods(
            method,
            &[("GET", Route::BotStatus), ("HEAD", Route::BotStatus)],
            "GET, HEAD",
        ),
        _ if is_reserved(path) => provider_route(method, path)
            .or_else(|| api::route(method, path))
            .unwrap_or(Route::NotFound),
        _ => Route::Bot,
    }
}

/// `/auth/sign-in/<provider>`.
fn provider_route(method: &str, path: &str) -> Option<Route> {
    let provider = Provider::parse(path.strip_prefix("/auth/sign-in/")?)?;
    Some(for_methods(
        method,
        &[("GET", Route::SignInWith(provider))],
        "GET",
    ))
}

fn for_methods(method: &str, known: &[(&str, Route)], allow: &'static str) -> Route {
    known
        .iter()
        .find(|(name, _)| *name == method)
        .map_or(Route::WrongMethod { allow }, |(_, route)| *route)
}

/// Whether the first segment is a reserved name in any spelling (`/Admin`, `/%61dmin`, `//admin`), or becomes
/// one when somebody on the way decodes and resolves the path (`/x%2f..%2fadmin`, `/admin/..%2fx`): what a
/// person or a proxy could read as the platform's must not be the bot's.
fn is_reserved(path: &str) -> bool {
    let decoded = percent_decoded(path);
    let mut depth = 0_usize;
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        match name {
            b"" | b"." => {}
            b".." => depth = depth.saturating_sub(1),
            name if depth == 0 && is_reserved_name(name) => return true,
            _ => depth += 1,
        }
    }
    false
}

fn is_reserved_name(segment: &[u8]) -> bool {
    RESERVED
        .iter()
        .any(|name| segment.eq_ignore_ascii_case(name.as_bytes()))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (byte, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high * 16 + low);
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    decoded
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Where to go after signing in: a path on this host, or `/` when `wanted` is anything else.
///
/// A browser reads `//host` and `/\host` as another host, and drops tabs and line breaks while parsing; any
/// of them would make the sign-in page forward people to a stranger.
pub fn safe_next(wanted: Option<&str>) -> &str {
    let Some(path) = wanted else { return "/" };
    let local = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    // The one reserved path that leads on: to a bot's own host, which the caller must own.
    let leads_on = path.starts_with("/auth/hand-over?");
    let (alone, _query) = path.split_once(['?', '#']).unwrap_or((path, ""));
    if local && plain && (leads_on || !is_reserved(alone)) {
        path
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(path: &str) -> Route {
        route("GET", Place::Platform, path)
    }

    #[test]
    fn every_case_gives_its_expected_result() {
        let user: UserId = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap();
        let admin = format!("/api/admin/bots/{user}");
        let suspend = format!("{admin}/suspend");
        let cases = [
            ("GET", "/healthz", Route::Health),
            ("HEAD", "/healthz", Route::Health),
            ("POST", "/healthz", Route::WrongMethod { allow: "GET, HEAD" }),
            ("GET", "/login", Route::LoginPage),
            ("POST", "/login", Route::LogIn),
            (
                "DELETE",
                "/login",
                Route::WrongMethod {
                    allow: "GET, HEAD, POST",
                },
            ),
            ("POST", "/auth/sign-out", Route::SignOut),
            ("GET", "/auth/sign-out", Route::WrongMethod { allow: "POST" }),
            ("GET", "/auth/hand-over", Route::SessionHandoff),
            ("POST", "/auth/hand-over", Route::WrongMethod { allow: "GET" }),
            ("GET", "/auth/callback", Route::SignInCallback),
            ("HEAD", "/auth/callback", Route::WrongMethod { allow: "GET" }),
            ("GET", "/auth/sign-in/github", Route::SignInWith(Provider::Github)),
            (
                "POST",
                "/auth/sign-in/github",
                Route::WrongMethod { allow: "GET" },
            ),
            ("GET", "/auth/sign-in/GitHub", Route::NotFound),
            ("GET", "/auth/sign-in/", Route::NotFound),
            ("GET", "/api/bot", Route::BotStatus),
            ("POST", "/api/bot", Route::WrongMethod { allow: "GET, HEAD" }),
            ("GET", "/api/bot/events", Route::BotEvents),
            ("GET", "/api/admin/events", Route::AdminEvents(None)),
            ("GET", &format!("{admin}/events"), Route::AdminEvents(Some(user))),
            (
                "POST",
                "/api/admin/events",
                Route::WrongMethod { allow: "GET, HEAD" },
            ),
            ("POST", "/api/bot/sleep", Route::BotOrder(Order::Sleep)),
            ("POST", "/api/bot/start", Route::BotOrder(Order::Start)),
            ("POST", "/api/bot/suspend", Route::NotFound),
            ("POST", "/api/bot/nonsense", Route::NotFound),
            ("GET", &admin, Route::AdminBotStatus(user)),
            ("POST", &admin, Route::WrongMethod { allow: "GET, HEAD" }),
            ("POST", &suspend, Route::AdminOrder(user, Order::Suspend)),
            ("GET", &suspend, Route::WrongMethod { allow: "POST" }),
            ("POST", "/api/admin/bots/undefined/suspend", Route::NotFound),
            ("POST", "/api/admin/bots", Route::NotFound),
            ("GET", "/api/bot/sleep", Route::WrongMethod { allow: "POST" }),
            ("GET", "/", Route::Bot),
            ("POST", "/v1/chat/completions", Route::Bot),
            ("GET", "/administration", Route::Bot),
            ("GET", "/assets/login", Route::Bot),
        ];
        for (method, path, expected) in cases {
            assert_eq!(route(method, Place::Platform, path), expected, "{method} {path}");
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
                assert_eq!(get(&path), Route::NotFound, "{path}");
            }
        }
    }

    #[test]
    fn an_unknown_host_is_not_served() {
        for path in ["/", "/login", "/api/bot"] {
            assert_eq!(route("GET", Place::Elsewhere, path), Route::UnknownHost, "{path}");
        }
        assert_eq!(route("GET", Place::Elsewhere, "/healthz"), Route::Health);
    }

    #[test]
    fn a_bot_host_serves_only_the_platform_routes_its_pages_need() {
        for (method, path, expected) in [
            ("GET", "/", Route::Bot),
            ("POST", "/v1/chat/completions", Route::Bot),
            ("GET", "/healthz", Route::Health),
            ("GET", "/auth/hand-over", Route::SessionHandoff),
            ("POST", "/auth/hand-over", Route::WrongMethod { allow: "GET" }),
            ("GET", "/auth/sign-out", Route::SignOutPage),
            ("POST", "/auth/sign-out", Route::SignOut),
            ("GET", "/api/bot", Route::BotStatus),
            ("POST", "/api/bot/stop", Route::NotFound),
            ("POST", "/api/bot/start", Route::BotOrder(Order::Start)),
            ("POST", "/api/bot/restart", Route::BotOrder(Order::Restart)),
            ("GET", "/api/bot/restart", Route::WrongMethod { allow: "POST" }),
            ("GET", "/api/bot/domains", Route::NotFound),
            ("GET", "/api/admin/users", Route::NotFound),
            ("GET", "/admin", Route::NotFound),
            ("GET", "/login", Route::NotFound),
            ("POST", "/login", Route::NotFound),
            ("GET", "/%61uth/hand-over", Route::NotFound),
            ("GET", "//auth/sign-out", Route::NotFound),
            ("GET", "/auth/sign-out/", Route::NotFound),
        ] {
            assert_eq!(route(method, Place::BotHost, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn sign_in_redirects_to_the_same_host_only() {
        for good in [
            "/",
            "/chat?session=main",
            "/a/b#c",
            "/auth/hand-over?host=claw.example.org",
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
            "/Auth/hand-over?host=claw.example.org",
            "/auth/hand-over/../sign-out",
            "/é",
        ] {
            assert_eq!(safe_next(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(safe_next(None), "/");
    }

    proptest! {
        #[test]
        fn any_request_is_routed_without_a_panic(method in ".{0,8}", path in ".{0,60}") {
            for place in [Place::Platform, Place::BotHost, Place::Elsewhere] {
                route(&method, place, &path);
            }
            prop_assert!(safe_next(Some(&path)).starts_with('/'));
        }

        #[test]
        fn reserved_prefixes_match_with_any_suffix(tail in "[^#?]{0,30}", index in 0usize..8) {
            let path = format!("/{}/{tail}", RESERVED[index]);
            prop_assert_ne!(get(&path), Route::Bot);
            prop_assert_ne!(route("GET", Place::BotHost, &path), Route::Bot);
        }
    }
}
