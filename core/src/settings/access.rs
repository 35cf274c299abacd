//! Settings about who gets in, and under which names bots are reached. All of them may be left out.

use super::{Setting, SettingProblem};
use crate::alerts::internal_hosts::InternalHosts;
use crate::http::host::HostName;
use crate::identity::users::{AllowListEntry, SignUp};
use crate::secret::Secret;
use crate::user_id::UserId;

/// Who may become a user.
pub const SIGN_UP: Setting = Setting {
    name: "SIGN_UP",
    meaning: "who may become a user: open (whoever the Supabase project lets in), allow-list or invite (open when left out)",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// Beside what admins add in the database.
pub const ALLOW_LIST: Setting = Setting {
    name: "ALLOW_LIST",
    meaning: "with SIGN_UP = \"allow-list\": e-mail addresses, @domains and user ids that may sign up, separated by commas",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// For a first admin, before anybody's `app_metadata` says so.
pub const ADMIN_USER_IDS: Setting = Setting {
    name: "ADMIN_USER_IDS",
    meaning: "user ids that are admins whatever their token says, separated by commas",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// A name for every bot.
pub const BOT_DOMAIN: Setting = Setting {
    name: "BOT_DOMAIN",
    meaning: "a domain whose wildcard leads here, such as claws.example.net; every bot then has an origin of its own below it",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// Whom to ask for TXT records.
pub const DNS_QUERY_URL: Setting = Setting {
    name: "DNS_QUERY_URL",
    meaning: "a DNS-over-HTTPS resolver with the JSON API (https://cloudflare-dns.com/dns-query when left out)",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// Makes certificates for custom domains by itself.
pub const CF_API_TOKEN: Setting = Setting {
    name: "CF_API_TOKEN",
    meaning: "a Cloudflare API token with SSL and Certificates: Edit on CF_ZONE_ID, to set up custom hostnames",
    how: "run: wrangler secret put CF_API_TOKEN, or leave it out",
};
/// Goes with [`CF_API_TOKEN`].
pub const CF_ZONE_ID: Setting = Setting {
    name: "CF_ZONE_ID",
    meaning: "the id of the zone with Cloudflare for SaaS in which custom hostnames are made",
    how: "set it under [vars] in wrangler.toml",
};
/// For tests against a counterpart.
pub const CF_API_URL: Setting = Setting {
    name: "CF_API_URL",
    meaning: "the Cloudflare API (https://api.cloudflare.com/client/v4 when left out)",
    how: "leave it out",
};

/// Where alerts may be sent beside the public.
pub const ALERT_INTERNAL_HOSTS: Setting = Setting {
    name: "ALERT_INTERNAL_HOSTS",
    meaning: "hosts that are not public and yet may get alerts, also by http, for example alertmanager.internal:9093",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};

const DEFAULT_DNS_QUERY_URL: &str = "https://cloudflare-dns.com/dns-query";
const DEFAULT_CF_API_URL: &str = "https://api.cloudflare.com/client/v4";

/// The Cloudflare zone in which custom hostnames are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloudflare {
    /// Base of the API, without a trailing slash.
    pub api_url: String,
    /// The zone: 32 hex digits.
    pub zone_id: String,
    /// May edit certificates of that zone.
    pub api_token: Secret<String>,
}

/// Who gets in, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// Who may become a user.
    pub sign_up: SignUp,
    /// What the operator lists; the database may list more.
    pub allow_list: Vec<AllowListEntry>,
    /// Admins by setting.
    pub admin_user_ids: Vec<UserId>,
    /// Every bot's own name lies below this.
    pub bot_domain: Option<HostName>,
    /// Whom to ask for TXT records.
    pub dns_query_url: String,
    /// Where custom hostnames are made, if they are.
    pub cloudflare: Option<Cloudflare>,
    /// Hosts that are not public and yet may get alerts.
    pub alert_internal_hosts: InternalHosts,
}

/// Reads these settings; what is malformed is added to `problems`.
pub(super) fn read(
    given: &impl Fn(Setting) -> Option<String>,
    problems: &mut Vec<SettingProblem>,
) -> AccessSettings {
    let mut complain = |setting, reason| problems.push(SettingProblem { setting, reason });
    let sign_up = match given(SIGN_UP) {
        None => SignUp::Open,
        Some(text) => SignUp::parse(text.trim()).unwrap_or_else(|| {
            complain(SIGN_UP, "is not open, allow-list or invite");
            SignUp::Invite
        }),
    };
    let mut listed = |setting, reason| {
        let text = given(setting).unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        let entries: Option<Vec<AllowListEntry>> = parts.iter().map(|part| part.parse().ok()).collect();
        entries.unwrap_or_else(|| {
            complain(setting, reason);
            Vec::new()
        })
    };
    let allow_list = listed(
        ALLOW_LIST,
        "has an entry that is no e-mail address, @domain or user id",
    );
    let not_ids = "has an entry that is no user id (a lower-case UUID)";
    let admins = listed(ADMIN_USER_IDS, not_ids);
    let admin_user_ids: Vec<UserId> = admins
        .iter()
        .filter_map(|entry| match entry {
            AllowListEntry::User(user) => Some(*user),
            _ => None,
        })
        .collect();
    if admin_user_ids.len() != admins.len() {
        complain(ADMIN_USER_IDS, not_ids);
    }
    let hosts = InternalHosts::parse(&given(ALERT_INTERNAL_HOSTS).unwrap_or_default());
    let alert_internal_hosts = hosts.unwrap_or_else(|reason| {
        complain(ALERT_INTERNAL_HOSTS, reason);
        InternalHosts::default()
    });
    let bot_domain = given(BOT_DOMAIN).and_then(|text| {
        text.parse()
            .map_err(|_| complain(BOT_DOMAIN, "is not a domain name such as claws.example.net"))
            .ok()
    });
    let mut base_url = |setting, default: &str| {
        let text = given(setting).unwrap_or_else(|| default.to_owned());
        let text = text.trim().trim_end_matches('/').to_owned();
        if !text.starts_with("https://") && !text.starts_with("http://127.0.0.1:") {
            complain(setting, "must start with https://");
        }
        text
    };
    let dns_query_url = base_url(DNS_QUERY_URL, DEFAULT_DNS_QUERY_URL);
    let api_url = base_url(CF_API_URL, DEFAULT_CF_API_URL);
    let cloudflare = match (given(CF_API_TOKEN), given(CF_ZONE_ID)) {
        (None, None) => None,
        (Some(token), Some(zone_id)) => {
            let zone_id = zone_id.trim().to_owned();
            // It becomes part of a URL.
            if zone_id.len() != 32 || !zone_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                complain(CF_ZONE_ID, "is not 32 hex digits");
            }
            Some(Cloudflare {
                api_url,
                zone_id,
                api_token: Secret::new(token.trim().to_owned()),
            })
        }
        (Some(_), None) => {
            complain(CF_ZONE_ID, "is not set, and CF_API_TOKEN is");
            None
        }
        (None, Some(_)) => {
            complain(CF_API_TOKEN, "is not set, and CF_ZONE_ID is");
            None
        }
    };
    AccessSettings {
        alert_internal_hosts,
        sign_up,
        allow_list,
        admin_user_ids,
        bot_domain,
        dns_query_url,
        cloudflare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(values: &[(Setting, &str)]) -> Result<AccessSettings, Vec<&'static str>> {
        let mut problems = Vec::new();
        let given = |setting: Setting| {
            let found = values.iter().find(|(name, _)| *name == setting);
            found.map(|(_, value)| (*value).to_owned())
        };
        let access = read(&given, &mut problems);
        let names: Vec<_> = problems.iter().map(|problem| problem.setting.name).collect();
        if names.is_empty() { Ok(access) } else { Err(names) }
    }

    #[test]
    fn all_access_settings_are_optional() {
        let access = access(&[]).unwrap();
        assert_eq!(access.sign_up, SignUp::Open);
        assert_eq!(access.dns_query_url, "https://cloudflare-dns.com/dns-query");
        assert_eq!(access.cloudflare, None);
        assert_eq!(access.bot_domain, None);
    }

    #[test]
    fn access_settings_are_parsed() {
        let admin = "ad000000-0000-4000-8000-000000000001";
        let access = access(&[
            (SIGN_UP, "allow-list"),
            (ALLOW_LIST, "Alice@Example.com, @example.org,, "),
            (ADMIN_USER_IDS, admin),
            (BOT_DOMAIN, "Claws.example.net"),
            (DNS_QUERY_URL, "http://127.0.0.1:5353/dns-query"),
            (CF_API_TOKEN, "cf-secret"),
            (CF_ZONE_ID, "023e105f4ecef8ad9ca31a8372d0c353"),
        ])
        .unwrap();
        assert_eq!(access.sign_up, SignUp::AllowList);
        assert_eq!(access.allow_list.len(), 2);
        assert!(access.admin_user_ids.contains(&admin.parse().unwrap()));
        assert_eq!(
            access.bot_domain.as_ref().map(HostName::as_str),
            Some("claws.example.net")
        );
        let cloudflare = access.cloudflare.clone().unwrap();
        assert_eq!(cloudflare.api_url, "https://api.cloudflare.com/client/v4");
        assert!(!format!("{access:?}").contains("cf-secret"));
    }

    #[test]
    fn malformed_access_settings_are_named() {
        let zone = "023e105f4ecef8ad9ca31a8372d0c353";
        type Case<'a> = (&'a [(Setting, &'a str)], &'a str);
        let cases: [Case<'_>; 9] = [
            (&[(SIGN_UP, "closed")], "SIGN_UP"),
            (&[(ALLOW_LIST, "alice")], "ALLOW_LIST"),
            (&[(ADMIN_USER_IDS, "alice@example.com")], "ADMIN_USER_IDS"),
            (&[(ADMIN_USER_IDS, "undefined")], "ADMIN_USER_IDS"),
            (&[(BOT_DOMAIN, "*.example.net")], "BOT_DOMAIN"),
            (&[(DNS_QUERY_URL, "http://dns.example.org")], "DNS_QUERY_URL"),
            (&[(CF_API_TOKEN, "x")], "CF_ZONE_ID"),
            (&[(CF_ZONE_ID, zone)], "CF_API_TOKEN"),
            (
                &[(CF_API_TOKEN, "x"), (CF_ZONE_ID, "../../accounts")],
                "CF_ZONE_ID",
            ),
        ];
        for (values, name) in cases {
            assert_eq!(access(values).unwrap_err(), [name], "{values:?}");
        }
    }
}
