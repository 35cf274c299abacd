//! Docker: the engine, the images, and the gaps between what is here and what wrangler expects.

mod debian;
mod engine;
mod images;
mod leftovers;
mod stand_in;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::cache::{Cache, fingerprint};
use super::command::{command, on_path, succeeds};
use super::report::Report;

const CLASSIC: &str = include_str!("docker-classic.sh");

pub(crate) struct Docker {
    /// Keeps the engine up for as long as this value lives.
    _engine: engine::Engine,
    /// The `docker` to build and run with: the wrapper where one is needed.
    pub(crate) program: PathBuf,
    pub(crate) env: Vec<(OsString, OsString)>,
}

pub(crate) fn find(root: &Path, cache: &Cache, report: &Report) -> Result<Docker> {
    let engine = engine::find(cache, report)?;
    images::base(root, cache, report)?;
    let sidecar = images::sidecar(cache, report)?;
    let program = client(cache, report, sidecar.is_some())?;
    let mut env: Vec<(OsString, OsString)> = vec![("WRANGLER_DOCKER_BIN".into(), program.clone().into())];
    if let Some(image) = sidecar {
        env.push(("MINIFLARE_CONTAINER_EGRESS_IMAGE".into(), image.into()));
    }
    Ok(Docker {
        _engine: engine,
        program,
        env,
    })
}

/// wrangler speaks to `docker` as if buildx and a registry were there. Where they are not, it gets a wrapper.
fn client(cache: &Cache, report: &Report, stand_ins: bool) -> Result<PathBuf> {
    report.step("docker build", |_| {
        let docker = on_path("docker").context("docker is not on PATH")?;
        let (buildx, what) = match succeeds(command(&docker).args(["buildx", "version"])) {
            true if !stand_ins => return Ok((docker, "with buildx".to_owned())),
            true => ("yes", "buildx; stand-in images are not pulled"),
            false => ("no", "the engine's classic builder"),
        };
        let script = CLASSIC
            .replace("@DOCKER@", &docker.to_string_lossy())
            .replace("@BUILDX@", buildx);
        let entry = format!("docker/{}", fingerprint([script.as_bytes()]));
        let dir = cache.entry(&entry, 1, |dir| {
            let path = dir.join("docker");
            fs::write(&path, &script)?;
            Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
        })?;
        Ok((dir.join("docker"), what.to_owned()))
    })
}
