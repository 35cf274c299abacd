//! Bytes as text of 64 characters (RFC 4648). What is read has one spelling alone: of two that meant the same bytes, one would
//! pass where the other was remembered or forbidden.
//!
//! The crate of this name is for any alphabet at any speed, which is 2 kB more of the Worker, compressed.

/// The characters behind the letters and digits, and whether the last group of four is filled up.
#[derive(Clone, Copy)]
struct Alphabet {
    last: [u8; 2],
    padded: bool,
}

const URL: Alphabet = Alphabet {
    last: *b"-_",
    padded: false,
};
const STANDARD: Alphabet = Alphabet {
    last: *b"+/",
    padded: true,
};

/// As tokens, cookies and URLs have them: base64url without padding.
pub fn encode_url(bytes: impl AsRef<[u8]>) -> String {
    URL.encode(bytes.as_ref())
}

/// The bytes of base64url without padding.
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL.decode(text)
}

/// As `data:` URLs have them.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes.as_ref())
}

/// The bytes of what HTTP Basic has.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text)
}

impl Alphabet {
    fn encode(self, bytes: &[u8]) -> String {
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let mut group = 0_u32;
            for place in 0..3 {
                group = group << 8 | chunk.get(place).copied().map_or(0, u32::from);
            }
            for place in 0..4 {
                if place <= chunk.len() {
                    text.push(self.character(group >> (18 - 6 * place) & 63));
                } else if self.padded {
                    text.push('=');
                }
            }
        }
        text
    }

    fn character(self, value: u32) -> char {
        let [first, second] = self.last;
        let byte = match u8::try_from(value).unwrap_or_default() {
            value @ 0..26 => b'A' + value,
            value @ 26..52 => b'a' + (value - 26),
            value @ 52..62 => b'0' + (value - 52),
            62 => first,
            _ => second,
        };
        char::from(byte)
    }

    fn decode(self, text: &str) -> Option<Vec<u8>> {
        let mut digits = text;
        if self.padded {
            if !text.len().is_multiple_of(4) {
                return None;
            }
            for _ in 0..2 {
                digits = digits.strip_suffix('=').unwrap_or(digits);
            }
        }
        let mut bytes = Vec::new();
        for chunk in digits.as_bytes().chunks(4) {
            let mut group = 0_u32;
            for place in 0..4 {
                let value = chunk.get(place).map_or(Some(0), |digit| self.value(*digit))?;
                group = group << 6 | value;
            }
            let [_, whole @ ..] = group.to_be_bytes();
            // Of two digits one byte, of three two: what is left of the last digit is nothing. One digit alone is no byte.
            let (read, rest) = whole.split_at_checked(chunk.len().checked_sub(1)?)?;
            if read.is_empty() || rest.iter().any(|byte| *byte != 0) {
                return None;
            }
            bytes.extend_from_slice(read);
        }
        Some(bytes)
    }

    fn value(self, digit: u8) -> Option<u32> {
        let [first, second] = self.last;
        Some(u32::from(match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            _ if digit == first => 62,
            _ if digit == second => 63,
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_standard_gives_as_examples_is_written_and_read() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode_url([0xfb, 0xff]), "-_8");
        assert_eq!(encode([0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn another_spelling_of_the_same_bytes_is_refused() {
        for text in [
            "Zh", "Zg==", "Zg=", "Z", "Zm9", "Zg ", "Zm9v=", "+_8", "Zg\n", "é",
        ] {
            assert_eq!(decode_url(text), None, "{text}");
        }
        for text in [
            "Zg", "Zh==", "Zm9", "Zm9=", "Zm9v====", "Z===", "====", "=Zg=", "-_8=",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_judged_as_by_the_crate_of_this_name(text in "[A-Ca-c089+/_=-]{0,9}") {
            prop_assert_eq!(decode_url(&text), general_purpose::URL_SAFE_NO_PAD.decode(&text).ok());
            prop_assert_eq!(decode(&text), general_purpose::STANDARD.decode(&text).ok());
        }

        #[test]
        fn all_bytes_are_written_as_by_the_crate_of_this_name(bytes: Vec<u8>) {
            prop_assert_eq!(encode_url(&bytes), general_purpose::URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(encode(&bytes), general_purpose::STANDARD.encode(&bytes));
            prop_assert_eq!(decode_url(&encode_url(&bytes)), Some(bytes));
        }
    }
}
