//! Host names in their one form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::user_id::UserId;

/// Characters a name may have (RFC 1035 §2.3.4, without the root's dot).
pub const MAX_CHARACTERS: usize = 253;
/// Characters between two dots (RFC 1035 §2.3.4).
const MAX_LABEL_CHARACTERS: usize = 63;

/// A host name in its one form: lower case, no port, no trailing dot, at least two labels of letters, digits
/// and hyphens. Names beyond ASCII have an `xn--` form, and that is the one that is stored and compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct HostName(String);

/// Why a text is no host name. Says what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAHostName {
    /// More than a name: scheme, port, path, user.
    #[error("give the name alone, such as claw.example.org, without https://, port or path")]
    MoreThanAName,
    /// Beyond ASCII.
    #[error("write the name in its ASCII form (xn--…); your DNS provider shows it")]
    NotAscii,
    /// Labels that DNS does not know.
    #[error("this is not a host name; one looks like claw.example.org")]
    Malformed,
    /// A single label, or an address.
    #[error("a domain has at least two parts, such as claw.example.org, and is not an IP address")]
    NotADomain,
}

impl HostName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is `domain` or lies below it.
    pub fn is_within(&self, domain: &str) -> bool {
        self.0
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for HostName {
    type Err = NotAHostName;

    fn from_str(text: &str) -> Result<Self, NotAHostName> {
        let text = text.trim();
        if !text.is_ascii() {
            return Err(NotAHostName::NotAscii);
        }
        if text.contains([':', '/', '\\', '@', '?', '#', '[', ']']) {
            return Err(NotAHostName::MoreThanAName);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.len() > MAX_CHARACTERS || !name.split('.').all(is_label) {
            return Err(NotAHostName::Malformed);
        }
        match name.rsplit_once('.') {
            // A last label of digits is how every IPv4 address ends, and no domain (RFC 3696 §2).
            Some((_, last)) if !last.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Self(name)),
            _ => Err(NotAHostName::NotADomain),
        }
    }
}

pub(super) fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=MAX_LABEL_CHARACTERS).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl TryFrom<String> for HostName {
    type Error = NotAHostName;

    fn try_from(text: String) -> Result<Self, NotAHostName> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> Self {
        host.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a user's bot below `BOT_DOMAIN`. The user id is the label as it stands: 36 letters, digits and
/// hyphens, so the way back needs no table. It is no secret, and proves nothing.
pub fn own_host(user: UserId, bot_domain: &HostName) -> HostName {
    HostName(format!("{user}.{bot_domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_name_has_one_canonical_form() {
        for text in [
            "claw.example.org",
            "Claw.Example.ORG",
            "claw.example.org.",
            "  claw.example.org\n",
        ] {
            assert_eq!(name(text).as_str(), "claw.example.org", "{text:?}");
        }
        for good in [
            "xn--bcher-kva.example.org",
            "a.b",
            "1.example.org",
            "a--b.example.org",
        ] {
            assert_eq!(name(good).as_str(), good);
        }
    }

    #[test]
    fn an_invalid_host_name_is_refused_with_a_reason() {
        use NotAHostName::{Malformed, MoreThanAName, NotADomain, NotAscii};
        for (text, why) in [
            ("", Malformed),
            ("localhost", NotADomain),
            ("org", NotADomain),
            ("org.", NotADomain),
            ("203.0.113.9", NotADomain),
            ("1.2", NotADomain),
            ("https://claw.example.org", MoreThanAName),
            ("claw.example.org:443", MoreThanAName),
            ("claw.example.org/x", MoreThanAName),
            ("user@claw.example.org", MoreThanAName),
            ("[2001:db8::1]", MoreThanAName),
            ("bücher.example.org", NotAscii),
            ("clаw.example.org", NotAscii), // a Cyrillic а
            ("claw..example.org", Malformed),
            (".example.org", Malformed),
            ("claw.example.org..", Malformed),
            ("*.example.org", Malformed),
            ("_dmarc.example.org", Malformed),
            ("-a.example.org", Malformed),
            ("a-.example.org", Malformed),
            ("cl aw.example.org", Malformed),
            ("claw%2eexample.org", Malformed),
        ] {
            assert_eq!(text.parse::<HostName>(), Err(why), "{text:?}");
        }
        let label = "a".repeat(64);
        assert_eq!(format!("{label}.example.org").parse::<HostName>(), Err(Malformed));
        let long = format!("{}example.org", "a.".repeat(122));
        assert_eq!(long.parse::<HostName>(), Err(Malformed));
        assert!(serde_json::from_str::<HostName>("\"x\"").is_err());
    }
}
