//! How deep a text of JSON5 is nested, before anything parses it.

/// What stands around a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    /// In a string that ends with this quote.
    Text(u8),
    Line,
    Block,
}

/// The most brackets that are open at once. Those in strings and comments are none. Where it takes something for a string or a comment
/// that a parser does not, the text is no JSON5, and the parser stops there.
pub(super) fn of(text: &str) -> usize {
    let (mut depth, mut deepest, mut place) = (0_usize, 0, Place::Value);
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let next = after.first().copied();
        rest = after;
        match (place, byte) {
            (Place::Value, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (Place::Value, b'}' | b']') => depth = depth.saturating_sub(1),
            (Place::Value, b'"' | b'\'') => place = Place::Text(byte),
            (Place::Value, b'/') if next == Some(b'/') => place = Place::Line,
            (Place::Value, b'/') if next == Some(b'*') => {
                place = Place::Block;
                rest = after.get(1..).unwrap_or_default();
            }
            (Place::Text(_), b'\\') => rest = after.get(1..).unwrap_or_default(),
            (Place::Text(quote), _) if byte == quote => place = Place::Value,
            (Place::Line, b'\n' | b'\r') => place = Place::Value,
            // The two other ends of a line, in UTF-8.
            (Place::Line, 0xe2) if matches!(after, [0x80, 0xa8 | 0xa9, ..]) => place = Place::Value,
            (Place::Block, b'*') if next == Some(b'/') => {
                place = Place::Value;
                rest = after.get(1..).unwrap_or_default();
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brackets_that_nest_are_counted() {
        for (text, depth) in [
            ("", 0),
            ("{a: [1], b: {}}", 2),
            (r#"{"a": "[[[[", b: '{{"{{', c: "\"[["}"#, 1),
            ("[ // [[[[ '\n[]]", 2),
            ("[ // x\u{2028}[]]", 2),
            ("[ /* [[ // */ []]", 2),
            ("[ /*/ [ */ ]", 1),
            ("]]][[", 2),
        ] {
            assert_eq!(of(text), depth, "{text}");
        }
    }
}
