//! Who a bot belongs to, and every name derived from that.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The one name of a user: a UUID in lower-case, hyphenated form.
///
/// Parsed once at the edge; a Sandbox, an R2 prefix and a D1 row are named by it and by nothing else.
/// The strict form matters: were `A…` and `a…` both accepted, one person could own two bots.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct UserId(Uuid);

/// The text is not a lower-case hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user id is a lower-case UUID such as 6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20")]
pub struct NotAUserId;

impl UserId {
    /// The name of the Durable Object (and of its container) that belongs to this user.
    pub fn sandbox_name(&self) -> String {
        format!("{SANDBOX_PREFIX}{self}")
    }

    /// The user a Sandbox name belongs to; the inverse of [`UserId::sandbox_name`].
    ///
    /// # Errors
    /// [`NotAUserId`] when the name does not start with `openclaw-` or what follows is no user id.
    pub fn from_sandbox_name(name: &str) -> Result<Self, NotAUserId> {
        name.strip_prefix(SANDBOX_PREFIX).ok_or(NotAUserId)?.parse()
    }

    /// A moment within `ms` that is always this user's, so that what all bots do at one time is spread over it.
    pub fn moment_within(&self, ms: u64) -> u64 {
        u64::try_from(self.0.as_u128() % u128::from(ms.max(1))).unwrap_or_default()
    }
}

const SANDBOX_PREFIX: &str = "openclaw-";

impl FromStr for UserId {
    type Err = NotAUserId;

    fn from_str(text: &str) -> Result<Self, NotAUserId> {
        let uuid = Uuid::try_parse(text).map_err(|_| NotAUserId)?;
        // `try_parse` also takes upper case, braces and `urn:uuid:`; only the canonical text is a name.
        if uuid.is_nil() || uuid.hyphenated().to_string() != text {
            return Err(NotAUserId);
        }
        Ok(Self(uuid))
    }
}

impl TryFrom<String> for UserId {
    type Error = NotAUserId;

    fn try_from(text: String) -> Result<Self, NotAUserId> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

    #[test]
    fn a_user_id_has_one_canonical_form() {
        assert_eq!(
            ALICE.parse::<UserId>().unwrap().sandbox_name(),
            format!("openclaw-{ALICE}")
        );
        for other in [
            "",
            "undefined",
            "6F1C2A9E-8D2B-4A63-9F5E-0B7F6F3C1D20",
            "6f1c2a9e8d2b4a639f5e0b7f6f3c1d20",
            "{6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20}",
            "urn:uuid:6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20",
            " 6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20",
            "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20/",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(other.parse::<UserId>(), Err(NotAUserId), "{other:?}");
        }
    }

    #[test]
    fn a_sandbox_name_maps_back_to_its_user_only() {
        let alice: UserId = ALICE.parse().unwrap();
        assert_eq!(UserId::from_sandbox_name(&alice.sandbox_name()), Ok(alice));
        assert_eq!(UserId::from_sandbox_name(ALICE), Err(NotAUserId));
        assert_eq!(UserId::from_sandbox_name("openclaw-undefined"), Err(NotAUserId));
    }

    #[test]
    fn json_user_ids_are_validated() {
        assert!(serde_json::from_str::<UserId>("\"openclaw-x\"").is_err());
        let alice: UserId = serde_json::from_str(&format!("\"{ALICE}\"")).unwrap();
        assert_eq!(serde_json::to_string(&alice).unwrap(), format!("\"{ALICE}\""));
    }
}
