//! Host names: which of the Worker's sites a request came to, and what a person may claim as their domain.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::http::origin::Origin;
use crate::user_id::UserId;

/// Characters a name may have (RFC 1035 §2.3.4, without the root's dot).
const MAX_CHARACTERS: usize = 253;
/// Characters between two dots (RFC 1035 §2.3.4).
const MAX_LABEL_CHARACTERS: usize = 63;
/// Endings nobody can own: RFC 6761, RFC 6762, RFC 7686 and ICANN's `internal`.
const NOBODYS: [&str; 8] = [
    "localhost",
    "local",
    "internal",
    "test",
    "example",
    "invalid",
    "onion",
    "arpa",
];

/// A host name in its one form: lower case, no port, no trailing dot, at least two labels of letters, digits
/// and hyphens. Names beyond ASCII have an `xn--` form, and that is the one that is stored and compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

fn is_label(label: &str) -> bool {
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

/// Why a host name cannot become somebody's domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotClaimable {
    /// The platform's own address, or one below it.
    #[error("this name belongs to the platform")]
    Platforms,
    /// A name that exists on one machine or network only.
    #[error("this name means something else on every network; take one of a registered domain")]
    Nobodys,
}

/// Whether a person may claim this name for their bot. On a machine whose platform is itself `localhost`,
/// names below that are what there is.
///
/// # Errors
/// Why not.
pub fn claimable(
    host: &HostName,
    platform: &Origin,
    bot_domain: Option<&HostName>,
) -> Result<(), NotClaimable> {
    let within_bots = bot_domain.is_some_and(|domain| host.is_within(domain.as_str()));
    if within_bots || host.as_str() == platform.name() {
        return Err(NotClaimable::Platforms);
    }
    if host.is_within("localhost") && platform.name() == "localhost" {
        return Ok(());
    }
    if host.is_within(platform.name()) {
        return Err(NotClaimable::Platforms);
    }
    if NOBODYS.iter().any(|ending| host.is_within(ending)) {
        return Err(NotClaimable::Nobodys);
    }
    Ok(())
}

/// What a request's host means, as far as the name alone says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// The address everybody comes to: sign-in, the APIs, and the caller's own bot.
    Platform,
    /// A bot's own name below the operator's `BOT_DOMAIN`: whose bot it is stands in the name.
    Own(UserId, HostName),
    /// Perhaps somebody's domain; only the table of domains knows.
    Custom(HostName),
    /// Nothing this Worker could serve.
    Unknown,
}

/// Reads a request's host (`name[:port]`, lower case, as the URL parser leaves it).
pub fn site(host: &str, platform: &Origin, bot_domain: Option<&HostName>) -> Site {
    if host == platform.host() {
        return Site::Platform;
    }
    // Every site is served on the platform's port.
    let name = match platform.port() {
        None => host,
        Some(port) => match host.rsplit_once(':') {
            Some((name, said)) if said == port => name,
            _ => return Site::Unknown,
        },
    };
    // A name that had to be normalised was not what the table or a certificate holds.
    let Some(name) = name
        .parse::<HostName>()
        .ok()
        .filter(|parsed| parsed.as_str() == name)
    else {
        return Site::Unknown;
    };
    match bot_domain {
        Some(domain) if name.is_within(domain.as_str()) => {
            let label = name.as_str().strip_suffix(domain.as_str());
            let user = label.and_then(|label| label.strip_suffix('.')).map(str::parse);
            match user {
                Some(Ok(user)) => Site::Own(user, name),
                _ => Site::Unknown,
            }
        }
        _ => Site::Custom(name),
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
    use proptest::prelude::*;

    const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
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

    #[test]
    fn only_a_registered_name_can_be_claimed() {
        let platform = origin("https://bots.example.com");
        let bot_domain = name("claws.example.net");
        let claim = |text: &str| claimable(&name(text), &platform, Some(&bot_domain));
        for good in [
            "claw.example.org",
            "example.com",
            "xbots.example.com",
            "claws.example.net.org",
        ] {
            assert_eq!(claim(good), Ok(()), "{good}");
        }
        for ours in [
            "bots.example.com",
            "x.bots.example.com",
            "claws.example.net",
            "x.claws.example.net",
        ] {
            assert_eq!(claim(ours), Err(NotClaimable::Platforms), "{ours}");
        }
        for nobodys in [
            "claw.localhost",
            "printer.local",
            "a.internal",
            "x.test",
            "a.b.onion",
        ] {
            assert_eq!(claim(nobodys), Err(NotClaimable::Nobodys), "{nobodys}");
        }
        let here = origin("http://localhost:8787");
        assert_eq!(claimable(&name("claw.localhost"), &here, None), Ok(()));
        assert_eq!(
            claimable(&name("claw.test"), &here, None),
            Err(NotClaimable::Nobodys)
        );
    }

    #[test]
    fn a_host_resolves_to_its_site() {
        let platform = origin("https://bots.example.com");
        let bot_domain = name("claws.example.net");
        let at = |host: &str| site(host, &platform, Some(&bot_domain));
        let own = format!("{ALICE}.claws.example.net");
        assert_eq!(at("bots.example.com"), Site::Platform);
        assert_eq!(at(&own), Site::Own(ALICE.parse().unwrap(), name(&own)));
        assert_eq!(at("claw.example.org"), Site::Custom(name("claw.example.org")));
        for unknown in [
            "",
            "claws.example.net",
            "undefined.claws.example.net",
            "x.6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20.claws.example.net",
            "6F1C2A9E-8D2B-4A63-9F5E-0B7F6F3C1D20.claws.example.net",
            "claw.example.org.",
            "claw.example.org:8443",
            "bots.example.com:444",
            "203.0.113.9",
            "localhost",
        ] {
            assert_eq!(at(unknown), Site::Unknown, "{unknown}");
        }
        assert_eq!(site(&own, &platform, None), Site::Custom(name(&own)));
        // A suffix is not a parent.
        assert_eq!(at("xclaws.example.net"), Site::Custom(name("xclaws.example.net")));
    }

    #[test]
    fn every_site_uses_the_platforms_port() {
        let platform = origin("http://localhost:8787");
        let at = |host: &str| site(host, &platform, None);
        assert_eq!(at("localhost:8787"), Site::Platform);
        assert_eq!(at("claw.localhost:8787"), Site::Custom(name("claw.localhost")));
        assert_eq!(at("claw.localhost"), Site::Unknown);
        assert_eq!(at("claw.localhost:1"), Site::Unknown);
        assert_eq!(platform.of(&name("claw.localhost")), "http://claw.localhost:8787");
    }

    #[test]
    fn a_bot_host_name_maps_back_to_its_user() {
        let (user, domain) = (ALICE.parse().unwrap(), name("claws.example.net"));
        let host = own_host(user, &domain);
        assert_eq!(host.as_str().parse(), Ok(host.clone()));
        let platform = origin("https://bots.example.com");
        assert_eq!(
            site(host.as_str(), &platform, Some(&domain)),
            Site::Own(user, host)
        );
    }

    proptest! {
        #[test]
        fn any_host_text_resolves_without_a_panic(host in ".{0,40}") {
            let _site = site(&host, &origin("https://bots.example.com"), None);
        }

        /// Names that look like one, and so are one in many cases.
        #[test]
        fn a_site_has_the_name_that_was_asked_for(host in "-?[a-z0-9]{1,3}-?(\\.[a-zA-Z0-9-]{1,3}){0,2}\\.?", below in any::<bool>()) {
            let (platform, domain) = (origin("https://bots.example.com"), name("claws.example.net"));
            let host = if below { format!("{host}.{domain}") } else { host };
            let malformed = host.split('.').any(|label| !is_label(label)) || host != host.to_ascii_lowercase();
            match site(&host, &platform, Some(&domain)) {
                Site::Custom(name) => {
                    prop_assert_eq!(name.as_str(), &host);
                    prop_assert!(!below && !malformed);
                }
                Site::Unknown => prop_assert!(below || malformed || host.parse::<HostName>().is_err()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
