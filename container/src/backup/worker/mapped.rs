//! Files that programs of the bot have mapped into memory to write to them. What they write so shows in no watch and, until
//! the kernel has brought it to the disk, in no time of the file. So such a file is read in each snapshot, whatever is said
//! of it, and for the last time while the bot stands still.
//!
//! One whose mapping is gone was closed, which a watch sees. Programs that hide their memory, as few do, are not seen.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Instant;

/// Nothing of a home is mapped from there.
const ELSEWHERE: [&[u8]; 3] = [b"/dev/", b"/memfd:", b"/SYSV"];
/// The memory that readers of a database share: it says nothing about what is in it.
const SHARED_MEMORY: [&[u8]; 2] = [b"-shm", b"-shm (deleted)"];

/// Their numbers. One of another disk may have the number of a file of the home: that is read once more than it had to be.
#[derive(Debug, Default)]
pub(crate) struct Mapped {
    inodes: BTreeSet<u64>,
    /// Whether there may be others.
    is_more: bool,
}

impl Mapped {
    /// Nobody can say which.
    pub(crate) fn unknown() -> Self {
        Self {
            is_more: true,
            ..Self::default()
        }
    }

    /// What these processes have mapped now, as far as that can be seen until then.
    pub(crate) fn by(processes: &[u32], until: Instant) -> Self {
        let mut mapped = Self::default();
        for process in processes {
            // One that cannot be asked has ended, or is not the bot's user.
            if let Ok(maps) = File::open(format!("/proc/{process}/maps")) {
                mapped.read(BufReader::new(maps), until);
            }
        }
        mapped
    }

    fn read(&mut self, mut maps: impl BufRead, until: Instant) {
        let mut line = Vec::new();
        while maps.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if Instant::now() >= until {
                self.is_more = true;
                return;
            }
            self.inodes.extend(written(line.trim_ascii_end()));
            line.clear();
        }
    }

    /// Whether this file is one of them.
    pub(crate) fn has(&self, inode: u64) -> bool {
        self.inodes.contains(&inode)
    }

    /// Whether there may be others.
    pub(crate) fn is_more(&self) -> bool {
        self.is_more
    }

    /// Their numbers.
    pub(crate) fn inodes(&self) -> impl Iterator<Item = &u64> {
        self.inodes.iter()
    }
}

/// The number of the file that this line of `maps` maps to be written: range, rights, offset, device, number, path.
fn written(line: &[u8]) -> Option<u64> {
    let mut words = line.splitn(6, |byte| *byte == b' ');
    let rights = words.nth(1)?;
    let inode = words.nth(2)?;
    let path = words.next()?.trim_ascii_start();
    let is_written = rights.get(1) == Some(&b'w') && rights.get(3) == Some(&b's');
    let is_elsewhere = ELSEWHERE.iter().any(|place| path.starts_with(place))
        || SHARED_MEMORY.iter().any(|end| path.ends_with(end));
    let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
    (is_written && !is_elsewhere && inode > 0).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MAPS: &str = "\
55d0 r-xp 00000000 fe:00 11                             /usr/bin/node
7f00-7f01 rw-s 00000000 fe:00 12                         /data/moltbot/mapped file
7f01-7f02 rw-s 00000000 fe:00 13                         /data/moltbot/x.sqlite-shm
7f02-7f03 r--s 00000000 fe:00 14                         /data/moltbot/read
7f03-7f04 rw-p 00000000 fe:00 15                         /data/moltbot/private
7f04-7f05 rw-s 00000000 00:01 16                         /memfd:x (deleted)
7f05-7f06 -w-s 00001000 fe:00 17                         /data/moltbot/gone (deleted)
7f06-7f07 rw-s 00000000 00:05 18                         /dev/zero (deleted)
7f07-7f08 rw-p 00000000 00:00 0
7f08-7f09 rw-s 00000000 fe:00 ninety /data/moltbot/x
";

    #[test]
    fn files_that_are_mapped_to_be_written_are_known_by_number() {
        let mut mapped = Mapped::default();
        let later = Instant::now() + Duration::from_secs(60);
        mapped.read(MAPS.as_bytes(), later);
        assert_eq!(mapped.inodes().copied().collect::<Vec<_>>(), [12, 17]);
        assert!(mapped.has(12) && !mapped.has(11) && !mapped.is_more());
    }

    #[test]
    fn mappings_that_take_too_long_are_not_all_known() {
        let mut mapped = Mapped::default();
        mapped.read(MAPS.as_bytes(), Instant::now());
        assert!(mapped.is_more() && mapped.inodes().next().is_none());
    }
}
