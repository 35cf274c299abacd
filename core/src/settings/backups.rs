//! Settings about backups: what encrypts them, and how their repositories are reached.

use super::{Origin, Setting, SettingProblem};
use crate::backup::repository::keys::BackupKeys;
use crate::secret::Secret;
use crate::user_id::UserId;
use crate::wire::run::REPOSITORY_PREFIX;

/// What every bot's repository is encrypted with, by way of a password derived for that bot.
pub const BACKUP_KEY: Setting = Setting {
    name: "BACKUP_KEY",
    meaning: "32 random bytes in base64 that encrypt every bot's backups; keep a copy elsewhere, without it they cannot be read",
    how: "run: openssl rand -base64 32 | wrangler secret put BACKUP_KEY",
};
/// For networks in which containers reach the Worker by another name than people do.
pub const REPOSITORY_URL: Setting = Setting {
    name: "REPOSITORY_URL",
    meaning: "the address by which containers reach this Worker (PUBLIC_URL when left out)",
    how: "set it under [vars] in wrangler.toml, or leave it out",
};
/// For a recovery by hand.
pub const REPOSITORY_OPERATOR_TOKEN: Setting = Setting {
    name: "REPOSITORY_OPERATOR_TOKEN",
    meaning: "a secret of at least 32 characters that reads every bot's repository, for recovery",
    how: "run: openssl rand -hex 32 | wrangler secret put REPOSITORY_OPERATOR_TOKEN, or leave it out",
};

/// Characters the operator's token has at least: it opens every repository, from anywhere.
const MIN_OPERATOR_TOKEN_LENGTH: usize = 32;
/// Under this name a container finds the machine it runs on.
const HOST_SEEN_FROM_CONTAINERS: &str = "host.docker.internal";

/// What the Worker was told about backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backups {
    /// What passwords and tokens are derived from.
    pub keys: BackupKeys,
    /// Opens every repository for reading and adding, where the operator set one.
    pub operator_token: Option<Secret<String>>,
    base: String,
}

impl Backups {
    /// Where a container finds its bot's repository. Has no credentials.
    pub fn repository_url(&self, user: UserId) -> String {
        format!("{}{REPOSITORY_PREFIX}{user}/", self.base)
    }
}

/// Reads the settings; `None` when [`BACKUP_KEY`] is missing or malformed. `public` is where people come to.
pub(super) fn read(
    given: &impl Fn(Setting) -> Option<String>,
    public: Option<&Origin>,
    problems: &mut Vec<SettingProblem>,
) -> Option<Backups> {
    let mut note = |setting, reason| problems.push(SettingProblem { setting, reason });
    let base = match given(REPOSITORY_URL) {
        None => public.map(|origin| origin.as_str().to_owned()),
        Some(text) => address(text.trim())
            .map_err(|reason| note(REPOSITORY_URL, reason))
            .ok(),
    };
    let operator_token = given(REPOSITORY_OPERATOR_TOKEN).map(|text| text.trim().to_owned());
    if operator_token
        .as_ref()
        .is_some_and(|token| token.len() < MIN_OPERATOR_TOKEN_LENGTH)
    {
        note(REPOSITORY_OPERATOR_TOKEN, "is shorter than 32 characters");
    }
    let keys = match given(BACKUP_KEY).as_deref().map(BackupKeys::parse) {
        None => Err("is not set"),
        Some(read) => read,
    };
    let keys = keys.map_err(|reason| note(BACKUP_KEY, reason)).ok();
    Some(Backups {
        keys: keys?,
        operator_token: operator_token.map(Secret::new),
        base: base?,
    })
}

/// An origin; plain HTTP is for this machine and for containers on it.
fn address(text: &str) -> Result<String, &'static str> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let on_this_machine = text.replacen(
        &format!("http://{HOST_SEEN_FROM_CONTAINERS}"),
        "http://localhost",
        1,
    );
    Origin::parse(&on_this_machine)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::repository::keys::KEY_BYTES;
    use std::collections::BTreeMap;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn read_from(values: &[(&str, &str)]) -> Result<Backups, Vec<(&'static str, &'static str)>> {
        let values: BTreeMap<_, _> = values.iter().copied().collect();
        let public = Origin::parse("https://bots.example.com").unwrap();
        let mut problems = Vec::new();
        let given = |setting: Setting| values.get(setting.name).map(|value| (*value).to_owned());
        let backups = read(&given, Some(&public), &mut problems);
        let problems: Vec<_> = problems
            .iter()
            .map(|problem| (problem.setting.name, problem.reason))
            .collect();
        backups.filter(|_| problems.is_empty()).ok_or(problems)
    }

    #[test]
    fn the_texts_name_the_limits() {
        assert!(BACKUP_KEY.meaning.starts_with(&format!("{KEY_BYTES} ")));
        assert!(BACKUP_KEY.how.contains(&format!("-base64 {KEY_BYTES} ")));
        let limit = format!("{MIN_OPERATOR_TOKEN_LENGTH} characters");
        assert!(REPOSITORY_OPERATOR_TOKEN.meaning.contains(&limit));
        let long = "x".repeat(MIN_OPERATOR_TOKEN_LENGTH);
        let short = "x".repeat(MIN_OPERATOR_TOKEN_LENGTH - 1);
        let read = |token| read_from(&[("BACKUP_KEY", KEY), ("REPOSITORY_OPERATOR_TOKEN", token)]);
        assert!(read(&long).is_ok());
        let problems = read(&short).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].1.contains(&limit), "{problems:?}");
    }

    #[test]
    fn a_repository_is_at_the_public_address_unless_said_otherwise() {
        let user = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap();
        for (address, expected) in [
            (None, "https://bots.example.com"),
            (Some("https://Repo.example.com/"), "https://repo.example.com"),
            (
                Some("http://host.docker.internal:8788"),
                "http://host.docker.internal:8788",
            ),
            (Some("http://127.0.0.1:1"), "http://127.0.0.1:1"),
        ] {
            let mut values = vec![("BACKUP_KEY", KEY)];
            values.extend(address.map(|address| ("REPOSITORY_URL", address)));
            let url = read_from(&values).unwrap().repository_url(user);
            assert_eq!(url, format!("{expected}/_repo/{user}/"));
        }
    }

    #[test]
    fn each_invalid_value_is_named_with_its_reason() {
        for (name, value) in [
            ("BACKUP_KEY", "not base64!"),
            ("BACKUP_KEY", "c2hvcnQ="),
            ("REPOSITORY_URL", "repo.example.com"),
            ("REPOSITORY_URL", "http://repo.example.com"),
            ("REPOSITORY_URL", "http://host.docker.internal.example.com"),
            ("REPOSITORY_URL", "https://repo.example.com/path"),
            ("REPOSITORY_OPERATOR_TOKEN", "short"),
        ] {
            let mut values = BTreeMap::from([("BACKUP_KEY", KEY)]);
            values.insert(name, value);
            let values: Vec<_> = values.into_iter().collect();
            let problems = read_from(&values).unwrap_err();
            assert_eq!(problems.len(), 1, "{name}={value}: {problems:?}");
            assert_eq!(problems[0].0, name, "{name}={value}");
        }
        assert_eq!(read_from(&[]).unwrap_err(), [("BACKUP_KEY", "is not set")]);
    }
}
