//! A range of bytes of an object: what was asked, and which bytes that is.

/// Offsets beyond this cannot be given to the bucket exactly: its numbers are doubles.
const MAX_OFFSET: u64 = (1 << 53) - 1;

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// From this byte to the end.
    From(u64),
    /// From the first of these bytes to the last, that one included.
    Between(u64, u64),
    /// So many bytes at the end.
    Last(u64),
}

impl Range {
    /// Reads a `Range` header. `None` for what is not one range of bytes: such a header may be ignored
    /// (RFC 9110 §14.2), and the whole object is the answer.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // A number too large for u64 is past every object's end, and so is the largest one.
            digits.then(|| text.parse().unwrap_or(u64::MAX).min(MAX_OFFSET))
        };
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The first byte and the number of bytes, in an object of that size; `None` when none of them is in it.
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Self::From(first) => (first, size),
            Self::Between(first, last) => (first, size.min(last.saturating_add(1))),
            Self::Last(length) => (size.saturating_sub(length), size),
        };
        (first < end).then(|| (first, end - first))
    }

    /// The size of a file none of which was in the range: what the `Content-Range` of that answer says.
    pub fn size_in(content_range: &str) -> Option<u64> {
        content_range.strip_prefix("bytes */")?.parse().ok()
    }

    /// Whether this is the `Content-Range` of some of a file's bytes.
    pub fn is_content_range(text: &str) -> bool {
        let parts = text.strip_prefix("bytes ").and_then(|text| text.split_once('/'));
        let numbers = parts.and_then(|(range, size)| Some((range.split_once('-')?, size)));
        numbers.is_some_and(|((first, last), size)| {
            let [first, last, size] = [first, last, size].map(|text| text.parse::<u64>().ok());
            first.is_some() && first <= last && last < size
        })
    }

    /// The `Content-Range` of the answer, for the bytes [`Range::within`] found.
    pub fn content_range((first, length): (u64, u64), size: u64) -> String {
        let last = first.saturating_add(length).saturating_sub(1);
        format!("bytes {first}-{last}/{size}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_case_gives_its_expected_result() {
        for (header, size, bytes) in [
            ("bytes=0-", 10, Some((0, 10))),
            ("bytes=3-5", 10, Some((3, 3))),
            ("bytes=3-3", 10, Some((3, 1))),
            ("bytes=3-500", 10, Some((3, 7))),
            ("bytes=10-", 10, None),
            ("bytes=12-13", 10, None),
            ("bytes=-4", 10, Some((6, 4))),
            ("bytes=-40", 10, Some((0, 10))),
            ("bytes=-0", 10, None),
            ("bytes=99999999999999999999-", 10, None),
            ("bytes=0-99999999999999999999", 10, Some((0, 10))),
        ] {
            let range = Range::parse(header).unwrap_or_else(|| panic!("{header}"));
            assert_eq!(range.within(size), bytes, "{header}");
        }
        for (text, is_one) in [
            ("bytes 3-5/10", true),
            ("bytes 0-0/1", true),
            ("bytes 5-3/10", false),
            ("bytes 3-10/10", false),
            ("bytes */10", false),
            ("bytes 3-5/*", false),
            ("items 3-5/10", false),
        ] {
            assert_eq!(Range::is_content_range(text), is_one, "{text}");
        }
        assert_eq!(Range::size_in("bytes */10"), Some(10));
        assert_eq!(Range::size_in("bytes 3-5/10"), None);
        // The largest whole number below which a double leaves none out.
        assert_eq!(
            Range::parse("bytes=99999999999999999999-"),
            Some(Range::From(9_007_199_254_740_991))
        );
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1-x",
        ] {
            assert_eq!(Range::parse(ignored), None, "{ignored}");
        }
        assert_eq!(Range::content_range((3, 3), 10), "bytes 3-5/10");
    }

    /// In the object or near its end for the most part: of all numbers hardly one is.
    fn offset() -> impl Strategy<Value = u64> {
        prop_oneof![8 => 0u64..110, 1 => any::<u64>()]
    }

    proptest! {
        /// As one byte after the other would say it.
        #[test]
        fn a_range_is_the_bytes_of_the_object_that_are_in_it(first in offset(), last in offset(), size in 0u64..100) {
            let expected = |is_in: &dyn Fn(u64) -> bool| {
                let bytes: Vec<u64> = (0..size).filter(|byte| is_in(*byte)).collect();
                Some((*bytes.first()?, bytes.len() as u64))
            };
            for (header, bytes) in [
                (format!("bytes={first}-"), expected(&|byte| byte >= first)),
                (format!("bytes={first}-{last}"), expected(&|byte| byte >= first && byte <= last)),
                (format!("bytes=-{last}"), expected(&|byte| size - byte <= last)),
            ] {
                match Range::parse(&header) {
                    Some(range) => prop_assert_eq!(range.within(size), bytes, "{}", header),
                    None => prop_assert!(first > last, "{}", header),
                }
            }
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(header in ".{0,40}") {
            let _range = Range::parse(&header);
        }
    }
}
