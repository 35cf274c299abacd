//! All headers of a message at once, as one text that the runtime wrote.

use std::ops::Range;

/// What stands between two headers in the text. No header can contain it: HTTP ends a header with it.
pub const SEPARATOR: &str = "\n";

/// The headers of a request or an answer, by their names in lower case.
#[derive(Debug, Default)]
pub struct HeaderList {
    text: String,
    /// Where each name and its value are.
    lines: Vec<(Range<usize>, Range<usize>)>,
}

impl HeaderList {
    /// Reads lines of `name,value`, as `Array.from(headers).join("\n")` writes them. No name contains a comma.
    pub fn read(text: String) -> Self {
        let mut lines = Vec::with_capacity(32);
        let mut start = 0;
        for line in text.split(SEPARATOR) {
            let end = start + line.len();
            if let Some((name, _)) = line.split_once(',') {
                let name = start..start + name.len();
                let value = name.end + 1..end;
                lines.push((name, value));
            }
            start = end + SEPARATOR.len();
        }
        Self { text, lines }
    }

    /// Each name with its value. `set-cookie` may come more than once.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.lines
            .iter()
            .map(move |(name, value)| (part(name), part(value)))
    }

    /// Adds a header. Its name is in lower case, and neither has a line break.
    pub fn add(&mut self, name: &str, value: &str) {
        let mut part = |part: &str| {
            let start = self.text.len();
            self.text.push_str(part);
            start..self.text.len()
        };
        let line = (part(name), part(value));
        self.lines.push(line);
    }

    /// The value of this name, which is in lower case.
    pub fn get(&self, wanted: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_text_is_read_line_by_line() {
        let text = "accept,text/html, */*\ncookie,a=1; b=2\nset-cookie,x=1\nset-cookie,y=2, z\nx-empty,\nx-é,é,\u{1F980}";
        let list = HeaderList::read(text.to_owned());
        let all: Vec<_> = list.iter().collect();
        assert_eq!(
            all,
            [
                ("accept", "text/html, */*"),
                ("cookie", "a=1; b=2"),
                ("set-cookie", "x=1"),
                ("set-cookie", "y=2, z"),
                ("x-empty", ""),
                ("x-é", "é,\u{1F980}"),
            ]
        );
        assert_eq!(list.get("accept"), Some("text/html, */*"));
        assert_eq!(list.get("x-empty"), Some(""));
        assert_eq!(list.get("accep"), None);
        assert_eq!(list.get("text/html"), None);
    }

    #[test]
    fn an_added_header_is_found_beside_the_others() {
        let mut list = HeaderList::read("accept,*/*".to_owned());
        list.add("cf-ray", "8a,b");
        let all: Vec<_> = list.iter().collect();
        assert_eq!(all, [("accept", "*/*"), ("cf-ray", "8a,b")]);
        assert_eq!(list.get("cf-ray"), Some("8a,b"));
    }

    #[test]
    fn no_headers_are_an_empty_list() {
        assert_eq!(HeaderList::read(String::new()).iter().count(), 0);
    }
}
