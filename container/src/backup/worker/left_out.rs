//! How much of a home is left out of a snapshot by a rule.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// So many entries are counted for a snapshot: some tenths of a second. What is beyond is not known.
pub(crate) const MAX_COUNTED: u64 = 50_000;
/// Bytes in a block as the kernel counts them.
const DISK_BLOCK: u64 = 512;

/// Files, and bytes they take on the disk, in what lies at `path`; and whether there is more than `countable` entries. What
/// cannot be looked at counts nothing: it is left out anyway.
pub(crate) fn count(path: &Path, countable: &mut u64) -> (u64, u64, bool) {
    let (mut files, mut bytes) = (0_u64, 0_u64);
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        if *countable == 0 {
            return (files, bytes, true);
        }
        *countable = countable.saturating_sub(1);
        let Ok(stat) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if stat.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            // No more names than can be counted are held.
            let most = usize::try_from(*countable).unwrap_or(usize::MAX);
            left.extend(entries.take(most.saturating_add(1)).map(|entry| entry.path()));
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
        let mut countable = 6;
        let (files, bytes, is_more) = count(directory.path(), &mut countable);
        assert_eq!((files, is_more, countable), (3, false, 0));
        assert!((30_000..60_000).contains(&bytes), "{bytes}");
        assert!(count(directory.path(), &mut countable).2);
        assert!(count(directory.path(), &mut 4).2);
    }
}
