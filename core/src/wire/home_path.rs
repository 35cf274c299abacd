//! A path in a home as it is written down: names are bytes there, and text is not enough for them.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path in a home, or one name of it, percent-encoded wherever it is written down. A byte is its own self in that or `%` and two
/// hexadecimal digits, so that whatever can be listed can be asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HomePath(Vec<u8>);

impl HomePath {
    /// Of these bytes.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Reads what is percent-encoded; what need not be encoded may be. `None` where a `%` has no two digits behind it.
    pub fn decode(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                bytes.push(high << 4 | low);
            } else {
                bytes.push(byte);
            }
        }
        Some(Self(bytes))
    }

    /// As it stands in a query: all but letters, digits, `-._~` and `/` is encoded.
    pub fn encoded(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for byte in &self.0 {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    text.push(char::from(*byte));
                }
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
        text
    }

    /// As the file system takes it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the home itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// For people: what is not UTF-8 is replaced.
impl fmt::Display for HomePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for HomePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HomePath({})", self.encoded())
    }
}

impl Serialize for HomePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encoded())
    }
}

impl<'de> Deserialize<'de> for HomePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| D::Error::custom("not percent-encoded"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_is_decoded_or_refused() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("a%20b/%C3%A4", "a b/ä".as_bytes()),
            ("a b+c", b"a b+c"),
            ("caf%e9", b"caf\xe9"),
            ("%2525", b"%25"),
        ] {
            assert_eq!(HomePath::decode(text), Some(HomePath::of(bytes)), "{text}");
        }
        for bad in ["%", "%2", "%zz", "%+1", "a%"] {
            assert_eq!(HomePath::decode(bad), None, "{bad}");
        }
        assert_eq!(HomePath::of(&b"a b/\xff%+"[..]).encoded(), "a%20b/%FF%25%2B");
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_is_decoded_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let path = HomePath::of(bytes);
            let text = path.encoded();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(HomePath::decode(&text), Some(path));
        }
    }
}
