//! What goes with the bytes of a file that a person saves.

use crate::wire::home_path::HomePath;

/// What it is saved as if its path names nothing.
const HOME: &str = "home";
/// Characters of a name at most: file systems take 255 bytes, and four of them may be one character.
const MAX_NAME: usize = 60;

/// The `Content-Disposition` by which a browser saves what is at this path, with `ending` behind its name, and shows none of it. For readers
/// of every age: in plain letters, and as it is (RFC 6266), where what is not UTF-8 is replaced.
pub fn attachment(path: &HomePath, ending: &str) -> String {
    let text = path.to_string();
    let name = text.rsplit('/').find(|name| !name.is_empty()).unwrap_or(HOME);
    let name: String = name.chars().take(MAX_NAME).chain(ending.chars()).collect();
    let plain = |letter: char| {
        let is_plain = letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '.' | '_' | '-');
        if is_plain { letter } else { '_' }
    };
    let in_plain: String = name.chars().map(plain).collect();
    let encoded = HomePath::of(name).encoded();
    format!("attachment; filename=\"{in_plain}\"; filename*=UTF-8''{encoded}")
}

/// Whether this is an `ETag` as a bot's supervisor makes it.
pub fn is_tag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.is_some_and(|inner| inner.len() == 64 && inner.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_has_a_name_that_breaks_no_header() {
        for (path, ending, expected) in [
            (
                &b"notes/today.md"[..],
                "",
                "attachment; filename=\"today.md\"; filename*=UTF-8''today.md",
            ),
            (
                b"notes/",
                ".tar",
                "attachment; filename=\"notes.tar\"; filename*=UTF-8''notes.tar",
            ),
            (
                b"",
                ".tar",
                "attachment; filename=\"home.tar\"; filename*=UTF-8''home.tar",
            ),
            (
                "\"ü;\r\n".as_bytes(),
                "",
                "attachment; filename=\"__;__\"; filename*=UTF-8''%22%C3%BC%3B%0D%0A",
            ),
            (
                b"\xff",
                "",
                "attachment; filename=\"_\"; filename*=UTF-8''%EF%BF%BD",
            ),
        ] {
            let expected = expected.replace("__;__", "_____");
            assert_eq!(attachment(&HomePath::of(path), ending), expected, "{path:?}");
        }
        assert!(attachment(&HomePath::of("x".repeat(4_000)), "").len() < 256);
    }

    #[test]
    fn a_tag_is_64_digits_in_quotes() {
        let digits = "a1".repeat(32);
        assert!(is_tag(&format!("\"{digits}\"")));
        for bad in [
            "",
            "\"\"",
            &digits,
            &format!("W/\"{digits}\""),
            &format!("\"{}g\"", digits.get(1..).unwrap_or_default()),
        ] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}
