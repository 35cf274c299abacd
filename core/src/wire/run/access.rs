//! How a container reaches its bot's repository of snapshots.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::user_id::UserId;

/// The path under which the Worker serves the repositories: `<prefix><user id>/…`.
pub const REPOSITORY_PREFIX: &str = "/_repo/";
/// Hexadecimal digits of a whole [`SnapshotId`]: a SHA-256.
const SNAPSHOT_ID_DIGITS: usize = 64;
/// Hexadecimal digits of a password: 32 bytes, as they are derived.
const PASSWORD_DIGITS: usize = 64;
/// Characters a token may have. It travels in a header; headers past 8 KiB are refused by many servers.
const MAX_TOKEN: usize = 4096;
// As the refusal says.
const _: () = assert!(MAX_TOKEN == 4096);

fn is_lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What names a snapshot: the SHA-256 of its file in the repository, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct SnapshotId(String);

impl SnapshotId {
    /// In lower-case hexadecimal, as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_lower_hex(&text, SNAPSHOT_ID_DIGITS) {
            Ok(Self(text))
        } else {
            Err("a snapshot's id is 64 lower-case hexadecimal digits")
        }
    }
}

impl std::str::FromStr for SnapshotId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What opens one bot's repository to one run: short-lived, renewed at the repository itself. Opaque to the
/// container. Never printed: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryToken(String);

impl RepositoryToken {
    /// Takes a token as the Sandbox minted it.
    ///
    /// # Errors
    /// The reason, when it could not travel in a header as it is.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_TOKEN {
            return Err("a repository token has 1 to 4096 characters");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a repository token has only visible ASCII characters");
        }
        Ok(Self(text))
    }

    /// The secret itself, for those who send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RepositoryToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<RepositoryToken> for String {
    fn from(token: RepositoryToken) -> Self {
        token.0
    }
}

impl fmt::Debug for RepositoryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RepositoryToken(hidden)")
    }
}

/// What decrypts one bot's repository. Never printed: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositoryPassword(String);

impl RepositoryPassword {
    /// Takes a password as it was derived.
    ///
    /// # Errors
    /// The reason, when it is not what the derivation gives.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        let text = text.into();
        if is_lower_hex(&text, PASSWORD_DIGITS) {
            Ok(Self(text))
        } else {
            Err("a repository password is 64 lower-case hexadecimal digits")
        }
    }

    /// The secret itself, for the one place that opens the repository.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RepositoryPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RepositoryPassword(hidden)")
    }
}

/// Which snapshot a home is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RestorePoint {
    /// The newest one that is not marked suspicious.
    #[default]
    Latest,
    /// This one, whatever it is marked as.
    Snapshot(SnapshotId),
}

impl RestorePoint {
    const LATEST: &str = "latest";

    /// Reads `latest` or a snapshot's id.
    ///
    /// # Errors
    /// The reason, when it is neither.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        if text == Self::LATEST {
            return Ok(Self::Latest);
        }
        let id = text.parse();
        id.map(Self::Snapshot)
            .map_err(|_: &str| "is neither `latest` nor a snapshot's id of 64 lower-case hexadecimal digits")
    }
}

impl fmt::Display for RestorePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str(Self::LATEST),
            Self::Snapshot(id) => id.fmt(f),
        }
    }
}

/// Where a bot's snapshots are and what opens them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryAccess {
    /// Base of the repository in the restic REST protocol. Ends in `/_repo/<user id>/`, has no credentials.
    pub url: String,
    /// What the repository asks for.
    pub token: RepositoryToken,
    /// What may decrypt it, newest first; at least one.
    pub passwords: Vec<RepositoryPassword>,
    /// What the home is to be made from when the run begins.
    pub restore: RestorePoint,
}

/// Judges the address of a user's repository.
///
/// # Errors
/// The reason, when it is not one.
pub(super) fn check_url(url: &str, user: UserId) -> Result<(), String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let end = format!("{REPOSITORY_PREFIX}{user}/");
    let host = rest.and_then(|rest| rest.strip_suffix(&end));
    let plain = |host: &str| !host.is_empty() && !host.contains(['@', '?', '#', '/', ' ']);
    if host.is_some_and(plain) {
        Ok(())
    } else {
        Err(format!(
            "is not http(s)://<host>{end} (without credentials or a query)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_about_lengths_name_the_limits() {
        let names = |error: &str, limit: usize| error.contains(&format!("{limit} "));
        assert!(RepositoryToken::new("x".repeat(MAX_TOKEN)).is_ok());
        let error = RepositoryToken::new("x".repeat(MAX_TOKEN + 1)).unwrap_err();
        assert!(names(error, MAX_TOKEN), "{error}");
        let id = "a".repeat(SNAPSHOT_ID_DIGITS);
        assert!(id.parse::<SnapshotId>().is_ok());
        let short = "a".repeat(SNAPSHOT_ID_DIGITS - 1);
        let error = short.parse::<SnapshotId>().unwrap_err();
        assert!(names(error, SNAPSHOT_ID_DIGITS), "{error}");
        let error = RestorePoint::read(&short).unwrap_err();
        assert!(names(error, SNAPSHOT_ID_DIGITS), "{error}");
        assert!(RepositoryPassword::new("a".repeat(PASSWORD_DIGITS)).is_ok());
        let error = RepositoryPassword::new("a".repeat(PASSWORD_DIGITS - 1)).unwrap_err();
        assert!(names(error, PASSWORD_DIGITS), "{error}");
    }
}
