//! Which of the Worker's sites a request came to, and what a person may claim as their domain.

use crate::http::host::HostName;
use crate::http::origin::Origin;
use crate::user_id::UserId;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::host::{is_label, own_host};
    use proptest::prelude::*;

    const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    fn origin(text: &str) -> Origin {
        Origin::parse(text).unwrap()
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
