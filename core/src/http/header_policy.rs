//! What may cross the edge: headers from the caller to the bot, headers from the bot to the caller, and
//! which pages may open a WebSocket or send a form.

use crate::http::cookies::COOKIE_PREFIX;
use crate::wire::run::{INTERNAL_HEADER_PREFIX, REQUEST_ID_HEADER};

/// What to do with one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderVerdict {
    /// Pass it on as it is.
    Keep,
    /// Leave it out.
    Drop,
    /// Pass it on with this value.
    Replace(String),
}

/// A header on its way from the caller to the bot.
///
/// `authorization` always goes: with it the caller proved who they are to the platform. Headers the
/// platform or Cloudflare sets about the caller go as well, so that nothing a client sends can pass for
/// them inside the container.
pub fn toward_bot(name: &str, value: &str) -> HeaderVerdict {
    let name = name.to_ascii_lowercase();
    if name == "cookie" {
        let kept: Vec<&str> = value
            .split(';')
            .map(str::trim)
            .filter(|pair| !pair.is_empty() && !is_platform_cookie(pair))
            .collect();
        return if kept.is_empty() {
            HeaderVerdict::Drop
        } else {
            HeaderVerdict::Replace(kept.join("; "))
        };
    }
    let about_the_caller = matches!(
        name.as_str(),
        "authorization"
            | "proxy-authorization"
            | "forwarded"
            | "x-real-ip"
            | "true-client-ip"
            | "via"
            | REQUEST_ID_HEADER
    );
    let families = [INTERNAL_HEADER_PREFIX, "x-forwarded-", "cf-"];
    if about_the_caller || families.iter().any(|prefix| name.starts_with(prefix)) {
        HeaderVerdict::Drop
    } else {
        HeaderVerdict::Keep
    }
}

/// Headers with which one answer speaks for the whole host, or for longer than itself: what is stored there, which
/// requests are reported to whom, how the host is reached. On the platform's host that is not a bot's to say.
const OF_THE_HOST: [&str; 6] = [
    "alt-svc",
    "clear-site-data",
    "nel",
    "report-to",
    "service-worker-allowed",
    "strict-transport-security",
];

/// A header on its way from the bot to the caller: a bot must not set the platform's cookies, wipe them, or
/// speak in the platform's name.
pub fn toward_caller(name: &str, value: &str) -> HeaderVerdict {
    let name = name.to_ascii_lowercase();
    if name == "set-cookie" {
        return bots_cookie(value);
    }
    if OF_THE_HOST.contains(&name.as_str()) || name.starts_with(INTERNAL_HEADER_PREFIX) {
        HeaderVerdict::Drop
    } else {
        HeaderVerdict::Keep
    }
}

/// A cookie a bot sets: under a name of its own, and on its own host alone. Browsers send a cookie without a name as if
/// its value were the whole pair, so it could pass for any other; and with `Domain` it would go to other people's bots.
fn bots_cookie(value: &str) -> HeaderVerdict {
    let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
    let pair = pair.trim_matches([' ', '\t']);
    let name = pair
        .split_once('=')
        .map_or("", |(name, _)| name.trim_end_matches([' ', '\t']));
    if name.is_empty() || is_platform_cookie(pair) {
        return HeaderVerdict::Drop;
    }
    let is_domain = |attribute: &&str| {
        let name = attribute.split('=').next().unwrap_or_default();
        name.trim_matches([' ', '\t']).eq_ignore_ascii_case("domain")
    };
    if !attributes.split(';').any(|attribute| is_domain(&attribute)) {
        return HeaderVerdict::Keep;
    }
    let kept = attributes.split(';').filter(|attribute| !is_domain(attribute));
    let parts: Vec<&str> = std::iter::once(pair).chain(kept.map(str::trim)).collect();
    HeaderVerdict::Replace(parts.join("; "))
}

fn is_platform_cookie(pair: &str) -> bool {
    // Cookie names are case-sensitive, but browsers compare the `__Host-` prefix without case.
    pair.get(..COOKIE_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(COOKIE_PREFIX))
}

/// Whether a page at `origin` may do this on the caller's behalf. Programs send no `Origin`; a browser
/// always does for a WebSocket and for a form that is sent with POST.
pub fn same_origin(origin: Option<&str>, served: &str) -> bool {
    origin.is_none_or(|origin| origin.eq_ignore_ascii_case(served))
}

/// What a browser says about where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestContext<'a> {
    /// As it arrived.
    pub method: &'a str,
    /// Whether it is to become a WebSocket.
    pub upgrade: bool,
    /// `Origin`: the page it comes from.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: how that page is related to this host. No page can set it.
    pub site: Option<&'a str>,
    /// `Sec-Fetch-Mode`: whether a tab goes there, or a page only loads it.
    pub mode: Option<&'a str>,
}

/// Whether a request that came with a session's cookie is its owner's, or of a page of this host's.
///
/// The cookie alone does not say: browsers send it along for the pages of every host below the same registered
/// domain (`SameSite` means the site, not the origin), and all of those together are not ours. Pages elsewhere may
/// lead a tab here; they may not send a form, load a file or open a WebSocket in the owner's name.
pub fn is_owners(asked: &RequestContext<'_>, served: &str) -> bool {
    let by_our_page = asked.origin.is_some() && same_origin(asked.origin, served);
    if asked.upgrade {
        return by_our_page;
    }
    let only_asks = matches!(asked.method, "GET" | "HEAD");
    match asked.site {
        Some("same-origin" | "none") => true,
        Some(_) => only_asks && asked.mode == Some("navigate"),
        // Browsers before 2023 do not tell; those send `Origin` with everything that changes something.
        None => only_asks || by_our_page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::run::INGRESS_SECRET_HEADER;

    #[test]
    fn a_cookie_alone_does_not_authorize_a_cross_site_request() {
        const SERVED: &str = "https://bots.example.com";
        // Method, upgrade, Origin, Sec-Fetch-Site, Sec-Fetch-Mode.
        let cases = [
            (("GET", false, None, Some("none"), Some("navigate")), true),
            (("GET", false, None, Some("cross-site"), Some("navigate")), true),
            (("HEAD", false, None, Some("same-site"), Some("navigate")), true),
            (("GET", false, None, Some("same-origin"), Some("no-cors")), true),
            (("GET", false, None, Some("same-site"), Some("no-cors")), false),
            (("GET", false, None, Some("cross-site"), Some("cors")), false),
            (("GET", false, None, Some("cross-site"), None), false),
            (("GET", false, None, Some("a new word"), Some("cors")), false),
            (("GET", false, None, None, None), true),
            (
                ("POST", false, Some(SERVED), Some("same-origin"), Some("cors")),
                true,
            ),
            // A form of a page that tells nobody where it is from.
            (
                ("POST", false, Some("null"), Some("same-origin"), Some("navigate")),
                true,
            ),
            (
                (
                    "POST",
                    false,
                    Some("https://wiki.example.com"),
                    Some("same-site"),
                    Some("navigate"),
                ),
                false,
            ),
            (
                ("POST", false, Some(SERVED), Some("same-site"), Some("navigate")),
                false,
            ),
            (("POST", false, Some(SERVED), None, None), true),
            (
                ("POST", false, Some("https://wiki.example.com"), None, None),
                false,
            ),
            (("POST", false, Some("null"), None, None), false),
            (("DELETE", false, None, None, None), false),
            (
                (
                    "OPTIONS",
                    false,
                    Some("https://wiki.example.com"),
                    Some("same-site"),
                    Some("cors"),
                ),
                false,
            ),
            (("GET", true, Some(SERVED), None, None), true),
            (
                ("GET", true, Some(SERVED), Some("same-origin"), Some("websocket")),
                true,
            ),
            (
                (
                    "GET",
                    true,
                    Some("https://wiki.example.com"),
                    Some("same-site"),
                    Some("websocket"),
                ),
                false,
            ),
            (
                (
                    "GET",
                    true,
                    Some("https://wiki.example.com"),
                    Some("same-origin"),
                    None,
                ),
                false,
            ),
            (("GET", true, None, None, None), false),
        ];
        for ((method, upgrade, origin, site, mode), owners) in cases {
            let asked = RequestContext {
                method,
                upgrade,
                origin,
                site,
                mode,
            };
            assert_eq!(is_owners(&asked, SERVED), owners, "{asked:?}");
        }
    }

    #[test]
    fn platform_credentials_are_not_forwarded_to_the_bot() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "X-Moltbot-Client-Ip",
            "x-moltbot-anything",
            INGRESS_SECRET_HEADER,
            "X-Forwarded-For",
            "x-forwarded-user",
            "Forwarded",
            "X-Real-IP",
            "CF-Connecting-IP",
            "cf-ray",
            "True-Client-IP",
            "X-Request-Id",
        ] {
            assert_eq!(toward_bot(name, "x"), HeaderVerdict::Drop, "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "upgrade",
            "sec-websocket-key",
            "origin",
            "x-openclaw-token",
            "range",
        ] {
            assert_eq!(toward_bot(name, "x"), HeaderVerdict::Keep, "{name}");
        }
    }

    #[test]
    fn only_platform_cookies_are_removed() {
        let cases = [
            ("__Host-moltbot-session=abc", HeaderVerdict::Drop),
            (
                "a=1; __Host-moltbot-session=abc; b=2",
                HeaderVerdict::Replace("a=1; b=2".into()),
            ),
            (
                "__HOST-MOLTBOT-session=abc;a=1",
                HeaderVerdict::Replace("a=1".into()),
            ),
            ("  ;; ", HeaderVerdict::Drop),
            (
                "a=__Host-moltbot-session",
                HeaderVerdict::Replace("a=__Host-moltbot-session".into()),
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(toward_bot("Cookie", value), expected, "{value}");
        }
    }

    #[test]
    fn a_bot_cannot_set_platform_headers() {
        for (name, value) in [
            ("Set-Cookie", "__Host-moltbot-session=evil; Path=/"),
            ("set-cookie", " __host-moltbot-x=1"),
            ("X-Moltbot-State", "running"),
            (INGRESS_SECRET_HEADER, "x"),
            ("Clear-Site-Data", "\"*\""),
            ("Service-Worker-Allowed", "/"),
            ("NEL", r#"{"report_to":"x","max_age":9,"success_fraction":1}"#),
            ("Report-To", "{}"),
            ("Strict-Transport-Security", "max-age=0"),
            ("Alt-Svc", "clear"),
        ] {
            assert_eq!(toward_caller(name, value), HeaderVerdict::Drop, "{name}: {value}");
        }
        for (name, value) in [
            ("set-cookie", "theme=dark"),
            ("content-type", "text/html"),
            ("set-cookie", "é=1"),
        ] {
            assert_eq!(toward_caller(name, value), HeaderVerdict::Keep, "{name}: {value}");
        }
    }

    #[test]
    fn a_bots_cookie_has_a_name_and_stays_on_its_host() {
        let replaced = |value: &str| HeaderVerdict::Replace(value.into());
        for (value, expected) in [
            ("a=1", HeaderVerdict::Keep),
            ("a=", HeaderVerdict::Keep),
            ("a=1; Path=/domain; HttpOnly", HeaderVerdict::Keep),
            ("a=domain=x; domains=1", HeaderVerdict::Keep),
            ("", HeaderVerdict::Drop),
            ("a", HeaderVerdict::Drop),
            ("=1", HeaderVerdict::Drop),
            (" \t=__Host-moltbot-session=evil; Path=/", HeaderVerdict::Drop),
            ("; a=1", HeaderVerdict::Drop),
            ("\t__Host-moltbot-session =evil", HeaderVerdict::Drop),
            ("a=1; Domain=bots.example.com", replaced("a=1")),
            (
                "a=1; Domain=bots.example.com; Path=/; Secure",
                replaced("a=1; Path=/; Secure"),
            ),
            ("a=1;domain", replaced("a=1")),
            (
                "a=1; \tDOMAIN\t= .example.com;Path=/; domain=x",
                replaced("a=1; Path=/"),
            ),
        ] {
            assert_eq!(toward_caller("Set-Cookie", value), expected, "{value:?}");
        }
    }

    #[test]
    fn only_platform_pages_can_act_for_the_caller() {
        let served = "https://bots.example.com";
        assert!(same_origin(None, served));
        assert!(same_origin(Some("https://bots.example.com"), served));
        for other in [
            "https://evil.example",
            "null",
            "",
            "http://bots.example.com",
            "https://bots.example.com:444",
        ] {
            assert!(!same_origin(Some(other), served), "{other}");
        }
    }
}
