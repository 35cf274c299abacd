//! What a repository consists of, and where each object lies in the bucket.

use std::fmt;
use std::str::FromStr;

use crate::user_id::UserId;

/// Bytes a pack of data may have. Ours have some 8 MiB, restic's 16 MiB unless asked otherwise and 128 MiB at
/// most; a pack may exceed that by one blob (8 MiB at most) and its header. Cloudflare itself refuses request
/// bodies past 100 MB on its Free and Pro plans.
pub const MAX_PACK_BYTES: u64 = 144 * 1024 * 1024;
/// Bytes an index may have. A full one of restic's lists some 50,000 blobs, 150 bytes each before compression.
pub const MAX_INDEX_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes a snapshot may have: paths, tags and counts, some hundred bytes each.
pub const MAX_SNAPSHOT_BYTES: u64 = 1024 * 1024;
/// Bytes a key, a lock or the config may have; they have some 500.
pub const MAX_SMALL_BYTES: u64 = 64 * 1024;

/// Bytes the list of what is held may have: some 100 for each, so that there is room for thousands.
pub const MAX_HOLDS_BYTES: u64 = 1024 * 1024;

/// The objects that are named by their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// What a password opens to get at the repository's own key.
    Keys,
    /// Who works on the repository right now. The only objects that come and go.
    Locks,
    /// The restore points.
    Snapshots,
    /// Which blob is in which pack.
    Index,
    /// Packs of file contents and directories.
    Data,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Keys, Self::Locks, Self::Snapshots, Self::Index, Self::Data];

    /// Its name in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Locks => "locks",
            Self::Snapshots => "snapshots",
            Self::Index => "index",
            Self::Data => "data",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What all its objects' keys in the bucket begin with.
    pub fn prefix(self, user: UserId) -> String {
        format!("{}{}/", repository_prefix(user), self.as_str())
    }
}

/// What names an object: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ObjectId([u8; 32]);

impl ObjectId {
    /// The digest, as the bucket compares it with what it received.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The text is not an object's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an object is named by 64 lower-case hexadecimal digits")]
pub struct NotAnObjectId;

impl FromStr for ObjectId {
    type Err = NotAnObjectId;

    fn from_str(text: &str) -> Result<Self, NotAnObjectId> {
        let mut digest = [0; 32];
        // Upper case is refused: one object must not have two names.
        let value = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(NotAnObjectId),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(NotAnObjectId);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = value(*high)? * 16 + value(*low)?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// One object of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// The one object that is not named by its content: the repository's id and parameters.
    Config,
    /// Any other.
    Object(ObjectKind, ObjectId),
}

impl Name {
    /// Its key in the bucket.
    ///
    /// The layout is that of a restic repository in a directory, packs below their first two digits: a copy of
    /// the prefix made by any tool that copies buckets is a repository that stock restic opens.
    pub fn key(self, user: UserId) -> String {
        let repository = repository_prefix(user);
        match self {
            Self::Config => format!("{repository}config"),
            Self::Object(ObjectKind::Data, id) => {
                let first = id.0.first().copied().unwrap_or_default();
                format!("{repository}data/{first:02x}/{id}")
            }
            Self::Object(kind, id) => format!("{repository}{}/{id}", kind.as_str()),
        }
    }

    /// Bytes it may have.
    pub fn max_bytes(self) -> u64 {
        match self {
            Self::Config | Self::Object(ObjectKind::Keys | ObjectKind::Locks, _) => MAX_SMALL_BYTES,
            Self::Object(ObjectKind::Snapshots, _) => MAX_SNAPSHOT_BYTES,
            Self::Object(ObjectKind::Index, _) => MAX_INDEX_BYTES,
            Self::Object(ObjectKind::Data, _) => MAX_PACK_BYTES,
        }
    }
}

/// What the keys of everything in a bot's repository begin with.
pub fn repository_prefix(user: UserId) -> String {
    format!("users/{user}/repo/")
}

/// Where it is written down which of a bot's snapshots are held. Not in the repository, which others read.
pub fn holds_key(user: UserId) -> String {
    format!("users/{user}/holds.json")
}

/// The object a key names; `None` for what was put there by hand.
pub fn id_of(key: &str) -> Option<ObjectId> {
    key.rsplit('/').next().and_then(|name| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8";

    fn user() -> UserId {
        "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap()
    }

    #[test]
    fn every_object_has_one_key() {
        let at = |name: Name| name.key(user());
        let object = |kind| Name::Object(kind, ID.parse().unwrap());
        let repo = "users/6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20/repo";
        assert_eq!(at(Name::Config), format!("{repo}/config"));
        assert_eq!(at(object(ObjectKind::Keys)), format!("{repo}/keys/{ID}"));
        assert_eq!(
            at(object(ObjectKind::Snapshots)),
            format!("{repo}/snapshots/{ID}")
        );
        assert_eq!(at(object(ObjectKind::Data)), format!("{repo}/data/0e/{ID}"));
        for kind in ObjectKind::ALL {
            assert_eq!(kind.prefix(user()), format!("{repo}/{}/", kind.as_str()));
            assert!(at(object(kind)).starts_with(&kind.prefix(user())));
            assert_eq!(ObjectKind::parse(kind.as_str()), Some(kind));
        }
        let id: ObjectId = ID.parse().unwrap();
        assert_eq!(id.digest().first_chunk(), Some(&[0x0e, 0x57, 0x51]));
        assert_eq!(format!("{id:?}"), format!("ObjectId({ID})"));
    }

    /// In bytes: what is refused by mistake cannot be stored at all.
    #[test]
    fn every_object_has_a_limit_that_real_ones_fit_in() {
        let object = |kind| Name::Object(kind, ID.parse().unwrap());
        for (name, bytes) in [
            (Name::Config, 65_536),
            (object(ObjectKind::Keys), 65_536),
            (object(ObjectKind::Locks), 65_536),
            (object(ObjectKind::Snapshots), 1_048_576),
            (object(ObjectKind::Index), 67_108_864),
            (object(ObjectKind::Data), 150_994_944),
        ] {
            assert_eq!(name.max_bytes(), bytes, "{name:?}");
        }
    }

    #[test]
    fn an_object_id_has_one_spelling() {
        for bad in [
            String::new(),
            "config".into(),
            ID.replacen('0', "", 1),
            format!("{ID}0"),
            ID.to_uppercase(),
            ID.replacen('0', " ", 1),
            ID.replacen("0e", "..", 1),
            ID.replacen("0e", "é", 1),
        ] {
            assert_eq!(bad.parse::<ObjectId>(), Err(NotAnObjectId), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_object_id_is_parsed_back_from_its_key(digest: [u8; 32], kind in 0usize..5) {
            let name = Name::Object(ObjectKind::ALL[kind], ObjectId(digest));
            prop_assert_eq!(id_of(&name.key(user())), Some(ObjectId(digest)));
            prop_assert_eq!(ObjectId(digest).to_string().parse(), Ok(ObjectId(digest)));
        }

        #[test]
        fn an_invalid_object_id_is_refused(text in prop_oneof![".{0,70}", "[0-9a-f]{62,66}", "[0-9a-f]{63}."]) {
            let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            match text.parse::<ObjectId>() {
                Ok(id) => prop_assert_eq!(id.to_string(), text),
                Err(NotAnObjectId) => prop_assert!(text.len() != 64 || !digits, "{}", text),
            }
        }
    }
}
