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
    let stood_in_for = images::base(root, cache, report)?;
    let sidecar = images::sidecar(cache, report)?;
    let stand_ins = sidecar.is_some() || !stood_in_for.is_empty();
    let program = client(cache, report, stand_ins, &stood_in_for)?;
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
fn client(cache: &Cache, report: &Report, stand_ins: bool, stood_in_for: &[String]) -> Result<PathBuf> {
    report.step("docker build", |_| {
        let docker = on_path("docker").context("docker is not on PATH")?;
        let (buildx, what) = match succeeds(command(&docker).args(["buildx", "version"])) {
            true if !stand_ins => return Ok((docker, "with buildx".to_owned())),
            true => ("yes", "buildx; stand-in images are not pulled"),
            false => ("no", "the engine's classic builder"),
        };
        let script = script(&docker.to_string_lossy(), buildx, stood_in_for);
        let entry = format!("docker/{}", fingerprint([script.as_bytes()]));
        let dir = cache.entry(&entry, 1, |dir| {
            let path = dir.join("docker");
            fs::write(&path, &script)?;
            Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
        })?;
        Ok((dir.join("docker"), what.to_owned()))
    })
}

/// The wrapper around this `docker`.
fn script(docker: &str, buildx: &str, stood_in_for: &[String]) -> String {
    let mut names = String::new();
    for image in stood_in_for {
        let name = images::without_digest(image);
        let pattern = image.replace('.', r"\.");
        names.push_str(&format!("s|{pattern}|{name}|;"));
    }
    CLASSIC
        .replace("@DOCKER@", docker)
        .replace("@BUILDX@", buildx)
        .replace("@STOOD_IN@", &names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    const PINNED: &str = "node:24.21-bookworm-slim@sha256:0e0ff40c";

    /// What the wrapper, given these words and input, says to a `docker` that repeats its words and its input.
    fn said(buildx: &str, stood_in_for: &[String], words: &[&str], input: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let docker = dir.path().join("docker");
        fs::write(&docker, "#!/bin/sh\necho \"$@\"\ncat\n").unwrap();
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("Dockerfile"), format!("FROM {PINNED}\n")).unwrap();
        let mut child = Command::new("sh")
            .args([
                "-c",
                &script(&docker.to_string_lossy(), buildx, stood_in_for),
                "docker",
            ])
            .args(words)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_build_on_a_stand_in_asks_for_it_by_its_name() {
        let stood_in_for = [PINNED.to_owned()];
        let dockerfile = format!("FROM {PINNED} AS app\nFROM rust:1@sha256:00\n");
        let built = "FROM node:24.21-bookworm-slim AS app\nFROM rust:1@sha256:00\n";
        let wranglers = [
            "build",
            "--load",
            "-t",
            "x:y",
            "--platform",
            "linux/amd64",
            "-f",
            "-",
            ".",
        ];
        assert_eq!(
            said("no", &stood_in_for, &wranglers, &dockerfile),
            format!("build --file - -t x:y .\n{built}")
        );
        assert_eq!(
            said(
                "yes",
                &stood_in_for,
                &["build", "--load", "--file=Dockerfile", "."],
                ""
            ),
            "build --file - --load .\nFROM node:24.21-bookworm-slim\n"
        );
        assert_eq!(
            said("yes", &stood_in_for, &["build", "--tag", "x", "."], ""),
            "build --file - --tag x .\nFROM node:24.21-bookworm-slim\n"
        );
        // Pulled images keep their digests.
        assert_eq!(
            said("yes", &[], &wranglers, &dockerfile),
            format!("{}\n{dockerfile}", wranglers.join(" "))
        );
    }
}
