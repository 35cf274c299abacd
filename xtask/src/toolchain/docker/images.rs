//! The images that builds and wrangler start from: pulled where a registry answers, otherwise stand-ins made here.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::super::cache::{Cache, fingerprint};
use super::super::command::{capture, command};
use super::super::node;
use super::super::report::{Report, Say};
use super::super::versions;
use super::debian;
use super::stand_in::{LABEL, label, pipe};

const SIDECAR: &str = "moltworker/stand-in-sidecar:latest";
const RELAY: &str = include_str!("sidecar.mjs");

/// The images the Dockerfile starts from. Those that a stand-in takes the place of, which has the name without the
/// digest: no image made here could have that.
pub(super) fn base(root: &Path, cache: &Cache, report: &Report) -> Result<Vec<String>> {
    report.step("base images", |say| {
        let dockerfile = fs::read_to_string(root.join("Dockerfile"))
            .with_context(|| format!("there is no Dockerfile in {}", root.display()))?;
        let (mut stood_in_for, mut outcome) = (Vec::new(), Vec::new());
        for image in external_images(&dockerfile) {
            let name = without_digest(&image);
            let (is_stand_in, how) = provide(cache, say, &image, name, Recipe::of(&image))?;
            outcome.push(format!("{name} ({how})"));
            if is_stand_in {
                stood_in_for.push(image);
            }
        }
        Ok((stood_in_for, outcome.join(", ")))
    })
}

/// The image through which workerd reaches a container's ports. The stand-in's name, or `None` where wrangler's own
/// default works.
pub(super) fn sidecar(cache: &Cache, report: &Report) -> Result<Option<&'static str>> {
    report.step("ingress sidecar", |say| {
        let image = versions::SIDECAR_IMAGE;
        let (stands_in, how) = provide(cache, say, image, SIDECAR, Some(Recipe::Sidecar))?;
        Ok((stands_in.then_some(SIDECAR), how.to_owned()))
    })
}

/// Sees to it that there is this image or a stand-in of that name. Whether it is a stand-in, and how it came here.
fn provide(
    cache: &Cache,
    say: &Say<'_>,
    image: &str,
    stand_in: &str,
    recipe: Option<Recipe>,
) -> Result<(bool, &'static str)> {
    if label(image).is_some_and(|made_from| made_from.is_empty()) {
        return Ok((false, "here"));
    }
    let key = recipe.map(Recipe::key).transpose()?;
    if key.is_some() && label(stand_in) == key {
        return Ok((true, "stand-in"));
    }
    say.doing(format!("docker pull {image}"));
    let Err(error) = capture(command("docker").args(["pull", "--quiet", image])) else {
        return Ok((false, "pulled"));
    };
    // The engine's own reason, without the command around it.
    let said = format!("{error:#}");
    let refused = said.split("Error response from daemon: ").last().unwrap_or(&said);
    let (Some(recipe), Some(key)) = (recipe, key) else {
        bail!(
            "{image} cannot be pulled and no stand-in for it is known ({refused}): check the connection and run again"
        );
    };
    say.doing(format!(
        "no registry answers ({refused}): building a stand-in for {image}"
    ));
    let built = recipe.build(cache, say, stand_in, &key);
    built.with_context(|| format!("no stand-in for {image}"))?;
    Ok((true, "stand-in built"))
}

/// How a stand-in is made, each on our Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipe {
    /// As the official image: node and npm below /usr/local, a user `node` with the number 1000.
    Node,
    /// As the official image: the toolchain below /usr/local/rustup, its commands in /usr/local/cargo/bin. Without
    /// rustup itself: nothing could be added with it where this image is needed.
    Rust,
    /// Relays into a container. What leaves the container is not intercepted.
    Sidecar,
}

impl Recipe {
    fn of(image: &str) -> Option<Self> {
        let (name, tag) = without_digest(image).split_once(':')?;
        let parts: Vec<&str> = tag.split('-').collect();
        let fits = |version| versions::NODE == version || versions::NODE.starts_with(&format!("{version}."));
        match (name, parts.as_slice()) {
            ("node", [version, versions::DEBIAN, "slim"]) if fits(*version) => Some(Self::Node),
            // Whatever compiler is here: it is the one the project is developed with on this machine.
            ("rust", [_, "slim", versions::DEBIAN]) => Some(Self::Rust),
            _ => None,
        }
    }

    /// Names what it is made from.
    fn key(self) -> Result<String> {
        let mut parts = vec![debian::key()];
        match self {
            Self::Node => parts.extend([versions::NODE, versions::NPM].map(str::to_owned)),
            Self::Rust => parts.push(capture(command("rustc").arg("--version"))?),
            Self::Sidecar => parts.extend([versions::NODE, RELAY].map(str::to_owned)),
        }
        Ok(fingerprint(parts.iter().map(String::as_bytes)))
    }

    /// Has the engine build it from a stream of files, of which the Dockerfile is the last.
    fn build(self, cache: &Cache, say: &Say<'_>, tag: &str, key: &str) -> Result<()> {
        let base = debian::image(cache, say)?;
        let scratch = cache.scratch()?;
        let mut tar = command("tar");
        tar.arg("-c");
        let steps = match self {
            Self::Node => {
                let node = node::from_registry(cache)?;
                tar.arg("-C").arg(&node.bin).arg("node");
                tar.arg("-C").arg(node.bin.join("../..")).arg("npm");
                format!("ENV NODE_VERSION={}\n{NODE_STEPS}", versions::NODE)
            }
            Self::Rust => {
                let sysroot = capture(command("rustc").args(["--print", "sysroot"]))?;
                tar.args([
                    "--exclude=./share/doc",
                    "--exclude=./lib/rustlib/wasm32-unknown-unknown",
                ]);
                tar.args(["-C", &sysroot, "."]);
                RUST_STEPS.to_owned()
            }
            Self::Sidecar => {
                fs::write(scratch.path().join("sidecar.mjs"), RELAY)?;
                tar.arg("-C").arg(node::from_registry(cache)?.bin).arg("node");
                tar.arg("-C").arg(scratch.path()).arg("sidecar.mjs");
                SIDECAR_STEPS.to_owned()
            }
        };
        fs::write(
            scratch.path().join("Dockerfile"),
            format!("FROM {base}\nLABEL {LABEL}={key}\n{steps}"),
        )?;
        tar.arg("-C").arg(scratch.path()).arg("Dockerfile");
        let mut build = command("docker");
        build
            .args(["build", "--quiet", "--tag", tag, "-"])
            .env("DOCKER_BUILDKIT", "0");
        pipe(tar, build, &cache.path("stand-in.log"))
    }
}

const NODE_STEPS: &str = r#"COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
 && groupadd --gid 1000 node \
 && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
CMD ["node"]
"#;

const RUST_STEPS: &str = r"ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo \
    PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . /usr/local/rustup/toolchains/host
RUN rm /usr/local/rustup/toolchains/host/Dockerfile && mkdir -p /usr/local/cargo/bin \
 && ln -s /usr/local/rustup/toolchains/host/bin/* /usr/local/cargo/bin/
";

const SIDECAR_STEPS: &str = r#"COPY node /usr/local/bin/node
COPY sidecar.mjs /sidecar.mjs
ENTRYPOINT ["node", "--max-old-space-size=64", "/sidecar.mjs"]
"#;

/// The name and the tag of an image.
pub(super) fn without_digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(name, _)| name)
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
    use super::{Recipe, external_images, without_digest};

    #[test]
    fn every_base_image_is_pinned_by_digest() {
        let images = external_images(include_str!("../../../../Dockerfile"));
        assert!(!images.is_empty());
        for image in images {
            let name = without_digest(&image);
            let digest = image
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix("@sha256:"));
            let is_whole = |digest: &str| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(digest.is_some_and(is_whole), "{image}");
            assert!(Recipe::of(&image).is_some(), "no stand-in is known for {image}");
        }
    }

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
        for (image, recipe) in [
            ("node:24.21-bookworm-slim", Some(Recipe::Node)),
            ("node:24-bookworm-slim@sha256:00", Some(Recipe::Node)),
            ("rust:1.95-slim-bookworm", Some(Recipe::Rust)),
            ("node:22.1-bookworm-slim", None),
            ("node:24.2-bookworm-slim", None),
            ("node:24.21-trixie-slim", None),
            ("postgres:17", None),
        ] {
            assert_eq!(Recipe::of(image), recipe, "{image}");
        }
    }
}
