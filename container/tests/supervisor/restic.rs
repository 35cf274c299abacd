//! Stock restic on a repository: the second opinion about what the supervisor stores.

use std::path::PathBuf;
use std::process::Command;

use crate::repository::{MAINTAIN, PASSWORD, Repository, password};

impl Repository {
    /// Stock restic on this repository.
    pub(crate) fn restic(&self, arguments: &[&str]) -> String {
        let url = self
            .url()
            .replace("http://", &format!("rest:http://any:{MAINTAIN}@"));
        let output = Command::new("restic")
            .args(["--no-cache", "--repo", &url])
            .args(arguments)
            .env("RESTIC_PASSWORD", password(PASSWORD).reveal())
            .output();
        // `cargo xtask test` installs it; by hand: apt-get install restic.
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic {arguments:?}: {text}{errors}");
        text
    }

    /// A snapshot's home as stock restic restores it.
    pub(crate) fn restored(&self, snapshot: &str) -> (tempfile::TempDir, PathBuf) {
        let target = tempfile::tempdir().unwrap();
        self.restic(&["restore", snapshot, "--target", target.path().to_str().unwrap()]);
        let home = target.path().join("data/moltbot");
        (target, home)
    }
}
