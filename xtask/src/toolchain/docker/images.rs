//! The base images of the Dockerfile: pulled where a registry answers, otherwise stand-ins made here.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::super::cache::{Cache, fingerprint};
use super::super::command::{capture, command, logged};
use super::super::node;
use super::super::report::{Report, Say};
use super::super::versions;
use super::debian;

/// Says on a stand-in what it was made from; an image without it came from a registry.
pub(super) const LABEL: &str = "moltworker.stand-in";

pub(super) fn find(root: &Path, cache: &Cache, report: &Report) -> Result<()> {
    report.step("base images", |say| {
        let Ok(dockerfile) = fs::read_to_string(root.join("Dockerfile")) else {
            bail!("there is no Dockerfile in {}", root.display());
        };
        let mut outcome = Vec::new();
        for image in external_images(&dockerfile) {
            let how = provide(cache, say, &image)?;
            outcome.push(format!("{image} ({how})"));
        }
        Ok(((), outcome.join(", ")))
    })
}

fn provide(cache: &Cache, say: &Say<'_>, image: &str) -> Result<&'static str> {
    let made_from = match label(image) {
        Some(label) if label.is_empty() => return Ok("here"),
        found => found,
    };
    let recipe = Recipe::of(image);
    if let (Some(made_from), Some(recipe)) = (&made_from, &recipe)
        && *made_from == recipe.key()?
    {
        return Ok("stand-in");
    }
    say.doing(format!("docker pull {image}"));
    let Err(refused) = pull(image) else {
        return Ok("pulled");
    };
    let Some(recipe) = recipe else {
        bail!(
            "{image} cannot be pulled and no stand-in for it is known ({refused}): check the connection and run again"
        );
    };
    say.doing(format!(
        "no registry answers ({refused}): building a stand-in for {image}"
    ));
    recipe
        .build(cache, say, image)
        .with_context(|| format!("no stand-in for {image}"))?;
    Ok("stand-in built")
}

/// `Err` holds the engine's own reason, without the command around it.
pub(super) fn pull(image: &str) -> std::result::Result<(), String> {
    capture(command("docker").args(["pull", "--quiet", image]))
        .map(drop)
        .map_err(|error| {
            let said = format!("{error:#}");
            let reason = said.split("Error response from daemon: ").last().unwrap_or(&said);
            reason.to_owned()
        })
}

/// `None`: no such image here. Empty: an image without our label.
pub(super) fn label(image: &str) -> Option<String> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    let label = capture(command("docker").args(["image", "inspect", "--format", &format, image])).ok()?;
    Some(if label == "<no value>" {
        String::new()
    } else {
        label
    })
}

pub(super) enum Recipe {
    Debian,
    Node,
    Rust,
}

impl Recipe {
    fn of(image: &str) -> Option<Self> {
        let (name, tag) = image.split_once(':')?;
        let tag = tag.split('@').next().unwrap_or(tag);
        let fits =
            |version: &str, pinned: &str| pinned == version || pinned.starts_with(&format!("{version}."));
        let parts: Vec<&str> = tag.split('-').collect();
        match (name, parts.as_slice()) {
            ("debian", [debian, "slim"]) if *debian == versions::DEBIAN => Some(Self::Debian),
            ("node", [version, debian, "slim"])
                if *debian == versions::DEBIAN && fits(version, versions::NODE) =>
            {
                Some(Self::Node)
            }
            // Whatever compiler is here: it is the one the project is developed with on this machine.
            ("rust", [_, "slim", debian]) if *debian == versions::DEBIAN => Some(Self::Rust),
            _ => None,
        }
    }

    pub(super) fn key(&self) -> Result<String> {
        let base = debian::key()?;
        Ok(match self {
            Self::Debian => base,
            Self::Node => fingerprint([
                base.as_bytes(),
                versions::NODE.as_bytes(),
                versions::NPM.as_bytes(),
            ]),
            Self::Rust => fingerprint([base.as_bytes(), rustc_version()?.as_bytes()]),
        })
    }

    pub(super) fn build(&self, cache: &Cache, say: &Say<'_>, image: &str) -> Result<()> {
        let base = debian::image(cache, say)?;
        match self {
            Self::Debian => capture(command("docker").args(["tag", &base, image])).map(drop),
            Self::Node => build_node(cache, &base, &self.key()?, image),
            Self::Rust => build_rust(cache, &base, &self.key()?, image),
        }
    }
}

/// As the official image: node and npm below /usr/local, a user `node` with the number 1000.
fn build_node(cache: &Cache, base: &str, key: &str, image: &str) -> Result<()> {
    let node = node::from_registry(cache)?;
    let modules = node.bin.join("../..");
    let dockerfile = format!(
        "FROM {base}\n\
         LABEL {LABEL}={key}\n\
         ENV NODE_VERSION={}\n\
         COPY node /usr/local/bin/node\n\
         COPY npm /usr/local/lib/node_modules/npm\n\
         RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\\n\
         && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \\\n\
         && groupadd --gid 1000 node \\\n\
         && useradd --uid 1000 --gid node --shell /bin/bash --create-home node\n\
         CMD [\"node\"]\n",
        versions::NODE
    );
    let mut tar = command("tar");
    tar.arg("-c")
        .arg("-C")
        .arg(&node.bin)
        .arg("node")
        .arg("-C")
        .arg(&modules)
        .arg("npm");
    build_from_tar(cache, &dockerfile, tar, image)
}

/// As the official image: the toolchain below /usr/local/rustup, its commands in /usr/local/cargo/bin. Without
/// rustup itself: nothing could be added with it where this image is needed.
fn build_rust(cache: &Cache, base: &str, key: &str, image: &str) -> Result<()> {
    let sysroot = capture(command("rustc").args(["--print", "sysroot"]))?;
    let dockerfile = format!(
        "FROM {base}\n\
         LABEL {LABEL}={key}\n\
         ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo \
         PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \\\n\
         && rm -rf /var/lib/apt/lists/*\n\
         COPY . /usr/local/rustup/toolchains/host\n\
         RUN rm /usr/local/rustup/toolchains/host/Dockerfile && mkdir -p /usr/local/cargo/bin \\\n\
         && ln -s /usr/local/rustup/toolchains/host/bin/* /usr/local/cargo/bin/\n"
    );
    let mut tar = command("tar");
    tar.args([
        "-c",
        "--exclude=./share/doc",
        "--exclude=./lib/rustlib/wasm32-unknown-unknown",
        "-C",
    ])
    .arg(sysroot)
    .arg(".");
    build_from_tar(cache, &dockerfile, tar, image)
}

/// Builds with the files of `tar` as context; the Dockerfile joins them as a second archive on the same stream.
fn build_from_tar(cache: &Cache, dockerfile: &str, tar: Command, image: &str) -> Result<()> {
    let scratch = cache.scratch()?;
    fs::write(scratch.path().join("Dockerfile"), dockerfile)?;
    let mut tar = tar;
    tar.arg("-C").arg(scratch.path()).arg("Dockerfile");
    let mut build = command("docker");
    build
        .args(["build", "--quiet", "--tag", image, "-"])
        .env("DOCKER_BUILDKIT", "0");
    debian::pipe(tar, build, &cache.path("stand-in.log"))
}

pub(super) fn build_context(cache: &Cache, dir: &Path, image: &str) -> Result<()> {
    logged(
        command("docker")
            .args(["build", "--quiet", "--tag", image])
            .arg(dir)
            .env("DOCKER_BUILDKIT", "0"),
        &cache.path("stand-in.log"),
    )
}

fn rustc_version() -> Result<String> {
    capture(command("rustc").arg("--version"))
}

/// The images a Dockerfile starts from, without its own stages.
fn external_images(dockerfile: &str) -> Vec<String> {
    let mut stages: Vec<&str> = vec!["scratch"];
    let mut images: Vec<String> = Vec::new();
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace();
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("from")) {
            continue;
        }
        let mut words = words.filter(|word| !word.starts_with("--"));
        let Some(image) = words.next() else { continue };
        if !stages.contains(&image) && !images.iter().any(|known| known == image) {
            images.push(image.to_owned());
        }
        if let (Some(_as), Some(stage)) = (words.next(), words.next()) {
            stages.push(stage);
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::{Recipe, external_images};

    #[test]
    fn each_external_image_is_listed_once() {
        let dockerfile = "FROM rust:1.95-slim-bookworm AS build\nRUN x\nfrom --platform=linux/amd64 node:24.21-bookworm-slim as app\nFROM app\nFROM scratch\nFROM build AS again\nFROM node:24.21-bookworm-slim";
        assert_eq!(
            external_images(dockerfile),
            ["rust:1.95-slim-bookworm", "node:24.21-bookworm-slim"]
        );
    }

    #[test]
    fn a_stand_in_is_built_only_for_supported_images() {
        assert!(matches!(
            Recipe::of("node:24.21-bookworm-slim"),
            Some(Recipe::Node)
        ));
        assert!(matches!(
            Recipe::of("node:24-bookworm-slim@sha256:00"),
            Some(Recipe::Node)
        ));
        assert!(matches!(
            Recipe::of("rust:1.95-slim-bookworm"),
            Some(Recipe::Rust)
        ));
        assert!(matches!(Recipe::of("debian:bookworm-slim"), Some(Recipe::Debian)));
        assert!(Recipe::of("node:22.1-bookworm-slim").is_none());
        assert!(Recipe::of("node:24.2-bookworm-slim").is_none());
        assert!(Recipe::of("node:24.21-trixie-slim").is_none());
        assert!(Recipe::of("postgres:17").is_none());
    }
}
