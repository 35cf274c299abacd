//! The paths below `/api/`: the owner's and the admins'.

use super::{Route, for_methods};
use crate::api::sandbox::Order;
use crate::api::snapshots::SnapshotCall;
use crate::bot::lifecycle::Authority;
use crate::identity::users::UserStatus;
use crate::user_id::UserId;

/// What an owner does with the domains of their bot. A domain's name is in the body, not in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainCall {
    /// All of them, with what to put into DNS.
    List,
    /// Claim one.
    Add,
    /// Look into DNS whether the claim is proven.
    Check,
    /// Give one up.
    Remove,
}

/// What an admin does with users. An invitation, an entry of the allow-list and a domain are named in the
/// body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminCall {
    /// Users, a page at a time.
    Users,
    /// One user.
    User(UserId),
    /// Set a user's status.
    SetStatus(UserId, UserStatus),
    /// All invitations.
    Invitations,
    /// Invite somebody.
    Invite,
    /// Take an invitation back.
    Uninvite,
    /// The allow-list.
    AllowList,
    /// Add to it.
    Allow,
    /// Take from it.
    Disallow,
    /// A user's domains.
    Domains(UserId),
    /// Take an admin's word that a domain is this user's.
    VerifyDomain(UserId),
    /// Take a domain from a user.
    RemoveDomain(UserId),
}

/// The route of a path below a reserved prefix, if there is one.
pub(super) fn route(method: &str, path: &str) -> Option<Route> {
    match path {
        "/api/bot/domains" => return Some(read_add_remove(method, DOMAINS.map(Route::Domains))),
        "/api/bot/events" => return Some(read(method, Route::BotEvents)),
        "/api/bot/logs" => return Some(read(method, Route::BotLogs)),
        "/api/bot/domains/check" => return Some(post(method, Route::Domains(DomainCall::Check))),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/api/bot/snapshots") {
        return snapshots(method, rest, Route::Snapshots);
    }
    if let Some(name) = path.strip_prefix("/api/bot/") {
        let order = Order::parse(Authority::Owner, name)?;
        return Some(post(method, Route::BotOrder(order)));
    }
    admin(method, path.strip_prefix("/api/admin/")?)
}

/// Of an owner's orders those that the platform's pages have a button for, which a bot's own host shows too.
pub(super) fn button(method: &str, path: &str) -> Option<Route> {
    let order = Order::parse(Authority::Owner, path.strip_prefix("/api/bot/")?)?;
    order.has_a_button().then(|| post(method, Route::BotOrder(order)))
}

const DOMAINS: [DomainCall; 3] = [DomainCall::List, DomainCall::Add, DomainCall::Remove];
const INVITATIONS: [AdminCall; 3] = [AdminCall::Invitations, AdminCall::Invite, AdminCall::Uninvite];
const ALLOW_LIST: [AdminCall; 3] = [AdminCall::AllowList, AdminCall::Allow, AdminCall::Disallow];

fn admin(method: &str, path: &str) -> Option<Route> {
    match path {
        "events" => return Some(read(method, Route::AdminEvents(None))),
        "users" => return Some(read(method, Route::Admin(AdminCall::Users))),
        "invitations" => return Some(read_add_remove(method, INVITATIONS.map(Route::Admin))),
        "allow-list" => return Some(read_add_remove(method, ALLOW_LIST.map(Route::Admin))),
        _ => {}
    }
    let (what, rest) = path.split_once('/')?;
    let (user, verb) = match rest.split_once('/') {
        Some((user, verb)) => (user, Some(verb)),
        None => (rest, None),
    };
    let user: UserId = user.parse().ok()?;
    match (what, verb) {
        ("bots", None) => Some(read(method, Route::AdminBotStatus(user))),
        ("bots", Some(rest)) if rest == "snapshots" || rest.starts_with("snapshots/") => {
            let rest = rest.strip_prefix("snapshots").unwrap_or_default();
            snapshots(method, rest, |call| Route::AdminSnapshots(user, call))
        }
        ("bots", Some("logs")) => Some(read(method, Route::AdminLogs(user))),
        ("bots", Some("events")) => Some(read(method, Route::AdminEvents(Some(user)))),
        ("bots", Some(name)) => {
            let order = Order::parse(Authority::Admin, name)?;
            Some(post(method, Route::AdminOrder(user, order)))
        }
        ("users", None) => Some(read(method, Route::Admin(AdminCall::User(user)))),
        ("users", Some("domains")) => {
            let calls = [
                AdminCall::Domains(user),
                AdminCall::VerifyDomain(user),
                AdminCall::RemoveDomain(user),
            ];
            Some(read_add_remove(method, calls.map(Route::Admin)))
        }
        ("users", Some(verb)) => {
            let status = UserStatus::ALL.into_iter().find(|status| status.verb() == verb)?;
            Some(post(method, Route::Admin(AdminCall::SetStatus(user, status))))
        }
        _ => None,
    }
}

/// What follows `…/snapshots`. Which one is meant is in the body or the query, not in the path.
fn snapshots(method: &str, rest: &str, route: impl Fn(SnapshotCall) -> Route) -> Option<Route> {
    match rest {
        "" => {
            let list = route(SnapshotCall::List);
            let known = [("GET", list), ("HEAD", list), ("POST", route(SnapshotCall::Take))];
            Some(for_methods(method, &known, "GET, HEAD, POST"))
        }
        "/restore" => Some(post(method, route(SnapshotCall::Restore))),
        "/pin" => Some(post(method, route(SnapshotCall::Pin))),
        "/unpin" => Some(post(method, route(SnapshotCall::Unpin))),
        "/files" => Some(read(method, route(SnapshotCall::Browse))),
        "/file" => Some(for_methods(
            method,
            &[("GET", route(SnapshotCall::Download))],
            "GET",
        )),
        _ => None,
    }
}

fn read(method: &str, route: Route) -> Route {
    for_methods(method, &[("GET", route), ("HEAD", route)], "GET, HEAD")
}

fn post(method: &str, route: Route) -> Route {
    for_methods(method, &[("POST", route)], "POST")
}

fn read_add_remove(method: &str, [read, add, remove]: [Route; 3]) -> Route {
    let known = [("GET", read), ("HEAD", read), ("POST", add), ("DELETE", remove)];
    for_methods(method, &known, "GET, HEAD, POST, DELETE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_get_route_changes_state() {
        let user: UserId = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap();
        let admin = |call| Some(Route::Admin(call));
        let one = format!("/api/admin/users/{user}");
        let domains = format!("{one}/domains");
        for (method, path, expected) in [
            ("GET", "/api/bot/domains", Some(Route::Domains(DomainCall::List))),
            ("POST", "/api/bot/domains", Some(Route::Domains(DomainCall::Add))),
            (
                "DELETE",
                "/api/bot/domains",
                Some(Route::Domains(DomainCall::Remove)),
            ),
            (
                "POST",
                "/api/bot/domains/check",
                Some(Route::Domains(DomainCall::Check)),
            ),
            (
                "GET",
                "/api/bot/domains/check",
                Some(Route::WrongMethod { allow: "POST" }),
            ),
            ("GET", "/api/admin/users", admin(AdminCall::Users)),
            ("GET", &one, admin(AdminCall::User(user))),
            (
                "POST",
                &format!("{one}/suspend"),
                admin(AdminCall::SetStatus(user, UserStatus::Suspended)),
            ),
            (
                "POST",
                &format!("{one}/activate"),
                admin(AdminCall::SetStatus(user, UserStatus::Active)),
            ),
            (
                "GET",
                &format!("{one}/delete"),
                Some(Route::WrongMethod { allow: "POST" }),
            ),
            ("POST", &format!("{one}/suspended"), None),
            ("GET", &domains, admin(AdminCall::Domains(user))),
            ("POST", &domains, admin(AdminCall::VerifyDomain(user))),
            ("DELETE", &domains, admin(AdminCall::RemoveDomain(user))),
            ("POST", "/api/admin/invitations", admin(AdminCall::Invite)),
            ("DELETE", "/api/admin/invitations", admin(AdminCall::Uninvite)),
            ("POST", "/api/admin/allow-list", admin(AdminCall::Allow)),
            ("DELETE", "/api/admin/allow-list", admin(AdminCall::Disallow)),
            (
                "PUT",
                "/api/admin/allow-list",
                Some(Route::WrongMethod {
                    allow: "GET, HEAD, POST, DELETE",
                }),
            ),
            (
                "GET",
                "/api/bot/snapshots",
                Some(Route::Snapshots(SnapshotCall::List)),
            ),
            (
                "POST",
                "/api/bot/snapshots",
                Some(Route::Snapshots(SnapshotCall::Take)),
            ),
            (
                "POST",
                "/api/bot/snapshots/restore",
                Some(Route::Snapshots(SnapshotCall::Restore)),
            ),
            (
                "GET",
                "/api/bot/snapshots/restore",
                Some(Route::WrongMethod { allow: "POST" }),
            ),
            (
                "DELETE",
                "/api/bot/snapshots",
                Some(Route::WrongMethod {
                    allow: "GET, HEAD, POST",
                }),
            ),
            (
                "GET",
                "/api/bot/snapshots/file",
                Some(Route::Snapshots(SnapshotCall::Download)),
            ),
            ("GET", "/api/bot/logs", Some(Route::BotLogs)),
            (
                "POST",
                "/api/bot/logs",
                Some(Route::WrongMethod { allow: "GET, HEAD" }),
            ),
            (
                "GET",
                &format!("/api/admin/bots/{user}/logs"),
                Some(Route::AdminLogs(user)),
            ),
            ("GET", "/api/bot/snapshotsx", None),
            ("GET", "/api/bot/snapshots/", None),
            (
                "POST",
                &format!("/api/admin/bots/{user}/snapshots/pin"),
                Some(Route::AdminSnapshots(user, SnapshotCall::Pin)),
            ),
            (
                "GET",
                &format!("/api/admin/bots/{user}/snapshots"),
                Some(Route::AdminSnapshots(user, SnapshotCall::List)),
            ),
            ("GET", &format!("/api/admin/bots/{user}/snapshotsx"), None),
            ("GET", "/api/admin/users/undefined", None),
            ("GET", "/api/admin/users/", None),
            ("GET", "/api/admin/", None),
            ("GET", "/api/admin/other/x", None),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }
}
