//! Which headers pass between the caller and the gateway, and what the ingress says in its own name.
//!
//! The gateway believes the ingress because it comes from loopback, and takes its word for who the user
//! is. So nothing a client sends may look like that word.

use std::net::IpAddr;

use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::{
    CLIENT_IP_HEADER, INGRESS_SECRET_HEADER, INTERNAL_HEADER_PREFIX, IngressSecret, REQUEST_ID_HEADER,
};
use subtle::ConstantTimeEq;

/// In this header the gateway is told whose bot it is; `gateway.auth.trustedProxy.userHeader`.
pub(crate) const USER_HEADER: &str = "x-forwarded-user";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_USER: HeaderName = HeaderName::from_static(USER_HEADER);
/// Stands for a caller whose address is unknown: RFC 5737 keeps it for documentation, so it is nobody's.
/// The gateway refuses a trusted proxy that names no client, or a loopback one.
const UNKNOWN_CLIENT: &str = "192.0.2.1";
/// About one connection, not about the message (RFC 9110 §7.6.1); each hop has its own.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What a proxy says about the caller.
const ABOUT_THE_CALLER: [&str; 4] = ["forwarded", "true-client-ip", "via", "x-real-ip"];
const ABOUT_THE_CALLER_PREFIXES: [&str; 2] = ["x-forwarded-", "cf-"];

/// The headers of a request as the gateway is to see them.
pub(crate) fn toward_gateway(from_client: &HeaderMap, owner: &HeaderValue) -> HeaderMap {
    let mut headers = end_to_end(from_client);
    // The ingress has answered "100 Continue" itself by the time the gateway hears of the request.
    headers.remove(EXPECT);
    let about_the_caller: Vec<_> = headers
        .keys()
        .filter(|name| is_about_the_caller(name))
        .cloned()
        .collect();
    for name in about_the_caller {
        headers.remove(name);
    }
    headers.insert(FORWARDED_FOR, client_address(from_client));
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert(FORWARDED_USER, owner.clone());
    keep_upgrade(from_client, &mut headers);
    headers
}

/// The headers of a response as the caller is to see them.
pub(crate) fn toward_client(from_gateway: &HeaderMap) -> HeaderMap {
    let mut headers = end_to_end(from_gateway);
    keep_upgrade(from_gateway, &mut headers);
    headers
}

/// The owner's id as the value of [`USER_HEADER`].
///
/// # Errors
/// Never for a UUID; the type does not know that.
pub(crate) fn owner(user: UserId) -> Result<HeaderValue, hyper::header::InvalidHeaderValue> {
    HeaderValue::from_str(&user.to_string())
}

/// The id of a request, as the Worker says it. One value only: a client's own never comes this far.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut said = headers.get_all(REQUEST_ID_HEADER).into_iter();
    said.next().filter(|_| said.next().is_none()).cloned()
}

/// Puts the id of its request into an answer, in place of what a gateway says there.
pub(crate) fn number(headers: &mut HeaderMap, request_id: Option<HeaderValue>) {
    headers.remove(REQUEST_ID_HEADER);
    if let Some(id) = request_id {
        headers.insert(REQUEST_ID_HEADER, id);
    }
}

/// Whether who sent this message wants to open a WebSocket.
pub(crate) fn opens_web_socket(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    is_upgrade(headers) && protocol.is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"))
}

/// Whether the caller is the Sandbox of this run. Compares without telling by its duration how much was right.
pub(crate) fn is_from_sandbox(headers: &HeaderMap, secret: &IngressSecret) -> bool {
    let mut presented = headers.get_all(INGRESS_SECRET_HEADER).into_iter();
    match (presented.next(), presented.next()) {
        (Some(value), None) => value.as_bytes().ct_eq(secret.reveal().as_bytes()).into(),
        _ => false,
    }
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && nominated(headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let nominated: Vec<_> = nominated(headers).map(str::to_ascii_lowercase).collect();
    let mut kept = HeaderMap::with_capacity(headers.keys_len() + 4);
    for (name, value) in headers {
        let text = name.as_str();
        let dropped = HOP_BY_HOP.contains(&text)
            || text.starts_with(INTERNAL_HEADER_PREFIX)
            || nominated.iter().any(|nominated| nominated == text);
        if !dropped {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// The header names that `Connection` declares to be about this hop only.
fn nominated(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn is_about_the_caller(name: &HeaderName) -> bool {
    let name = name.as_str();
    ABOUT_THE_CALLER.contains(&name)
        || ABOUT_THE_CALLER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

fn keep_upgrade(from: &HeaderMap, to: &mut HeaderMap) {
    if !is_upgrade(from) {
        return;
    }
    for value in from.get_all(UPGRADE) {
        to.append(UPGRADE, value.clone());
    }
    to.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// The caller's address as the Worker says it. One value only, and one the gateway can believe.
fn client_address(headers: &HeaderMap) -> HeaderValue {
    let mut said = headers.get_all(CLIENT_IP_HEADER).into_iter();
    let only = said.next().filter(|_| said.next().is_none());
    only.and_then(|value| value.to_str().ok()?.trim().parse::<IpAddr>().ok())
        .map(|address| address.to_canonical())
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
        .and_then(|address| HeaderValue::from_str(&address.to_string()).ok())
        .unwrap_or_else(|| HeaderValue::from_static(UNKNOWN_CLIENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .fold(HeaderMap::new(), |mut map, (name, value): (_, HeaderValue)| {
                map.append(name, value);
                map
            })
    }

    fn seen(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let owner = HeaderValue::from_static("the-owner");
        let mut seen: Vec<_> = toward_gateway(&map(headers), &owner)
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        seen.sort();
        seen
    }

    const OURS: [(&str, &str); 3] = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "the-owner"),
    ];

    #[test]
    fn a_client_cannot_forge_platform_headers() {
        for header in [
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-user", "somebody-else"),
            ("X-Forwarded-Proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-anything", "x"),
            ("x-real-ip", "1.2.3.4"),
            ("cf-connecting-ip", "1.2.3.4"),
            ("true-client-ip", "1.2.3.4"),
            ("via", "1.1 x"),
            ("x-moltbot-run", "1"),
            (INGRESS_SECRET_HEADER, "5ec2e7"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("expect", "100-continue"),
            ("connection", "close"),
            // An upgrade is only one when `Connection` says so too.
            ("upgrade", "websocket"),
        ] {
            assert_eq!(
                seen(&[header]),
                OURS.map(|(n, v)| (n.into(), v.into())),
                "{header:?}"
            );
        }
    }

    #[test]
    fn a_client_cannot_remove_platform_headers() {
        let headers = seen(&[
            ("connection", "x-forwarded-user, X-Secret, keep-alive"),
            ("x-secret", "1"),
        ]);
        assert_eq!(headers, OURS.map(|(n, v)| (n.into(), v.into())));
    }

    #[test]
    fn other_headers_pass_unchanged() {
        for header in [
            ("host", "bots.example.com"),
            ("origin", "https://bots.example.com"),
            ("cookie", "a=1"),
            ("authorization", "Bearer x"),
            ("content-length", "5"),
            ("range", "bytes=0-1"),
            ("sec-websocket-key", "x"),
        ] {
            assert!(
                seen(&[header]).contains(&(header.0.into(), header.1.into())),
                "{header:?}"
            );
        }
        assert_eq!(seen(&[("accept", "a"), ("accept", "b")]).len(), OURS.len() + 2);
    }

    #[test]
    fn an_upgrade_request_keeps_its_upgrade_headers() {
        let headers = seen(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert!(headers.contains(&("connection".into(), "upgrade".into())));
        assert!(headers.contains(&("upgrade".into(), "websocket".into())));
        let response = toward_client(&map(&[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("x-moltbot-state", "x"),
        ]));
        assert!(is_upgrade(&response));
        assert_eq!(response.len(), 2);
    }

    #[test]
    fn an_answer_has_the_id_of_its_request_and_no_other() {
        let said = |headers: &[(&str, &str)]| request_id(&map(headers));
        let id = said(&[(REQUEST_ID_HEADER, "8a1b")]);
        assert_eq!(id, Some(HeaderValue::from_static("8a1b")));
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[(REQUEST_ID_HEADER, "a"), (REQUEST_ID_HEADER, "b")]), None);
        let mut answer = map(&[(REQUEST_ID_HEADER, "the gateway's"), (REQUEST_ID_HEADER, "x")]);
        number(&mut answer, id);
        let all: Vec<_> = answer.get_all(REQUEST_ID_HEADER).into_iter().collect();
        assert_eq!(all, ["8a1b"]);
        number(&mut answer, None);
        assert!(answer.is_empty());
    }

    #[test]
    fn the_client_address_is_forwarded_only_if_it_parses() {
        for (said, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("127.0.0.1", UNKNOWN_CLIENT),
            ("::1", UNKNOWN_CLIENT),
            ("::ffff:127.0.0.1", UNKNOWN_CLIENT),
            ("0.0.0.0", UNKNOWN_CLIENT),
            ("1.2.3.4, 5.6.7.8", UNKNOWN_CLIENT),
            ("", UNKNOWN_CLIENT),
        ] {
            let headers = seen(&[(CLIENT_IP_HEADER, said)]);
            assert!(
                headers.contains(&("x-forwarded-for".into(), expected.into())),
                "{said}"
            );
        }
        let twice = seen(&[
            (CLIENT_IP_HEADER, "203.0.113.9"),
            (CLIENT_IP_HEADER, "203.0.113.9"),
        ]);
        assert!(twice.contains(&("x-forwarded-for".into(), UNKNOWN_CLIENT.into())));
    }
}
