//! Who may use the platform: who gets in for the first time, and what an admin's word does to that.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::http::host::HostName;
use crate::http::problem::Refusal;
use crate::user_id::UserId;

/// Characters an e-mail address may have (RFC 5321 §4.5.3.1.3).
pub const MAX_EMAIL_CHARACTERS: usize = 254;

/// Who may become a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    /// Whoever holds a token of the project: then the project decides who signs up.
    Open,
    /// Who is on the operator's or an admin's list, or was invited.
    AllowList,
    /// Who was invited.
    Invite,
}

impl SignUp {
    /// The policy of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "allow-list" => Some(Self::AllowList),
            "invite" => Some(Self::Invite),
            _ => None,
        }
    }
}

/// One line of the allow-list, or one invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AllowListEntry {
    /// An e-mail address, in lower case.
    Email(String),
    /// Every address at this domain.
    Domain(HostName),
    /// One user of the project.
    User(UserId),
}

/// The text is no [`AllowListEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry is an e-mail address, @domain or a user id")]
pub struct NotAnAllowListEntry;

impl FromStr for AllowListEntry {
    type Err = NotAnAllowListEntry;

    fn from_str(text: &str) -> Result<Self, NotAnAllowListEntry> {
        let text = text.trim();
        match text.split_once('@') {
            None => text.parse().map(Self::User).map_err(|_| NotAnAllowListEntry),
            Some(("", domain)) => domain.parse().map(Self::Domain).map_err(|_| NotAnAllowListEntry),
            Some((local, domain)) => {
                let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'@');
                let domain: HostName = domain.parse().map_err(|_| NotAnAllowListEntry)?;
                if text.len() > MAX_EMAIL_CHARACTERS || !local.bytes().all(plain) {
                    return Err(NotAnAllowListEntry);
                }
                Ok(Self::Email(format!("{}@{domain}", local.to_ascii_lowercase())))
            }
        }
    }
}

impl fmt::Display for AllowListEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(email) => f.write_str(email),
            Self::Domain(domain) => write!(f, "@{domain}"),
            Self::User(user) => user.fmt(f),
        }
    }
}

impl TryFrom<String> for AllowListEntry {
    type Error = NotAnAllowListEntry;

    fn try_from(text: String) -> Result<Self, NotAnAllowListEntry> {
        text.parse()
    }
}

impl From<AllowListEntry> for String {
    fn from(entry: AllowListEntry) -> Self {
        entry.to_string()
    }
}

/// The entry is of many, and an invitation is for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry: an invitation is for one person, an e-mail address or a user id")]
pub struct NotOnePerson;

impl AllowListEntry {
    /// Whom an invitation is for.
    ///
    /// # Errors
    /// It is a domain.
    pub fn one_person(self) -> Result<Self, NotOnePerson> {
        match self {
            Self::Domain(_) => Err(NotOnePerson),
            Self::Email(_) | Self::User(_) => Ok(self),
        }
    }
}

/// Every entry that would let this person in: their id, their address, their address's domain. An address
/// the token does not carry, or that is none, matches nothing.
pub fn entries_for(user: UserId, email: Option<&str>) -> Vec<AllowListEntry> {
    let mut entries = vec![AllowListEntry::User(user)];
    if let Some(AllowListEntry::Email(email)) = email.and_then(|email| email.parse().ok()) {
        let domain = email.rsplit_once('@').and_then(|(_, domain)| domain.parse().ok());
        entries.extend(domain.map(AllowListEntry::Domain));
        entries.push(AllowListEntry::Email(email));
    }
    entries
}

/// What is recorded about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum UserStatus {
    /// May use the platform.
    Active,
    /// May not, until an admin says otherwise.
    Suspended,
    /// Gone; the row stays, so that an old token does not make a new user of them.
    Deleted,
}

impl UserStatus {
    /// Every status there is.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Deleted];

    /// Its text in JSON and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Whether it keeps a user out.
    pub fn is_closed(self) -> bool {
        self != Self::Active
    }

    /// Whether the admin `by` may give it to `user`. Nobody closes their own account: whoever would open it again might be
    /// the one who has just closed it.
    ///
    /// # Errors
    /// It is their own.
    pub fn may_be_set(self, user: UserId, by: UserId) -> Result<(), OwnAccount> {
        if self.is_closed() && user == by {
            return Err(OwnAccount);
        }
        Ok(())
    }

    /// The verb in a path that leads to it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Active => "activate",
            Self::Suspended => "suspend",
            Self::Deleted => "delete",
        }
    }

    /// What its holder is told, if they may not go on.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Active => None,
            Self::Suspended => Some(Refusal::AccountSuspended),
            Self::Deleted => Some(Refusal::AccountDeleted),
        }
    }
}

/// An admin would close their own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an admin cannot suspend or delete their own account")]
pub struct OwnAccount;

/// How old what an isolate read about a user or a domain may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// For what the platform itself answers: somebody who was suspended a minute ago gets nothing any more.
    Minute,
    /// For traffic to a bot. Its Sandbox knows at once that it is suspended, and a read of the database each minute
    /// would be the only one that a request costs.
    Hour,
}

impl Freshness {
    fn ms(self) -> u64 {
        match self {
            Self::Minute => 60 * 1_000,
            Self::Hour => 60 * 60 * 1_000,
        }
    }
}

/// How long it goes on believing while the database does not answer: an outage of an hour should not lock
/// everybody out of bots that run.
pub const BELIEVED_WITHOUT_DATABASE_MS: u64 = 60 * 60 * 1_000;

/// Something that was read from the database, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read<T> {
    /// What it said.
    pub value: T,
    /// Milliseconds since 1970.
    pub at: u64,
}

impl<T: Copy> Read<T> {
    /// The value, if it needs no second look yet.
    pub fn fresh(self, now: u64, freshness: Freshness) -> Option<T> {
        (now < self.at.saturating_add(freshness.ms())).then_some(self.value)
    }

    /// The value, if it is good enough while the database is away.
    pub fn without_database(self, now: u64) -> Option<T> {
        (now < self.at.saturating_add(BELIEVED_WITHOUT_DATABASE_MS)).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

    #[test]
    fn an_allow_list_entry_has_one_canonical_form() {
        for (text, expected) in [
            (" Alice@Example.COM ", "alice@example.com"),
            ("a+b@example.com", "a+b@example.com"),
            ("@Example.com", "@example.com"),
            (ALICE, ALICE),
        ] {
            assert_eq!(
                text.parse::<AllowListEntry>().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        for bad in [
            "",
            "alice",
            "*",
            "@",
            "@com",
            "alice@",
            "alice@localhost",
            "a@b@example.com",
            "a b@example.com",
            "a,b@example.com",
            "é@example.com",
            "undefined",
        ] {
            assert_eq!(bad.parse::<AllowListEntry>(), Err(NotAnAllowListEntry), "{bad:?}");
        }
        assert!(
            format!("{}@example.com", "a".repeat(300))
                .parse::<AllowListEntry>()
                .is_err()
        );
    }

    #[test]
    fn an_invitation_is_for_one_person() {
        for (text, is_one) in [("a@example.com", true), (ALICE, true), ("@example.com", false)] {
            let entry: AllowListEntry = text.parse().unwrap();
            let expected = if is_one {
                Ok(entry.clone())
            } else {
                Err(NotOnePerson)
            };
            assert_eq!(entry.one_person(), expected, "{text}");
        }
    }

    #[test]
    fn no_admin_closes_their_own_account() {
        let alice: UserId = ALICE.parse().unwrap();
        let admin: UserId = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        for status in UserStatus::ALL {
            let expected = if status == UserStatus::Active {
                Ok(())
            } else {
                Err(OwnAccount)
            };
            assert_eq!(status.may_be_set(admin, admin), expected, "{status:?}");
            assert_eq!(status.may_be_set(alice, admin), Ok(()), "{status:?}");
        }
    }

    #[test]
    fn a_user_is_admitted_only_by_id_address_or_domain() {
        let user: UserId = ALICE.parse().unwrap();
        let texts = |email| -> Vec<String> {
            entries_for(user, email)
                .iter()
                .map(AllowListEntry::to_string)
                .collect()
        };
        assert_eq!(
            texts(Some("Alice@Example.com")),
            [ALICE, "@example.com", "alice@example.com"]
        );
        for nothing in [None, Some(""), Some("@example.com"), Some(ALICE), Some("alice")] {
            assert_eq!(texts(nothing), [ALICE], "{nothing:?}");
        }
    }

    #[test]
    fn status_names_match_their_serialized_form() {
        for status in UserStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.refusal().is_none(), status == UserStatus::Active);
        }
        for (name, policy) in [
            ("open", SignUp::Open),
            ("allow-list", SignUp::AllowList),
            ("invite", SignUp::Invite),
        ] {
            assert_eq!(SignUp::parse(name), Some(policy));
        }
        assert_eq!(SignUp::parse("Open"), None);
    }

    #[test]
    fn cached_users_are_valid_briefly_and_longer_in_an_outage() {
        let read = Read { value: 7, at: 1_000 };
        for freshness in [Freshness::Minute, Freshness::Hour] {
            assert_eq!(read.fresh(1_000 + freshness.ms() - 1, freshness), Some(7));
            assert_eq!(read.fresh(1_000 + freshness.ms(), freshness), None);
        }
        assert_eq!(
            read.fresh(1_000 + Freshness::Minute.ms(), Freshness::Hour),
            Some(7)
        );
        assert_eq!(read.without_database(1_000 + Freshness::Minute.ms()), Some(7));
        assert_eq!(read.without_database(1_000 + BELIEVED_WITHOUT_DATABASE_MS), None);
    }
}
