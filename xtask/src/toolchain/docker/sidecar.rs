//! The image through which workerd reaches a container's ports: pulled, or a stand-in of our own.

use std::fs;

use anyhow::Result;

use super::super::cache::{Cache, fingerprint};
use super::super::report::Report;
use super::super::versions;
use super::images::{LABEL, Recipe, build_context, label, pull};

const IMAGE: &str = "moltworker/stand-in-sidecar:latest";
const PROGRAM: &str = include_str!("sidecar.mjs");

/// The name to give to wrangler, or `None` where its own default works.
pub(crate) fn find(cache: &Cache, report: &Report) -> Result<Option<String>> {
    report.step("ingress sidecar", |say| {
        if label(versions::SIDECAR_IMAGE).is_some() {
            return Ok((None, "here".to_owned()));
        }
        let node = format!("node:{}-{}-slim", versions::NODE, versions::DEBIAN);
        let base = Recipe::Node.key()?;
        let key = fingerprint([PROGRAM.as_bytes(), base.as_bytes()]);
        if label(IMAGE).is_some_and(|made_from| made_from == key) {
            return Ok((Some(IMAGE.to_owned()), "stand-in".to_owned()));
        }
        say.doing("docker pull cloudflare/proxy-everything");
        let Err(refused) = pull(versions::SIDECAR_IMAGE) else {
            return Ok((None, "pulled".to_owned()));
        };
        say.doing(format!("no registry answers ({refused}): building a stand-in"));
        if label(&node).is_none_or(|made_from| made_from != base) {
            Recipe::Node.build(cache, say, &node)?;
        }
        let scratch = cache.scratch()?;
        fs::write(scratch.path().join("sidecar.mjs"), PROGRAM)?;
        fs::write(
            scratch.path().join("Dockerfile"),
            format!(
                "FROM {node}\nLABEL {LABEL}={key}\nCOPY sidecar.mjs /sidecar.mjs\nENTRYPOINT [\"node\", \"--max-old-space-size=64\", \"/sidecar.mjs\"]\n"
            ),
        )?;
        build_context(cache, scratch.path(), IMAGE)?;
        Ok((Some(IMAGE.to_owned()), "stand-in built; outbound traffic is not intercepted".to_owned()))
    })
}
