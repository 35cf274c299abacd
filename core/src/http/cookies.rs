//! The platform's own cookies.

/// Cookies that start like this are the platform's. `__Host-` makes the browser insist on Secure, on this
/// host alone and on `Path=/`, so neither a sibling domain nor plain HTTP can plant one.
pub const COOKIE_PREFIX: &str = "__Host-moltbot-";
/// The cookie that holds the sealed session of a browser (`identity::session::Session`).
pub const SESSION_COOKIE: &str = "__Host-moltbot-session";

/// The cookie that holds the sealed session of the admin UI (`identity::session::AdminSession`).
pub const ADMIN_SESSION_COOKIE: &str = "__Host-moltbot-admin-session";

/// The value of one of our cookies in a `Cookie` header. Two of a name (one was planted before `__Host-` was
/// understood, say) count as none.
pub fn find<'a>(cookie_header: &'a str, wanted: &str) -> Option<&'a str> {
    let mut values = cookie_header
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// `Set-Cookie` for one of our cookies, for `max_age` seconds.
pub fn set(name: &str, sealed: &str, max_age: u64) -> String {
    // Lax, not Strict: a link in a mail to one's own bot should open it signed in, and the identity provider
    // leads back from its own site. State changes are POST with an Origin check, so Lax opens nothing.
    format!("{name}={sealed}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax")
}

/// `Set-Cookie` for the session of the admin UI. Strict: its page alone asks with it, no link needs it.
pub fn set_admin_session(sealed: &str, max_age: u64) -> String {
    format!("{ADMIN_SESSION_COOKIE}={sealed}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict")
}

/// `Set-Cookie` that makes the browser forget one of our cookies.
pub fn clear(name: &str) -> String {
    set(name, "", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let find = |header| find(header, SESSION_COOKIE);
        assert_eq!(find("a=1; __Host-moltbot-session=v; b=2"), Some("v"));
        assert_eq!(find("__Host-moltbot-session=v=="), Some("v=="));
        for other in [
            "",
            "a=1",
            "__Host-moltbot-session",
            "x__Host-moltbot-session=v",
            "__host-moltbot-session=v",
            "__Host-moltbot-sign-in=v",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
        assert_eq!(find("__Host-moltbot-session=a; __Host-moltbot-session=b"), None);
    }

    #[test]
    fn scripts_and_other_sites_cannot_use_the_cookie() {
        let cookie = set(SESSION_COOKIE, "v", 60);
        for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"));
        assert!(clear(SESSION_COOKIE).contains("Max-Age=0"));
        let admins = set_admin_session("v", 60);
        for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=60"] {
            assert!(admins.split("; ").any(|part| part == attribute), "{admins}");
        }
        assert!(!admins.contains("Domain"));
    }
}
