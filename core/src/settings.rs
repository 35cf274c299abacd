//! What an operator must set, read once per request into one value, or a list of what is wrong.

use crate::base64;
use crate::bot::lifecycle::LifecycleRules;
pub use crate::http::origin::Origin;
use crate::identity::sign_in::Provider;
use crate::secret::Secret;
use crate::wire::run::OfferedModel;

mod access;
pub use access::{
    ADMIN_USER_IDS, ALERT_INTERNAL_HOSTS, ALLOW_LIST, AccessSettings, BOT_DOMAIN, CF_API_TOKEN, CF_API_URL,
    CF_ZONE_ID, Cloudflare, DNS_QUERY_URL, SIGN_UP,
};

mod backups;
mod tokens;
pub use backups::{BACKUP_KEY, Backups, REPOSITORY_OPERATOR_TOKEN, REPOSITORY_URL};
pub use tokens::{ALLOWED_OAUTH_CLIENTS, REQUIRE_MFA, SUPABASE_ISSUER, TokenPolicy};

mod bindings;
mod cost;
mod monitor;
mod sleep;
pub use bindings::*;
pub use cost::{BOT_MONTHLY_LIMIT, CostSettings, INSTANCE_TYPE};
pub use monitor::MONITOR_TOKEN;

/// One variable or secret of the Worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name in `wrangler.toml` or `wrangler secret put`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub meaning: &'static str,
    /// The command or line that sets it.
    pub how: &'static str,
}

/// Where users come to.
pub const PUBLIC_URL: Setting = Setting {
    name: "PUBLIC_URL",
    meaning: "the address users open, for example https://bots.example.com",
    how: "set it under [vars] in wrangler.toml",
};
/// The identity provider.
pub const SUPABASE_URL: Setting = Setting {
    name: "SUPABASE_URL",
    meaning: "the Supabase project, for example https://abcd.supabase.co",
    how: "set it under [vars] in wrangler.toml",
};
/// The project's public key; needed to call its Auth API.
pub const SUPABASE_ANON_KEY: Setting = Setting {
    name: "SUPABASE_ANON_KEY",
    meaning: "the project's public (anon or publishable) API key",
    how: "set it under [vars] in wrangler.toml",
};
/// Only for projects that still sign with the legacy secret.
pub const SUPABASE_JWT_SECRET: Setting = Setting {
    name: "SUPABASE_JWT_SECRET",
    meaning: "the project's legacy JWT secret, only if it still signs with HS256",
    how: "run: wrangler secret put SUPABASE_JWT_SECRET",
};
/// Other ways in.
pub const OAUTH_PROVIDERS: Setting = Setting {
    name: "OAUTH_PROVIDERS",
    meaning: "the OAuth providers of the Supabase project offered on the sign-in page, for example github,google",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// Seals session cookies.
pub const SESSION_KEY: Setting = Setting {
    name: "SESSION_KEY",
    meaning: "32 random bytes in base64 that seal the session cookies",
    how: "run: openssl rand -base64 32 | wrangler secret put SESSION_KEY",
};
/// A model for bots whose owner has chosen none.
pub const MODEL_BASE_URL: Setting = Setting {
    name: "MODEL_BASE_URL",
    meaning: "an OpenAI-compatible endpoint that needs no key, offered to bots without a model",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// Goes with [`MODEL_BASE_URL`].
pub const MODEL_ID: Setting = Setting {
    name: "MODEL_ID",
    meaning: "the model's id at MODEL_BASE_URL",
    how: "set it under [vars] in wrangler.toml",
};

/// When bots go to sleep.
pub const SLEEP_AFTER: Setting = Setting {
    name: "SLEEP_AFTER",
    meaning: "how long a bot may be idle before it is put to sleep: 90s, 15m, 2h or never (15m when left out)",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// How many bots may be awake at once.
pub const MAX_AWAKE: Setting = Setting {
    name: "MAX_AWAKE",
    meaning: "how many bots may be awake at once; the same number as max_instances of the container",
    how: "set it under [vars] in wrangler.toml, or leave it out for no limit but the platform's",
};

/// Settings without which the Worker answers nothing but 503; `tests/tidy.rs` compares the names.
pub const REQUIRED: [Setting; 5] = [
    PUBLIC_URL,
    SUPABASE_URL,
    SUPABASE_ANON_KEY,
    SESSION_KEY,
    BACKUP_KEY,
];
/// Settings that may be left out.
pub const OPTIONAL: [Setting; 23] = [
    SUPABASE_JWT_SECRET,
    SUPABASE_ISSUER,
    ALLOWED_OAUTH_CLIENTS,
    REQUIRE_MFA,
    OAUTH_PROVIDERS,
    MODEL_BASE_URL,
    MODEL_ID,
    SLEEP_AFTER,
    MAX_AWAKE,
    SIGN_UP,
    ALLOW_LIST,
    ADMIN_USER_IDS,
    BOT_DOMAIN,
    DNS_QUERY_URL,
    CF_API_TOKEN,
    CF_ZONE_ID,
    CF_API_URL,
    REPOSITORY_URL,
    REPOSITORY_OPERATOR_TOKEN,
    ALERT_INTERNAL_HOSTS,
    MONITOR_TOKEN,
    INSTANCE_TYPE,
    BOT_MONTHLY_LIMIT,
];

/// Characters the legacy secret has at least. Supabase's have 40 or more; HS256 with a shorter key than its
/// hash (32 bytes) is guessable (RFC 7518 §3.2).
const MIN_JWT_SECRET_LENGTH: usize = 32;
// As the refusal says.
const _: () = assert!(MIN_JWT_SECRET_LENGTH == 32);

/// Everything the Worker was configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where users come to.
    pub public: Origin,
    /// Base of the Supabase project, without a trailing slash.
    pub supabase_url: String,
    /// The project's public API key.
    pub anon_key: String,
    /// The legacy HS256 secret, where one is still in use.
    pub jwt_secret: Option<Secret<String>>,
    /// What its people's tokens have to say.
    pub tokens: TokenPolicy,
    /// Offered on the sign-in page, in this order.
    pub oauth_providers: Vec<Provider>,
    /// Seals session cookies.
    pub session_key: Secret<[u8; 32]>,
    /// The model offered to bots without one.
    pub offered_model: Option<OfferedModel>,
    /// What holds for every bot's life.
    pub rules: LifecycleRules,
    /// How many bots may be awake at once, if the operator set a limit.
    pub max_awake: Option<u32>,
    /// Who gets in, and under which names.
    pub access: AccessSettings,
    /// What encrypts backups, and where they go.
    pub backups: Backups,
    /// With which a monitor reads how the platform is, if there is one.
    pub monitor_token: Option<Secret<String>>,
    /// By what bots are priced, and what each may cost.
    pub cost: CostSettings,
}

impl Settings {
    /// Where the project's Auth API is.
    pub fn auth_url(&self) -> String {
        auth_url(&self.supabase_url)
    }

    /// Reads all settings; `get` looks one up by name.
    ///
    /// # Errors
    /// Everything that is missing or malformed, not only the first: an operator mends them in one go.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<SettingProblem>> {
        let mut problems = Vec::new();
        let given = |setting: Setting| get(setting.name).filter(|value| !value.trim().is_empty());
        let mut required = |setting: Setting| {
            let value = given(setting);
            if value.is_none() {
                problems.push(SettingProblem {
                    setting,
                    reason: "is not set",
                });
            }
            value
        };
        let public = required(PUBLIC_URL);
        let supabase = required(SUPABASE_URL);
        let anon_key = required(SUPABASE_ANON_KEY);
        let session_key = required(SESSION_KEY);
        let model_base_url = get(MODEL_BASE_URL.name).filter(|url| !url.is_empty());
        let offered_model = match model_base_url {
            None => None,
            Some(base_url) => required(MODEL_ID).map(|id| OfferedModel { base_url, id }),
        };

        fn checked<V, T>(
            value: Option<V>,
            setting: Setting,
            problems: &mut Vec<SettingProblem>,
            check: impl FnOnce(V) -> Result<T, &'static str>,
        ) -> Option<T> {
            check(value?)
                .map_err(|reason| problems.push(SettingProblem { setting, reason }))
                .ok()
        }
        let public = checked(public, PUBLIC_URL, &mut problems, |text| Origin::parse(&text));
        let supabase_url = checked(supabase, SUPABASE_URL, &mut problems, |text| {
            Origin::parse(&text).map(|origin| origin.as_str().to_owned())
        });
        let anon_key = checked(anon_key, SUPABASE_ANON_KEY, &mut problems, |text| {
            tokens::public_key(&text)
        });
        let session_key = checked(session_key, SESSION_KEY, &mut problems, |text| {
            let bytes = base64::decode(text.trim()).ok_or("is not base64")?;
            let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| "is not exactly 32 bytes")?;
            Ok(Secret::new(bytes))
        });
        let jwt_secret = get(SUPABASE_JWT_SECRET.name).filter(|secret| !secret.is_empty());
        let jwt_secret = checked(jwt_secret, SUPABASE_JWT_SECRET, &mut problems, |secret| {
            if secret.len() < MIN_JWT_SECRET_LENGTH {
                return Err("is shorter than 32 characters, too short to be a JWT secret");
            }
            Ok(Secret::new(secret))
        });

        let monitor_token = checked(given(MONITOR_TOKEN), MONITOR_TOKEN, &mut problems, |token| {
            monitor::token(&token)
        });

        let oauth_providers = given(OAUTH_PROVIDERS).unwrap_or_default();
        let oauth_providers = checked(Some(oauth_providers), OAUTH_PROVIDERS, &mut problems, |list| {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            let known: Option<Vec<_>> = names.map(Provider::parse).collect();
            known.ok_or("names a provider Supabase does not have; they are spelled as in its API: github, google, azure, …")
        });

        let max_awake = checked(given(MAX_AWAKE), MAX_AWAKE, &mut problems, |text| {
            let most = text.trim().parse::<u32>().ok().filter(|most| *most > 0);
            most.ok_or("is not a whole number above 0")
        });
        let sleep_after_ms = match given(SLEEP_AFTER) {
            None => Some(Some(sleep::DEFAULT_SLEEP_AFTER_MS)),
            some => checked(some, SLEEP_AFTER, &mut problems, |text| {
                sleep::idle_time(text.trim())
            }),
        };

        let tokens = tokens::read(&given, supabase_url.as_deref().map(auth_url), &mut problems);
        let access = access::read(&given, &mut problems);
        let backups = backups::read(&given, public.as_ref(), &mut problems);
        let cost = cost::read(given, &mut problems);

        match (
            public,
            supabase_url,
            anon_key,
            session_key,
            sleep_after_ms,
            backups,
            cost,
        ) {
            (
                Some(public),
                Some(supabase_url),
                Some(anon_key),
                Some(session_key),
                Some(sleep_after_ms),
                Some(backups),
                Some(cost),
            ) if problems.is_empty() => Ok(Self {
                public,
                supabase_url,
                anon_key,
                jwt_secret,
                tokens,
                oauth_providers: oauth_providers.unwrap_or_default(),
                session_key,
                offered_model,
                rules: LifecycleRules { sleep_after_ms },
                max_awake,
                access,
                backups,
                monitor_token,
                cost,
            }),
            _ => Err(problems),
        }
    }
}

fn auth_url(supabase_url: &str) -> String {
    format!("{supabase_url}/auth/v1")
}

/// A setting that is missing or malformed. Never carries the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingProblem {
    /// Which one.
    pub setting: Setting,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn complete() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("PUBLIC_URL", "https://Bots.example.com/"),
            ("SUPABASE_URL", "https://abcd.supabase.co"),
            ("SUPABASE_ANON_KEY", "anon"),
            ("SESSION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("BACKUP_KEY", "HxwdHh8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRo="),
        ])
    }

    fn read(
        values: &BTreeMap<&'static str, &'static str>,
    ) -> Result<Settings, Vec<(&'static str, &'static str)>> {
        Settings::read(|name| values.get(name).map(|value| (*value).to_owned()))
            .map_err(|problems| problems.iter().map(|p| (p.setting.name, p.reason)).collect())
    }

    #[test]
    fn a_complete_configuration_is_read() {
        let settings = read(&complete()).unwrap();
        assert_eq!(settings.public.as_str(), "https://bots.example.com");
        assert_eq!(settings.public.host(), "bots.example.com");
        assert_eq!(settings.tokens.issuer, settings.auth_url());
        assert_eq!(settings.auth_url(), "https://abcd.supabase.co/auth/v1");
        assert_eq!(settings.session_key.reveal()[31], 31);
        assert_eq!(settings.offered_model, None);
        assert!(!format!("{settings:?}").contains("31"));
    }

    #[test]
    fn every_missing_setting_is_named_at_once() {
        let names: Vec<_> = read(&BTreeMap::new())
            .unwrap_err()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, REQUIRED.map(|setting| setting.name));
    }

    #[test]
    fn malformed_settings_are_named() {
        for (name, value) in [
            ("PUBLIC_URL", "bots.example.com"),
            ("PUBLIC_URL", "http://bots.example.com"),
            ("PUBLIC_URL", "https://bots.example.com/path"),
            ("PUBLIC_URL", "https://user@bots.example.com"),
            ("PUBLIC_URL", "https://"),
            ("PUBLIC_URL", "ftp://bots.example.com"),
            ("SUPABASE_URL", "abcd"),
            ("SUPABASE_ANON_KEY", "  "),
            ("SUPABASE_ANON_KEY", "sb_secret_abc"),
            ("REQUIRE_MFA", "yes"),
            ("SESSION_KEY", "not base64!"),
            ("SESSION_KEY", "c2hvcnQ="),
            ("SUPABASE_JWT_SECRET", "short"),
            ("OAUTH_PROVIDERS", "github,GOOGLE"),
            ("MAX_AWAKE", "0"),
            ("MAX_AWAKE", "many"),
            ("ALERT_INTERNAL_HOSTS", "http://10.0.0.5:9093"),
            ("SLEEP_AFTER", "15"),
            ("SLEEP_AFTER", "m"),
            ("SLEEP_AFTER", "é"),
            ("SLEEP_AFTER", "1s"),
            ("SLEEP_AFTER", "99999999999999999999h"),
        ] {
            let mut values = complete();
            values.insert(name, value);
            let problems = read(&values).unwrap_err();
            assert_eq!(problems.len(), 1, "{name}={value}");
            assert_eq!(problems[0].0, name, "{name}={value}");
        }
        let mut values = complete();
        values.insert("MODEL_BASE_URL", "http://models.test/v1");
        assert_eq!(read(&values).unwrap_err(), [("MODEL_ID", "is not set")]);
    }

    #[test]
    fn providers_are_offered_in_the_order_given() {
        let mut values = complete();
        values.insert("OAUTH_PROVIDERS", " google , github,");
        let expected = [Provider::Google, Provider::Github];
        assert_eq!(read(&values).unwrap().oauth_providers, expected);
    }

    #[test]
    fn the_idle_time_follows_the_setting() {
        for (text, expected) in [
            ("", Some(900_000)),
            ("15m", Some(900_000)),
            ("90s", Some(90_000)),
            ("2h", Some(7_200_000)),
            ("never", None),
        ] {
            let mut values = complete();
            values.insert("SLEEP_AFTER", text);
            assert_eq!(read(&values).unwrap().rules.sleep_after_ms, expected, "{text:?}");
        }
    }

    #[test]
    fn loopback_may_use_plain_http() {
        for url in [
            "http://localhost:8787",
            "http://127.0.0.1:8787",
            "http://claw.localhost:8787",
        ] {
            let mut values = complete();
            values.insert("PUBLIC_URL", url);
            assert_eq!(read(&values).unwrap().public.as_str(), url);
        }
        let mut values = complete();
        values.insert("PUBLIC_URL", "http://localhost.example.com");
        assert!(read(&values).is_err());
    }
}
