//! What the Sandbox tells a container when it starts one: the only channel is the environment.
//!
//! Both sides use [`RunSettings`], so a variable cannot be written under one name and read under another.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::user_id::UserId;

mod access;
mod secrets;

pub use access::{
    REPOSITORY_PREFIX, RepositoryAccess, RepositoryPassword, RepositoryToken, RestorePoint, SnapshotId,
};
pub use secrets::{ControlToken, IngressSecret};

/// The port on which the supervisor proxies the owner's traffic to the gateway.
pub const INGRESS_PORT: u16 = 8080;
/// The port on which the supervisor takes orders, with this run's [`ControlToken`] only.
pub const CONTROL_PORT: u16 = 8081;

/// The Worker tells the supervisor the caller's address in this header. The Worker drops every header
/// a client sends under [`INTERNAL_HEADER_PREFIX`], so inside the container it can be believed.
pub const CLIENT_IP_HEADER: &str = "x-moltbot-client-ip";
/// The Sandbox proves to the ingress in this header that it is the Sandbox of its run, by the [`IngressSecret`].
pub const INGRESS_SECRET_HEADER: &str = "x-moltbot-ingress-secret";
/// The ingress names its own refusals in this header, by their code: an answer without it is the gateway's.
pub const REFUSAL_HEADER: &str = "x-moltbot-refusal";
/// The id of a request, in the log, in the history, in the gateway's request and in the answer. The ingress puts the one
/// it was given into the gateway's answer, so that the Worker need not make a copy of every answer.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// The Sandbox tells the Worker in this header, for [`crate::http::site_data::CLEARED_FOR_MS`], when somebody's restore was
/// done: milliseconds since 1970.
pub const RESTORED_HEADER: &str = "x-moltbot-restored";
/// Headers under this prefix are ours, in both directions, and never cross the edge.
pub const INTERNAL_HEADER_PREFIX: &str = "x-moltbot-";

/// One life of a container. Numbers grow by one for each start of a Sandbox's container; a result that
/// carries an older number than the current one belongs to a life that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Run(pub u64);

impl Run {
    /// The life after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A model endpoint the platform offers to a bot whose owner has not chosen one. It carries no key:
/// no shared credential may be inside a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedModel {
    /// Base of an OpenAI-compatible API, for example `http://host.docker.internal:8799/v1`.
    pub base_url: String,
    /// The model's id at that endpoint.
    pub id: String,
}

/// Everything a container is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// Whose bot this is.
    pub user: UserId,
    /// Which life of the container this is.
    pub run: Run,
    /// What a caller of the control port must present.
    pub control_token: ControlToken,
    /// What a caller of the ingress must present. `None` where the Sandbox is older than this secret: it cannot send
    /// what it does not know, and the ingress takes everybody, as it did then. Every Sandbox that knows it sets it.
    pub ingress_secret: Option<IngressSecret>,
    /// Origins (`https://host[:port]`) the bot's pages are served from; the gateway refuses others.
    pub allowed_origins: Vec<String>,
    /// The model the platform offers, if any.
    pub offered_model: Option<OfferedModel>,
    /// Where the bot's snapshots are. Without it nothing is restored or backed up.
    pub repository: Option<RepositoryAccess>,
}

const USER_ID: &str = "MOLTBOT_USER_ID";
const RUN: &str = "MOLTBOT_RUN";
const CONTROL_TOKEN: &str = "MOLTBOT_CONTROL_TOKEN";
const INGRESS_SECRET: &str = "MOLTBOT_INGRESS_SECRET";
const ALLOWED_ORIGINS: &str = "MOLTBOT_ALLOWED_ORIGINS";
const MODEL_BASE_URL: &str = "MOLTBOT_MODEL_BASE_URL";
const MODEL_ID: &str = "MOLTBOT_MODEL_ID";
const REPOSITORY_URL: &str = "MOLTBOT_REPOSITORY_URL";
const REPOSITORY_TOKEN: &str = "MOLTBOT_REPOSITORY_TOKEN";
const REPOSITORY_PASSWORDS: &str = "MOLTBOT_REPOSITORY_PASSWORDS";
const RESTORE: &str = "MOLTBOT_RESTORE";

/// A variable the supervisor was started with is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct BadRunSetting {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with it, without its value (it may be a secret).
    pub reason: String,
}

impl RunSettings {
    /// The variables to start a container with.
    pub fn to_env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            (USER_ID, self.user.to_string()),
            (RUN, self.run.to_string()),
            (CONTROL_TOKEN, self.control_token.reveal().to_owned()),
            (ALLOWED_ORIGINS, self.allowed_origins.join(",")),
        ];
        if let Some(secret) = &self.ingress_secret {
            env.push((INGRESS_SECRET, secret.reveal().to_owned()));
        }
        if let Some(model) = &self.offered_model {
            env.push((MODEL_BASE_URL, model.base_url.clone()));
            env.push((MODEL_ID, model.id.clone()));
        }
        if let Some(repository) = &self.repository {
            let passwords: Vec<_> = repository
                .passwords
                .iter()
                .map(RepositoryPassword::reveal)
                .collect();
            env.push((REPOSITORY_URL, repository.url.clone()));
            env.push((REPOSITORY_TOKEN, repository.token.reveal().to_owned()));
            env.push((REPOSITORY_PASSWORDS, passwords.join(",")));
            env.push((RESTORE, repository.restore.to_string()));
        }
        env
    }

    /// Reads the variables a container was started with; `get` looks one up.
    ///
    /// # Errors
    /// The first variable that is missing or malformed.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadRunSetting> {
        let required = |variable: &'static str| {
            get(variable)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| BadRunSetting {
                    variable,
                    reason: "is not set".into(),
                })
        };
        let bad = |variable, reason: String| BadRunSetting { variable, reason };

        let user: UserId = required(USER_ID)?
            .parse()
            .map_err(|e| bad(USER_ID, format!("{e}")))?;
        let run = required(RUN)?
            .parse()
            .map(Run)
            .map_err(|_| bad(RUN, "is not a whole number".into()))?;
        let control_token =
            ControlToken::new(required(CONTROL_TOKEN)?).map_err(|e| bad(CONTROL_TOKEN, e.into()))?;
        // One that is there and no secret, empty for example, is an error: it must not open the port.
        let ingress_secret = get(INGRESS_SECRET)
            .map(IngressSecret::new)
            .transpose()
            .map_err(|e| bad(INGRESS_SECRET, e.into()))?;
        let allowed_origins = required(ALLOWED_ORIGINS)?.split(',').map(str::to_owned).collect();
        let offered_model = match get(MODEL_BASE_URL).filter(|url| !url.is_empty()) {
            None => None,
            Some(base_url) => Some(OfferedModel {
                base_url,
                id: required(MODEL_ID)?,
            }),
        };
        let repository = match get(REPOSITORY_URL).filter(|url| !url.is_empty()) {
            None => None,
            Some(url) => {
                access::check_url(&url, user).map_err(|reason| bad(REPOSITORY_URL, reason))?;
                let passwords = required(REPOSITORY_PASSWORDS)?;
                let passwords = passwords.split(',').map(RepositoryPassword::new);
                Some(RepositoryAccess {
                    url,
                    token: RepositoryToken::new(required(REPOSITORY_TOKEN)?)
                        .map_err(|e| bad(REPOSITORY_TOKEN, e.into()))?,
                    passwords: passwords
                        .collect::<Result<_, _>>()
                        .map_err(|e| bad(REPOSITORY_PASSWORDS, e.into()))?,
                    restore: RestorePoint::read(&required(RESTORE)?).map_err(|e| bad(RESTORE, e.into()))?,
                })
            }
        };
        Ok(Self {
            user,
            run,
            control_token,
            ingress_secret,
            allowed_origins,
            offered_model,
            repository,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn settings() -> RunSettings {
        RunSettings {
            user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
            run: Run(7),
            control_token: ControlToken::new("0123456789abcdef0123456789abcdef").unwrap(),
            ingress_secret: Some(IngressSecret::new("ingress0".repeat(8)).unwrap()),
            allowed_origins: vec![
                "https://bots.example.com".into(),
                "https://claw.example.org".into(),
            ],
            offered_model: Some(OfferedModel {
                base_url: "http://models.test/v1".into(),
                id: "m-1".into(),
            }),
            repository: Some(RepositoryAccess {
                url: "https://bots.example.com/_repo/6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20/".into(),
                token: RepositoryToken::new("repository-token.secret").unwrap(),
                passwords: vec![password('a'), password('b')],
                restore: RestorePoint::Latest,
            }),
        }
    }

    fn password(digit: char) -> RepositoryPassword {
        RepositoryPassword::new(digit.to_string().repeat(64)).unwrap()
    }

    fn read(env: &[(&'static str, String)]) -> Result<RunSettings, BadRunSetting> {
        let env: BTreeMap<_, _> = env.iter().cloned().collect();
        RunSettings::from_env(|name| env.get(name).cloned())
    }

    #[test]
    fn the_supervisor_parses_the_environment_the_sandbox_writes() {
        let mut chosen = settings();
        if let Some(repository) = &mut chosen.repository {
            repository.restore = RestorePoint::Snapshot("0123456789abcdef".repeat(4).parse().unwrap());
        }
        let without_model = RunSettings {
            offered_model: None,
            ..settings()
        };
        let without_repository = RunSettings {
            repository: None,
            ..settings()
        };
        let of_an_older_sandbox = RunSettings {
            ingress_secret: None,
            ..settings()
        };
        for settings in [
            settings(),
            chosen,
            without_model,
            without_repository,
            of_an_older_sandbox,
        ] {
            assert_eq!(read(&settings.to_env()), Ok(settings));
        }
    }

    #[test]
    fn each_missing_variable_is_named() {
        let env = settings().to_env();
        for (variable, _) in &env {
            if [MODEL_BASE_URL, REPOSITORY_URL, INGRESS_SECRET].contains(variable) {
                continue; // leaving it out means "no model offered", "no snapshots", "an older Sandbox"
            }
            let rest: Vec<_> = env.iter().filter(|(name, _)| name != variable).cloned().collect();
            assert_eq!(read(&rest).unwrap_err().variable, *variable);
        }
    }

    #[test]
    fn an_invalid_value_is_named_and_not_quoted() {
        for (variable, value) in [
            (USER_ID, "UNDEFINED-SECRET"),
            (RUN, "-1-SECRET"),
            (CONTROL_TOKEN, "SHORT-SECRET"),
            (CONTROL_TOKEN, "SECRET-----------------------------------"),
            (INGRESS_SECRET, "SHORT-SECRET"),
            (INGRESS_SECRET, "SECRET-----------------------------------"),
            (INGRESS_SECRET, ""),
            (
                REPOSITORY_URL,
                "https://x:SECRET@bots.example.com/_repo/6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20/",
            ),
            (
                REPOSITORY_URL,
                "https://SECRET.example.com/_repo/00000000-8d2b-4a63-9f5e-0b7f6f3c1d20/",
            ),
            (
                REPOSITORY_URL,
                "ftp://SECRET/_repo/6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20/",
            ),
            (REPOSITORY_TOKEN, "A SECRET"),
            (REPOSITORY_PASSWORDS, "SECRET"),
            (REPOSITORY_PASSWORDS, &format!("{},SECRET", "a".repeat(64))),
            (RESTORE, "SECRET"),
        ] {
            let mut env = settings().to_env();
            env.retain(|(name, _)| *name != variable);
            env.push((variable, value.into()));
            let error = read(&env).unwrap_err();
            assert_eq!(error.variable, variable);
            let said = error.to_string().replace(variable, "");
            assert!(!said.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() {
        let printed = format!("{:?}", settings());
        assert!(printed.contains("ControlToken(hidden)"), "{printed}");
        for secret in [
            "0123456789abcdef",
            "ingress0",
            "repository-token.secret",
            "aaaaaaaa",
            "bbbbbbbb",
        ] {
            assert!(!printed.contains(secret), "{secret}");
        }
    }
}
