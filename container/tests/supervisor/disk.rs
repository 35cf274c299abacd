//! A disk that is as small as a test wants it. Only root may mount one.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::cannot_run;

/// Memory as a disk; gone with this.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    /// With these options. None where it may not be mounted: the test has not run then.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(disk.path())
            .output();
        let mounted = mounted.unwrap();
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr);
            cannot_run("what happens when a disk is full", why.trim());
            return None;
        }
        std::fs::set_permissions(disk.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Some(disk)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// It gets other options.
    pub(crate) fn remount(&self, options: &str) {
        let remounted = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path())
            .status();
        assert!(remounted.unwrap().success());
    }

    /// Fills it to the last byte, with one file.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut ballast = std::fs::File::create(&path).unwrap();
        while ballast.write_all(&[0; 65_536]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nothing is mounted where that was refused.
        let _ = Command::new("umount")
            .args(["--lazy", "--quiet"])
            .arg(self.path())
            .status();
    }
}
