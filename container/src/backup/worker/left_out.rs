//! How much of a home is left out of a snapshot by a rule.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::place::{look, names};
use crate::beneath;

/// So many entries are counted for a snapshot: some tenths of a second. What is beyond is not known.
pub(crate) const MAX_COUNTED: u64 = 50_000;
/// Bytes in a block as the kernel counts them.
const DISK_BLOCK: u64 = 512;

/// Files, and bytes they take on the disk, in what is called `name` in a directory; and whether there is more than
/// `countable` entries. What cannot be looked at counts nothing: it is left out anyway.
pub(crate) fn count(directory: &OwnedFd, name: &OsStr, countable: &mut u64) -> (u64, u64, bool) {
    let (mut files, mut bytes) = (0_u64, 0_u64);
    let mut left = vec![PathBuf::from(name)];
    while let Some(path) = left.pop() {
        if *countable == 0 {
            return (files, bytes, true);
        }
        *countable = countable.saturating_sub(1);
        let Ok(stat) = look(directory, &path).and_then(|seen| seen.metadata()) else {
            continue;
        };
        if stat.is_dir() {
            let entries = beneath::directory(directory, &path).map_err(Into::into);
            let entries = entries.and_then(|inside| names(&inside)).unwrap_or_default();
            // No more names than can be counted are held.
            let most = usize::try_from(*countable).unwrap_or(usize::MAX);
            let entries = entries.into_iter().take(most.saturating_add(1));
            left.extend(entries.map(|entry| path.join(entry)));
        } else if stat.is_file() {
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(stat.blocks().saturating_mul(DISK_BLOCK));
        }
    }
    (files, bytes, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_up_to_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
        for name in ["a/x", "a/b/y", "z"] {
            std::fs::write(directory.path().join(name), [1; 10_000]).unwrap();
        }
        let (above, name) = (
            beneath::root(directory.path().parent().unwrap()).unwrap(),
            directory.path().file_name().unwrap(),
        );
        let mut countable = 6;
        let (files, bytes, is_more) = count(&above, name, &mut countable);
        assert_eq!((files, is_more, countable), (3, false, 0));
        assert!((30_000..60_000).contains(&bytes), "{bytes}");
        assert!(count(&above, name, &mut countable).2);
        assert!(count(&above, name, &mut 4).2);
    }
}
