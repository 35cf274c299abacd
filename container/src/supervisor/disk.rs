//! How full the disk is that a home lies on.

use std::path::Path;

use moltworker_core::wire::control::Disk;
use rustix::fs::statvfs;

/// The disk of `place`, where it can be asked.
pub(crate) fn disk_of(place: &Path) -> Option<Disk> {
    let said = statvfs(place).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(said.f_frsize);
    Some(Disk {
        used: bytes(said.f_blocks.saturating_sub(said.f_bfree)),
        size: bytes(said.f_blocks),
    })
}
