//! wrangler speaks to `docker` as if buildx and a registry were there. Where they are not, it gets a wrapper.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::super::cache::{Cache, fingerprint};
use super::super::command::{command, on_path, succeeds};
use super::super::report::Report;

const SCRIPT: &str = include_str!("docker-classic.sh");

pub(crate) fn find(cache: &Cache, report: &Report, stand_ins: bool) -> Result<PathBuf> {
    report.step("docker build", |_| {
        let docker = on_path("docker").context("docker is not on PATH")?;
        let buildx = succeeds(command(&docker).args(["buildx", "version"]));
        if buildx && !stand_ins {
            return Ok((docker, "with buildx".to_owned()));
        }
        let script = SCRIPT
            .replace("@DOCKER@", &docker.to_string_lossy())
            .replace("@BUILDX@", if buildx { "yes" } else { "no" });
        let entry = format!("docker/{}", fingerprint([script.as_bytes()]));
        let dir = cache.entry(&entry, 1, |dir| {
            let path = dir.join("docker");
            fs::write(&path, &script)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            Ok(())
        })?;
        let what = if buildx {
            "buildx; stand-in images are not pulled"
        } else {
            "the engine's classic builder"
        };
        Ok((dir.join("docker"), what.to_owned()))
    })
}
