//! The owner's own page, `/bot`, as browsers get it, and how a request shows that this page sent it.
//!
//! A browser sends a session's cookie along with whatever any page asks for. What the page adds is a CSRF token, which
//! belongs to that one session and which only a page of the platform's host can read. Where bots' pages are on that host as
//! well (no `BOT_DOMAIN`) one of them could read it too: there is none then, and nothing is changed by it.

use super::problem::Refusal;
use crate::secret::Secret;

/// Carries the CSRF token. Pages of other origins cannot send a header of ours.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// What the key is derived for by which CSRF tokens are made of sessions.
pub const CSRF_PURPOSE: &str = "moltworker csrf token";

/// What the page may do, as `Content-Security-Policy`: run scripts of this host alone, none that stand in the page; speak
/// with this host; and be in nobody's frame.
pub const OWN_PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What came along with a session shows of the page that sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageProof {
    /// No CSRF token.
    Absent,
    /// One that does not count.
    Refused(Refusal),
    /// The session's, from a page of the platform's host.
    Held,
}

/// What of a request says which page sent it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent<'a> {
    /// As it arrived.
    pub method: &'a str,
    /// The value of [`CSRF_HEADER`].
    pub token: &'a str,
    /// `Origin`. Browsers send it with everything but what only asks.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`, as browsers send it.
    pub site: Option<&'a str>,
}

impl PageProof {
    /// Judges what was sent to the host that is served at `served`. `expected` is the session's token, if it has one here.
    pub fn of(sent: &Sent<'_>, expected: Option<&Secret<String>>, served: &str) -> Self {
        let by_origin = match sent.origin {
            Some(origin) => origin.eq_ignore_ascii_case(served),
            None => matches!(sent.method, "GET" | "HEAD"),
        };
        if !by_origin || !matches!(sent.site, None | Some("same-origin")) {
            return Self::Refused(Refusal::WrongOrigin);
        }
        match expected {
            Some(expected) if expected.is(sent.token) => Self::Held,
            _ => Self::Refused(Refusal::CsrfTokenRefused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: &str = "https://bots.example.com";

    #[test]
    fn a_csrf_token_counts_from_the_platforms_own_page_alone() {
        let token = Secret::new("of-this-session".to_owned());
        let proof = |method, origin, site| {
            let sent = Sent {
                method,
                token: "of-this-session",
                origin,
                site,
            };
            PageProof::of(&sent, Some(&token), SERVED)
        };
        let foreign = PageProof::Refused(Refusal::WrongOrigin);
        for (method, origin, site, expected) in [
            ("POST", Some(SERVED), Some("same-origin"), PageProof::Held),
            ("POST", Some("HTTPS://Bots.example.com"), None, PageProof::Held),
            ("GET", None, Some("same-origin"), PageProof::Held),
            ("HEAD", None, None, PageProof::Held),
            ("POST", None, Some("same-origin"), foreign),
            ("DELETE", None, None, foreign),
            ("POST", Some("null"), Some("same-origin"), foreign),
            ("POST", Some("https://evil.example"), Some("cross-site"), foreign),
            (
                "POST",
                Some("https://claw.bots.example.com"),
                Some("same-site"),
                foreign,
            ),
            ("POST", Some(SERVED), Some("same-site"), foreign),
            ("GET", None, Some("cross-site"), foreign),
            ("GET", None, Some("none"), foreign),
        ] {
            assert_eq!(
                proof(method, origin, site),
                expected,
                "{method} {origin:?} {site:?}"
            );
        }
    }

    #[test]
    fn a_csrf_token_of_another_session_is_refused() {
        let sent = Sent {
            method: "POST",
            token: "of-another-session",
            origin: Some(SERVED),
            site: None,
        };
        let refused = PageProof::Refused(Refusal::CsrfTokenRefused);
        let token = Secret::new("of-this-session".to_owned());
        assert_eq!(PageProof::of(&sent, Some(&token), SERVED), refused);
        // Where bots share the host there is none.
        assert_eq!(PageProof::of(&sent, None, SERVED), refused);
        let empty = Sent { token: "", ..sent };
        assert_eq!(PageProof::of(&empty, None, SERVED), refused);
    }

    #[test]
    fn the_page_speaks_with_its_own_host_alone() {
        let directives: Vec<_> = OWN_PAGE_POLICY.split("; ").collect();
        for wanted in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&wanted), "{wanted} in {OWN_PAGE_POLICY}");
        }
        assert!(!OWN_PAGE_POLICY.contains("unsafe") && !OWN_PAGE_POLICY.contains("  "));
    }
}
