//! Where a request goes: a pure function of method, host and path over the table of endpoints.

use super::contract::Hosts;
use super::endpoint::Endpoint;
use super::table::{SERVE_BOT, endpoints};
use crate::http::paths;
use crate::identity::sign_in::Provider;
use crate::user_id::UserId;

/// Path prefixes that belong to the platform on every host it serves. An unknown path under one of them is
/// 404 there and never reaches a bot, so an endpoint added later cannot change what a bot has been getting.
pub const RESERVED: [&str; 8] = [
    "admin", "api", "auth", "login", "debug", "_repo", "healthz", "hooks",
];

/// The same for the platform's own host alone: on a bot's host these are the bot's.
pub const RESERVED_ON_PLATFORM: [&str; 1] = ["bot"];

/// Where a request goes.
#[derive(Debug, Clone)]
pub enum Route {
    /// To this endpoint, with what its path says.
    To(&'static Endpoint, PathParameters),
    /// A reserved prefix, but no such endpoint.
    NotFound,
    /// The path exists with other methods.
    WrongMethod {
        /// For the `Allow` header.
        allow: String,
    },
    /// A host this Worker does not serve.
    UnknownHost,
}

/// What the braces of an endpoint's path stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathParameters {
    /// Whose bot or account, from `{user}`.
    pub user: Option<UserId>,
    /// Who signs people in, from `{provider}`.
    pub provider: Option<Provider>,
    /// Which order to many bots, from `{order}`.
    pub order: Option<u32>,
}

/// The kind of host a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// The platform's own: everything is here.
    Platform,
    /// A bot's own name. Of the platform only what the bot's pages need is here, and nothing of an admin's.
    BotHost,
    /// A host this Worker does not serve.
    Elsewhere,
}

impl HostKind {
    fn has(self, hosts: Hosts) -> bool {
        match hosts {
            Hosts::Every => true,
            Hosts::Both => self != Self::Elsewhere,
            Hosts::Platform => self == Self::Platform,
            Hosts::Bots => self == Self::BotHost,
        }
    }
}

/// The endpoint of a bot's traffic.
static TO_BOT: Endpoint = SERVE_BOT;

/// Decides where a request goes. `path` is the URL's path as the URL parser leaves it (dot segments resolved,
/// percent-encoding kept).
pub fn route(method: &str, kind: HostKind, path: &str) -> Route {
    if !is_reserved(path, kind == HostKind::Platform) {
        return match kind {
            HostKind::Elsewhere => Route::UnknownHost,
            HostKind::Platform | HostKind::BotHost => Route::To(&TO_BOT, PathParameters::default()),
        };
    }
    let mut allow: Vec<&str> = Vec::new();
    for endpoint in endpoints().filter(|endpoint| kind.has(endpoint.hosts())) {
        // Not the bot's: the path is reserved.
        let Some(parameters) = matched(endpoint.path(), path).filter(|_| endpoint.path() != TO_BOT.path())
        else {
            continue;
        };
        if endpoint.method().takes(method) {
            return Route::To(endpoint, parameters);
        }
        allow.push(endpoint.method().allow());
    }
    match (allow.is_empty(), kind) {
        (false, _) => Route::WrongMethod {
            allow: allow.join(", "),
        },
        (true, HostKind::Elsewhere) => Route::UnknownHost,
        (true, _) => Route::NotFound,
    }
}

/// What the braces stand for, if the path is of that form.
fn matched(template: &str, path: &str) -> Option<PathParameters> {
    let mut parameters = PathParameters::default();
    let mut segments = path.split('/');
    for wanted in template.split('/') {
        let segment = segments.next()?;
        match wanted {
            "{*}" => return Some(parameters),
            "{user}" => parameters.user = Some(segment.parse().ok()?),
            "{provider}" => parameters.provider = Some(Provider::parse(segment)?),
            "{order}" => parameters.order = Some(number(segment)?),
            literal if literal == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}

/// A number as it is written, and in no other way.
fn number(segment: &str) -> Option<u32> {
    let number: u32 = segment.parse().ok()?;
    (number.to_string() == segment).then_some(number)
}

/// Whether the first segment is a reserved name in any spelling (`/Admin`, `/%61dmin`, `//admin`), or becomes
/// one when somebody on the way decodes and resolves the path (`/x%2f..%2fadmin`, `/admin/..%2fx`): what a
/// person or a proxy could read as the platform's must not be the bot's.
fn is_reserved(path: &str, on_platform: bool) -> bool {
    let decoded = percent_decoded(path);
    let mut depth = 0_usize;
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        match name {
            b"" | b"." => {}
            b".." => depth = depth.saturating_sub(1),
            name if depth == 0 && is_reserved_name(name, on_platform) => return true,
            _ => depth += 1,
        }
    }
    false
}

fn is_reserved_name(segment: &[u8], on_platform: bool) -> bool {
    let also: &[&str] = if on_platform { &RESERVED_ON_PLATFORM } else { &[] };
    RESERVED
        .iter()
        .chain(also)
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

/// `.` or `..`, in whatever spelling.
fn is_dots(segment: &str) -> bool {
    let segment = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(segment.as_str(), "." | "..")
}

/// Where to go after signing in: a path on this host, or `/` when `wanted` is anything else.
///
/// A browser reads `//host` and `/\host` as another host, and drops tabs and line breaks while parsing; any
/// of them would make the sign-in page forward people to a stranger.
pub fn safe_next(wanted: Option<&str>) -> &str {
    let Some(path) = wanted else { return "/" };
    let local = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    // Browsers take dots out of a path, also encoded ones: it would be another one then.
    let is_as_read = !path
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .split('/')
        .any(is_dots);
    let (alone, _query) = path.split_once(['?', '#']).unwrap_or((path, ""));
    // The reserved paths that lead on: to a bot's own host, which the caller must own, and to the pages of the owner's.
    let to_bot = path.strip_prefix(paths::SESSION_HANDOFF);
    let is_own_page = alone == paths::OWN_PAGE || matched(paths::BELOW_OWN_PAGE, alone).is_some();
    let leads_on = to_bot.is_some_and(|rest| rest.starts_with('?')) || path == paths::CHOICE || is_own_page;
    if local && plain && is_as_read && (leads_on || !is_reserved(alone, true)) {
        path
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests;
