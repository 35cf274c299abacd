//! Addresses that the URL standard leaves as they are, taken apart without a parser.

/// The parts of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainUrl<'a> {
    /// Host and port.
    pub host: &'a str,
    /// From the first slash on.
    pub path: &'a str,
    /// What is behind the `?`, with it; empty when there is nothing.
    pub search: &'a str,
}

/// Takes an address apart if a URL parser would find these very parts in it, and none of them spelled otherwise:
/// nothing to encode, no dot segment in any spelling, a host of lower-case letters, no address of numbers, no port that
/// goes without saying. `None` for every other address, which is for the parser.
pub fn split(url: &str) -> Option<PlainUrl<'_>> {
    let (own_port, rest) = match url.strip_prefix("https://") {
        Some(rest) => ("443", rest),
        None => ("80", url.strip_prefix("http://")?),
    };
    let (host, path) = rest.split_at_checked(rest.find('/')?)?;
    let (path, search) = path.split_at_checked(path.find('?').unwrap_or(path.len()))?;
    let (name, port) = host
        .split_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    let port_is_plain = port.is_none_or(|port| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        digits && matches!(port.len(), 1..=4) && !port.starts_with('0') && port != own_port
    });
    let plain = port_is_plain
        && is_plain_name(name)
        && path.split('/').all(|segment| !is_dots(segment))
        && path.bytes().all(is_plain)
        && search.bytes().all(|byte| is_plain(byte) || byte == b'?');
    plain.then_some(PlainUrl { host, path, search })
}

fn is_plain_name(name: &str) -> bool {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with("xn--") && label.bytes().all(allowed)
    };
    // A last label that begins with a digit may make an address of numbers.
    let last = name.rsplit('.').next().unwrap_or_default();
    name.split('.').all(label) && last.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
}

/// `.` and `..`, perhaps encoded. Wider than the standard: `.%2` counts as well.
fn is_dots(segment: &str) -> bool {
    !segment.is_empty()
        && segment
            .bytes()
            .all(|byte| matches!(byte, b'.' | b'%' | b'2' | b'e' | b'E'))
}

/// Neither encoded nor taken out, in a path or a query.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@/%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_are_taken_apart() {
        for (url, host, path, search) in [
            ("https://bots.example.com/", "bots.example.com", "/", ""),
            (
                "https://bots.example.com/a/b.js?v=2026.9.6&x=%2F",
                "bots.example.com",
                "/a/b.js",
                "?v=2026.9.6&x=%2F",
            ),
            ("http://localhost:8787/a?b?c", "localhost:8787", "/a", "?b?c"),
            (
                "https://a-1.example.net/%61dmin//x",
                "a-1.example.net",
                "/%61dmin//x",
                "",
            ),
            ("https://h/..a/...b/", "h", "/..a/...b/", ""),
            ("https://h/a?/../b", "h", "/a", "?/../b"),
            ("https://h:80/", "h:80", "/", ""),
        ] {
            assert_eq!(split(url), Some(PlainUrl { host, path, search }), "{url}");
        }
    }

    #[test]
    fn everything_a_parser_would_change_is_left_to_it() {
        for url in [
            "",
            "/path",
            "ftp://h/",
            "HTTPS://h/",
            "https://h",
            "https://h?q",
            "https:///",
            "https://H.example/",
            "https://h.example:443/",
            "http://h.example:80/",
            "https://h.example:0443/",
            "https://h.example:/",
            "https://h.example:65536/",
            "https://user@h.example/",
            "https://user:1@h.example/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://h.0x7f/",
            "https://[::1]/",
            "https://h.example./",
            "https://h%2eexample/",
            "https://xn--a/",
            "https://a.xn--p1ai/",
            "https://é.example/",
            "https://h_a.example/",
            "https://h/.",
            "https://h/./a",
            "https://h/a/..",
            "https://h/a/../b",
            "https://h/%2e/a",
            "https://h/a/.%2E/b",
            "https://h/a/%2e%2e",
            "https://h/a/%2E.",
            "https://h/a b",
            "https://h/a\\b",
            "https://h/a\tb",
            "https://h/a\nb",
            "https://h/é",
            "https://h/a#b",
            "https://h/a\"b",
            "https://h/a<b",
            "https://h/a`b",
            "https://h/a{b}",
            "https://h/a^b",
            "https://h/a|b",
            "https://h/a?b'c",
            "https://h/a?b#c",
            "https://h/a?b c",
        ] {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
