//! Where alerts may be sent. An admin's word, or an owner's, must not make the Worker ask what only it can reach.
//!
//! Names are judged and not resolved. An address in numbers is refused in every spelling, the public ones as well: nobody has
//! a webhook there, and there is no list of private ones to be complete.

use super::internal_hosts::InternalHosts;
use crate::http::host::HostName;

/// Characters an address may have: Slack's have 80, those of signed URLs some hundreds.
pub const MAX_URL: usize = 2_000;
/// Last labels of names that mean something only inside a network (RFC 6761, RFC 6762, RFC 8375, RFC 9476, and what routers and
/// clouds use).
const INSIDE: [&str; 17] = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "test",
    "invalid",
    "example",
    "onion",
    "svc",
    "consul",
    "alt",
];

/// Why nothing is sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Not of the form that is taken.
    #[error("url: write https://, a host name, and a path, without a user, a fragment or spaces")]
    Malformed,
    /// Not encrypted.
    #[error("url: only https is sent to; http is for hosts in ALERT_INTERNAL_HOSTS")]
    NotEncrypted,
    /// Inside of a network, or an address in numbers.
    #[error("url: this host is not a public name; an internal host has to be in ALERT_INTERNAL_HOSTS")]
    NotPublic,
    /// Too long.
    #[error("url: it is longer than {MAX_URL} characters")]
    TooLong,
}

/// The host, with its port, of an address that alerts may be sent to.
///
/// # Errors
/// Why they may not.
pub fn check<'a>(url: &'a str, internal: &InternalHosts) -> Result<&'a str, BadTarget> {
    if url.len() > MAX_URL {
        return Err(BadTarget::TooLong);
    }
    let (encrypted, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err(BadTarget::Malformed),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(BadTarget::Malformed)?;
    // What a parser would read otherwise than it looks, or take out.
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte);
    let in_authority = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if !path.bytes().all(plain) || !authority.bytes().all(in_authority) {
        return Err(BadTarget::Malformed);
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) || host.is_empty() {
        return Err(BadTarget::Malformed);
    }
    if internal.has(&host.to_ascii_lowercase(), port) {
        return Ok(authority);
    }
    if !is_public(host) {
        return Err(BadTarget::NotPublic);
    }
    encrypted.then_some(authority).ok_or(BadTarget::NotEncrypted)
}

fn is_public(host: &str) -> bool {
    // A last dot is the same host to DNS and another one to lists.
    if host.ends_with('.') || host.parse::<HostName>().is_err() {
        return false;
    }
    let last = host.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    // A last label that begins with a digit may be a number in octal or hexadecimal, and the whole an address.
    !last.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) && !INSIDE.contains(&last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_are_sent_to_by_https_alone() {
        let none = InternalHosts::default();
        for (url, host) in [
            ("https://hooks.slack.com/services/T0/B0/x", "hooks.slack.com"),
            (
                "https://alerts.example.org:8443/hook?a=b",
                "alerts.example.org:8443",
            ),
            ("https://Alerts.Example.org", "Alerts.Example.org"),
            ("https://xn--bcher-kva.example.com/", "xn--bcher-kva.example.com"),
            (
                "https://api.telegram.org/bot1:a_-b/sendMessage",
                "api.telegram.org",
            ),
        ] {
            assert_eq!(check(url, &none), Ok(host), "{url}");
            let plain = url.replacen("https", "http", 1);
            assert_eq!(check(&plain, &none), Err(BadTarget::NotEncrypted), "{plain}");
        }
    }

    #[test]
    fn nothing_inside_a_network_is_sent_to_in_any_spelling() {
        let none = InternalHosts::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.0x1",
            "1.2.3.08",
            "0",
            "0.0.0.0",
            "10.0.0.5",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[fd00::1]",
            "[fe80::1]",
            "[ff02::1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "metadata",
            "metadata.google.internal",
            "METADATA.GOOGLE.INTERNAL",
            "metadata.google.internal.",
            "printer.local",
            "router.lan",
            "nas.home",
            "1.0.0.127.in-addr.arpa",
            "db.corp",
            "x.test",
            "8.8.8.8",
        ] {
            for port in ["", ":8080"] {
                let url = format!("https://{host}{port}/hook");
                assert_eq!(check(&url, &none), Err(BadTarget::NotPublic), "{url}");
            }
        }
    }

    #[test]
    fn what_a_parser_reads_otherwise_than_it_looks_is_refused() {
        let none = InternalHosts::default();
        for url in [
            "",
            "alerts.example.org",
            "//alerts.example.org",
            "ftp://alerts.example.org/",
            "HTTPS://alerts.example.org/",
            "https:alerts.example.org",
            "https:///alerts.example.org",
            "https://",
            "https://:443/",
            "https://user@alerts.example.org/",
            "https://user:word@alerts.example.org/",
            "https://127.0.0.1\\@alerts.example.org/",
            "https://alerts.example.org\\.evil.org/",
            "https://alerts.example.org/#x",
            "https://alerts.example.org/a b",
            "https://alerts.example.org/\u{9}x",
            "https://alerts%2eexample.org/",
            "https://①②⑦.0.0.1/",
            "https://bücher.example.org/",
            "https://alerts.example.org:99999/",
            "https://alerts.example.org:+80/",
            "https://alerts.example.org:/",
            "https://127。0。0。1/",
            " https://alerts.example.org/",
        ] {
            assert_eq!(check(url, &none), Err(BadTarget::Malformed), "{url}");
        }
        let long = format!("https://alerts.example.org/{}", "x".repeat(MAX_URL));
        assert_eq!(check(&long, &none), Err(BadTarget::TooLong));
    }

    #[test]
    fn an_operators_own_hosts_are_allowed_by_name_and_port() {
        let internal = InternalHosts::parse("10.0.0.5:9093, Alerts.internal,[fd00::1]").unwrap();
        for (url, allowed) in [
            ("http://10.0.0.5:9093/x", true),
            ("https://10.0.0.5:9093", true),
            ("http://10.0.0.5/x", false),
            ("http://10.0.0.5:90930/x", false),
            ("http://10.0.0.50:9093/x", false),
            ("http://alerts.internal:1/x", true),
            ("http://ALERTS.internal/x", true),
            ("http://alerts.internal.evil.org/x", false),
            ("http://x.alerts.internal/x", false),
            ("http://[fd00::1]/x", true),
            ("http://[fd00::1]:9093/x", true),
            ("http://[fd00::12]/x", false),
        ] {
            assert_eq!(check(url, &internal).is_ok(), allowed, "{url}");
        }
        assert!(InternalHosts::parse("http://10.0.0.5").is_err());
        assert!(InternalHosts::parse("user@10.0.0.5").is_err());
    }
}
