//! What a bot's owner leaves out of its snapshots: patterns in a file in the home.
//!
//! One pattern a line; empty lines and those that begin with `#` say nothing. `*` stands for any part of a name, `?` for one
//! byte of it, `**` between slashes for any directories. A pattern with a slash before its end counts from the home, one
//! without fits a name anywhere; one that ends in a slash fits directories only. What a pattern fits is left out with all
//! that is in it. The gateway's own state and this file are always saved.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::descent::Descent;
use super::place::{is_gone, open};

/// The file, in the home itself.
const FILE: &str = ".snapshotignore";
/// What no pattern leaves out, but for what is in the workspace.
const STATE: &str = ".openclaw";
/// See [`STATE`].
const WORKSPACE: &str = ".openclaw/workspace";
/// Longest file in bytes, most patterns, and longest of them: each is tried with each path of the home.
const MAX_FILE: u64 = 64 * 1024;
/// See [`MAX_FILE`].
const MAX_PATTERNS: usize = 200;
/// See [`MAX_FILE`].
const MAX_PATTERN: usize = 500;

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    all: Vec<Pattern>,
    /// What of the file does not count, and why.
    pub(crate) ignored: Vec<String>,
}

#[derive(Debug)]
struct Pattern {
    parts: Vec<Vec<u8>>,
    is_anchored: bool,
    only_directories: bool,
}

impl Patterns {
    /// Those of a home; none where there is no such file.
    pub(crate) fn of(home: &Path) -> Self {
        let read = Descent::begin(home).and_then(|home| {
            let mut text = Vec::new();
            let file = open(&home.here(), OsStr::new(FILE))?;
            file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut text)?;
            Ok(text)
        });
        match read {
            Ok(text) if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE) => Self {
                all: Vec::new(),
                ignored: vec![format!(
                    "{FILE} is longer than {MAX_FILE} bytes and does not count: shorten it"
                )],
            },
            Ok(text) => Self::parse(&text),
            Err(error) if is_gone(&error) => Self::default(),
            Err(error) => Self {
                all: Vec::new(),
                ignored: vec![format!(
                    "{FILE} does not count, because it cannot be read: {error}"
                )],
            },
        }
    }

    fn parse(text: &[u8]) -> Self {
        let mut patterns = Self::default();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if line.len() > MAX_PATTERN || patterns.all.len() >= MAX_PATTERNS {
                patterns.ignored.push(format!(
                    "line {} of {FILE} does not count: there are at most {MAX_PATTERNS} patterns of {MAX_PATTERN} bytes",
                    number.saturating_add(1)
                ));
                break;
            }
            let only_directories = line.ends_with(b"/");
            let body = line.strip_suffix(b"/").unwrap_or(line);
            let is_anchored = body.contains(&b'/');
            let parts = body.split(|byte| *byte == b'/');
            let parts: Vec<_> = parts
                .filter(|part| !part.is_empty())
                .map(<[u8]>::to_vec)
                .collect();
            if !parts.is_empty() {
                patterns.all.push(Pattern {
                    parts,
                    is_anchored,
                    only_directories,
                });
            }
        }
        patterns
    }

    /// Whether what lies at `path`, from the home on, is left out.
    pub(crate) fn exclude(&self, path: &Path, is_directory: bool) -> bool {
        if self.all.is_empty() || path == Path::new(FILE) {
            return false;
        }
        let is_in_workspace = path.starts_with(WORKSPACE) && path != Path::new(WORKSPACE);
        if path.starts_with(STATE) && !is_in_workspace {
            return false;
        }
        let names: Vec<&[u8]> = path.iter().map(OsStr::as_bytes).collect();
        self.all.iter().any(|pattern| {
            let fits = if pattern.is_anchored {
                fit(
                    &pattern.parts,
                    &names,
                    |part, name| glob(part, name),
                    |part| **part == *b"**",
                )
            } else {
                let name = names.last().copied().unwrap_or_default();
                pattern.parts.first().is_some_and(|part| glob(part, name))
            };
            fits && (is_directory || !pattern.only_directories)
        })
    }
}

/// Whether a name fits a pattern without slashes.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    fit(
        pattern,
        name,
        |wanted, found| *wanted == b'?' || wanted == found,
        |wanted| *wanted == b'*',
    )
}

/// Whether a sequence fits another one in which some members stand for any number of them. It goes back to the last such
/// member only: no pattern takes longer than both lengths multiplied.
fn fit<P, T>(
    pattern: &[P],
    text: &[T],
    is_one: impl Fn(&P, &T) -> bool,
    is_any: impl Fn(&P) -> bool,
) -> bool {
    let (mut at, mut seen) = (0_usize, 0_usize);
    let mut back: Option<(usize, usize)> = None;
    while let Some(found) = text.get(seen) {
        match pattern.get(at) {
            Some(wanted) if is_any(wanted) => {
                back = Some((at, seen));
                at = at.saturating_add(1);
            }
            Some(wanted) if is_one(wanted, found) => {
                at = at.saturating_add(1);
                seen = seen.saturating_add(1);
            }
            _ => {
                let Some((any, from)) = back else { return false };
                let next = from.saturating_add(1);
                back = Some((any, next));
                at = any.saturating_add(1);
                seen = next;
            }
        }
    }
    pattern.iter().skip(at).all(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_leaves_out_what_it_says() {
        let patterns =
            Patterns::parse(b"# caches\n\n*.iso\n/downloads/\nwork/**/build\nnode_modules/\n a?c \nx/*/z\n");
        for (path, is_directory, excluded) in [
            ("images/debian.iso", false, true),
            ("debian.isobar", false, false),
            ("downloads", true, true),
            ("downloads", false, false),
            ("deep/downloads", true, false),
            ("work/build", true, true),
            ("work/a/b/build", false, true),
            ("work/a/b/building", false, false),
            ("a/node_modules", true, true),
            ("abc", false, true),
            ("abbc", false, false),
            ("x/y/z", false, true),
            ("x/y/y/z", false, false),
            (".openclaw", true, false),
            (".openclaw/state/a.iso", false, false),
            (".openclaw/workspace/a.iso", false, true),
            (".snapshotignore", false, false),
        ] {
            assert_eq!(
                patterns.exclude(Path::new(path), is_directory),
                excluded,
                "{path}"
            );
        }
        assert!(patterns.ignored.is_empty());
        let all = Patterns::parse(b"*\n");
        assert!(!all.exclude(Path::new(".openclaw/workspace"), true));
        assert!(all.exclude(Path::new(".openclaw/workspace/x"), true));
    }

    #[test]
    fn what_of_the_file_does_not_count_is_said() {
        let many = "x\n".repeat(MAX_PATTERNS + 5);
        let patterns = Patterns::parse(many.as_bytes());
        assert_eq!((patterns.all.len(), patterns.ignored.len()), (MAX_PATTERNS, 1));
        assert!(patterns.ignored[0].contains("line 201"), "{:?}", patterns.ignored);
        assert_eq!(
            Patterns::parse("y".repeat(MAX_PATTERN + 1).as_bytes())
                .ignored
                .len(),
            1
        );
        let home = tempfile::tempdir().unwrap();
        assert!(Patterns::of(home.path()).ignored.is_empty());
        std::fs::write(home.path().join(FILE), vec![b'\n'; 70_000]).unwrap();
        assert_eq!(Patterns::of(home.path()).ignored.len(), 1);
        std::fs::remove_file(home.path().join(FILE)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", home.path().join(FILE)).unwrap();
        assert_eq!(Patterns::of(home.path()).ignored.len(), 1);
    }

    /// What a pattern means, said in the simplest way.
    fn means(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                means(rest, name) || name.split_first().is_some_and(|(_, name)| means(pattern, name))
            }
            (Some((wanted, rest)), Some((found, name))) => {
                (*wanted == b'?' || wanted == found) && means(rest, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_name_fits_exactly_the_patterns_that_mean_it(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), means(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn any_file_is_read(text in any::<Vec<u8>>(), path in "[a/.]{0,20}") {
            Patterns::parse(&text).exclude(Path::new(&path), true);
        }
    }
}
