//! The operator's backup keys, and what is derived from them.
//!
//! Everything is HKDF-SHA256 (RFC 5869) of one key with an empty salt and an `info` of its own, 32 bytes long:
//! any tool that knows HKDF can derive a bot's password without this program (docs/recovery.md).

use crate::base64;
use crate::secret::Secret;
use crate::user_id::UserId;

/// Bytes of a key: what HKDF-SHA256 makes the most of.
pub const KEY_BYTES: usize = 32;
/// The `info` of the key that repository tokens are made with.
pub const TOKEN_INFO: &str = "moltworker repository token v1";

/// The `info` of a bot's restic password.
pub fn password_info(user: UserId) -> String {
    format!("moltworker restic password v1 {user}")
}

/// A master key, from which every user has a password and a MAC key of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupKey {
    /// Its version: names it in tokens, and says which of two is newer.
    pub version: u32,
    /// Of 256 bits, as the operator generated it.
    pub bytes: Secret<[u8; KEY_BYTES]>,
}

/// All keys in use, newest first; at least one. New things are made with the newest, the others still open
/// what was made with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupKeys {
    newest: BackupKey,
    older: Vec<BackupKey>,
}

impl BackupKeys {
    /// Reads `BACKUP_KEY`: 32 bytes in base64, or several such with their versions, newest first:
    /// `2:<base64>,1:<base64>`. A lone key without a version has version 1.
    ///
    /// # Errors
    /// What is wrong, without the value.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut keys = Vec::new();
        let alone = !text.contains(',');
        for part in text.split(',').map(str::trim) {
            let (version, encoded) = match part.split_once(':') {
                Some((version, encoded)) => {
                    let version = version.parse().map_err(|_| "has a version that is no number")?;
                    (version, encoded)
                }
                None if alone => (1, part),
                None => {
                    return Err(
                        "has several keys, and one of them without its version: 2:<base64>,1:<base64>",
                    );
                }
            };
            let bytes = base64::decode(encoded.trim()).ok_or("is not base64")?;
            let bytes = <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| "is not exactly 32 bytes")?;
            keys.push(BackupKey {
                version,
                bytes: Secret::new(bytes),
            });
        }
        if !keys.is_sorted_by(|newer, older| newer.version > older.version) {
            return Err("has to list its keys newest first, each version once: 2:<base64>,1:<base64>");
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or("has no key")?;
        Ok(Self {
            newest,
            older: keys.collect(),
        })
    }

    /// The key new things are made with.
    pub fn newest(&self) -> &BackupKey {
        &self.newest
    }

    /// All of them, newest first.
    pub fn all(&self) -> impl Iterator<Item = &BackupKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// The key of that version.
    pub fn of_version(&self, version: u32) -> Option<&BackupKey> {
        self.all().find(|key| key.version == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        base64::encode([byte; KEY_BYTES])
    }

    #[test]
    fn keys_are_ordered_newest_first() {
        let one = BackupKeys::parse(&key(1)).unwrap();
        assert_eq!(one.newest().version, 1);
        assert_eq!(one.all().count(), 1);
        assert_eq!(
            BackupKeys::parse(&format!("1:{}", key(1))).unwrap(),
            one,
            "a lone key is version 1"
        );

        let two = BackupKeys::parse(&format!("2:{}, 1:{}\n", key(2), key(1))).unwrap();
        assert_eq!(two.newest().bytes.reveal(), &[2; 32]);
        assert_eq!(two.of_version(1).unwrap().bytes.reveal(), &[1; 32]);
        assert_eq!(two.of_version(3), None);
        let versions: Vec<_> = two.all().map(|key| key.version).collect();
        assert_eq!(versions, [2, 1]);
    }

    /// Whoever has the key derives the password without this program, as docs/recovery.md says: it never changes.
    #[test]
    fn a_password_is_derived_as_the_page_on_recovery_says() {
        let user = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
        assert_eq!(
            password_info(user.parse().unwrap()),
            format!("moltworker restic password v1 {user}")
        );
    }

    #[test]
    fn an_invalid_key_is_refused_with_a_reason() {
        let size = format!("{KEY_BYTES} bytes");
        for (text, reason) in [
            ("".to_owned(), size.as_str()),
            ("nonsense!".into(), "base64"),
            (base64::encode([1; KEY_BYTES - 1]), size.as_str()),
            (format!("x:{}", key(1)), "version"),
            (format!("{},{}", key(2), key(1)), "without its version"),
            (format!("1:{},2:{}", key(1), key(2)), "newest first"),
            (format!("1:{},1:{}", key(1), key(2)), "each version once"),
            (format!("2:{},", key(1)), "without its version"),
        ] {
            let error = BackupKeys::parse(&text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn debug_output_hides_the_key() {
        let printed = format!("{:?}", BackupKeys::parse(&key(1)).unwrap());
        assert!(
            !printed.contains("1, 1") && printed.contains("hidden"),
            "{printed}"
        );
    }
}
